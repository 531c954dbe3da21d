"""How a flow policy is trained."""

from __future__ import annotations

from dataclasses import dataclass

from trueward.errors import TrainingError


@dataclass(frozen=True)
class FlowSettings:
    """How a flow policy is trained, whatever the update.

    Attributes:
        steps: updates; each may take several optimiser steps.
        learning_rate, weight_decay: of AdamW.
        gradient_clip: largest norm of the gradient.
        ema: decay per optimiser step of the running average of the weights, which is what is evaluated; None for none.
        cosine: the learning rate falls to 0 over the updates along half a cosine; else it is constant.
        seed: of every draw.
        evaluate_every: updates between evaluations; the first is before any update, the last after all.
        checkpoint_every: updates between checkpoints.
        tensorboard: write for TensorBoard.
    """

    steps: int = 1000
    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    gradient_clip: float = 1.0
    ema: float | None = 0.995
    cosine: bool = False
    seed: int = 0
    evaluate_every: int = 100
    checkpoint_every: int = 100
    tensorboard: bool = False

    def __post_init__(self) -> None:
        """Raises `TrainingError` for counts below 1 and numbers outside of their range."""
        counts = ("steps", "evaluate_every", "checkpoint_every")
        wrong = [f"{name}={getattr(self, name)!r} (at least 1)" for name in counts if getattr(self, name) < 1]
        sizes = ("learning_rate", "gradient_clip")
        wrong += [f"{name}={getattr(self, name)!r} (above 0)" for name in sizes if not getattr(self, name) > 0]
        if not self.weight_decay >= 0:
            wrong.append(f"weight_decay={self.weight_decay!r} (at least 0)")
        if self.ema is not None and not 0 <= self.ema < 1:
            wrong.append(f"ema={self.ema!r} (0 to below 1, or None)")
        if wrong:
            raise TrainingError("; ".join(wrong))
