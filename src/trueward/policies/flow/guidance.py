"""Classifier-free guidance as a flow policy of its own."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from trueward.policies.flow.base import Condition, condition_join


class ClassifierFree(nn.Module):
    """A flow policy pushed away from what it does without a condition.

        v = v(x, t, ∅) + scale · (v(x, t, c) − v(x, t, ∅))

    Scale 1 is the policy itself, and then costs no second half of the batch; scale 0 the unconditional one. What it
    samples is not the policy's density: whoever compares samples must draw them with the same scale.

    Args:
        policy: trained with dropped conditions.
        scale: see above.
        null: from a condition to one of as many rows that says nothing; see `null_class`.

    Reference: Ho and Salimans 2022, "Classifier-free diffusion guidance".
    """

    def __init__(self, policy: nn.Module, scale: float, null: Callable[[Condition], Condition]) -> None:
        super().__init__()
        self.policy, self.scale, self.null = policy, scale, null

    def forward(self, x: Float[Tensor, "n *s"], t: Float[Tensor, " n"], condition: Condition) -> Float[Tensor, "n *s"]:
        """Velocity; both halves go through the policy in one batch."""
        if self.scale == 1.0:
            plain: Tensor = self.policy(x, t, condition)
            return plain
        both = self.policy(torch.cat([x, x]), torch.cat([t, t]), condition_join(condition, self.null(condition)))
        conditional, unconditional = both.chunk(2)
        guided: Tensor = unconditional + self.scale * (conditional - unconditional)
        return guided


def null_class(classes: int) -> Callable[[Condition], Condition]:
    """For conditions that are classes 0 … classes − 1: the number `classes` in every row."""

    def null(condition: Condition) -> Condition:
        if not isinstance(condition, Tensor):
            raise TypeError(f"null_class is for a tensor of classes; the condition is a {type(condition).__name__}")
        return torch.full_like(condition, classes)

    return null
