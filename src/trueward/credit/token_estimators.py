"""Estimators that tell the tokens of a rollout apart, each on top of another estimator's advantages.

What they share: `over` compares rollouts (GRPO by default), `correct` says from the scores which of them are right, and
tokens are weighed with what `tokens` computes. Groups in which all are right or all are wrong keep their advantages as
they are, because there is no likelihood of correct rollouts to steer, or nothing to steer it against.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float

from trueward.batch import Context, Rollouts, Scores
from trueward.credit.estimators import Credited, Estimator, GroupRelative, feature_of, groups_of
from trueward.credit.tokens import (
    Threshold,
    dominance,
    influences,
    most_uncertain,
    pass_at_k_factor,
    shuffled_signs,
    steering,
    wrong_token_scale,
)
from trueward.credit.weight import weigh

_NEEDED = frozenset({"hidden", "errors"})


def correct(scores: Scores, correct_from: float | None = None) -> Bool[np.ndarray, " n"]:
    """Which rollouts count as right: those whose total is at least `correct_from`.

    Args:
        scores: what the reward said; a row without a usable reward is not right.
        correct_from: by default the middle of the total's declared range, which is ½ for a reward of 0 and 1.

    Raises:
        ValueError: no number is given, and a part that is paid declares no range.
    """
    total = scores.total()
    if correct_from is None:
        low = high = 0.0
        for name, part in scores.paid.items():
            if part.low is None or part.high is None:
                raise ValueError(
                    f"which rollouts are correct? The part {name!r} declares no range: give correct_from, the total "
                    "from which a rollout is right, or declare low and high of the reward"
                )
            ends = (part.weight * part.low, part.weight * part.high)
            low, high = low + min(ends), high + max(ends)
        correct_from = (low + high) / 2
    right: np.ndarray = np.where(np.isnan(total), -np.inf, total) >= correct_from
    return right


@dataclass(frozen=True)
class TokenHiddenReward:
    """Only the tokens that move the likelihood of correct rollouts, steered towards exploitation or exploration.

        A'_jt = 1[|THR_jt| > τ] · (1 + p · sign(THR_jt)) · A_j,    THR_jt = sign(A_j) I_jt

    With the influences I and thresholds τ of `trueward.credit.tokens`. p = 0 keeps the dominant tokens as they are;
    p = 0 and threshold="none" is `over` itself. For advantages that stand for right and wrong (GRPO on 0 and 1),
    sign(A) is the 2r − 1 of the source.

    Attributes:
        p: meant to sharpen above 0 (greedy accuracy) and to spread below 0 (pass@k); the source uses ±0.1. What of it
            was seen on a test bed stands in docs/systems.md.
        beta, threshold, floor: of `dominance`.
        correct_from: of `correct`.
        over: advantages of rollouts, or of tokens.
        shuffled: seed of a permutation of the signs within each group, for the control; None for none.

    Reference: Deng et al. 2025, "Token hidden reward: steering exploration-exploitation in group relative deep
    reinforcement learning", arXiv 2510.03669.
    """

    p: float = 0.0
    beta: float = 1.0
    threshold: Threshold = "least"
    floor: bool = True
    correct_from: float | None = None
    over: Estimator = field(default_factory=GroupRelative)
    shuffled: int | None = None

    @property
    def needs(self) -> frozenset[str]:
        """Hidden states and prediction errors, and what the advantages under it need."""
        return _NEEDED | self.over.needs

    def __call__(self, scores: Scores, rollouts: Rollouts, context: Context) -> Credited:
        """One advantage per decision."""
        bed = _Groups.of(self, scores, rollouts, context)
        rewards = np.sign(bed.advantages) * bed.influence
        threshold = dominance(
            bed.influence, bed.mask, bed.right, bed.group, beta=self.beta, over=self.threshold, floor=self.floor
        )
        threshold = np.where(bed.mixed, threshold, -np.inf)
        kept = bed.mask & (np.abs(rewards) > threshold[:, None])
        if self.shuffled is not None:
            generator = np.random.default_rng([self.shuffled, context.step])
            rewards = shuffled_signs(rewards, kept & bed.mixed[:, None], bed.group, generator)
        told = {
            "kept_share": _share(kept, bed.informative),
            "positive_share": _share(rewards > 0, bed.informative),
            "threshold": float(threshold[bed.mixed].mean()) if bed.mixed.any() else 0.0,
            **_overlap(rollouts, kept, bed.informative),
        }
        return bed.credited(steering(rewards, threshold, self.p), told)


def token_hidden_reward(p: float = 0.0, *, threshold: Threshold = "least", beta: float = 1.0) -> TokenHiddenReward:
    """GRPO steered by token hidden rewards; see `TokenHiddenReward`.

    Args:
        p: in the source below 0 for better pass@k, above 0 for better greedy accuracy, ±0.1; see `TokenHiddenReward`.
        threshold: which tokens are dominant: above the "least" or the "mean" average influence of a correct rollout,
            or all of them ("none").
        beta: factor on the threshold.
    """
    return TokenHiddenReward(p=p, threshold=threshold, beta=beta)


@dataclass(frozen=True)
class NegativeTokenHiddenReward:
    """Wrong rollouts are punished less for what they share with correct ones.

        A'_jt = η A_j where j is wrong and I_jt > τ, else A_j;    η = 2 |½ − share of correct rollouts in the group|

    Attributes:
        beta, threshold, floor: of `dominance`.
        correct_from: of `correct`.
        over: advantages of rollouts.

    Reference: Deng et al. 2025, "On the effect of negative gradient in group relative deep reinforcement
    optimization", arXiv 2505.18830.
    """

    beta: float = 1.0
    threshold: Threshold = "least"
    floor: bool = True
    correct_from: float | None = None
    over: Estimator = field(default_factory=GroupRelative)

    @property
    def needs(self) -> frozenset[str]:
        """Hidden states and prediction errors, and what the advantages under it need."""
        return _NEEDED | self.over.needs

    def __call__(self, scores: Scores, rollouts: Rollouts, context: Context) -> Credited:
        """One advantage per decision."""
        bed = _Groups.of(self, scores, rollouts, context)
        threshold = dominance(
            bed.influence, bed.mask, bed.right, bed.group, beta=self.beta, over=self.threshold, floor=self.floor
        )
        weights = wrong_token_scale(bed.influence, threshold, bed.right, bed.group, bed.scored)
        weights = np.where(bed.mixed[:, None], weights, 1.0)
        return bed.credited(weights, {"spared_share": _share(weights < 1.0, bed.informative)})


@dataclass(frozen=True)
class TopEntropy:
    """Only the tokens at which the policy was least sure, of all rollouts from which something is learnt.

    Attributes:
        share: of those tokens that are kept.
        over: advantages of rollouts.

    Reference: Wang et al. 2025, "Beyond the 80/20 rule: high-entropy minority tokens drive effective reinforcement
    learning for LLM reasoning".
    """

    share: float = 0.2
    over: Estimator = field(default_factory=GroupRelative)

    @property
    def needs(self) -> frozenset[str]:
        """Entropies, and what the advantages under it need."""
        return frozenset({"entropy"}) | self.over.needs

    def __call__(self, scores: Scores, rollouts: Rollouts, context: Context) -> Credited:
        """One advantage per decision."""
        mask = _mask(rollouts)
        base = self.over(scores, rollouts, context)
        advantages = _per_decision(base.advantages, mask)
        learnt = mask & (advantages != 0.0)
        kept = most_uncertain(feature_of(rollouts, "entropy"), learnt, self.share)
        return Credited(advantages * kept, base.returns, {**base.metrics, "kept_share": _share(kept, learnt)})


@dataclass(frozen=True)
class PassAtK:
    """Prompts that k samples nearly surely solve count less.

        A'_j = (χ √(C(N⁻, k) / C(G, k)) + 1 − χ) · A_j

    with N⁻ wrong ones among the G rollouts of the prompt. Under token weights it shrinks easy prompts twice, which the
    authors of token hidden rewards found to hurt.

    Attributes:
        k: of pass@k; a group of fewer rollouts is drawn whole.
        mix: χ; 1 for pass@k alone, 0 for `over` itself.
        correct_from: of `correct`.
        over: advantages of rollouts.

    Reference: Chen et al. 2025, "Pass@k training for adaptively balancing exploration and exploitation of large
    reasoning models", arXiv 2508.10751.
    """

    k: int = 4
    mix: float = 0.2
    correct_from: float | None = None
    over: Estimator = field(default_factory=GroupRelative)

    def __post_init__(self) -> None:
        """Raises `ValueError` for a mix outside [0, 1]."""
        if not 0.0 <= self.mix <= 1.0:
            raise ValueError(f"mix={self.mix} is the share of pass@k and lies in [0, 1]")

    @property
    def needs(self) -> frozenset[str]:
        """What the advantages under it need."""
        return self.over.needs

    def __call__(self, scores: Scores, rollouts: Rollouts, context: Context) -> Credited:
        """One advantage per rollout, or per decision where those under it are."""
        base = self.over(scores, rollouts, context)
        scored = ~np.isnan(scores.total())
        factor = pass_at_k_factor(correct(scores, self.correct_from), groups_of(rollouts), self.k, scored)
        weights = self.mix * factor + 1.0 - self.mix
        advantages = base.advantages * weights.reshape(-1, *[1] * (base.advantages.ndim - 1))
        return Credited(advantages, base.returns, {**base.metrics, "pass_at_k_weight": float(weights.mean())})


@dataclass(frozen=True)
class _Groups:
    """What token weights are made from.

    Attributes:
        base: what the estimator underneath found.
        advantages: of decisions.
        mask: the decisions of the policy.
        group, right, scored: of rollouts.
        mixed: rollouts whose group holds right and wrong ones.
        influence: of decisions.
    """

    base: Credited
    advantages: Float[np.ndarray, "n t"]
    mask: Bool[np.ndarray, "n t"]
    group: np.ndarray
    right: Bool[np.ndarray, " n"]
    scored: Bool[np.ndarray, " n"]
    mixed: Bool[np.ndarray, " n"]
    influence: Float[np.ndarray, "n t"]

    @classmethod
    def of(
        cls,
        estimator: TokenHiddenReward | NegativeTokenHiddenReward,
        scores: Scores,
        rollouts: Rollouts,
        context: Context,
    ) -> _Groups:
        """All of it, influences in mixed groups only: elsewhere nobody asks."""
        mask, group = _mask(rollouts), groups_of(rollouts)
        scored = ~np.isnan(scores.total())
        right = correct(scores, estimator.correct_from) & scored
        wrong = ~right & scored
        _, index = np.unique(group, return_inverse=True)
        mixed = (np.bincount(index, right)[index] > 0) & (np.bincount(index, wrong)[index] > 0)
        hidden, errors = feature_of(rollouts, "hidden"), feature_of(rollouts, "errors")
        influence = influences(hidden, errors, mask, right & mixed, group)
        base = estimator.over(scores, rollouts, context)
        return cls(base, _per_decision(base.advantages, mask), mask, group, right, scored, mixed, influence)

    @property
    def informative(self) -> Bool[np.ndarray, "n t"]:
        """Decisions of scored rollouts in mixed groups."""
        counted: np.ndarray = self.mask & (self.mixed & self.scored)[:, None]
        return counted

    def credited(self, weights: Float[np.ndarray, "n t"], told: Mapping[str, float]) -> Credited:
        """The advantages, weighed."""
        metrics = {**self.base.metrics, **told, "mixed_share": float(self.mixed.mean())}
        return Credited(weigh(self.advantages, weights), self.base.returns, metrics)


def _mask(rollouts: Rollouts) -> Bool[np.ndarray, "n t"]:
    if rollouts.mask is None:
        raise ValueError("credit per token needs rollouts.mask")
    return np.asarray(rollouts.mask, dtype=bool)


def _per_decision(advantages: Float[np.ndarray, "n *t"], mask: Bool[np.ndarray, "n t"]) -> Float[np.ndarray, "n t"]:
    spread: np.ndarray = np.where(mask, advantages if advantages.ndim == 2 else advantages[:, None], 0.0)
    return spread


def _share(chosen: Bool[np.ndarray, "n t"], among: Bool[np.ndarray, "n t"]) -> float:
    return float(chosen[among].mean()) if among.any() else 0.0


def _overlap(rollouts: Rollouts, kept: Bool[np.ndarray, "n t"], among: Bool[np.ndarray, "n t"]) -> dict[str, float]:
    """Share of the kept tokens that are among as many of the highest entropy, where entropies are known."""
    inside = kept & among
    if "entropy" not in rollouts.features or not inside.any():
        return {}
    uncertain = most_uncertain(rollouts.features["entropy"], among, float(inside.sum() / among.sum()))
    return {"entropy_overlap": float(uncertain[inside].mean())}
