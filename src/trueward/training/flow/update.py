"""What the loop for flow policies asks of an update, and of what goes along with it."""

from __future__ import annotations

import abc
import copy
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from trueward.batch import Context, Rollouts, Scores
from trueward.training.flow.settings import FlowSettings

Losses = Iterator[tuple[Float[Tensor, ""], Mapping[str, Any]]]


def frozen_copy(policy: nn.Module) -> nn.Module:
    """A copy that learns nothing: a reference, or what is kept of a policy."""
    return copy.deepcopy(policy).requires_grad_(False).eval()


class FlowUpdate(abc.ABC):
    """One update of a flow policy: losses, one optimiser step each.

    `modules`, `optimizers` and `state_dict` are saved with the run. Only `losses` must be there.
    """

    @abc.abstractmethod
    def losses(self, policy: nn.Module, step: int, generator: torch.Generator) -> Losses:
        """Losses of an update with numbers to log; the loop takes an optimiser step on each before it asks on.

        A loss that needs too much memory may be taken apart: call `backward` on its parts, and yield the last.

        Args:
            policy: in training.
            step: of the run, from 1.
            generator: on the CPU, of every draw of this update. It depends on seed and step alone.
        """

    def begin(self, policy: nn.Module, settings: FlowSettings) -> None:  # noqa: B027
        """Before the first update, with the first weights, also where a run goes on."""

    @property
    def seen(self) -> tuple[Rollouts, Scores] | None:
        """Rollouts and scores of the last update, for hooks; None where there are none."""
        return None

    def modules(self) -> Mapping[str, nn.Module]:
        """Networks that it trains or changes."""
        return {}

    def optimizers(self) -> Mapping[str, torch.optim.Optimizer]:
        """Their optimisers."""
        return {}

    def state_dict(self) -> Mapping[str, Any]:
        """Everything else that it keeps, as JSON values."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:  # noqa: B027
        """Take that back."""

    def identity(self) -> Mapping[str, Any]:
        """JSON values without which a run is not the same and must not go on. Asked after `begin`."""
        return {}


class FlowHook:
    """Something that goes along with a run: it refreshes a judge, watches, or stops the run.

    `modules`, `optimizers` and `state_dict` are saved with the run. All methods do nothing here; a hook has those that
    it needs.
    """

    def modules(self) -> Mapping[str, nn.Module]:
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

    def after_update(self, rollouts: Rollouts | None, scores: Scores | None, context: Context) -> Mapping[str, float]:
        """Act after an update; returns numbers to log.

        Args:
            rollouts, scores: of the update; None where it has none (flow matching).
            context: where training stands.

        Raises:
            StopRun: the run should end after this update.
        """
        return {}
