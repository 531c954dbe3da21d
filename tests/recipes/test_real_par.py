"""PAR as a TRL run: a tiny random policy and reward model, two steps."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from trueward.policies.language import LanguagePolicy
from trueward.recipes.real import par
from trueward.tasks.text.vocabulary import Vocabulary

WORDS = ("about", "sea", "forest", "wave", "tide", "moss", "fern")


@pytest.fixture
def models(tmp_path: Path) -> tuple[Path, Path]:
    import torch
    from transformers import LlamaForSequenceClassification

    policy = LanguagePolicy.tiny(Vocabulary("words", WORDS), layers=1, width=16, heads=2, positions=32)
    policy.save(tmp_path / "policy")
    config = policy.model.config
    config.num_labels = 1
    torch.manual_seed(0)
    LlamaForSequenceClassification(config).save_pretrained(tmp_path / "reward")
    policy.tokenizer.save_pretrained(tmp_path / "reward")
    return tmp_path / "policy", tmp_path / "reward"


def test_two_steps_pay_win_probabilities(models: tuple[Path, Path], tmp_path: Path) -> None:
    model, reward_model = models
    prompts = ["about sea", "about forest", "about wave", "about tide"]
    trainer = par.build(
        str(model),
        f"{reward_model}(separator=' ')",
        prompts,
        directory=tmp_path / "run",
        references=3,
        steepness=2.0,
        tiny=True,
    )
    assert all(len(row["reference_rewards"]) == 3 for row in trainer.train_dataset)
    before = weights(trainer)
    trainer.train()
    assert trainer.state.global_step == 2
    paid = [line["reward"] for line in trainer.state.log_history if "reward" in line]
    assert len(paid) == 2 and all(0.0 < mean < 1.0 for mean in paid)
    assert any(spread > 0 for spread in (line.get("reward_std", 0.0) for line in trainer.state.log_history))
    assert before != weights(trainer)
    json.dumps(dict(par.SETTINGS))


def weights(trainer: Any) -> float:
    return float(sum(parameter.detach().double().abs().sum() for parameter in trainer.model.parameters()))
