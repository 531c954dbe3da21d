"""What a reward says of steps, where it may fail on some of them.

A reward that fails on every environment of a batch cannot be audited. One that fails on some has a finding: those steps
have no score (NaN), the rest of the batch is scored without them.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from trueward.batch import Transitions
from trueward.errors import RewardError
from trueward.rewards.control.base import ControlReward
from trueward.rewards.control.functions import FIELDS

MOST_KEPT = 3

FAILS = "fails on some steps"
DEPENDS = "its rows depend on each other"
CHANGES = "scores the same steps differently when it is asked again"


@dataclass(frozen=True)
class Failure:
    """A step without a score, or one that cannot be relied on.

    Attributes:
        title: what is wrong with the reward.
        said: what the reward's error says.
        policy: who played.
        step: number of the step in its episode.
    """

    title: str
    said: str
    policy: str
    step: int


@dataclass
class Scored:
    """N scores.

    Attributes:
        value: what is optimised [N]; NaN where the reward failed.
        parts: its addends.
    """

    value: np.ndarray
    parts: Mapping[str, np.ndarray]


@dataclass
class Scoring:
    """Asks a reward, counts, and keeps what went wrong.

    Attributes:
        reward: what is asked.
        calls: how often it was.
        steps: how many steps it scored.
        failed: how many it did not.
        seconds: how long the calls took.
        failures: the first failures.
    """

    reward: ControlReward
    calls: int = 0
    steps: int = 0
    failed: int = 0
    seconds: list[float] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)

    def begin(self, count: int) -> None:
        """Episodes begin."""
        self.reward.begin(count)

    def score(self, transitions: Transitions, policy: str, step: int) -> Scored:
        """Scores of one step of N environments.

        Args:
            transitions: the step.
            policy: who played, for a report of failures.
            step: number of the step.

        Raises:
            RewardError: it fails on every one of them, and never scored anything before.
        """
        before = time.perf_counter()
        self.calls += 1
        self.steps += len(transitions)
        try:
            scores = self.reward.score(transitions, training=False)
            self.seconds.append(time.perf_counter() - before)
            return Scored(scores.value, scores.parts)
        except RewardError as error:
            return self._by_rows(transitions, policy, step, error)

    def _by_rows(self, transitions: Transitions, policy: str, step: int, error: RewardError) -> Scored:
        n = len(transitions)
        value = np.full(n, np.nan)
        parts: dict[str, np.ndarray] = {}
        said = []
        for row in range(n):
            try:
                scores = self.reward.score(_rows(transitions, np.array([row])), training=False)
            except RewardError as alone:
                said.append(str(alone))
                continue
            value[row] = scores.value[0]
            for name, values in scores.parts.items():
                parts.setdefault(name, np.full(n, np.nan))[row] = values[0]
        if len(said) == n and self.steps == n:
            raise error
        self.failed += max(1, len(said))
        if len(self.failures) < MOST_KEPT:
            title = FAILS if said else self._why_not_together(transitions, value)
            self.failures.append(Failure(title, said[0] if said else str(error), policy, step))
        return Scored(value, parts)

    def _why_not_together(self, transitions: Transitions, alone: np.ndarray) -> str:
        """Every row has a score alone, and the batch has none: they depend on each other, or on how often one asks."""
        again = [
            self.reward.score(_rows(transitions, np.array([row])), training=False).value[0] for row in range(len(alone))
        ]
        return DEPENDS if np.allclose(alone, again, rtol=1e-6, atol=1e-9) else CHANGES


@dataclass(frozen=True)
class Unstable:
    """A reward that scores the same steps differently.

    Attributes:
        how: in which way it was asked again.
        step: number of the step.
        first, again: what it paid.
        steps: steps that changed.
        asked: steps that were asked about twice.
    """

    how: str
    step: int
    first: float
    again: float
    steps: int
    asked: int


def unstable(reward: ControlReward, played: Sequence[Transitions]) -> Unstable | None:
    """Whether the same steps are scored the same: once more from the beginning, and in other rows of the batch.

    Args:
        reward: what is asked.
        played: consecutive steps of N environments, from their reset on.

    Raises:
        RewardError: it cannot score them.
    """
    if not played:
        return None
    n = len(played[0])
    order = np.random.default_rng(0).permutation(n)
    first = _replayed(reward, played, np.arange(n))
    for how, rows in (("the same steps once more", np.arange(n)), ("the same steps in other rows of the batch", order)):
        again = np.empty_like(first)
        again[:, rows] = _replayed(reward, played, rows)
        changed = ~np.isclose(first, again, rtol=1e-6, atol=1e-9)
        if changed.any():
            step, row = np.argwhere(changed)[0]
            return Unstable(how, int(step), first[step, row], again[step, row], int(changed.sum()), changed.size)
    return None


def _replayed(reward: ControlReward, played: Sequence[Transitions], rows: np.ndarray) -> np.ndarray:
    reward.begin(len(rows))
    return np.stack([reward.score(_rows(step, rows), training=False).value for step in played])


def _rows(transitions: Transitions, rows: np.ndarray) -> Transitions:
    return dataclasses.replace(
        transitions,
        **{name: np.asarray(getattr(transitions, name))[rows] for name in FIELDS},
        exists=None if transitions.exists is None else np.asarray(transitions.exists)[rows],
        features={name: values[rows] for name, values in transitions.features.items()},
    )
