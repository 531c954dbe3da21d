"""STARC before a TRL run: a tiny random policy, two rewards, and what is said before the first of two steps."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from trueward.errors import TrainingError
from trueward.policies.language import LanguagePolicy
from trueward.recipes.real import starc
from trueward.tasks.text.vocabulary import Vocabulary

# Threads that wait for each other cost more than such small models.
torch.set_num_threads(1)

QUESTIONS = [{"prompt": f"say {word} ?", "answer": word} for word in ("red", "blue") * 4]


def reds(completions: Sequence[str], **columns: Any) -> list[float]:
    return [float(text.split().count("red")) for text in completions]


def more_reds(completions: Sequence[str], answer: Sequence[str], **columns: Any) -> list[float]:
    """The same reward on another scale, with an offset for each prompt."""
    return [3 * score + 7 * (word == "red") for score, word in zip(reds(completions), answer, strict=True)]


def fewer_reds(completions: Sequence[str], **columns: Any) -> list[float]:
    return [-score for score in reds(completions)]


def blues(completions: Sequence[str], **columns: Any) -> list[float | None]:
    """Scores some answers only."""
    return [None if text.startswith("?") else float(text.split().count("blue")) for text in completions]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "policy"
    words = Vocabulary("words", ("say", "red", "blue", "?", "!"))
    LanguagePolicy.tiny(words, layers=1, width=16, heads=2, positions=32, seed=0).save(folder)
    return folder


def trainer(model: Path, directory: Path, check: Any, **more: Any) -> Any:
    return starc.build(str(model), QUESTIONS, reward=reds, check=check, directory=directory, tiny=True, **more)


def test_scale_and_offsets_of_prompts_are_not_seen(model: Path, tmp_path: Path) -> None:
    training = trainer(model, tmp_path, more_reds, limit=0.1)
    before = {name: weight.detach().clone() for name, weight in training.model.named_parameters()}
    training.train()
    assert training.state.global_step == 2
    assert any(not torch.equal(weight, before[name]) for name, weight in training.model.named_parameters())
    [told] = [line for line in training.state.log_history if "starc/distance" in line]
    assert told["step"] == 0 and told["starc/distance"] == pytest.approx(0.0, abs=1e-6)
    written = json.loads((tmp_path / "starc.json").read_text())
    assert (written["prompts"], written["answers"], written["left_out"]) == (8, 64, 0)
    json.dumps(dict(starc.SETTINGS))


def test_an_opposite_reward_is_refused_before_the_first_step(model: Path, tmp_path: Path) -> None:
    training = trainer(model, tmp_path, fewer_reds, limit=1.0)
    before = {name: weight.detach().clone() for name, weight in training.model.named_parameters()}
    with pytest.raises(TrainingError, match=r"reds is 2\.00 .* from fewer_reds, beyond the limit of 1"):
        training.train()
    assert training.state.global_step == 0
    assert all(torch.equal(weight, before[name]) for name, weight in training.model.named_parameters())
    assert json.loads((tmp_path / "starc.json").read_text())["distance"] == pytest.approx(2.0)


def test_answers_without_a_score_are_left_out_and_counted(model: Path, tmp_path: Path) -> None:
    training = trainer(model, tmp_path, blues, compared=4, answers=16)
    [compared] = [one for one in training.callback_handler.callbacks if isinstance(one, starc.CompareFirst)]
    training.train()
    assert compared.told is not None and compared.told.prompts == 4
    assert 0 < compared.told.left_out < 32 and compared.told.left_out + compared.told.answers == 64
    # Words exclude one another, so that the two rewards pull apart; they are no mirror images.
    assert math.sqrt(2) < compared.told.distance < 2.0
