"""What may go along with a run of control: hooks, penalties of the policy, and policies that drive environments."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeAlias

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from trueward.batch import Context
from trueward.policies.control import ActionDistribution, ActorCritic
from trueward.training.control.collected import Collected

ReferencePolicy: TypeAlias = Callable[[Tensor], ActionDistribution]
"""Observations [N, …] to a distribution over actions: `policy.distribution`, or anything that answers like it."""


class ControlHook:
    """Something that goes along with a run: it changes the reward of what was collected, trains something, or watches.

    `modules`, `optimizers` and `state_dict` are saved with the run. All methods do nothing here; a hook has those that
    it needs. Both `after_…` may raise `StopRun`: the run ends after this update.
    """

    def modules(self) -> Mapping[str, torch.nn.Module]:
        """Networks that it trains."""
        return {}

    def optimizers(self) -> Mapping[str, torch.optim.Optimizer]:
        """Their optimisers."""
        return {}

    def state_dict(self) -> Mapping[str, Any]:
        """Everything else that it keeps, as JSON values."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take that back."""

    def after_collecting(self, collected: Collected, context: Context) -> Collected:
        """Before advantages are computed; may replace the reward. Gold is not in what it gets."""
        return collected

    def after_update(self, collected: Collected, context: Context) -> Mapping[str, float]:
        """After the policy has learnt; returns numbers to log. Gold is there where it is measured."""
        return {}


class PolicyPenalty(Protocol):
    """A term of the policy's loss that depends on its distribution.

    Any function of these arguments is one. Where it has a `name`, a run does not go on with one of another name: let it
    hold the coefficients.
    """

    def __call__(
        self, policy: ActorCritic, observation: Shaped[Tensor, "n *observation"], distribution: ActionDistribution
    ) -> Float[Tensor, " n"]:
        """One number per observation; its mean is added to the loss."""
