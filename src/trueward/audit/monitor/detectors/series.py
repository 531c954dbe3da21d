"""One number per step: what it was at first, what it is now, and whether it has changed."""

from __future__ import annotations

import statistics
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

from trueward.audit.monitor.detectors.rank_test import RankTest, Side

WINDOW = 10
"""Steps of the reference window: the first ones that could be measured."""
RECENT = 5
"""Steps that say what the number is now."""


class Series:
    """Medians of a number over the reference window and over the last steps, with a test in one direction or two.

    Args:
        alphas: chance of a false alarm over the run for each tested side; {} for a number that is only kept.
    """

    def __init__(self, alphas: Mapping[Side, float]) -> None:
        self._first: list[float] = []
        self._last: deque[float] = deque(maxlen=RECENT)
        self._reference = float("nan")
        self._moved = False
        self._tests = {side: RankTest(side, alpha, WINDOW) for side, alpha in alphas.items()}

    def see(self, value: float) -> None:
        """The next value; it must be finite."""
        if len(self._first) < WINDOW:
            self._first.append(value)
            self._reference = statistics.median(self._first)
        else:
            self._last.append(value)
        for test in self._tests.values():
            if test.see(value):
                self._moved = True

    @property
    def ready(self) -> bool:
        """True once as many steps as needed have come after the reference window."""
        return len(self._last) == RECENT

    @property
    def reference(self) -> float:
        """Median of the reference window."""
        return self._reference

    @property
    def recent(self) -> float:
        """Median of the last steps."""
        return statistics.median(self._last)

    @property
    def moved(self) -> bool:
        """True once one of its tests has found a change."""
        return self._moved

    def changed(self, side: Side) -> bool:
        """True once the test of that side has found a change."""
        return side in self._tests and self._tests[side].changed

    def state_dict(self) -> dict[str, Any]:
        """All that it keeps, as JSON values."""
        tests = {side: test.state_dict() for side, test in self._tests.items()}
        return {"first": self._first.copy(), "last": list(self._last), "tests": tests}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take that back."""
        self._first = _floats(state["first"])
        self._last = deque(_floats(state["last"]), maxlen=RECENT)
        self._reference = statistics.median(self._first) if self._first else float("nan")
        for side, test in self._tests.items():
            test.load_state_dict(state["tests"][side])
        self._moved = any(test.changed for test in self._tests.values())


def _floats(values: Sequence[Any]) -> list[float]:
    return [float(value) for value in values]
