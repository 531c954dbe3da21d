"""How a flow policy learns from its own rollouts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from trueward.credit.group import Statistic
from trueward.errors import TrainingError
from trueward.policies.flow.kernels import Kernel, Reduction, flow_grpo

Distill = Literal["none", "implicit", "explicit"]


@dataclass(frozen=True)
class OnlineSettings:
    """How a flow policy learns from its own rollouts.

    The defaults are Flow-GRPO. DanceGRPO: `kernel=dance_grpo(), step_share=0.6, share_noise=True`. Euphonium: that, a
    guidance, `distill`, and a process reward with `process_weight=1`.

    Attributes:
        group: samples per prompt.
        prompts: prompts per update; all of them where there are not more.
        steps, shift: the grid of times, see `time_grid`.
        kernel: how much noise each step has. Steps without noise are not learnt from.
        clip_low, clip_high: how far a ratio may leave 1. With log-probabilities averaged over dimensions ratios move
            by about 1e-4, with summed ones by about 0.1: a range meant for the one does nothing, or everything, for the
            other. With one optimiser step per rollout ratios are 1 and never clipped.
        kl: coefficient of the KL divergence of each step from that of the reference, see `kernel_divergence`. The code
            of Flow-GRPO divides by 2σ² and not by 2σ²Δ: its 0.04 in 10 even steps is 0.004 here.
        step_share: share of the steps that each sample is learnt from, drawn anew for every sample and epoch.
        drop_last_step: leave out the step to t = 0, whose noise is smallest and whose ratios are largest.
        epochs: passes over the rollouts.
        minibatches: optimiser steps per pass.
        micro_batch: samples (each with all its steps) per pass through the network; None for whole minibatches. Changes
            memory, not the result.
        reduction: of log-probabilities, divergences and distillation over the dimensions of a sample.
        statistic: how rewards of a group are compared.
        separately: compare each part of the reward by itself, so that the widest-ranged one does not own the sum.
        epsilon: added to the deviation of a group.
        advantage_bound: largest absolute advantage; None for no bound.
        share_noise: samples of a prompt begin at the same noise, so that what differs is what the steps drew.
        outcome_weight, process_weight: factors of the two clipped losses, of the reward and of the process reward.
        distill: what becomes of guidance. "none": steps are judged under the mean with the shift, and the policy learns
            where to go with it. "implicit": under the mean without, as released, so that samples with positive
            advantage pull the policy towards the shift, and those with a negative one push it away: low rewards have
            the larger gradients, and the net effect can destroy the policy unless the guidance is tiny. "explicit": as
            "none", with a loss towards the velocity that does without the shift.
        distill_weight: factor of that loss.

    Reference: Liu et al. 2025, "Flow-GRPO"; Xue et al. 2025, "DanceGRPO"; Zhong et al. 2026, "Euphonium".
    """

    group: int = 12
    prompts: int = 10
    steps: int = 10
    shift: float = 1.0
    kernel: Kernel = field(default_factory=flow_grpo)
    clip_low: float = 1e-4
    clip_high: float = 1e-4
    kl: float = 0.0
    step_share: float = 1.0
    drop_last_step: bool = True
    epochs: int = 1
    minibatches: int = 1
    micro_batch: int | None = None
    reduction: Reduction = "mean"
    statistic: Statistic = "z_score"
    separately: bool = False
    epsilon: float = 1e-4
    advantage_bound: float | None = 5.0
    share_noise: bool = False
    outcome_weight: float = 1.0
    process_weight: float = 0.0
    distill: Distill = "none"
    distill_weight: float = 1.0

    def __post_init__(self) -> None:
        """Raises `TrainingError` for counts below 1, numbers outside of their range, and a kernel without noise."""
        counts = ("group", "prompts", "steps", "epochs", "minibatches")
        wrong = [f"{name}={getattr(self, name)!r} (at least 1)" for name in counts if getattr(self, name) < 1]
        factors = ("clip_low", "clip_high", "kl", "epsilon", "outcome_weight", "process_weight", "distill_weight")
        wrong += [f"{name}={getattr(self, name)!r} (at least 0)" for name in factors if not getattr(self, name) >= 0]
        if not 0 < self.step_share <= 1:
            wrong.append(f"step_share={self.step_share!r} (above 0, at most 1)")
        if self.micro_batch is not None and self.micro_batch < 1:
            wrong.append(f"micro_batch={self.micro_batch!r} (at least 1, or None)")
        if self.advantage_bound is not None and not self.advantage_bound > 0:
            wrong.append(f"advantage_bound={self.advantage_bound!r} (above 0, or None)")
        if self.distill not in ("none", "implicit", "explicit"):
            wrong.append(f"distill={self.distill!r} (none, implicit or explicit)")
        if self.reduction not in ("mean", "sum"):
            wrong.append(f"reduction={self.reduction!r} (mean or sum)")
        if not self.kernel.level > 0:
            wrong.append(f"kernel={self.kernel!r} (without noise there are no decisions: flow_grpo() or dance_grpo())")
        if wrong:
            raise TrainingError("; ".join(wrong))
