"""GRPO-λ on TRL: two steps of a small random model, and what is ranked is the whole batch."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch

from trueward.policies.language import LanguagePolicy
from trueward.recipes.real import grpo_lambda
from trueward.tasks.text.procedural import TieredChains

# Threads that wait for each other cost more than such small models.
torch.set_num_threads(1)

TASK = TieredChains(modulus=5)


def says_little(completions: Any, **columns: Any) -> list[float]:
    """1 for an even number of tokens: what a random model gets right half of the time."""
    return [float(len(completion.split()) % 2 == 0) for completion in completions]


@pytest.fixture(scope="module")
def trainer(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("models")
    LanguagePolicy.tiny(TASK.vocabulary, layers=1, width=16, heads=2, positions=64, seed=0).save(folder / "policy")
    questions = [{"prompt": row.prompt, "answer": row.answer} for row in TASK.rows(8, 0)]
    return grpo_lambda.build(
        str(folder / "policy"), questions, says_little, directory=folder / "run", fraction=0.5, tiny=True
    )


def test_two_steps_move_the_model(trainer: Any) -> None:
    before = {name: weight.detach().clone() for name, weight in trainer.model.named_parameters()}
    trainer.train()
    assert trainer.state.global_step == 2
    assert all(torch.isfinite(weight).all() for weight in trainer.model.parameters())
    assert any(not torch.equal(weight, before[name]) for name, weight in trainer.model.named_parameters())
    told = [line for line in trainer.state.log_history if "rewards/selected/mean" in line]
    assert told and all(0.0 < line["rewards/selected/mean"] <= 0.5 for line in told)
    json.dumps(dict(grpo_lambda.SETTINGS))


def test_groups_are_ranked_over_the_batch_of_a_step(trainer: Any) -> None:
    scored = trainer.scored
    group = np.asarray(scored.rollouts.group)
    assert len(set(group.tolist())) == 4  # two accumulated batches of eight completions, four to a prompt
    inside = {int(g) for g, chosen in zip(group, scored.scores.parts["selected"].values, strict=True) if chosen}
    assert 1 <= len(inside) <= 2
    [raw] = [part for name, part in scored.scores.parts.items() if name.endswith("(raw)")]
    finished = np.asarray(scored.rollouts.features["finished"])
    ratio = {int(g): float((raw.values * finished)[group == g].mean()) for g in set(group.tolist())}
    left_out = [share for g, share in ratio.items() if g not in inside]
    assert min(ratio[g] for g in inside) >= max(left_out)
