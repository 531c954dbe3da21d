"""Early stopping of a flow policy by its error on samples that it does not learn from."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from trueward.batch import Context, Rollouts, Scores
from trueward.errors import TrainingError
from trueward.objectives.flow.matching import denoising_error
from trueward.policies.flow.base import (
    Condition,
    TimeDistribution,
    condition_length,
    condition_rows,
    draw_times,
    noised,
    velocity_target,
)
from trueward.training.flow.update import FlowHook, frozen_copy
from trueward.training.hooks import StopRun
from trueward.training.seeds import torch_stream


class EarlyStopping(FlowHook):
    """Keeps the policy of the smallest error on held-out samples, and ends the run when that no longer falls.

    The running average of the weights is what is judged and kept, because it is what is used. The error is taken under
    the same noise every time, so that it moves with the policy alone.

    Args:
        policy: where training begins; it is copied.
        samples: [H, …] held out, clean.
        condition: of each.
        draws: noise levels and noise per sample.
        every: updates between looks.
        patience: looks without a smaller error after which the run ends.
        ema: decay of the average per update; None for the policy itself.
        seed: of the noise.
        times: distribution of the noise levels.

    Attributes:
        best: the policy of the smallest error so far.

    Raises:
        TrainingError: there are no samples, or not one condition for each.
    """

    def __init__(
        self,
        policy: nn.Module,
        samples: Float[Tensor, "h *sample"],
        condition: Condition,
        *,
        draws: int = 32,
        every: int = 10,
        patience: int = 5,
        ema: float | None = 0.995,
        seed: int = 0,
        times: TimeDistribution = "logit_normal",
    ) -> None:
        if not len(samples) or len(samples) != condition_length(condition):
            raise TrainingError(
                f"{len(samples)} held-out samples and {condition_length(condition)} conditions: at least one of each, "
                "and equally many"
            )
        generator, count = torch_stream(seed, "held out"), draws * len(samples)
        self.every, self.patience = every, patience
        levels = draw_times(count, generator, times).to(samples.device)
        clean = samples.repeat(draws, *[1] * (samples.dim() - 1))
        noise = torch.randn(clean.shape, generator=generator).to(samples.device)
        told = condition_rows(condition, torch.arange(len(samples)).repeat(draws))
        self._asked = noised(clean, noise, levels), levels, told
        self._target = velocity_target(clean, noise)
        # Decay 0 is the policy itself: one kind of module, whether there is an average or not.
        decay = get_ema_multi_avg_fn(ema or 0.0)  # type: ignore[no-untyped-call]
        self._average = AveragedModel(policy, multi_avg_fn=decay)
        self._average.update_parameters(policy)
        self.best = frozen_copy(policy)
        self._smallest, self._looks = math.inf, 0

    @torch.no_grad()
    def error(self, policy: nn.Module) -> float:
        """Mean error of a policy on the held-out samples."""
        training = policy.training
        policy.eval()
        found = float(denoising_error(policy(*self._asked), self._target).mean())
        policy.train(training)
        return found

    def after_update(self, rollouts: Rollouts | None, scores: Scores | None, context: Context) -> Mapping[str, float]:
        """Look, keep, and stop when it is time."""
        if math.isinf(self._smallest):
            self._smallest = self.error(self.best)
        self._average.update_parameters(context.policy)
        if context.step % self.every:
            return {}
        found = self.error(self._average.module)
        if found < self._smallest:
            self._smallest, self._looks = found, 0
            self.best.load_state_dict(self._average.module.state_dict())
        else:
            self._looks += 1
        if self._looks >= self.patience:
            raise StopRun(f"the error on held-out samples has not fallen for {self.patience} looks")
        return {"held_out_error": found}

    def modules(self) -> Mapping[str, nn.Module]:
        """The average and the best."""
        return {"average": self._average, "best": self.best}

    def state_dict(self) -> Mapping[str, Any]:
        """The smallest error, and since how many looks."""
        return {"smallest": None if math.isinf(self._smallest) else self._smallest, "looks": self._looks}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take them back."""
        self._smallest = math.inf if state["smallest"] is None else float(state["smallest"])
        self._looks = int(state["looks"])
