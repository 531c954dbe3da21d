"""The loss of an online update over some rows and steps of its rollouts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from trueward.objectives.aggregation import decision_weight
from trueward.objectives.flow.distillation import guidance_distillation
from trueward.objectives.flow.matching import kernel_divergence
from trueward.objectives.policy_gradient import clipped_surrogate
from trueward.policies.flow.base import Velocity
from trueward.policies.flow.kernels import kernel_weight, shifted_velocity
from trueward.policies.flow.likelihood import ChosenSteps, StepLikelihoods, chosen_likelihoods, chosen_steps
from trueward.policies.flow.trajectories import Trajectories
from trueward.training.flow.online_settings import OnlineSettings


class Credit(NamedTuple):
    """What rollouts are worth.

    Attributes:
        outcome: advantage of each sample.
        scored: samples that have a reward.
        process: advantage of each step; None without a process reward.
        recorded: steps that have one.
    """

    outcome: Float[Tensor, " n"]
    scored: Bool[Tensor, " n"]
    process: Float[Tensor, "n T"] | None
    recorded: Bool[Tensor, "n T"] | None

    @classmethod
    def of(
        cls,
        outcome: Float[np.ndarray, " n"],
        scored: Bool[np.ndarray, " n"],
        process: Float[np.ndarray, "n t"] | None,
        recorded: Bool[np.ndarray, "n t"] | None,
        bound: float | None,
    ) -> Credit:
        """From arrays; outcome advantages are held within ±bound."""
        held = outcome if bound is None else np.clip(outcome, -bound, bound)
        return cls(
            torch.from_numpy(held).float(),
            torch.from_numpy(scored),
            None if process is None else torch.from_numpy(process).float(),
            None if recorded is None else torch.from_numpy(recorded),
        )


class Learnt(NamedTuple):
    """What one optimiser step learns from.

    Attributes:
        rows: numbers of the samples.
        steps: of each.
        guided: where guidance acted.
    """

    rows: Int[Tensor, " n"]
    steps: Int[Tensor, "n k"]
    guided: Bool[Tensor, "n k"]


def learn(
    policy: Velocity,
    reference: Velocity | None,
    trajectories: Trajectories,
    credit: Credit,
    learnt: Learnt,
    settings: OnlineSettings,
) -> tuple[Float[Tensor, ""], dict[str, Tensor]]:
    """The loss of one optimiser step, with gradients of all micro-batches but the last already taken.

        c_O L(ρ, A^O) + c_P L(ρ, A^P) + kl · KL(step ‖ reference step) + λ · distillation

    each a mean over the decisions of the whole minibatch that it is about.
    """
    size = settings.micro_batch or len(learnt.rows)
    scales = _scales(credit, learnt)
    pieces = list(zip(*(torch.split(part, size) for part in (*learnt, *scales)), strict=True))
    told: dict[str, Tensor] = {}
    for place, (rows, steps, guided, *weights) in enumerate(pieces):
        part = Learnt(rows, steps, guided)
        loss, metrics = _piece(policy, reference, trajectories, credit, part, _Scales(*weights), settings)
        share = len(rows) / len(learnt.rows)
        for name, value in {"loss": loss.detach() / share, **metrics}.items():
            told[name] = told.get(name, torch.zeros(())) + share * value.detach().float().cpu()
        if place < len(pieces) - 1:
            loss.backward()  # type: ignore[no-untyped-call]
    return loss, told


class _Scales(NamedTuple):
    """Weight per decision of each row, from the whole minibatch."""

    outcome: Float[Tensor, " n"]
    process: Float[Tensor, " n"]
    every: Float[Tensor, " n"]
    guided: Float[Tensor, " n"]


def _scales(credit: Credit, learnt: Learnt) -> _Scales:
    every = torch.ones_like(learnt.steps, dtype=torch.bool)
    return _Scales(
        decision_weight(_scored(credit, learnt)),
        decision_weight(_recorded(credit, learnt)),
        decision_weight(every),
        decision_weight(learnt.guided),
    )


def _scored(credit: Credit, learnt: Learnt) -> Bool[Tensor, "n k"]:
    return credit.scored[learnt.rows].unsqueeze(1).expand(learnt.steps.shape)


def _recorded(credit: Credit, learnt: Learnt) -> Bool[Tensor, "n k"]:
    if credit.recorded is None:
        return torch.zeros_like(learnt.steps, dtype=torch.bool)
    return credit.recorded[learnt.rows.unsqueeze(1), learnt.steps]


def _piece(
    policy: Velocity,
    reference: Velocity | None,
    trajectories: Trajectories,
    credit: Credit,
    learnt: Learnt,
    scales: _Scales,
    settings: OnlineSettings,
) -> tuple[Float[Tensor, ""], Mapping[str, Tensor]]:
    chosen = chosen_steps(trajectories, learnt.rows, learnt.steps)
    shifted = settings.distill != "implicit" and trajectories.guided_logprobs is not None
    new = chosen_likelihoods(policy, chosen, shifted=shifted, reduction=settings.reduction)
    device = new.logprobs.device
    sampled = trajectories.guided_logprobs if shifted else trajectories.logprobs
    assert sampled is not None
    old = sampled[learnt.rows.to(device).unsqueeze(1), chosen.steps]
    low, high = settings.clip_low, settings.clip_high
    advantages, mask = credit.outcome[learnt.rows].to(device), _scored(credit, learnt).to(device)
    surrogate, metrics = clipped_surrogate(
        new.logprobs, old, advantages, mask, scales.outcome.to(device), low=low, high=high
    )
    loss, told = settings.outcome_weight * surrogate, dict(metrics)
    if credit.process is not None:
        # Looked up by the place of each step in sampling: a random share of the steps is not the first ones.
        at = credit.process[learnt.rows.unsqueeze(1), learnt.steps].to(device)
        held = _recorded(credit, learnt).to(device)
        dense, metrics = clipped_surrogate(new.logprobs, old, at, held, scales.process.to(device), low=low, high=high)
        loss = loss + settings.process_weight * dense
        told |= {f"process/{name}": value for name, value in metrics.items()}
    if settings.kl > 0 and reference is not None:
        kl = _divergence(reference, chosen, new, settings)
        loss = loss + settings.kl * (kl.sum(dim=1) * scales.every.to(device)).sum()
        told["kl"] = kl.detach().mean()
    if settings.distill == "explicit" and chosen.shift is not None:
        lesson, metrics = _distilled(chosen, new, learnt, scales, settings)
        loss = loss + settings.distill_weight * lesson
        told |= metrics
    return loss, told


def _divergence(
    reference: Velocity, chosen: ChosenSteps, new: StepLikelihoods, settings: OnlineSettings
) -> Float[Tensor, "n k"]:
    with torch.no_grad():
        v_ref = reference(chosen.x, chosen.t, chosen.condition)
    v = new.velocities.flatten(0, 1)
    each = kernel_divergence(v, v_ref, chosen.t, chosen.dt, chosen.sigma, settings.reduction)
    return each.reshape(chosen.steps.shape)


def _distilled(
    chosen: ChosenSteps, new: StepLikelihoods, learnt: Learnt, scales: _Scales, settings: OnlineSettings
) -> tuple[Float[Tensor, ""], dict[str, Tensor]]:
    assert chosen.shift is not None
    goal = shifted_velocity(chosen.v, chosen.shift, chosen.t, chosen.dt, chosen.sigma)
    device = goal.device
    return guidance_distillation(
        new.velocities,
        goal.reshape(new.velocities.shape),
        kernel_weight(chosen.t, chosen.dt, chosen.sigma).reshape(chosen.steps.shape),
        learnt.guided.to(device),
        scales.guided.to(device),
        reduction=settings.reduction,
    )
