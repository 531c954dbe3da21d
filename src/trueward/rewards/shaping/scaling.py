"""Rewards in a scale that learners like: divided by the running deviation of their returns, or clipped."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from trueward.batch import Transitions
from trueward.errors import RewardError
from trueward.rewards.control.base import ControlReward, StepScores
from trueward.rewards.control.functions import as_control_reward
from trueward.rewards.shaping.discounts import is_shaped


@dataclass
class ReturnStatistics:
    """Mean and population variance of discounted returns so far. Begins at mean 0 and variance 1 with almost no weight.

    Attributes:
        count: how many.
        mean: their mean.
        variance: their mean squared deviation from it.
    """

    count: float = 1e-4
    mean: float = 0.0
    variance: float = 1.0

    def update(self, returns: Float[np.ndarray, " m"]) -> None:
        """Take m more returns in.

        With n returns of mean a and variance v, and m more that differ from a by d:

            mean ← a + Σ d / (n + m)
            variance ← (n v + Σ d² − (Σ d)² / (n + m)) / (n + m)

        Reference: Chan, Golub and LeVeque 1983, "Algorithms for computing the sample variance".
        """
        m = len(returns)
        if not m:
            return
        # Differences to the mean so far: squares of large returns would swallow their spread.
        differences = returns - self.mean
        sum_of_them, squares = float(np.add.reduce(differences)), float(differences.dot(differences))
        total = self.count + m
        self.variance = (self.count * self.variance + squares - sum_of_them**2 / total) / total
        self.mean += sum_of_them / total
        self.count = total


@dataclass
class ScaledByReturn(ControlReward):
    """A reward divided by the running standard deviation of its discounted return.

        R_t = r_t + γ R_{t−1} within an episode,   value_t = r_t / √(Var[R] + ε), clipped

    It rescales and does not centre: a reward that is shifted pays for living longer or shorter. The deviation is that
    of returns and not of rewards because it is the critic's targets that should have a scale near 1.

    - R begins at 0 with every episode, after a terminated and after a truncated step alike, and a row that was reset
      in place of a step enters nothing.
    - With `training=False` nothing is updated. A `twin()` shares the statistics and has episodes of its own, so that
      evaluation sees the scale of training and does not touch it.
    - `raw` is what it was.

    The factor moves while training, so the optimum is that of the raw reward only once it has settled; shaping that
    must not depend on it stands outside: `ScaledByReturn(reward, γ) + PotentialShaping(potential, γ)`.

    Attributes:
        reward: what is scaled.
        discount: γ of the return; that of the trainer.
        clip: largest magnitude of the result; None for no bound. The first few returns have next to no variance.
        epsilon: ε.
        statistics: of the returns; shared by twins.

    Raises:
        RewardError: γ outside [0, 1], ε or the bound not positive, or a potential would be clipped.

    References: Engstrom et al. 2020, "Implementation matters in deep policy gradients", section 3, item 2.
    """

    reward: ControlReward
    discount: float
    clip: float | None = 10.0
    epsilon: float = 1e-8
    statistics: ReturnStatistics = field(default_factory=ReturnStatistics)
    _returns: Float[np.ndarray, " n"] | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Refuses what makes no sense."""
        self.reward = as_control_reward(self.reward)
        if not 0.0 <= self.discount <= 1.0 or self.epsilon <= 0 or (self.clip is not None and self.clip <= 0):
            raise RewardError(
                f"scaling needs a discount in [0, 1], and epsilon and clip above 0 (clip may be None); got "
                f"{self.discount}, {self.epsilon} and {self.clip}"
            )
        if self.clip is not None and is_shaped(self.reward):
            raise RewardError(
                "clipping shaping is no longer a difference of potentials: add it outside, ScaledByReturn(reward, "
                "discount) + PotentialShaping(potential, discount), or give clip=None"
            )

    @property
    def name(self) -> str:
        """For logs."""
        return f"scaled {self.reward.name}"

    def pieces(self) -> Sequence[ControlReward]:
        """What is scaled."""
        return [self.reward]

    def begin(self, count: int) -> None:
        """All returns begin at 0."""
        super().begin(count)
        self._returns = None

    def restarted(self, rows: Bool[np.ndarray, " n"]) -> None:
        """Some returns begin at 0."""
        super().restarted(rows)
        if self._returns is not None:
            self._returns = np.where(rows, 0.0, self._returns)

    def twin(self) -> ScaledByReturn:
        """The same statistics, and returns of its own."""
        return ScaledByReturn(self.reward.twin(), self.discount, self.clip, self.epsilon, self.statistics)

    def state_dict(self) -> dict[str, Any]:
        """The statistics, as plain numbers, and those of what is scaled."""
        statistics = self.statistics
        own = {"count": statistics.count, "mean": statistics.mean, "variance": statistics.variance}
        return {"returns": own, **super().state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` gave; twins have it too.

        Raises:
            RewardError: it is the state of something else.
        """
        try:
            own = {name: float(state["returns"][name]) for name in ("count", "mean", "variance")}
        except (KeyError, TypeError, ValueError) as error:
            raise RewardError(
                f"{self.name}: the saved state is not that of a scaled reward: {state!r:.100} ({error!r})"
            ) from error
        if not (all(map(math.isfinite, own.values())) and own["count"] > 0 and own["variance"] >= 0):
            raise RewardError(f"{self.name}: the saved state is no mean and variance of returns: {own}")
        super().load_state_dict({place: inner for place, inner in state.items() if place != "returns"})
        self.statistics.count, self.statistics.mean, self.statistics.variance = own.values()

    def score(self, transitions: Transitions, *, training: bool = True) -> StepScores:
        """The scaled value and parts, and the raw value as it is. What clipping took is a part, so that parts add up.

        Raises:
            RewardError: the number of environments changed without `begin`.
        """
        scores = self.reward.score(transitions, training=training)
        if training:
            self._take_in(scores.value, transitions)
        factor = 1.0 / math.sqrt(self.statistics.variance + self.epsilon)
        value = scores.value * factor
        parts = {name: value if part is scores.value else part * factor for name, part in scores.parts.items()}
        if self.clip is None:
            return StepScores(value, scores.raw, parts)
        # Where the sum of squares is within the bound all of them are.
        if value.dot(value) <= self.clip**2:
            parts["clipping"] = np.zeros(len(value))
            return StepScores(value, scores.raw, parts)
        bounded = np.minimum(np.maximum(value, -self.clip), self.clip)
        parts["clipping"] = bounded - value
        return StepScores(bounded, scores.raw, parts)

    def _take_in(self, reward: Float[np.ndarray, " n"], transitions: Transitions) -> None:
        if self._returns is None:
            self._returns = np.zeros(len(reward))
        if len(self._returns) != len(reward):
            raise RewardError(
                f"{self.name} follows the returns of {len(self._returns)} environments and was called with "
                f"{len(reward)}: call begin when environments are reset, or score other environments with a twin()"
            )
        returns = self._returns
        returns *= self.discount
        returns += reward
        exists = transitions.exists
        self.statistics.update(returns if exists is None else returns[exists])
        returns[transitions.terminated | transitions.truncated] = 0.0


@dataclass
class Clipped(ControlReward):
    """A reward between two bounds: what lies outside is paid like the bound.

    Attributes:
        reward: what is clipped.
        low, high: the bounds.
        may_change_optimum: True to clip a reward that has shaping in it.

    Raises:
        RewardError: the bounds are in the wrong order, or a potential would be clipped.
    """

    reward: ControlReward
    low: float
    high: float
    may_change_optimum: bool = False

    def __post_init__(self) -> None:
        """Refuses what makes no sense."""
        self.reward = as_control_reward(self.reward)
        if not self.low < self.high:
            raise RewardError(f"clipping needs low < high; got {self.low} and {self.high}")
        if is_shaped(self.reward) and not self.may_change_optimum:
            raise RewardError(
                f"clipping {self.reward.name} would clip a difference of potentials, after which it may change which "
                "policies are optimal: clip the reward and add the shaping outside, or give may_change_optimum=True"
            )

    @property
    def name(self) -> str:
        """For logs."""
        return f"clipped {self.reward.name}"

    def pieces(self) -> Sequence[ControlReward]:
        """What is clipped."""
        return [self.reward]

    def twin(self) -> Clipped:
        """The same bounds, for other environments."""
        return Clipped(self.reward.twin(), self.low, self.high, self.may_change_optimum)

    def score(self, transitions: Transitions, *, training: bool = True) -> StepScores:
        """The clipped value; the raw value and the parts as they are, and what clipping took as a part."""
        scores = self.reward.score(transitions, training=training)
        value = np.minimum(np.maximum(scores.value, self.low), self.high)
        if transitions.exists is not None:
            value = np.where(transitions.exists, value, 0.0)
        return StepScores(value, scores.raw, {**scores.parts, "clipping": value - scores.value})
