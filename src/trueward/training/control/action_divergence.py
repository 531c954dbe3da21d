"""The penalty for leaving a reference policy, state by state: what it costs to act otherwise where one is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from trueward.errors import TrainingError
from trueward.objectives.divergence import categorical_chi2, categorical_kl, gaussian_chi2, gaussian_kl
from trueward.policies.control import (
    ActionDistribution,
    ActorCritic,
    Categorical,
    DiagonalGaussian,
    MultiCategorical,
)
from trueward.training.control.hooks import ReferencePolicy

Divergence = Literal["kl", "chi2", "sqrt_chi2"]

_LEAST_CHI2 = 1e-4  # below it the root is held: its slope at 0 is infinite


@dataclass(frozen=True)
class ActionDivergence:
    """A penalty on the distribution over actions, to add to the loss of PPO.

        (λ / (1 − γ)) · D(π(·|s) ‖ π_ref(·|s))

    The factor makes λ mean the same as in an objective over discounted occupancies, where a state counts 1 − γ. It
    looks at what is done in a state and not at which states are reached: a small change everywhere may lead elsewhere.

    Attributes:
        reference: π_ref.
        weight: λ.
        kind: "kl"; "chi2", the KL divergence in its place where it is infinite; "sqrt_chi2", its root, held at 10⁻².
        discount: γ.

    Reference: Laidlaw, Singhal and Dragan 2024, "Correlated proxies", arXiv 2403.03185, the action-distribution
    baselines.
    """

    reference: ReferencePolicy
    weight: float
    kind: Divergence = "kl"
    discount: float = 0.99

    def __post_init__(self) -> None:
        """Raises `TrainingError` for a discount outside [0, 1), a negative weight, or an unknown kind."""
        if not 0 <= self.discount < 1 or not self.weight >= 0:
            raise TrainingError(
                f"ActionDivergence(weight={self.weight!r}, discount={self.discount!r}): a weight of at least 0 and a "
                "discount in [0, 1) are needed"
            )
        if self.kind not in ("kl", "chi2", "sqrt_chi2"):
            raise TrainingError(f"ActionDivergence(kind={self.kind!r}): choose kl, chi2 or sqrt_chi2")

    @property
    def name(self) -> str:
        """Divergence, weight and discount."""
        return f"{self.kind} {self.weight:g} at discount {self.discount:g}"

    def __call__(
        self, policy: ActorCritic, observation: Shaped[Tensor, "n *observation"], distribution: ActionDistribution
    ) -> Float[Tensor, " n"]:
        """The penalty of each observation."""
        with torch.no_grad():
            reference = self.reference(observation)
        return self.weight / (1.0 - self.discount) * action_divergence(distribution, reference, self.kind)


def action_divergence(
    distribution: ActionDistribution, reference: ActionDistribution, kind: Divergence = "kl"
) -> Float[Tensor, " n"]:
    """D(π ‖ π_ref) of each row, in closed form.

    Args:
        distribution: π.
        reference: π_ref, of the same kind.
        kind: see `ActionDivergence`.

    Raises:
        TrainingError: the two are of different kinds.
    """
    kl, chi2 = _divergences(distribution, reference)
    if kind == "kl":
        return kl
    finite = torch.isfinite(chi2)
    # Replaced twice: what is not taken must not be infinite either, or its gradient becomes NaN.
    value = torch.where(finite, torch.where(finite, chi2, 0.0), kl)
    return value if kind == "chi2" else value.clamp(min=_LEAST_CHI2).sqrt()


def _divergences(p: ActionDistribution, q: ActionDistribution) -> tuple[Tensor, Tensor]:
    """KL and χ² of each row."""
    if isinstance(p, Categorical) and isinstance(q, Categorical):
        return (
            categorical_kl(p.log_probabilities, q.log_probabilities),
            categorical_chi2(p.log_probabilities, q.log_probabilities),
        )
    if isinstance(p, DiagonalGaussian) and isinstance(q, DiagonalGaussian):
        given = (p.mean, p.log_deviation, q.mean, q.log_deviation)
        return gaussian_kl(*given), gaussian_chi2(*given)
    if isinstance(p, MultiCategorical) and isinstance(q, MultiCategorical):
        pairs = [_divergences(one, other) for one, other in zip(p.choices, q.choices, strict=True)]
        # Of independent choices: mean squared ratios multiply, 1 + χ² = Π (1 + χ²_d).
        product = torch.stack([chi2.log1p() for _, chi2 in pairs]).sum(dim=0)
        return torch.stack([kl for kl, _ in pairs]).sum(dim=0), product.expm1()
    raise TrainingError(
        f"the policy gives {type(p).__name__} and the reference {type(q).__name__}: both must be of one kind"
    )
