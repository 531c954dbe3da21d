"""The steps that are possible in an MDP, as a list: what is drawn from, and what a reward pays for each.

A list of the M entries of τ that are not 0, in order of state, action and next state. It is small where transitions are
sparse, whichever way they are stored, and one search in its cumulative probabilities draws for any number of states.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from trueward.measures.tabular.mdp import TabularMDP, entries_of


@dataclass(frozen=True)
class Successors:
    """M possible steps.

    Attributes:
        begins: the steps of row s·A + a are begins[row] … begins[row + 1] − 1.
        state, action, next_state: of each step.
        probability: τ(s'|s, a).
        actions: number of actions.
    """

    begins: Int[np.ndarray, " r"]
    state: Int[np.ndarray, " m"]
    action: Int[np.ndarray, " m"]
    next_state: Int[np.ndarray, " m"]
    probability: Float[np.ndarray, " m"]
    actions: int

    @property
    def row(self) -> Int[np.ndarray, " m"]:
        """s·A + a of each step."""
        row: np.ndarray = self.state * self.actions + self.action
        return row

    def reward(self, reward: Any) -> Float[np.ndarray, " m"]:
        """What a reward pays for each step.

        Args:
            reward: [S], [S, A], [S, A, S] or scipy.sparse [S·A, S].

        Raises:
            ValueError: it does not fit.
        """
        states = (len(self.begins) - 1) // self.actions
        if hasattr(reward, "tocsr"):
            if reward.shape != (states * self.actions, states):
                raise ValueError(
                    f"the sparse reward has shape {reward.shape}; expected {(states * self.actions, states)}"
                )
            return entries_of(reward.tocsr(), self.row, self.next_state)
        array = np.asarray(reward, dtype=np.float64)
        index = (self.state, self.action, self.next_state)
        full = (states, self.actions, states)
        if array.ndim == 0 or array.shape != full[: array.ndim]:
            raise ValueError(f"the reward has shape {array.shape}; expected {full[:1]}, {full[:2]} or {full}")
        paid: np.ndarray = array[index[: array.ndim]]
        return paid


def successors(mdp: TabularMDP) -> Successors:
    """Lists the possible steps of an MDP."""
    if mdp.is_sparse:
        rows = mdp.transitions.copy()
        rows.eliminate_zeros()
        rows.sort_indices()
        begins = rows.indptr.astype(np.int64)
        next_state, probability = rows.indices.astype(np.int64), rows.data
        row = np.repeat(np.arange(len(begins) - 1), np.diff(begins))
    else:
        row, next_state = np.nonzero(mdp.flat)
        probability = mdp.flat[row, next_state]
        begins = np.searchsorted(row, np.arange(len(mdp.flat) + 1))
    return Successors(begins, row // mdp.actions, row % mdp.actions, next_state, probability, mdp.actions)
