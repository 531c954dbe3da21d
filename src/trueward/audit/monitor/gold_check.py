"""The strict, dear check that says what a rollout is really worth, asked about some rollouts of a step."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from trueward.audit.monitor.step import Step
from trueward.batch import Context, Rollouts, Text
from trueward.errors import RewardError
from trueward.rewards.base import Reward, as_reward
from trueward.rewards.references import text_of
from trueward.status import Status
from trueward.tasks.text.rows import Row


@dataclass(frozen=True)
class Checked:
    """What a check said of m rollouts.

    Attributes:
        values: gold in [0, 1]; NaN where it could not be told.
        status: what became of each: one that is the answer's fault (it made the check fail) counts as gold 0.
    """

    values: Float[np.ndarray, " m"]
    status: Sequence[Status]


class GoldCheck:
    """Any reward or gold measure as a check of single rollouts.

    Args:
        gold: an address, a function in any convention that `as_reward` reads, a Trueward reward, or a gold measure
            `(rows, completions) -> Gold`. Its values lie in [0, 1]; 1 is all that was wanted.

    Raises:
        RewardError: it cannot be found or called.
    """

    def __init__(self, gold: Any) -> None:
        self._measure: Callable[..., Any] | None = gold if _is_measure(gold) else None
        self._reward: Reward | None = None if self._measure is not None else as_reward(gold, low=0.0, high=1.0)
        self._worked = False

    @property
    def name(self) -> str:
        """Name of the check."""
        if self._reward is not None:
            return self._reward.name
        return str(getattr(self._measure, "__qualname__", None) or type(self._measure).__name__)

    def __call__(self, step: Step, places: Sequence[int]) -> Checked:
        """Check the rollouts at these places of a step.

        Raises:
            RewardError: a value outside [0, 1]; or the check could say nothing of any rollout it ever saw, because a
                column is missing or it returns what is no score.
        """
        if not len(places):
            return Checked(np.zeros(0), ())
        found = self._measured(step, places) if self._measure is not None else self._scored(step, places)
        wrong = ~(np.isnan(found.values) | ((found.values >= 0) & (found.values <= 1)))
        if wrong.any():
            raise RewardError(
                f"the gold check {self.name} gave {float(found.values[wrong][0])!r} at step {step.number}; its values "
                "must lie between 0 (worthless) and 1 (all that was wanted), because the probe's guarantee rests on "
                "that. Scale it in a function of your own, for example (score - lowest) / (highest - lowest)"
            )
        self._worked = self._worked or not np.isnan(found.values).all()
        return found

    def _measured(self, step: Step, places: Sequence[int]) -> Checked:
        assert self._measure is not None
        rows = [_row(step, place) for place in places]
        gold = self._measure(rows, [text_of(step.completions[place]) for place in places])
        values = np.asarray(getattr(gold, "values", gold), dtype=np.float64)
        if values.shape != (len(places),):
            raise RewardError(
                f"the gold check {self.name} gave values of shape {values.shape} for {len(places)} completions; "
                "expected one number for each"
            )
        finite = np.isfinite(values)
        return Checked(np.where(finite, values, np.nan), [Status.OK if one else Status.NOT_FINITE for one in finite])

    def _scored(self, step: Step, places: Sequence[int]) -> Checked:
        assert self._reward is not None
        content = Text([step.prompts[place] for place in places], [step.completions[place] for place in places])
        rollouts = Rollouts(content, reference=[dict(step.row(place)) for place in places])
        # Not training: a check that keeps running statistics must not move with what it checks.
        scores = self._reward.score(rollouts, Context(step=step.number, training=False))
        values, status = scores.total(), scores.status
        blamed = np.array([one.blames_answer for one in status], dtype=bool)
        lost = np.array([not one.ok for one in status], dtype=bool) & ~blamed
        useless = all(one is Status.MISSING_REFERENCE or one.is_reward_bug for one in status)
        if useless and not self._worked:
            details = [detail for part in scores.parts.values() for detail in part.details if detail]
            raise RewardError(
                f"the gold check {self.name} could check none of the first {len(places)} rollouts "
                f"({status[0].value}{': ' + details[0] if details else ''}). Give it the columns that it needs, or a "
                "check that returns one number in [0, 1] per completion"
            )
        return Checked(np.where(blamed, 0.0, np.where(lost, np.nan, values)), status)


def _row(step: Step, place: int) -> Row:
    columns = step.row(place)
    answer = columns.get("answer")
    return Row(f"{step.number}/{place}", step.prompts[place], None if answer is None else str(answer), columns)


def _is_measure(gold: Any) -> bool:
    """True for `(rows, completions) -> Gold`: the rows are what no reward takes."""
    if isinstance(gold, str | Reward) or not callable(gold):
        return False
    try:
        names = list(inspect.signature(gold).parameters)
    except (TypeError, ValueError):
        return False
    return names[:2] == ["rows", "completions"]
