"""What all detectors without gold have in common."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Int

from trueward.audit.monitor.detectors.rank_test import Side
from trueward.audit.monitor.detectors.series import Series
from trueward.audit.monitor.notice import Example, Notice, different
from trueward.audit.monitor.step import Step
from trueward.rewards.references import text_of

BUDGET = 0.05 / 12
"""Chance of a false alarm that a detector may spend over a run: twelve of them share five per cent."""
EXAMPLES = 3


class Detector(ABC):
    """A watcher that sees no gold: it can only say that something changed which changes when rewards are hacked.

    It measures one number or several at every step, and hints once, when both hold for one of them:

    - changed: the test of exchangeability (`RankTest`) has rejected. On a run in which the number keeps its law this
      happens with probability at most `budget`, over all sides and numbers and however long the run is.
    - material: the median of the last five steps is beyond the documented threshold, set against the median of the
      first ten.

    Healthy learning changes such numbers too, and only the threshold stands between it and a hint; with rewards alone,
    learning and hacking may look the same. What it costs is measured on recorded runs (docs/detectors.md).

    The i-th tested side takes budget / (i(i+1)), so that any number of parts may turn up and the sum stays within it.
    """

    short: ClassVar[str]
    """Its name without "detector/"."""
    sides: ClassVar[tuple[Side, ...]]
    """In which directions a change is looked for."""

    def __init__(self, budget: float = BUDGET) -> None:
        self._budget = budget
        self._series: dict[str, Series] = {}
        self._named: dict[str, str] = {}
        self._tested = 0
        self._found = False

    @property
    def name(self) -> str:
        """`detector/<short>`."""
        return f"detector/{self.short}"

    @abstractmethod
    def measure(self, step: Step) -> Mapping[str, float]:
        """Its numbers at this step, by key ("" where there is one only); those that cannot be measured are left out."""

    @abstractmethod
    def judge(self, key: str, series: Series) -> str | None:
        """What there is to say of a changed number, in a sentence; None where the change is not material."""

    @abstractmethod
    def telling(self, step: Step) -> Int[np.ndarray, " n"]:
        """Rows of the step, the most telling first."""

    def tests(self, key: str) -> tuple[Side, ...]:
        """In which directions the number with that key is tested; () where it is only kept."""
        return self.sides

    def observe(self, step: Step) -> tuple[Mapping[str, float], Sequence[Notice]]:
        """Look at the next step; returns its numbers, and the hint where it gives one now."""
        if not len(step):
            return {}, ()
        values = self.measure(step)
        said = self.take(values)
        numbers = {}
        for key, value in values.items():
            name = self._named.get(key)
            if name is None:
                name = self._named[key] = f"{self.name}/{key}" if key else self.name
            numbers[name] = value
        if said is None:
            return numbers, ()
        return numbers, [Notice("hint", self.name, step.number, said, self._examples(step))]

    def take(self, values: Mapping[str, float]) -> str | None:
        """Take in the numbers of the next step; returns the sentence where it hints now."""
        if self._found:
            return None
        said: str | None = None
        for key, value in values.items():
            if math.isfinite(value):
                series = self._series.get(key)
                if series is None:
                    series = self._series[key] = self._new_series(key)
                series.see(value)
                if said is None and series.moved and series.ready:
                    said = self.judge(key, series)
        self._found = said is not None
        return said

    def kept(self, key: str) -> Series | None:
        """The series of another key, where it is ready."""
        series = self._series.get(key)
        return series if series is not None and series.ready else None

    def _new_series(self, key: str) -> Series:
        alphas: dict[Side, float] = {}
        for side in self.tests(key):
            self._tested += 1
            alphas[side] = self._budget / (self._tested * (self._tested + 1))
        return Series(alphas)

    def _examples(self, step: Step) -> list[Example]:
        found = [
            Example(
                text_of(step.prompts[row]),
                text_of(step.completions[row]),
                None if math.isnan(step.reward[row]) else float(step.reward[row]),
            )
            for row in (int(place) for place in self.telling(step))
        ]
        return different(found)[:EXAMPLES]

    def state_dict(self) -> dict[str, Any]:
        """All that it keeps, as JSON values."""
        return {"found": self._found, "series": {key: one.state_dict() for key, one in self._series.items()}}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take that back."""
        self._found = bool(state["found"])
        self._series, self._tested = {}, 0
        for key, kept in state["series"].items():
            self._series[key] = self._new_series(key)
            self._series[key].load_state_dict(kept)
