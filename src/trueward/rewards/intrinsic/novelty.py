"""The interface of novelty: what a state that was seldom visited is worth for having been seen."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Shaped

if TYPE_CHECKING:
    import torch


class Novelty(abc.ABC):
    """A bonus that falls with visits.

    A loop asks and tells in this order, at every step, and trains after a collection:

        bonus = novelty.bonus(next_observation)
        novelty.observe(next_observation)
        ...
        metrics = novelty.learn()

    `modules`, `optimizers` and `state_dict` are everything that it needs to go on to the same numbers. Between
    `observe` and `learn` there is no such state: what was observed is not part of it.
    """

    @property
    @abc.abstractmethod
    def name(self) -> str:
        """For logs."""

    @abc.abstractmethod
    def bonus(self, observation: Shaped[np.ndarray, "n *observation"]) -> Float[np.ndarray, " n"]:
        """What each of n observations is worth; asking changes nothing.

        Where a bonus estimates counts it is on the scale of 1 for a state that was never visited, and then falls like
        1/n.
        """

    @abc.abstractmethod
    def observe(self, observation: Shaped[np.ndarray, "n *observation"]) -> None:
        """Each of n observations was visited once, after it was paid for."""

    @abc.abstractmethod
    def learn(self) -> Mapping[str, float]:
        """Train on what was observed since the last time.

        Returns:
            Numbers to log; the raw bonus among them, because a normalised one no longer shows that it falls.
        """

    def modules(self) -> Mapping[str, torch.nn.Module]:
        """Its networks, by name."""
        return {}

    def optimizers(self) -> Mapping[str, torch.optim.Optimizer]:
        """Their optimisers, by name."""
        return {}

    def state_dict(self) -> dict[str, Any]:
        """Everything else that it keeps, as JSON values."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:  # noqa: B027 (nothing is kept unless said otherwise)
        """Take that back."""
