"""Cooper as a TRL run: a tiny random policy and verifier model, two steps."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from trueward.policies.language import LanguagePolicy
from trueward.policies.scorer import TokenScorer
from trueward.recipes.real import cooper
from trueward.rewards.models.learned import LearnedReward
from trueward.rewards.models.learned_inputs import Field, Layout
from trueward.tasks.text.vocabulary import Vocabulary

WORDS = ("say", "red", "blue", "?", "!")
QUESTIONS = [{"prompt": f"say {word} ?", "answer": word} for word in ("red", "blue") * 4]


def holds(completions: list[str], answer: list[str], **columns: Any) -> list[float]:
    return [float(right in text.split()) for text, right in zip(completions, answer, strict=True)]


def without(question: str, positive: str) -> str | None:
    return " ".join(word if word not in ("red", "blue") else "!" for word in positive.split())


@pytest.fixture
def models(tmp_path: Path) -> tuple[Path, Path]:
    policy = LanguagePolicy.tiny(Vocabulary("words", WORDS), layers=1, width=16, heads=2, positions=32)
    policy.save(tmp_path / "policy")
    layout = Layout((Field("prompt"), Field("answer", " ", " ? "), Field("completion")))
    scorer = TokenScorer.from_policy(policy)
    LearnedReward("verifier", scorer, policy.tokenizer, layout=layout, sigmoid=True).save(tmp_path / "verifier")
    return tmp_path / "policy", tmp_path / "verifier"


def test_two_steps_train_policy_and_verifier(models: tuple[Path, Path], tmp_path: Path) -> None:
    model, verifier = models
    trainer = cooper.build(
        str(model), verifier, QUESTIONS, holds, assistant=without, directory=tmp_path / "run", tiny=True
    )
    [trained] = [one for one in trainer.callback_handler.callbacks if isinstance(one, cooper.CoTrained)]
    before = {name: value.clone() for name, value in trained.hook.scorer.state_dict().items()}
    trainer.train()
    assert trainer.state.global_step == 2
    assert len(trained.told) == 2 and sum(told["pairs"] for told in trained.told) > 0
    assert any(not torch.equal(before[name], value) for name, value in trained.hook.scorer.state_dict().items())
    paid = [line["reward"] for line in trainer.state.log_history if "reward" in line]
    assert len(paid) == 2 and all(0.0 < mean < 1.0 for mean in paid)
    json.dumps(dict(cooper.SETTINGS))


def test_what_was_sampled_for_an_evaluation_teaches_nothing(models: tuple[Path, Path], tmp_path: Path) -> None:
    model, verifier = models
    trainer = cooper.build(
        str(model), verifier, QUESTIONS, holds, assistant=without, directory=tmp_path / "run", tiny=True
    )
    [trained] = [one for one in trainer.callback_handler.callbacks if isinstance(one, cooper.CoTrained)]
    trained(["say red ?"], ["red"], answer=["red"])
    trained.on_evaluate(trainer.args, trainer.state, trainer.control)
    trained.on_step_end(trainer.args, trainer.state, trainer.control)
    assert trained.told == []
    trained(["say red ?"], ["red"], answer=["red"])
    trained.on_step_end(trainer.args, trainer.state, trainer.control)
    assert [told["pairs"] for told in trained.told] == [1]
