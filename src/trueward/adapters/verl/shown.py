"""What Trueward's trainer shows to the estimators that verl calls: verl itself hands them rewards, mask and prompt ids.

A context variable, so that estimators stay functions in verl's registry and verl's own code calls them: its KL in the
reward, its corrections of the rollouts and what it writes back are all its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Int

from trueward.batch import Context, Rollouts, Scores


@dataclass
class Shown:
    """A batch of verl, seen by the trainer.

    Attributes:
        rollouts: the N rollouts that earn rewards: no padding, and of a session of several outputs the last one.
        scores: what the reward said of them; None where its parts are not known.
        context: where training stands.
        place: row of the batch of each of the N.
        last: for each row of the batch the row that earns its session's reward; −1 for padding.
        metrics: what the estimator tells, to be logged.
    """

    rollouts: Rollouts
    scores: Scores | None
    context: Context
    place: Int[np.ndarray, " n"]
    last: Int[np.ndarray, " b"]
    metrics: dict[str, float] = field(default_factory=dict)


_SHOWN: ContextVar[Shown | None] = ContextVar("trueward_shown", default=None)


@contextmanager
def showing(shown: Shown) -> Iterator[Shown]:
    """Estimators called inside the block see the batch."""
    token = _SHOWN.set(shown)
    try:
        yield shown
    finally:
        _SHOWN.reset(token)


def shown_now() -> Shown | None:
    """What the trainer shows; None under verl's own trainers."""
    return _SHOWN.get()
