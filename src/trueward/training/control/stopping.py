"""Stopping early: the run ends once the policy is too far from where it came from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from trueward.batch import Context
from trueward.errors import TrainingError
from trueward.policies.control import ActorCritic
from trueward.policies.control.actor_critic import as_tensor
from trueward.training.control.action_divergence import action_divergence
from trueward.training.control.collected import Collected
from trueward.training.control.hooks import ControlHook, ReferencePolicy
from trueward.training.hooks import StopRun


@dataclass
class StopAtDivergence(ControlHook):
    """Ends the run when the policy's KL divergence from a reference exceeds a budget.

    The divergence is the mean of KL(π(·|s) ‖ π_ref(·|s)) over the states that the policy visited. It needs no gold, and
    as a guard against over-optimisation it is hard to beat where its budget is chosen well.

    Attributes:
        policy: the one in training.
        reference: π_ref.
        budget: nats per step; infinite for never.

    Raises:
        TrainingError: the budget is not positive.
    """

    policy: ActorCritic
    reference: ReferencePolicy
    budget: float

    def __post_init__(self) -> None:
        """Checks the budget."""
        if not self.budget > 0:
            raise TrainingError(f"budget={self.budget!r} must be positive: nats per step; math.inf for no end")

    def after_update(self, collected: Collected, context: Context) -> Mapping[str, float]:
        """Measure, in the states that were visited before the update.

        Raises:
            StopRun: the budget is spent.
        """
        observation = collected.observation[collected.learns]
        with torch.inference_mode():
            seen = as_tensor(observation)
            apart = action_divergence(self.policy.distribution(seen), self.reference(seen))
        spent = float(apart.mean()) if len(observation) else 0.0
        if spent > self.budget:
            raise StopRun(f"the policy is {spent:.3g} nats per step from its reference; {self.budget:g} were allowed")
        return {"divergence": spent}
