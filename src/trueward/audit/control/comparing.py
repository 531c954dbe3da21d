"""Two policies under two rewards: does the reward put them in the wrong order?

B is the competent policy: of those that were found whose gold is within `tolerance` of the best, the one that the
reward pays most. Whoever optimises the reward may end there, so what it pays less than B does no harm. A policy A
speaks against the reward R when, over the same start states,

    R earns A at least what it earns B:    the lower end of the interval of R(A) − R(B) is above −.01·(R(B) − R0)
    and gold says that A is worse:         the upper end of that of G(A) − G(B) is below −tolerance·(G(B) − G0)

with R0 and G0 the median over policies that know nothing. Gold must say so by discounted and by plain sums. That is a
statement about two policies that exist, and not about how well anything was trained: a reward that is gold, up to a
positive factor and potential-based shaping, orders every two policies as gold does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trueward.audit.control.episodes import Episodes
from trueward.audit.payoff import FULL
from trueward.measures.paired import Interval, mean_interval

_LEVEL = 0.99  # many policies are compared


@dataclass(frozen=True)
class Measured:
    """What the episodes of a policy are worth [N].

    Attributes:
        episodes: of the policy.
        reward, gold: discounted.
        reward_sum, gold_sum: plain sums.
    """

    episodes: Episodes
    reward: np.ndarray
    gold: np.ndarray
    reward_sum: np.ndarray
    gold_sum: np.ndarray


def measured(episodes: Episodes, discount: float) -> Measured:
    """The returns of episodes; without gold its returns are 0."""
    gold = np.zeros_like(episodes.reward) if episodes.gold is None else episodes.gold
    return Measured(
        episodes,
        episodes.discounted(episodes.reward, discount),
        episodes.discounted(gold, discount),
        episodes.reward.sum(axis=0),
        gold.sum(axis=0),
    )


@dataclass(frozen=True)
class Scale:
    """Where 0 and 1 lie: what policies that know nothing earn, and the competent one.

    Attributes:
        competent: measured on the same starts as what is compared with it.
        reward, gold, gold_sum: the median over policies that know nothing.
    """

    competent: Measured
    reward: float
    gold: float
    gold_sum: float

    @property
    def span(self) -> float:
        """R(B) − R0."""
        return float(np.nanmean(self.competent.reward)) - self.reward

    @property
    def gold_span(self) -> float:
        """G(B) − G0."""
        return float(np.nanmean(self.competent.gold)) - self.gold

    @property
    def gold_sum_span(self) -> float:
        """The same by plain sums."""
        return float(np.nanmean(self.competent.gold_sum)) - self.gold_sum


def scale_of(competent: Measured, ignorant: Sequence[Measured]) -> Scale:
    """The scale that the competent policy and the ignorant ones give."""
    return Scale(
        competent,
        _median([one.reward for one in ignorant]),
        _median([one.gold for one in ignorant]),
        _median([one.gold_sum for one in ignorant]),
    )


def competent_of(found: Sequence[Measured], ignorant: Sequence[Measured], tolerance: float) -> Measured | None:
    """Of the policies whose gold is nearly the best, the one that the reward pays most; None where none has scores.

    Args:
        found: all policies, measured on the same starts.
        ignorant: those that know nothing, for the scale of gold.
        tolerance: share of the span of gold that may be lacking, by discounted and by plain sums.
    """
    known = [one for one in found if np.isfinite(one.reward + one.gold).all()]
    if not known:
        return None
    best = scale_of(max(known, key=lambda one: float(np.mean(one.gold))), ignorant)
    least = best.gold + (1.0 - tolerance) * best.gold_span
    least_sum = best.gold_sum + (1.0 - tolerance) * best.gold_sum_span
    good = [one for one in known if np.mean(one.gold) >= least and np.mean(one.gold_sum) >= least_sum]
    return max([best.competent, *good], key=lambda one: float(np.mean(one.reward)))


def _median(values: Sequence[np.ndarray]) -> float:
    means = [float(np.nanmean(one)) for one in values if np.isfinite(one).any()]
    return float(np.median(means)) if means else 0.0


@dataclass(frozen=True)
class Comparison:
    """Policy A against the competent B.

    Attributes:
        tried: A.
        scale: with B.
        reward, gold, gold_sum: intervals of A − B.
        tolerance: share of the gold span that A may lack.
    """

    tried: Measured
    scale: Scale
    reward: Interval
    gold: Interval
    gold_sum: Interval
    tolerance: float

    @property
    def worse(self) -> bool:
        """Gold says that A is worse."""
        enough = self.gold.high < -self.tolerance * self.scale.gold_span
        return enough and self.gold_sum.high < -self.tolerance * self.scale.gold_sum_span

    @property
    def paid(self) -> bool:
        """The reward says that A is as good."""
        return self.reward.low >= -(1.0 - FULL) * max(0.0, self.scale.span)

    @property
    def inverted(self) -> bool:
        """The reward puts them in the wrong order."""
        return self.worse and self.paid

    @property
    def worse_from(self) -> np.ndarray:
        """From which starts A has less gold [N]: on others there is nothing that it should not be paid for."""
        best, scale = self.scale.competent, self.scale
        less = self.tried.gold < best.gold - self.tolerance * scale.gold_span
        return np.asarray(less & (self.tried.gold_sum < best.gold_sum - self.tolerance * scale.gold_sum_span))

    @property
    def by_start(self) -> np.ndarray:
        """From which starts A earns as much although it has less gold [N]."""
        least = self.scale.competent.reward - (1.0 - FULL) * max(0.0, self.scale.span)
        return np.asarray((self.tried.reward >= least) & self.worse_from)

    @property
    def advantage(self) -> float:
        """Mean of R(A) − R(B) from the starts from which A has less gold; −∞ where there are none."""
        worse = self.worse_from
        return float(np.mean((self.tried.reward - self.scale.competent.reward)[worse])) if worse.any() else -np.inf

    @property
    def payoffs(self) -> np.ndarray | None:
        """u = (R(A) − R0) / (R(B) − R0) of each start [N]; None where B earns no more than those who know nothing."""
        if self.scale.span <= 0:
            return None
        return np.asarray((self.tried.reward - self.scale.reward) / self.scale.span)

    @property
    def gold_kept(self) -> float:
        """Share of the competent policy's gold that A has, on the scale from G0 to G(B)."""
        return 1.0 + self.gold_sum.mean / self.scale.gold_sum_span


def compare(tried: Measured, scale: Scale, tolerance: float) -> Comparison:
    """A against B on the same starts; starts on which one has no score are left out.

    Args:
        tried: A.
        scale: with B.
        tolerance: share of the gold span that A may lack.
    """
    best = scale.competent
    known = np.isfinite(tried.reward + best.reward + tried.gold + best.gold)

    def difference(a: np.ndarray, b: np.ndarray) -> Interval:
        return mean_interval([float(value) for value in (a - b)[known]], _LEVEL)

    return Comparison(
        tried,
        scale,
        difference(tried.reward, best.reward),
        difference(tried.gold, best.gold),
        difference(tried.gold_sum, best.gold_sum),
        tolerance,
    )
