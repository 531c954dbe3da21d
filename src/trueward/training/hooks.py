"""What may go along with a training run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from trueward.batch import Context, Rollouts, Scores

if TYPE_CHECKING:
    import torch


class Hook(Protocol):
    """Something that goes along with a run: it co-trains a reward, watches, or stops the run.

    It acts after the rollouts of a step have been scored and credited, so that what it changes counts from the next
    step on. `modules` and `optimizers` are saved with the run.
    """

    def modules(self) -> Mapping[str, torch.nn.Module]:
        """Networks that it trains."""

    def optimizers(self) -> Mapping[str, torch.optim.Optimizer]:
        """Their optimisers."""

    def state_dict(self) -> Mapping[str, Any]:
        """Everything else that it keeps, as JSON values."""

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take that back."""

    def after_rollouts(self, rollouts: Rollouts, scores: Scores, context: Context) -> Mapping[str, float]:
        """Act on the rollouts of a step; returns numbers to log.

        Raises:
            StopRun: the run should end after this step.
        """


class StopRun(Exception):
    """Raised by a hook to end a run early; its text says why."""
