"""The loss of a policy on a batch of rollouts: surrogate, divergences and entropy, joined."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from jaxtyping import Bool, Float, Int
from torch import Tensor

from trueward.objectives.aggregation import Aggregation, Loss, decision_weight, masked_mean, weighted_total
from trueward.objectives.covariance import covariance_penalty
from trueward.objectives.divergence import Estimator, kl_penalty
from trueward.objectives.policy_gradient import RatioLevel, clipped_surrogate, reinforce


class PolicyObjective(Protocol):
    """What a training loop asks of an objective."""

    @property
    def needs(self) -> frozenset[str]:
        """Any of "reference" (log-probabilities under the reference) and "entropy" (of each decision)."""

    def weight(self, mask: Bool[Tensor, "n t"], group: Int[Tensor, " n"] | None) -> Float[Tensor, " n"]:
        """Weight of each decision of a row in the loss of this batch."""

    def __call__(
        self,
        logprobs: Float[Tensor, "n t"],
        old_logprobs: Float[Tensor, "n t"],
        advantages: Float[Tensor, " n"] | Float[Tensor, "n t"],
        mask: Bool[Tensor, "n t"],
        weight: Float[Tensor, " n"],
        *,
        ref_logprobs: Float[Tensor, "n t"] | None = None,
        entropy: Float[Tensor, "n t"] | None = None,
    ) -> Loss:
        """Loss of the rows given, which may be a part of the batch that the weights were made for."""


@dataclass(frozen=True)
class PolicyLoss:
    """Clipped surrogate or REINFORCE, plus β KL(π, π_ref), minus an entropy bonus, plus KL-Cov.

    Attributes:
        over: what is averaged; see `decision_weight`.
        length: of over="fixed_length".
        low, high, dual, ratio: of `clipped_surrogate`.
        clipped: False for REINFORCE, which has no ratio and is right for one update per batch.
        kl: β, coefficient of the divergence in the loss.
        kl_estimator: of `kl_penalty`.
        entropy: coefficient of the entropy bonus.
        covariance: coefficient of `covariance_penalty`, against the policy that sampled.
        covariance_share: its share of the decisions.
    """

    over: Aggregation = "token"
    length: int | None = None
    low: float = 0.2
    high: float = 0.2
    dual: float | None = None
    ratio: RatioLevel = "token"
    clipped: bool = True
    kl: float = 0.0
    kl_estimator: Estimator = "k3"
    entropy: float = 0.0
    covariance: float = 0.0
    covariance_share: float = 0.002

    @property
    def needs(self) -> frozenset[str]:
        """The reference with a divergence, entropies with a bonus."""
        wanted = {"reference": self.kl, "entropy": self.entropy}
        return frozenset(name for name, coefficient in wanted.items() if coefficient)

    def weight(self, mask: Bool[Tensor, "n t"], group: Int[Tensor, " n"] | None) -> Float[Tensor, " n"]:
        """Weight of each decision of a row; see `decision_weight`."""
        return decision_weight(mask, self.over, group=group, length=self.length)

    def __call__(
        self,
        logprobs: Float[Tensor, "n t"],
        old_logprobs: Float[Tensor, "n t"],
        advantages: Float[Tensor, " n"] | Float[Tensor, "n t"],
        mask: Bool[Tensor, "n t"],
        weight: Float[Tensor, " n"],
        *,
        ref_logprobs: Float[Tensor, "n t"] | None = None,
        entropy: Float[Tensor, "n t"] | None = None,
    ) -> Loss:
        """Loss of the rows given, and the metrics of its terms.

        Raises:
            ValueError: what `needs` names is missing; as `clipped_surrogate` and `kl_penalty`.
        """
        if self.clipped:
            loss, metrics = clipped_surrogate(
                logprobs,
                old_logprobs,
                advantages,
                mask,
                weight,
                low=self.low,
                high=self.high,
                dual=self.dual,
                ratio=self.ratio,
            )
        else:
            loss, metrics = reinforce(logprobs, advantages, mask, weight)
        if self.kl:
            if ref_logprobs is None:
                raise ValueError(f"kl={self.kl} needs ref_logprobs, the log-probabilities under the reference")
            corrected = old_logprobs if self.kl_estimator == "k1" else None
            term, told = kl_penalty(
                logprobs, ref_logprobs, mask, weight, estimator=self.kl_estimator, old_logprobs=corrected
            )
            loss, metrics = loss + self.kl * term, {**metrics, **told}
        if self.entropy:
            if entropy is None:
                raise ValueError(f"entropy={self.entropy} needs the entropy of each decision")
            loss = loss - self.entropy * weighted_total(entropy, mask, weight)
            metrics = {**metrics, "entropy": masked_mean(entropy.detach(), mask)}
        if self.covariance:
            term, told = covariance_penalty(
                logprobs, old_logprobs, advantages, mask, weight, share=self.covariance_share
            )
            loss, metrics = loss + self.covariance * term, {**metrics, **told}
        return loss, metrics
