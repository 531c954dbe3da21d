"""How transforms change parts, and what all of them have to keep.

A transform changes the parts that are paid. A part of weight 0 is there to be seen and stays as it is, so that the raw
reward remains in the log beside what was made of it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Int

from trueward.batch import Context, Level, Part, Rollouts, Scores
from trueward.errors import RewardError

Transform = Callable[[Scores, Rollouts, Context], Scores]
Map = Callable[[np.ndarray], np.ndarray]


def each_paid(scores: Scores, change: Callable[[str, Part], Part]) -> Scores:
    """The scores with a change made to every part whose weight is not 0.

    Args:
        scores: what the reward said.
        change: from name and part to the part that takes its place.
    """
    return Scores({name: change(name, part) if part.weight else part for name, part in scores.parts.items()})


def only_part(scores: Scores, name: str | None, level: Level, transform: str) -> str:
    """Name of the one part that a transform is meant for.

    What is subtracted or compared once must not be subtracted or compared in every part of a sum.

    Args:
        scores: what the reward said.
        name: the part, by name; None where there is only one paid part of the level.
        level: level that it must have.
        transform: name of the transform, for the message.

    Raises:
        RewardError: there is no such part, or no name was given and several could be meant.
    """
    paid = [key for key, part in scores.parts.items() if part.weight and part.level == level]
    if name is None and len(paid) == 1:
        return paid[0]
    if name is not None and name in scores.parts and scores.parts[name].level == level:
        return name
    wanted = f"part {name!r} at level {level!r}" if name is not None else f"exactly one paid part at level {level!r}"
    there = ", ".join(f"{key!r} ({part.level})" for key, part in scores.parts.items())
    raise RewardError(
        f"{transform} changes one part and needs {wanted}; the scores have {there}. Name one with part=…, or transform "
        "the reward before it is added to others"
    )


def replaced(part: Part, values: Float[np.ndarray, "..."], low: float | None, high: float | None) -> Part:
    """The part with other values and another range.

    Values that do not count stay what they were. At a finer level a row that failed earns one `low` for all of its
    entries, so `low` is lowered to the lowest sum of a row that did not fail: else an answer with many bad steps would
    earn less than one that broke the reward.

    Args:
        part: the part before.
        values: its new values; only those that are present are taken.
        low, high: the range of the new values; None where none is known.
    """
    values = np.where(part.present, values, part.values)
    if part.level != "rollout" and part.ok.any():
        kept = np.where(part.present, values, 0.0)
        lowest = float(kept[part.ok].sum(axis=1).min())
        single = low if low is not None else float(kept[part.present].min(initial=lowest))
        low = min(lowest, single)
    return dataclasses.replace(part, values=values, low=low, high=high)


def mapped(part: Part, function: Map) -> Part:
    """The part with a non-decreasing function applied to values and range.

    Where no range is declared, the range is that of the function, if it has finite ends: f(−∞), f(∞).
    """
    low, high = (_end(function, end, infinite) for end, infinite in ((part.low, -np.inf), (part.high, np.inf)))
    return replaced(part, function(np.where(part.present, part.values, 0.0)), low, high)


def _end(function: Map, declared: float | None, infinite: float) -> float | None:
    value = float(function(np.array(infinite if declared is None else declared)))
    return value if np.isfinite(value) else None


def group_index(rollouts: Rollouts) -> tuple[Int[np.ndarray, " n"], int]:
    """Number of the group of each rollout, from 0, and how many there are; without groups the batch is one group."""
    if rollouts.group is None:
        return np.zeros(len(rollouts), dtype=np.intp), 1
    names, index = np.unique(np.asarray(rollouts.group), return_inverse=True)
    return index.ravel(), len(names)


def with_raw(before: Scores, after: Scores) -> Scores:
    """Scores after transforms, with what they were before under "name (raw)" and weight 0.

    A part that no transform replaced needs no second copy, and one whose raw values are there already keeps those: of
    several transformations in a row the first is the raw one.

    Args:
        before: what the reward said.
        after: what its transforms made of it.
    """
    parts = dict(after.parts)
    for name, part in before.parts.items():
        raw = f"{name} (raw)"
        if raw not in parts and part.weight and parts.get(name) is not part:
            parts[raw] = dataclasses.replace(part, weight=0.0)
    return Scores(parts)
