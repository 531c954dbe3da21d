"""How the parts of a reward travel from verl's reward workers to its trainer: with each row, as text.

A worker sees one row and no other. What leaves it are the scores of the leaves; transforms and sums are applied again
by the trainer, to the whole batch, where a transform that compares or counts means what it says.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from trueward.batch import Context, Part, Rollouts, Scores
from trueward.errors import TrainingError
from trueward.rewards.base import Reward
from trueward.rewards.runner import Runner
from trueward.status import Status

FIELD = "trueward"
"""Key of the text among what verl calls a reward's extra information."""


class _Leaf(Reward):
    """A leaf that keeps what it said, or says what was kept."""

    def __init__(self, leaf: Reward, number: int, kept: dict[int, Scores], *, replayed: bool) -> None:
        self.leaf, self.number, self.kept, self.replayed = leaf, number, kept, replayed

    @property
    def name(self) -> str:
        return self.leaf.name

    def use(self, runner: Runner) -> bool:
        return self.leaf.use(runner)

    def score(self, rollouts: Rollouts, context: Context) -> Scores:
        if not self.replayed:
            self.kept[self.number] = self.leaf.score(rollouts, context)
        return self.kept[self.number]


class Recorder:
    """A reward whose leaves are noted while it scores.

    Attributes:
        reward: the same reward, noting.
        kept: what the leaves said last, by their number.
    """

    def __init__(self, reward: Reward) -> None:
        self.kept: dict[int, Scores] = {}
        self.reward = _with_numbered_leaves(reward, self.kept, replayed=False)

    def texts(self) -> list[str]:
        """What travels with each row of the last call."""
        rows = len(next(iter(self.kept.values())))
        return [json.dumps([_row(self.kept[number], row) for number in sorted(self.kept)]) for row in range(rows)]


def replay(reward: Reward, texts: Sequence[str | None], rollouts: Rollouts, context: Context) -> Scores:
    """Scores of a batch from what travelled with its rows.

    Args:
        reward: the reward that was asked.
        texts: one per row; None where a row has none, which makes it a row that was not scored.
        rollouts: the batch.
        context: where training stands; transforms with statistics move them in training.

    Raises:
        TrainingError: the texts are those of another reward.
    """
    notes = [None if text is None else json.loads(text) for text in texts]
    leaves = max((len(note) for note in notes if note is not None), default=0)
    if any(note is not None and len(note) != leaves for note in notes):
        raise TrainingError("rows were scored by different rewards: verl's reward workers must all load the same file")
    kept = {number: _scores([None if note is None else note[number] for note in notes]) for number in range(leaves)}
    replayed = _with_numbered_leaves(reward, kept, replayed=True)
    try:
        return replayed.score(rollouts, context)
    except KeyError as error:
        raise TrainingError(
            f"the reward workers noted {leaves} leaves, and the reward of the trainer has more: both must load the "
            "same file"
        ) from error


def _with_numbered_leaves(reward: Reward, kept: dict[int, Scores], *, replayed: bool) -> Reward:
    count = 0

    def change(leaf: Reward) -> Reward:
        nonlocal count
        count += 1
        return _Leaf(leaf, count - 1, kept, replayed=replayed)

    return reward.with_leaves(change)


def _row(scores: Scores, row: int) -> dict[str, Any]:
    return {name: _part(part, row) for name, part in scores.parts.items()}


def _part(part: Part, row: int) -> dict[str, Any]:
    noted: dict[str, Any] = {
        "values": part.values[row].tolist() if part.status[row].ok or part.level != "rollout" else None,
        "status": part.status[row].value,
        "level": part.level,
        "weight": part.weight,
        "low": part.low,
        "high": part.high,
    }
    if part.exists is not None:
        noted["exists"] = part.exists[row].tolist()
    if part.details and part.details[row]:
        noted["detail"] = part.details[row]
    return noted


def _scores(notes: Sequence[Mapping[str, Any] | None]) -> Scores:
    """One leaf's scores of all rows; a row without a note has no value in any of its parts."""
    names = list(dict.fromkeys(name for note in notes if note is not None for name in note))
    return Scores({name: _joined([None if note is None else note.get(name) for note in notes]) for name in names})


def _joined(notes: Sequence[Mapping[str, Any] | None]) -> Part:
    known = next(note for note in notes if note is not None)
    status = [Status.UNAVAILABLE if note is None else Status(note["status"]) for note in notes]
    common = {"weight": known["weight"], "low": known["low"], "high": known["high"], "level": known["level"]}
    details = ["the row was not scored" if note is None else note.get("detail", "") for note in notes]
    if known["level"] == "rollout":
        plain = [np.nan if note is None or note["values"] is None else note["values"] for note in notes]
        return Part(np.array(plain, dtype=np.float64), status, details=details, **common)
    width = max((len(note["values"]) for note in notes if note is not None), default=0)
    values = np.zeros((len(notes), width))
    exists = np.zeros((len(notes), width), dtype=bool)
    for row, note in enumerate(notes):
        if note is not None:
            length = len(note["values"])
            values[row, :length] = np.nan_to_num(np.array(note["values"], dtype=np.float64))
            exists[row, :length] = note.get("exists", True)
    return Part(values, status, exists=exists, details=details, **common)
