"""A part alone, and what a transform makes of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from trueward.batch import Context, Part, Rollouts, Scores, Text
from trueward.status import Status


def _part(values: Sequence[Any], status: Sequence[Status] | None = None, **fields: Any) -> Part:
    status = status or [Status.OK] * len(values)
    if not any(isinstance(value, list) for value in values):
        return Part(np.array(values, dtype=np.float64), status, **fields)
    width = max(map(len, values))
    filled = np.array([[*row, *[np.nan] * (width - len(row))] for row in values], dtype=np.float64)
    return Part(filled, status, "segment", exists=~np.isnan(filled), **fields)


def _changed(transforms: Any, values: Any, *, training: bool = True, **fields: Any) -> Part:
    part = values if isinstance(values, Part) else _part(values)
    n = len(part.status)
    rollouts = Rollouts(Text(["p"] * n, ["x"] * n), **fields)
    scores = Scores({"r": part})
    for transform in transforms if isinstance(transforms, list) else [transforms]:
        scores = transform(scores, rollouts, Context(training=training))
    return scores.parts["r"]


@pytest.fixture
def part_of() -> Callable[..., Part]:
    """A rollout part from numbers, or a segment part from lists of numbers of different lengths."""
    return _part


@pytest.fixture
def changed() -> Callable[..., Part]:
    """The part after one transform or a list of them; keywords are fields of the rollouts."""
    return _changed
