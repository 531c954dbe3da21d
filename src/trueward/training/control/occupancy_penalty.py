r"""A price on going where a reference policy does not go, learned: ORPO (occupancy-regularised policy optimisation).

In every update a classifier learns to tell the steps of the policy from those of the reference, its logit d approaches
$\log \mu_\pi / \mu_{ref}$, and the reward of each step is lowered by λ times

| kind | term | whose mean under π is |
|---|---|---|
| chi2 | exp(d) − 1 | χ²(μ_π ‖ μ_ref) |
| sqrt_chi2 | (exp(d) − 1) / √ĉ, ĉ the mean over the batch | √χ² |
| kl | d | KL(μ_π ‖ μ_ref) |
| tv | sign d | 2 TV |
| wasserstein | d of a critic of bounded slope | Wasserstein distance, up to the bound |

before advantages are computed.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from jaxtyping import Bool, Float

from trueward.batch import Context
from trueward.errors import TrainingError
from trueward.rewards.models.density_ratio import DensityRatio
from trueward.training.control.collected import Collected
from trueward.training.control.hooks import ControlHook
from trueward.training.density_ratio import RatioLoss, RatioSettings, Steps, fit_density_ratio
from trueward.training.seeds import stream

PenaltyKind: TypeAlias = Literal["chi2", "sqrt_chi2", "kl", "tv", "wasserstein"]

LOSS_OF: Mapping[PenaltyKind, RatioLoss] = {
    "chi2": "logistic",
    "sqrt_chi2": "logistic",
    "kl": "logistic",
    "tv": "variation",
    "wasserstein": "wasserstein",
}
_CAP = 8.0
"""Log-ratio where only one of the policies ever ends and the classifier has no cap of its own."""
_LEAST = 1e-4
"""χ² below this counts as this under the root, whose slope at 0 is infinite."""


@dataclass(frozen=True)
class OccupancyTerms:
    """What n steps of the policy are charged, before λ.

    Attributes:
        values: of each step.
        divergence: estimate of what their mean stands for, the largest and smallest left out: χ² for both χ² kinds.
        divisor: of the values; 1 but for sqrt_chi2.
        lost: how many were not finite; they are charged nothing.
    """

    values: Float[np.ndarray, " n"]
    divergence: float
    divisor: float
    lost: int


def occupancy_terms(d: Float[np.ndarray, " n"], kind: PenaltyKind, *, trim: float = 0.01) -> OccupancyTerms:
    """What steps with these logits are charged.

    Args:
        d: log-ratios at n steps of the policy.
        kind: see the module.
        trim: share of the values at either end that the estimate leaves out: a few ratios of the heavy tail would
            decide it. For few steps nothing is left out.

    Raises:
        TrainingError: unknown kind.
    """
    if kind not in LOSS_OF:
        raise TrainingError(f"kind={kind!r}: choose {', '.join(LOSS_OF)}")
    with np.errstate(over="ignore", invalid="ignore"):
        values = {"chi2": np.expm1, "sqrt_chi2": np.expm1, "tv": np.sign}.get(kind, np.positive)(d)
    usable = np.isfinite(values)
    estimate = trimmed_mean(values[usable], trim)
    divisor = 1.0
    if kind == "sqrt_chi2" and estimate > 0:
        divisor = math.sqrt(max(estimate, _LEAST))
    return OccupancyTerms(np.where(usable, values, 0.0) / divisor, estimate, divisor, int((~usable).sum()))


def trimmed_mean(values: Float[np.ndarray, " n"], trim: float) -> float:
    """Mean without ⌊trim · n⌋ values at either end; NaN for no values.

    The number left out may be 0: `values[0:-0]` would be empty, and a penalty that is NaN everywhere was silently none.
    """
    cut = math.floor(trim * len(values))
    kept = np.sort(values)[cut : len(values) - cut]
    return float(kept.mean()) if len(kept) else math.nan


@dataclass(frozen=True)
class Visited:
    """Steps of one policy and what became of them.

    Attributes:
        steps: states and actions.
        reward: of each, before any penalty.
        ended: True where the episode was terminated with the step.
    """

    steps: Steps
    reward: Float[np.ndarray, " n"]
    ended: Bool[np.ndarray, " n"]


@dataclass
class OccupancyPenalty(ControlHook):
    r"""Lowers the reward of every step by λ times how far the policy's occupancy is from a reference's.

    λ = c σ, with σ the standard deviation of the reward under the reference, so that c has no scale; theory has
    $c = \sqrt{1 - r^2}$ for an r-correlated reward. Steps of the reference come from environments that it drives
    (`train_policy(…, drivers={range(16): reference})`), or from a log.

    Where episodes end, steps with exp(d) < 1 would pay for making the episode longer, whatever it is spent on. What
    follows an end is a state like any other: the share of discounted time in it is estimated for both policies from how
    often they end, and its charge, for all time after, falls on the step that ends. Of logged steps it is not known how
    often they end, and nothing follows an end; use them where episodes have one length.

    Attributes:
        ratio: the classifier.
        coefficient: c.
        kind: see the module.
        deviation: σ; None to measure it on the reference's steps.
        logged: steps of the reference, where it drives no environments. Needs `deviation`.
        discount: γ, for what follows an end.
        trim: see `occupancy_terms`.
        clip: the largest |penalty| of a step, in standard deviations of the reward. Part of the method: exp(d) has a
            heavy tail.
        settings: of the classifier's training; its loss must be that of the kind.
        learning_rate: of the classifier.
        fit_first: the classifier learns from the steps that it is then asked about. False: it learns afterwards.
        shuffled: a control: whose step it is is drawn at random before the classifier learns.
        seed: of all draws.

    Raises:
        TrainingError: the coefficient is negative, the loss is not that of the kind, or logged steps come without σ.
    """

    ratio: DensityRatio
    coefficient: float
    kind: PenaltyKind = "sqrt_chi2"
    deviation: float | None = None
    logged: Steps | None = None
    discount: float = 0.99
    trim: float = 0.01
    clip: float = 100.0
    settings: RatioSettings = field(default_factory=RatioSettings)
    learning_rate: float = 1e-3
    fit_first: bool = True
    shuffled: bool = False
    seed: int = 0
    _seen: dict[str, float] = field(init=False, default_factory=dict)
    _told: dict[str, float] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        """Checks, and makes the optimiser."""
        if not self.coefficient >= 0 or self.kind not in LOSS_OF or self.settings.loss != LOSS_OF[self.kind]:
            raise TrainingError(
                f"OccupancyPenalty(coefficient={self.coefficient!r}, kind={self.kind!r}, loss={self.settings.loss!r}): "
                f"expected a coefficient not below 0, and a kind with its loss: {dict(LOSS_OF)}"
            )
        if self.logged is not None and self.deviation is None:
            raise TrainingError("steps out of a log have no reward: give its deviation under the reference policy too")
        self.optimizer = torch.optim.Adam(self.ratio.parameters(), lr=self.learning_rate)
        self._seen = dict.fromkeys(("steps", "sum", "squares", "ends"), 0.0)

    def modules(self) -> Mapping[str, torch.nn.Module]:
        """The classifier."""
        return {"ratio": self.ratio}

    def optimizers(self) -> Mapping[str, torch.optim.Optimizer]:
        """Its optimiser."""
        return {"ratio": self.optimizer}

    def state_dict(self) -> Mapping[str, Any]:
        """What was counted of the reference."""
        return {"seen": dict(self._seen)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take that back."""
        self._seen = dict(state["seen"])

    def after_collecting(self, collected: Collected, context: Context) -> Collected:
        """Fit the classifier, and charge the policy's steps.

        Raises:
            TrainingError: there are no steps of the reference.
        """
        own, other = collected.learns, collected.exists & (collected.source != 0)
        generator = stream(self.seed, "occupancy", context.step)
        charge = np.zeros(own.shape)
        charge[own], self._told = self.charge(_visited(collected, own), _visited(collected, other), generator)
        return dataclasses.replace(
            collected,
            reward=collected.reward + charge,
            parts={**collected.parts, "occupancy penalty": charge},
        )

    def after_update(self, collected: Collected, context: Context) -> Mapping[str, float]:
        """What was charged."""
        return self._told

    def charge(
        self, policy: Visited, reference: Visited, generator: np.random.Generator
    ) -> tuple[Float[np.ndarray, " n"], dict[str, float]]:
        """Fit the classifier and say what the policy's steps are charged, for loops of others.

        Args:
            policy: its steps.
            reference: steps of the reference since the last time; none where they are logged.
            generator: of the draws.

        Returns:
            What to add to the reward of each step, below 0 where it is a charge; and numbers to log: `weight` (λ),
            `divergence` (see `OccupancyTerms`), `charge` (mean), `log_ratio_max`, `lost` (steps whose ratio was not
            finite and that were charged nothing), `clipped` (share), and those of the classifier's training.

        Raises:
            TrainingError: there are no steps of the reference.
        """
        self._count(reference)
        steps = reference.steps if self.logged is None else self.logged
        told = self._fit(policy.steps, steps, generator) if self.fit_first else {}
        action = policy.steps.action if self.ratio.reads_actions else None
        d = self.ratio.log_ratio(policy.steps.observation, action)
        if not self.fit_first:
            told = self._fit(policy.steps, steps, generator)
        charge, numbers = self._charged(d, policy.ended)
        return charge, {**numbers, **{f"ratio/{name}": value for name, value in told.items()}}

    @property
    def weight(self) -> float:
        """λ = c σ."""
        return self.coefficient * self._deviation

    @property
    def _deviation(self) -> float:
        if self.deviation is not None:
            return self.deviation
        steps = self._seen["steps"]
        if not steps:
            return 0.0
        mean = self._seen["sum"] / steps
        return math.sqrt(max(0.0, self._seen["squares"] / steps - mean * mean))

    def _count(self, reference: Visited) -> None:
        for name, value in (
            ("steps", len(reference.steps)),
            ("sum", reference.reward.sum()),
            ("squares", (reference.reward**2).sum()),
            ("ends", reference.ended.sum()),
        ):
            self._seen[name] += float(value)

    def _fit(self, policy: Steps, reference: Steps, generator: np.random.Generator) -> dict[str, float]:
        if self.shuffled:
            policy, reference = _exchanged(policy, reference, generator)
        return fit_density_ratio(self.ratio, self.optimizer, policy, reference, self.settings, generator)

    def _charged(self, d: np.ndarray, ended: np.ndarray) -> tuple[Float[np.ndarray, " n"], dict[str, float]]:
        alive, after_end = self._shift(ended)
        terms = occupancy_terms(d + alive, self.kind, trim=self.trim)
        weight, most = self.weight, self.clip * self._deviation
        charge = -weight * terms.values
        if after_end:
            plain = occupancy_terms(np.array([after_end]), "chi2" if self.kind == "sqrt_chi2" else self.kind)
            lasting = self.discount / (1.0 - self.discount) * float(plain.values[0]) / terms.divisor
            charge[ended] -= weight * lasting
        clipped = np.abs(charge) > most
        charge = np.clip(charge, -most, most)
        return charge, {
            "weight": weight,
            "divergence": terms.divergence,
            "charge": -float(charge.mean()) if len(charge) else 0.0,
            "log_ratio_max": float(d.max()) if len(d) else 0.0,
            "lost": float(terms.lost),
            "clipped": float(clipped.mean()) if len(charge) else 0.0,
        }

    def _shift(self, ended: np.ndarray) -> tuple[float, float]:
        """What to add to d within an episode, and the log-ratio of what follows the end.

        With h ends per step, the time after an end is κ = γ h / (1 − γ) of the time before it.
        """
        if self.kind == "wasserstein" or self.logged is not None or not len(ended):
            return 0.0, 0.0
        lasting = self.discount / (1.0 - self.discount)
        policy = lasting * float(ended.mean())
        reference = lasting * self._seen["ends"] / max(1.0, self._seen["steps"])
        if not policy and not reference:
            return 0.0, 0.0
        alive = math.log1p(reference) - math.log1p(policy)
        if not policy or not reference:
            return alive, (self.ratio.cap or _CAP) * (1 if policy else -1)
        return alive, math.log(policy / reference) + alive


def _visited(collected: Collected, rows: np.ndarray) -> Visited:
    return Visited(
        Steps(collected.observation[rows], collected.action[rows]), collected.raw[rows], collected.terminated[rows]
    )


def _exchanged(policy: Steps, reference: Steps, generator: np.random.Generator) -> tuple[Steps, Steps]:
    """As many steps for either side, dealt at random."""
    order = generator.permutation(len(policy) + len(reference))
    observation = np.concatenate([policy.observation, reference.observation])[order]
    action = None
    if policy.action is not None and reference.action is not None:
        action = np.concatenate([policy.action, reference.action])[order]
    cut = len(policy)
    return (
        Steps(observation[:cut], None if action is None else action[:cut]),
        Steps(observation[cut:], None if action is None else action[cut:]),
    )
