"""Flow matching: pre-training, supervised fine-tuning, fine-tuning on the best of n."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from trueward.errors import TrainingError
from trueward.objectives.flow.matching import flow_matching
from trueward.policies.flow.base import (
    Condition,
    TimeDistribution,
    condition_length,
    condition_rows,
    condition_where,
    draw_times,
    noised,
    velocity_target,
)
from trueward.training.flow.update import FlowUpdate, Losses


@dataclass
class FlowMatchingUpdate(FlowUpdate):
    """One optimiser step of flow matching per update, on samples drawn with replacement.

    With all samples it is pre-training, with good ones supervised fine-tuning, with the best of n per prompt what
    best-of-n fine-tuning does.

    Attributes:
        samples: x₀, [M, *S].
        condition: of each sample.
        batch: samples per update.
        time: distribution of the noise levels.
        drop_label: share of the samples whose condition is taken away, for classifier-free guidance.
        null: from a condition to one that says nothing; needed where conditions are dropped.
        weight: of each sample, at least 0; all alike by default.

    Raises:
        TrainingError: samples, condition and weights differ in length, or settings contradict each other.
    """

    samples: Float[Tensor, "m *s"]
    condition: Condition
    batch: int = 256
    time: TimeDistribution = "logit_normal"
    drop_label: float = 0.0
    null: Callable[[Condition], Condition] | None = None
    weight: Float[Tensor, " m"] | None = None

    def __post_init__(self) -> None:
        """Checks lengths and settings."""
        lengths = {"samples": len(self.samples), "condition": condition_length(self.condition)}
        if self.weight is not None:
            lengths["weight"] = len(self.weight)
        if len(set(lengths.values())) > 1 or not len(self.samples):
            raise TrainingError(f"samples, condition and weight need the same number of rows, at least 1: {lengths}")
        if self.batch < 1 or not 0 <= self.drop_label <= 1:
            raise TrainingError(f"batch={self.batch!r} (at least 1), drop_label={self.drop_label!r} (0 to 1)")
        if self.drop_label and self.null is None:
            raise TrainingError(
                f"drop_label={self.drop_label!r} needs null: what a condition is when there is none, such as "
                "null_class(10)"
            )

    def losses(self, policy: nn.Module, step: int, generator: torch.Generator) -> Losses:
        """One loss."""
        device = self.samples.device
        rows = torch.randint(len(self.samples), (self.batch,), generator=generator).to(device)
        x0, condition = self.samples[rows], condition_rows(self.condition, rows)
        t = draw_times(self.batch, generator, self.time).to(device)
        noise = torch.randn(x0.shape, generator=generator).to(device)
        if self.drop_label and self.null is not None:
            dropped = torch.rand(self.batch, generator=generator).to(device) < self.drop_label
            condition = condition_where(dropped, self.null(condition), condition)
        predicted = policy(noised(x0, noise, t), t, condition)
        weight = None if self.weight is None else self.weight.to(device)[rows]
        yield flow_matching(predicted, velocity_target(x0, noise), weight)

    def identity(self) -> Mapping[str, Any]:
        """Settings and number of samples."""
        return {
            "samples": len(self.samples),
            "batch": self.batch,
            "time": self.time,
            "drop_label": self.drop_label,
            "weighted": self.weight is not None,
        }
