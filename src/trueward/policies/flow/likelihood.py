"""Log-probabilities of steps that were taken, under any policy: all of them in one batch."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from trueward.policies.flow.base import Condition, Velocity, condition_repeat, condition_rows
from trueward.policies.flow.kernels import Reduction, step_deviation, step_logprob, step_mean
from trueward.policies.flow.trajectories import Trajectories


class StepLikelihoods(NamedTuple):
    """What a policy says of steps.

    Attributes:
        logprobs: of each step.
        velocities: of the policy, at the state before each step.
        means: of each step; with the shift of the guidance where that was asked for.
    """

    logprobs: Float[Tensor, "n k"]
    velocities: Float[Tensor, "n k *s"]
    means: Float[Tensor, "n k *s"]


class ChosenSteps(NamedTuple):
    """Steps of trajectories, folded into one batch of n · k rows.

    Attributes:
        steps: numbers of the steps, [n, k].
        x, x_next: states before and after, [n · k, *S].
        t, dt, sigma: of each step, [n · k].
        condition: of each row.
        v: velocity of the policy that sampled.
        shift: what guidance added to the mean; None without guidance.
    """

    steps: Int[Tensor, "n k"]
    x: Float[Tensor, "m *s"]
    x_next: Float[Tensor, "m *s"]
    t: Float[Tensor, " m"]
    dt: Float[Tensor, " m"]
    sigma: Float[Tensor, " m"]
    condition: Condition
    v: Float[Tensor, "m *s"]
    shift: Float[Tensor, "m *s"] | None


def chosen_steps(
    trajectories: Trajectories, rows: Int[Tensor, " n"], steps: Int[Tensor, " k"] | Int[Tensor, "n k"]
) -> ChosenSteps:
    """Steps of some rows, the steps folded into the batch.

    Args:
        trajectories: as sampled.
        rows: numbers of the rows.
        steps: numbers of the steps: the same for all rows, or those of each.
    """
    device = trajectories.states.device
    row = rows.to(device).unsqueeze(1)
    step = steps.to(device).expand(len(rows), -1) if steps.ndim == 1 else steps.to(device)
    flat = step.reshape(-1)

    def folded(values: Tensor, at: Tensor) -> Tensor:
        return values[row, at].flatten(0, 1)

    return ChosenSteps(
        steps=step,
        x=folded(trajectories.states, step),
        x_next=folded(trajectories.states, step + 1),
        t=trajectories.times[flat],
        dt=trajectories.dt[flat],
        sigma=trajectories.sigma[flat],
        condition=condition_repeat(condition_rows(trajectories.condition, rows), step.shape[1]),
        v=folded(trajectories.velocities, step),
        shift=None if trajectories.shifts is None else folded(trajectories.shifts, step),
    )


def chosen_likelihoods(
    policy: Velocity, chosen: ChosenSteps, *, shifted: bool = False, reduction: Reduction = "mean"
) -> StepLikelihoods:
    """As `trajectory_logprobs`, of steps that are folded already."""
    v = policy(chosen.x, chosen.t, chosen.condition).float()
    mean = step_mean(chosen.x, v, chosen.t, chosen.dt, chosen.sigma)
    if shifted and chosen.shift is not None:
        mean = mean + chosen.shift
    logprobs = step_logprob(chosen.x_next, mean, step_deviation(chosen.dt, chosen.sigma), reduction)
    n, k = chosen.steps.shape
    return StepLikelihoods(logprobs.reshape(n, k), v.reshape(n, k, *v.shape[1:]), mean.reshape(n, k, *v.shape[1:]))


def trajectory_logprobs(
    policy: Velocity,
    trajectories: Trajectories,
    rows: Int[Tensor, " n"],
    steps: Int[Tensor, " k"] | Int[Tensor, "n k"],
    *,
    shifted: bool = False,
    reduction: Reduction | None = None,
) -> StepLikelihoods:
    """What a policy says of steps that were taken, from one pass over rows × steps.

    Gradients flow into the policy.

    Args:
        policy: see `base`.
        trajectories: as sampled, by this policy or another.
        rows: numbers of the rows.
        steps: numbers of the steps: the same for all rows, or those of each. Steps without noise have no density.
        shifted: under the mean with the shift that guidance added when it was sampled, else without.
        reduction: as in `step_logprob`; None for the one of the trajectories.

    Raises:
        ValueError: a step without noise is among them.
    """
    chosen = chosen_steps(trajectories, rows, steps)
    if not bool((chosen.sigma > 0).all()):
        silent = torch.nonzero(~trajectories.decisions).flatten().tolist()
        raise ValueError(f"steps {silent} have no noise and hence no density; choose others")
    return chosen_likelihoods(policy, chosen, shifted=shifted, reduction=reduction or trajectories.reduction)
