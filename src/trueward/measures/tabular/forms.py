"""The forms a tabular reward comes in, and what is paid for entering a state."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float

from trueward.measures.tabular.mdp import TabularMDP
from trueward.measures.tabular.successors import Successors, successors


def as_transition_reward(reward: Any, mdp: TabularMDP) -> Float[np.ndarray, "s a t"]:
    """A reward of any form as a dense [S, A, S] of its own.

    Args:
        reward: [S], paid for acting in a state; [S, A]; [S, A, S]; or scipy.sparse [S·A, S].
        mdp: the world.

    Raises:
        ValueError: the reward does not fit the world.
    """
    states, actions = mdp.states, mdp.actions
    full = (states, actions, states)
    if hasattr(reward, "toarray"):
        if reward.shape != (states * actions, states):
            raise ValueError(f"the sparse reward has shape {reward.shape}; expected {(states * actions, states)}")
        reward = reward.toarray().reshape(full)
    array = np.asarray(reward, dtype=np.float64)
    if array.shape not in (full[:1], full[:2], full):
        raise ValueError(f"the reward has shape {array.shape}; expected {full[:1]}, {full[:2]} or {full}")
    return np.broadcast_to(array.reshape(array.shape + (1,) * (3 - array.ndim)), full).copy()


def on_entering(values: Float[np.ndarray, " s"], mdp: TabularMDP) -> Any:
    """The reward that pays v(s') for a step to s'.

    Args:
        values: v, one number per state.
        mdp: the world.

    Returns:
        A read-only view [S, A, S] that takes no memory; for sparse transitions a sparse [S·A, S] with entries for
        possible steps only.
    """
    if mdp.is_sparse:
        steps = successors(mdp)
        return as_sparse(steps, values[steps.next_state])
    return np.broadcast_to(values.astype(np.float64), (mdp.states, mdp.actions, mdp.states))


def as_sparse(steps: Successors, paid: Float[np.ndarray, " m"]) -> Any:
    """What is paid for each possible step as a scipy.sparse [S·A, S]."""
    from scipy import sparse

    rows = len(steps.begins) - 1
    return sparse.csr_matrix((paid, steps.next_state, steps.begins), shape=(rows, rows // steps.actions))
