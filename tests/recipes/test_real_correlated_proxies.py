"""Correlated proxies on engines: two collections of SB3's PPO, two steps of TRL's trainer on a small random model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from trueward.policies.language import LanguagePolicy
from trueward.recipes.real.correlated_proxies import build, build_language
from trueward.tasks.text.procedural import TieredChains

# Threads that wait for each other cost more than such small models.
torch.set_num_threads(1)


def test_two_collections_on_a_robot() -> None:
    model, callback = build(environments=2, settings={"n_steps": 16, "batch_size": 16, "n_epochs": 1})
    before = [weight.detach().clone() for weight in callback.penalty.ratio.parameters()]
    model.learn(64, callback=callback)
    assert model.num_timesteps == 64
    assert callback.penalty.weight > 0
    after = list(callback.penalty.ratio.parameters())
    assert any(not torch.equal(one, other) for one, other in zip(before, after, strict=True))


def says_little(completions: Any, **columns: Any) -> list[float]:
    """1 for an even number of tokens: what a random model gets right half of the time."""
    return [float(len(completion.split()) % 2 == 0) for completion in completions]


def test_two_steps_of_a_language_model(tmp_path: Path) -> None:
    task = TieredChains(modulus=5)
    LanguagePolicy.tiny(task.vocabulary, layers=1, width=16, heads=2, positions=64, seed=0).save(tmp_path / "policy")
    questions = [{"prompt": row.prompt, "answer": row.answer} for row in task.rows(8, 0)]
    trainer = build_language(
        str(tmp_path / "policy"),
        questions,
        says_little,
        directory=tmp_path / "run",
        tiny=True,
        settings={"learning_rate": 1e-2},
    )
    trainer.train()
    assert trainer.state.global_step == 2
    assert all(torch.isfinite(weight).all() for weight in trainer.model.parameters())
    told = [line for line in trainer.state.log_history if any("sequence_divergence" in name for name in line)]
    [name] = [name for name in told[-1] if name.endswith("sequence_divergence")]
    # The reference is the first policy: at the first step they are the same, at the second no longer.
    assert told[0][name] == pytest.approx(0.0, abs=1e-5)
    assert told[-1][name] > 0
