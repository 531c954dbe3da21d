"""A tabular policy as one that looks at observations, to drive environments or to be a reference."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from trueward.errors import TrainingError
from trueward.policies.control.distributions import Categorical


class TabularPolicy:
    """Looks up which state an observation is, and answers with the probabilities of that state.

    Args:
        observations: what is seen of each state; no two states may look the same.
        probabilities: of the actions in each state.

    Raises:
        TrainingError: two states look the same.
    """

    def __init__(self, observations: Float[np.ndarray, "s d"], probabilities: Float[np.ndarray, "s a"]) -> None:
        self._observations = np.asarray(observations, dtype=np.float32)
        # One number per observation, which random weights make different with certainty for all practical purposes.
        self._weights = np.random.default_rng(0).standard_normal(self._observations.shape[1])
        keys = self._observations @ self._weights
        self._order = np.argsort(keys)
        self._keys = keys[self._order]
        if len(keys) > 1 and not (np.diff(self._keys) > 0).all():
            raise TrainingError("two states have the same observation: a tabular policy cannot tell them apart")
        self._log_probabilities = torch.from_numpy(np.asarray(probabilities)).log().float()

    def states(self, observation: Shaped[np.ndarray, "n d"]) -> Shaped[np.ndarray, " n"]:
        """The state that each observation is of.

        Raises:
            TrainingError: an observation is of no state.
        """
        seen = np.asarray(observation, dtype=np.float32)
        places = np.searchsorted(self._keys, seen @ self._weights - _ROUNDING).clip(max=len(self._keys) - 1)
        states: np.ndarray = self._order[places]
        if not np.array_equal(self._observations[states], seen):
            raise TrainingError("an observation is of none of the states that this tabular policy knows")
        return states

    def __call__(self, observation: Shaped[Tensor, "n d"]) -> Categorical:
        """Distribution over actions of each observation."""
        return Categorical(self._log_probabilities[torch.from_numpy(self.states(observation.numpy()))])


_ROUNDING = 1e-9
"""Sums of the same numbers may differ in the last digits with the number of rows."""
