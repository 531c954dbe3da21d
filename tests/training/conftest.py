"""A task small enough that a run takes seconds: say the word that the prompt asks for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch

from trueward.policies.language import LanguagePolicy
from trueward.rewards.base import Reward, as_reward
from trueward.tasks.gold import Gold
from trueward.tasks.text.rows import Row
from trueward.tasks.text.vocabulary import Vocabulary

WORDS = ("red", "green", "blue", "say", ":")
ROWS = [Row(f"{word}", f"say {word} :", word, {"number": place}) for place, word in enumerate(WORDS[:3])]


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def policy(seed: int = 0) -> LanguagePolicy:
    return LanguagePolicy.tiny(Vocabulary("words", WORDS), layers=1, width=16, heads=2, positions=24, seed=seed)


def asked_for(completion: str, answer: str) -> float:
    words = completion.split()
    return words.count(answer) / max(1, len(words))


def reward() -> Reward:
    return as_reward(asked_for, low=0.0, high=1.0)


def gold(rows: Sequence[Row], completions: Sequence[str]) -> Gold:
    values = [asked_for(text, str(row.answer)) for row, text in zip(rows, completions, strict=True)]
    return Gold(np.array(values), {"words": np.array([float(len(text.split())) for text in completions])})
