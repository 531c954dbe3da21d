r"""How far whole answers have gone from a reference policy: χ² and KL of the distribution over answers.

An answer is an episode without chance beside the policy's own, so that the ratio of two policies' occupancies is that
of the probabilities of the answer, and no classifier is needed to know it. With
$\ell = \sum_t \log \pi(a_t) - \log \pi_{ref}(a_t)$ over the decisions of an answer sampled from π,

$$ \chi^2 \approx \mathrm{mean}[(e^{\ell} - 1) + (e^{-\ell} - 1)] $$
$$ KL \approx \mathrm{mean}[\ell + e^{-\ell} - 1] $$

$e^{-\ell} - 1$ has mean 0 under π; with it no sample is below 0.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from trueward.objectives.aggregation import Loss
from trueward.objectives.policy_loss import PolicyLoss
from trueward.objectives.ratios import log_ratio

LINEAR_BEYOND = 10.0
"""Exponentials are continued by their tangent from here on, so that one answer cannot take over a batch."""
LEAST = 1e-4
"""χ² below this counts as this under the root, whose slope at 0 is infinite."""

SequenceDivergence = Literal["chi2", "sqrt_chi2", "kl"]


def sequence_divergence(
    logprobs: Float[Tensor, "n t"],
    ref_logprobs: Float[Tensor, "n t"],
    mask: Bool[Tensor, "n t"],
    kind: Literal["chi2", "kl"] = "chi2",
) -> Float[Tensor, " n"]:
    r"""Estimate of a divergence between policies over whole answers, one value per answer sampled from π.

    The answers are taken as given: no gradient flows through their having been sampled from π. What is differentiated
    for χ² is then $(\rho - 1/\rho) \nabla \log \pi$ with $\rho = e^{\ell}$: half of the gradient of χ², and a pull that
    makes answers that the reference likes more probable. For KL it is $(1 - 1/\rho) \nabla \log \pi$, where the true
    gradient has $\log \rho + 1$.

    Args:
        logprobs: log-probability of each decision under the policy.
        ref_logprobs: the same under the reference; no gradient flows into it.
        mask: True on decisions that the policy made itself.
        kind: "chi2" or "kl".

    Returns:
        One value per row, not below 0; 0 for rows without decisions.

    Raises:
        ValueError: unknown kind.

    Reference: Laidlaw, Singhal and Dragan 2024 (arXiv 2403.03185), the RLHF experiments.
    """
    total = log_ratio(logprobs, ref_logprobs, mask).sum(dim=1)
    if kind == "chi2":
        return _exponential(total) + _exponential(-total)
    if kind == "kl":
        return total + _exponential(-total)
    raise ValueError(f"kind={kind!r} is unknown; choose chi2 or kl")


def _exponential(x: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
    """exp(x) − 1, continued linearly beyond 10."""
    held = x.clamp(max=LINEAR_BEYOND)
    value: Tensor = torch.expm1(held)
    return value + held.detach().exp() * (x - held)


@dataclass(frozen=True)
class NearReference:
    """A policy loss, plus λ times how far whole answers are from the reference: in place of KL per token.

        loss + λ √max(χ², 10⁻⁴)

    The root is taken of the mean over the answers that are given together (a minibatch, or a part of one), which for
    few answers is smaller than the root of the mean over all.

    Attributes:
        coefficient: λ. Its scale is that of advantages; coefficients of χ² and of KL cannot be compared.
        kind: "sqrt_chi2", "chi2" or "kl".
        loss: surrogate and whatever else; its own divergence is best left at 0.
    """

    coefficient: float
    kind: SequenceDivergence = "sqrt_chi2"
    loss: PolicyLoss = field(default_factory=PolicyLoss)

    def __post_init__(self) -> None:
        """Raises `ValueError` for a negative coefficient or an unknown kind."""
        if not self.coefficient >= 0 or self.kind not in ("chi2", "sqrt_chi2", "kl"):
            raise ValueError(
                f"coefficient={self.coefficient!r}, kind={self.kind!r}: expected a coefficient not below 0, and chi2, "
                "sqrt_chi2 or kl"
            )

    @property
    def needs(self) -> frozenset[str]:
        """The reference, and what the loss needs."""
        return self.loss.needs | {"reference"}

    def weight(self, mask: Bool[Tensor, "n t"], group: Int[Tensor, " n"] | None) -> Float[Tensor, " n"]:
        """Weight of each decision of a row in the surrogate."""
        return self.loss.weight(mask, group)

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
        """Loss of the rows given; metrics of the loss, and `sequence_divergence`, `sequence_log_ratio`.

        Raises:
            ValueError: the reference is missing; as `PolicyLoss`.
        """
        if ref_logprobs is None:
            raise ValueError("a divergence from the reference needs ref_logprobs, the log-probabilities under it")
        loss, metrics = self.loss(
            logprobs, old_logprobs, advantages, mask, weight, ref_logprobs=ref_logprobs, entropy=entropy
        )
        there = mask.any(dim=1)
        rows = there.sum().clamp(min=1)
        kind: Literal["chi2", "kl"] = "kl" if self.kind == "kl" else "chi2"
        mean = sequence_divergence(logprobs, ref_logprobs, mask, kind).sum() / rows
        term = mean.clamp(min=LEAST).sqrt() if self.kind == "sqrt_chi2" else mean
        # Weights of the whole batch sum to 1 over its decisions: their sum over these rows is the part that they are.
        part = (weight * mask.sum(dim=1)).sum().detach()
        total = log_ratio(logprobs.detach(), ref_logprobs, mask).sum() / rows
        told = {"sequence_divergence": mean.detach(), "sequence_log_ratio": total}
        return loss + self.coefficient * part * term, {**metrics, **told}
