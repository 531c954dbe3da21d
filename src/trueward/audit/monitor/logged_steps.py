"""Logged completions as the steps that a monitor sees: which columns are the reward, and which its parts."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float

from trueward.audit.monitor.step import Step
from trueward.errors import DataError
from trueward.status import Status
from trueward.tasks.text.rollouts import LoggedCompletion
from trueward.tasks.text.rows import Row
from trueward.tasks.text.values import shown

_TOTALS = ("reward", "score")  # what our own log and verl's call the total
_TERM = re.compile(r"\s*(?:(?P<weight>[+-]?\d*\.?\d+(?:[eE][+-]?\d+)?)\s*\*\s*)?(?P<name>.+?)\s*", re.DOTALL)
_EXACT = 1e-6
_STATUSES = {status.value: status for status in Status}


@dataclass(frozen=True)
class Paid:
    """What of a log is the reward.

    Attributes:
        name: as it is shown.
        column: the column of the total; None where it is the sum of the parts.
        weights: weight of each part; {} where the log does not tell of parts.
        seen: columns that add nothing, or of which it is not known what they add.
    """

    name: str
    column: str | None
    weights: Mapping[str, float] = field(default_factory=dict)
    seen: tuple[str, ...] = ()

    def part_name(self, column: str) -> str:
        """The name of a part, without what only says that it is one."""
        return column.removeprefix(f"{self.column}/") if self.column else column


def paid_of(rewards: Sequence[str], completions: Sequence[LoggedCompletion], wanted: str | None, source: str) -> Paid:
    """Which columns of a log are the reward that was trained on.

    A column `reward` (ours) or `score` (verl's) is a total, and so is the only column of rewards. Columns `reward/NAME`
    beside it are its parts; their weights w are not logged and are found from r = Σ w_k r_k, which must hold to 1e-6 on
    every row and have one solution, or hold with all weights 1. Otherwise the parts are only seen.

    Args:
        rewards: names of the columns.
        completions: some steps, for the weights.
        wanted: a column, or a sum of some as `correct + 0.5*format`; None: the one that there is.
        source: the log, for messages.

    Raises:
        DataError: no column holds rewards, several do and none is a total, or `wanted` names one that is not there.
    """
    if not rewards:
        raise DataError(
            f"{source}: no column holds rewards; expected one with nothing but numbers, such as reward or score"
        )
    if wanted is not None and wanted not in rewards:
        return _sum_of(rewards, wanted, source)
    total = wanted or next((name for name in _TOTALS if name in rewards), rewards[0] if len(rewards) == 1 else None)
    if total is None:
        named = ", ".join(map(shown, rewards))
        both = " + ".join(rewards[:2])
        raise DataError(
            f"{source}: holds several rewards: {named}. Name one with --reward {rewards[0]!r}, or what was trained on "
            f"with --reward {both!r} (with weights as in '0.5*{rewards[0]}')"
        )
    parts = [name for name in rewards if name.startswith(f"{total}/")]
    weights = (
        _weights(_numbers(completions, total), np.stack([_numbers(completions, name) for name in parts], 1))
        if (parts)
        else None
    )
    known = {name: weight for name, weight in zip(parts, weights, strict=True) if weight} if weights is not None else {}
    return Paid(total, total, known, tuple(name for name in rewards if name != total and name not in known))


def step_from(
    number: int, completions: Sequence[LoggedCompletion], paid: Paid, rows: Sequence[Row | None] = ()
) -> Step:
    """The step that some logged completions are.

    A row of which no part has a score has no reward; a part without one adds nothing, as TRL sums, and the row has the
    status "abstained".

    Args:
        number: of the step.
        completions: all that was logged of it.
        paid: which columns are the reward.
        rows: the row of each completion, with what a check may read; () for none.
    """
    checked = any(completion.gold is not None for completion in completions)
    parts = {paid.part_name(name): weight * _numbers(completions, name) for name, weight in paid.weights.items()}
    if paid.column is not None:
        reward = _numbers(completions, paid.column)
        lacking = np.isnan(reward)
    else:
        summed = np.stack(list(parts.values()))
        reward = np.where(np.isnan(summed).all(axis=0), np.nan, np.nansum(summed, axis=0))
        lacking = np.isnan(summed).any(axis=0)
    return Step(
        number=number,
        prompts=[completion.prompt for completion in completions],
        completions=[completion.completion for completion in completions],
        reward=reward,
        parts=parts or {paid.part_name(paid.name): reward},
        seen={paid.part_name(name): _numbers(completions, name) for name in paid.seen},
        status=[
            _status(completion, unscored) for completion, unscored in zip(completions, lacking.tolist(), strict=True)
        ],
        length=np.array([_length(completion) for completion in completions], dtype=np.float64),
        group=_groups(completions),
        columns=[
            _columns(completion, rows[place] if rows else None, checked) for place, completion in enumerate(completions)
        ],
    )


def _sum_of(rewards: Sequence[str], wanted: str, source: str) -> Paid:
    weights: dict[str, float] = {}
    for term in re.split(r"(?<![eE])\+", wanted):
        match = _TERM.fullmatch(term)
        name = match["name"] if match else term.strip()
        if name not in rewards:
            close = difflib.get_close_matches(name, rewards, n=3)
            hint = f"did you mean {' or '.join(map(shown, close))}?" if close else f"it has {', '.join(rewards)}"
            raise DataError(f"{source}: --reward {wanted!r}: no column {shown(name)} holds rewards; {hint}")
        weights[name] = weights.get(name, 0.0) + float((match and match["weight"]) or 1.0)
    return Paid(wanted, None, weights, tuple(name for name in rewards if name not in weights))


def _weights(total: Float[np.ndarray, " n"], parts: Float[np.ndarray, "n k"]) -> list[float] | None:
    """The weights with which the parts make the total on every row; None where they are not determined."""
    rows = np.isfinite(total) & np.isfinite(parts).all(axis=1)
    total, parts = total[rows], parts[rows]
    if not len(total):
        return None
    tolerance = _EXACT * (1.0 + float(np.abs(total).max()))
    found, _, rank, _ = np.linalg.lstsq(parts, total, rcond=None)
    if rank < parts.shape[1]:
        found = np.ones(parts.shape[1])
    if np.abs(parts @ found - total).max() > tolerance:
        return None
    return [0.0 if abs(weight) < _EXACT else float(weight) for weight in found]


def _numbers(completions: Iterable[LoggedCompletion], column: str) -> Float[np.ndarray, " n"]:
    values = (completion.rewards.get(column) for completion in completions)
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)


def _status(completion: LoggedCompletion, unscored: bool) -> Status:
    logged = _STATUSES.get(completion.status)
    if logged is not None:
        return logged
    return Status.ABSTAINED if unscored else Status.OK


def _length(completion: LoggedCompletion) -> int:
    return completion.length if completion.length is not None else sum(len(turn) for turn in completion.turns)


def _groups(completions: Sequence[LoggedCompletion]) -> np.ndarray:
    """The logged groups as numbers; where none were logged, completions of one prompt are a group."""
    numbers: dict[tuple[str, str], int] = {}
    named = (
        ("group", completion.group) if completion.group else ("prompt", completion.prompt_text)
        for completion in completions
    )
    return np.array([numbers.setdefault(name, len(numbers)) for name in named], dtype=np.int64)


def _columns(completion: LoggedCompletion, row: Row | None, checked: bool) -> Mapping[str, Any]:
    columns = {} if row is None else {"answer": row.answer, **row.columns}
    gold = {"gold": completion.gold} if checked else {}
    return {**columns, **gold, **completion.columns}
