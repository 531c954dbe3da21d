"""Estimators: the steps of the credit pipeline joined to what a training loop asks for.

Each is a frozen record that is called with scores and rollouts and gives advantages. What it needs beyond them it
declares in `needs`; the loop puts it into `rollouts.features` or refuses:

- "value" [N, T]: the critic's value before each decision;
- "entropy" [N, T]: of the policy at each decision;
- "hidden" [N, T, D] and "errors" [N, T, K]: final states and prediction errors of each decision, over the tokens of its
  group; see `trueward.policies.prediction_errors`;
- "greedy" [N]: the total reward of the greedy rollout of the same prompt;
- "reference": `rollouts.ref_logprobs`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

from trueward.batch import Context, Rollouts, Scores
from trueward.credit.group import Advantages, Deviation, Statistic, greedy_advantages, group_advantages
from trueward.credit.returns import gae, returns_to_go
from trueward.credit.scores import ScoredAdvantages, score_advantages
from trueward.credit.spread import at_segment_ends, spread_segments
from trueward.credit.weight import whiten


@dataclass(frozen=True)
class Credited:
    """What an estimator found.

    Attributes:
        advantages: one per rollout [N] or per decision [N, T]; exactly 0 on rows without a usable reward.
        returns: what a critic should have said before each decision, NaN on rows without a usable reward: they teach it
            nothing; None where there is no critic.
        metrics: numbers to log.
    """

    advantages: Float[np.ndarray, "n *t"]
    returns: Float[np.ndarray, "n t"] | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)


@runtime_checkable
class Estimator(Protocol):
    """Scores to advantages."""

    @property
    def needs(self) -> frozenset[str]:
        """What the rollouts must carry; see the module."""

    def __call__(self, scores: Scores, rollouts: Rollouts, context: Context) -> Credited:
        """Advantages of N rollouts."""


@dataclass(frozen=True)
class GroupRelative:
    """Every rollout against the others to its prompt: GRPO, Dr. GRPO, RLOO, and REINFORCE without a baseline.

    A = compare(total − β Σ_t log π/π_ref), or part by part; see `group_advantages` and `score_advantages`.

    Attributes:
        statistic, deviation, epsilon: of the comparison.
        separately: compare part by part.
        kl: β, coefficient of the divergence from the reference in the reward; 0 for none.

    Reference: Shao et al. 2024, "DeepSeekMath"; Ahmadian et al. 2024, "Back to basics" (KL in the reward).
    """

    statistic: Statistic = "z_score"
    separately: bool = False
    deviation: Deviation = "sample"
    epsilon: float = 1e-6
    kl: float = 0.0

    @property
    def needs(self) -> frozenset[str]:
        """The reference, where the divergence counts."""
        return frozenset({"reference"} if self.kl else ())

    def __call__(self, scores: Scores, rollouts: Rollouts, context: Context) -> Credited:
        """One advantage per rollout."""
        group = groups_of(rollouts)
        compare: dict[str, Any] = {
            "statistic": self.statistic,
            "deviation": self.deviation,
            "epsilon": self.epsilon,
        }
        if self.kl:
            if self.separately:
                raise ValueError("kl counts in the total and cannot be compared part by part: set separately=False")
            penalised = scores.total() - self.kl * log_ratios(rollouts).sum(axis=1)
            found = group_advantages(penalised, group, **compare)
            return Credited(found.values, metrics=_told(found))
        scored = score_advantages(scores, group, separately=self.separately, **compare)
        return Credited(scored.values, metrics=_told_of_parts(scored))


@dataclass(frozen=True)
class GreedyBaseline:
    """Every rollout against the greedy one to its prompt: A = r − r_greedy.

    Reference: Li et al. 2023, "ReMax".
    """

    kl: float = 0.0

    @property
    def needs(self) -> frozenset[str]:
        """The greedy rollout's reward, and the reference where the divergence counts."""
        return frozenset({"greedy", "reference"} if self.kl else {"greedy"})

    def __call__(self, scores: Scores, rollouts: Rollouts, context: Context) -> Credited:
        """One advantage per rollout."""
        total = scores.total()
        if self.kl:
            total = total - self.kl * log_ratios(rollouts).sum(axis=1)
        found = greedy_advantages(total, feature_of(rollouts, "greedy"))
        return Credited(found.values, metrics=_told(found))


@dataclass(frozen=True)
class SegmentReturns:
    """Process rewards without a critic: what a step and those after it earned, against all steps of the group.

    A_t = Σ_segment parts w · compare(G_{k(t)}) + Σ_rollout parts w · compare(r), where G is the return over the
    segments of the row and k(t) the segment of decision t. Each part is compared by itself, because summing step
    rewards into one number first would cancel every reward that is a difference of neighbours.

    Attributes:
        statistic: of rollout parts.
        step_statistic: of segment parts, over all steps of the group.
        discount: γ per segment.

    Reference: Shao et al. 2024, "DeepSeekMath", section 4.1.3, with the parts apart.
    """

    statistic: Statistic = "z_score"
    step_statistic: Statistic = "centre"
    discount: float = 1.0
    deviation: Deviation = "sample"
    epsilon: float = 1e-6

    @property
    def needs(self) -> frozenset[str]:
        """Nothing beyond segments."""
        return frozenset()

    def __call__(self, scores: Scores, rollouts: Rollouts, context: Context) -> Credited:
        """One advantage per decision.

        Raises:
            ValueError: the rollouts have no segments or no mask, or a part is given per token.
        """
        if rollouts.segments is None or rollouts.mask is None:
            raise ValueError("returns over segments need rollouts.segments and rollouts.mask: cut the rollouts first")
        group, usable = groups_of(rollouts), ~np.isnan(scores.total())
        mask = np.asarray(rollouts.mask, dtype=bool)
        advantages = np.zeros(mask.shape)
        metrics: dict[str, float] = {}
        for name, part in scores.paid.items():
            values, fine = part.filled(), part.level == "segment"
            if part.level == "token":
                raise ValueError(f"part {name!r} is given per token; returns over segments take rollouts and segments")
            if fine:
                exists = np.ones(values.shape, dtype=bool) if part.exists is None else part.exists
                exists = exists & usable[:, None]
                values = returns_to_go(np.where(exists, values, 0.0), exists, discount=self.discount)
            found = group_advantages(
                values,
                group,
                statistic=self.step_statistic if fine else self.statistic,
                valid=exists if fine else usable,
                deviation=self.deviation,
                epsilon=self.epsilon,
            )
            if fine:
                advantages += part.weight * spread_segments(found.values, rollouts.segments, mask)
            else:
                advantages += part.weight * found.values[:, None] * mask
            metrics |= {f"{name}/{key}": value for key, value in _told(found).items()}
        return Credited(advantages, metrics=metrics)


@dataclass(frozen=True)
class GeneralisedAdvantage:
    """A critic says what to expect: PPO's advantages over decisions.

    Rewards stand at the last decision of their segment, a rollout's at its last decision, and each decision costs
    β log π/π_ref. Then `gae`, whitened over the batch.

    Attributes:
        discount, trace: γ and λ. γ = 1 is what makes sums of differences telescope.
        kl: β.
        whitened: mean 0 and variance 1 over all decisions.
        monte_carlo: the critic's target is the plain return instead of advantage + value.

    Reference: Schulman et al. 2016; Ouyang et al. 2022 (InstructGPT), equation 2 (KL in the reward); monte_carlo: Fu et
    al. 2025 (PAR), released code.
    """

    discount: float = 1.0
    trace: float = 0.95
    kl: float = 0.0
    whitened: bool = True
    monte_carlo: bool = False

    @property
    def needs(self) -> frozenset[str]:
        """A critic, and the reference where the divergence counts."""
        return frozenset({"value", "reference"} if self.kl else {"value"})

    def __call__(self, scores: Scores, rollouts: Rollouts, context: Context) -> Credited:
        """One advantage per decision, and the critic's targets."""
        if rollouts.mask is None:
            raise ValueError("generalised advantages need rollouts.mask")
        usable = ~np.isnan(scores.total())
        mask = np.asarray(rollouts.mask, dtype=bool) & usable[:, None]
        rewards = token_rewards(scores, rollouts, mask)
        if self.kl:
            rewards = rewards - self.kl * np.where(mask, log_ratios(rollouts), 0.0)
        values = np.where(mask, feature_of(rollouts, "value").astype(np.float64), 0.0)
        found = gae(rewards, values, mask, discount=self.discount, trace=self.trace)
        returns = returns_to_go(rewards, mask, discount=self.discount) if self.monte_carlo else found.returns
        advantages = whiten(found.advantages, mask) if self.whitened else found.advantages
        returns = np.where(usable[:, None], returns, np.nan)
        return Credited(advantages, returns, {"unscored_rows": float(np.count_nonzero(~usable))})


def token_rewards(scores: Scores, rollouts: Rollouts, mask: Any) -> Float[np.ndarray, "n t"]:
    """Every part's rewards at the decision that completes what it judges; 0 elsewhere and on rows without a reward.

    Args:
        scores: N rollouts.
        rollouts: with segments, where a part judges segments.
        mask: decisions that count.

    Raises:
        ValueError: a part judges segments and the rollouts have none.
    """
    chosen: np.ndarray = np.asarray(mask, dtype=bool)
    used: np.ndarray = np.asarray(chosen.any(axis=1))
    whole = np.where(chosen, 0, -1)
    placed = np.zeros(whole.shape)
    for name, part in scores.paid.items():
        values = np.where(np.isnan(part.filled()), 0.0, part.filled()) * part.weight
        if part.level == "token":
            placed += np.where(chosen, values, 0.0)
        elif part.level == "segment":
            if rollouts.segments is None:
                raise ValueError(f"part {name!r} judges segments, and the rollouts have none: cut them first")
            placed += at_segment_ends(np.where(used[:, None], values, 0.0), rollouts.segments, chosen)
        else:
            placed += at_segment_ends(np.where(used, values, 0.0)[:, None], whole, chosen)
    return placed


def log_ratios(rollouts: Rollouts) -> Float[np.ndarray, "n t"]:
    """log π(a) − log π_ref(a) of each decision; 0 outside the mask.

    Raises:
        ValueError: a log-probability is missing.
    """
    if rollouts.logprobs is None or rollouts.ref_logprobs is None or rollouts.mask is None:
        raise ValueError("the divergence needs rollouts.mask, rollouts.logprobs and rollouts.ref_logprobs")
    difference = np.asarray(rollouts.logprobs, dtype=np.float64) - np.asarray(rollouts.ref_logprobs, dtype=np.float64)
    return np.where(np.asarray(rollouts.mask, dtype=bool), difference, 0.0)


def groups_of(rollouts: Rollouts) -> np.ndarray:
    """The group of each rollout.

    Raises:
        ValueError: the rollouts have no groups.
    """
    if rollouts.group is None:
        raise ValueError("rollouts of one prompt are compared with each other: give rollouts.group")
    return np.asarray(rollouts.group)


def feature_of(rollouts: Rollouts, name: str) -> np.ndarray:
    """A feature that the loop was asked for.

    Raises:
        ValueError: it is not there.
    """
    if name not in rollouts.features:
        raise ValueError(f"this credit needs rollouts.features[{name!r}]; see `needs`, and let the loop put it there")
    return np.asarray(rollouts.features[name])


def _told(found: Advantages) -> dict[str, float]:
    return {
        "degenerate_groups": found.degenerate / max(1, found.groups),
        "unscored_rows": float(found.rows_left_out),
    }


def _told_of_parts(found: ScoredAdvantages) -> dict[str, float]:
    if list(found.parts) == ["total"]:
        return {**_told(found.parts["total"]), "unscored_rows": float(found.unscored_rows)}
    told = {f"{name}/{key}": value for name, part in found.parts.items() for key, value in _told(part).items()}
    return {**told, "unscored_rows": float(found.unscored_rows)}
