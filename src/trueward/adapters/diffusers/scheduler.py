"""A scheduler of diffusers whose steps are those of Trueward's samplers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch
from diffusers import FlowMatchEulerDiscreteScheduler
from diffusers.configuration_utils import register_to_config
from diffusers.utils.outputs import BaseOutput
from diffusers.utils.torch_utils import randn_tensor
from torch import Tensor

from trueward.policies.flow.kernels import Kernel, Reduction, step_deviation, step_logprob, step_mean

Kind = Literal["ode", "flow_grpo", "dance_grpo"]


@dataclass
class StochasticStep(BaseOutput):
    """What a step gives.

    Attributes:
        prev_sample: the state after it, as diffusers calls it.
        logprob: of the state, [N]; None for a step without noise.
        mean: of the step, without the drift bonus.
        std: σ √Δ.
    """

    prev_sample: Tensor
    logprob: Tensor | None = None
    mean: Tensor | None = None
    std: Tensor | None = None


class StochasticFlowMatchScheduler(FlowMatchEulerDiscreteScheduler):
    """`FlowMatchEulerDiscreteScheduler` with noise that keeps the distributions, log-probabilities and a drift bonus.

        pipeline.scheduler = StochasticFlowMatchScheduler.from_config(pipeline.scheduler.config, kernel="flow_grpo")

    Pipelines of diffusers take it in the place of theirs; loops of one's own get the log-probability of every step.
    With `kernel="ode"` it is the scheduler of diffusers.

    Args:
        kernel, clean_end: see `trueward.policies.flow.kernels.Kernel`.
        noise_level: its level: a of Flow-GRPO, η of DanceGRPO.
        others: of `FlowMatchEulerDiscreteScheduler`.

    Reference: Liu et al. 2025 (Flow-GRPO); Xue et al. 2025 (DanceGRPO); Zhong et al. 2026 (Euphonium).
    """

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(
        self,
        num_train_timesteps: int = 1000,
        shift: float = 1.0,
        use_dynamic_shifting: bool = False,
        base_shift: float | None = 0.5,
        max_shift: float | None = 1.15,
        base_image_seq_len: int = 256,
        max_image_seq_len: int = 4096,
        shift_terminal: float | None = None,
        time_shift_type: Literal["exponential", "linear"] = "exponential",
        kernel: Kind = "flow_grpo",
        noise_level: float = 0.7,
        clean_end: bool = False,
    ) -> None:
        super().__init__(  # type: ignore[no-untyped-call]
            num_train_timesteps=num_train_timesteps,
            shift=shift,
            use_dynamic_shifting=use_dynamic_shifting,
            base_shift=base_shift,
            max_shift=max_shift,
            base_image_seq_len=base_image_seq_len,
            max_image_seq_len=max_image_seq_len,
            shift_terminal=shift_terminal,
            time_shift_type=time_shift_type,
        )
        self._kernel = Kernel(kernel, 0.0 if kernel == "ode" else noise_level, clean_end)

    def step(
        self,
        model_output: Tensor,
        timestep: float | Tensor,
        sample: Tensor,
        *,
        drift_bonus: Tensor | None = None,
        kernel: Kernel | None = None,
        next_sample: Tensor | None = None,
        reduction: Reduction = "mean",
        generator: torch.Generator | None = None,
        return_dict: bool = True,
    ) -> StochasticStep | tuple[Tensor | None, ...]:
        """One step, from `timestep` to the next of the schedule.

        Args:
            model_output: velocity.
            timestep: of the schedule.
            sample: state.
            drift_bonus: added to the drift of the sampled state and not to the mean under which its log-probability
                is taken: (σ² / (2β)) ∇r for guidance by a reward. See `sigma_at`.
            kernel: in place of the scheduler's own.
            next_sample: a state that was sampled before, for its log-probability under this model output.
            reduction: of the log-probability over the entries of a sample.
            generator: of the noise.
            return_dict: False for the tuple (prev_sample, logprob, mean, std).
        """
        schedule: Any = self
        if schedule.step_index is None:
            schedule._init_step_index(timestep)
        place: int = schedule.step_index
        state, velocity = sample.float(), model_output.float()
        times = schedule.sigmas.float().to(state.device)
        t, dt = times[place], times[place] - times[place + 1]
        sigma = (kernel or self._kernel).sigma(times)[place]
        mean, std = step_mean(state, velocity, t, dt, sigma), step_deviation(dt, sigma)
        if next_sample is None:
            after = mean if drift_bonus is None else mean + drift_bonus.float() * dt
            if sigma > 0:
                noise = randn_tensor(state.shape, generator=generator, device=state.device, dtype=torch.float32)
                after = after + std * noise
        else:
            after = next_sample.float()
        logprob = step_logprob(after, mean, std, reduction) if sigma > 0 else None
        self._step_index = place + 1
        step = StochasticStep(after.to(model_output.dtype), logprob, mean, std)
        return step if return_dict else (step.prev_sample, logprob, mean, std)

    def sigma_at(self, timestep: float | Tensor) -> Tensor:
        """σ of the step that begins at a time of the schedule."""
        schedule: Any = self
        sigma: Tensor = self._kernel.sigma(schedule.sigmas.float())[schedule.index_for_timestep(timestep)]
        return sigma
