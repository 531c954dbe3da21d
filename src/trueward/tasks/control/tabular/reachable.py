"""A tabular task without the states that nobody can come to."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from jaxtyping import Bool

from trueward.measures.tabular import TabularMDP
from trueward.tasks.control.tabular.task import TabularTask

_DENSE_STATES = 1000


def reachable(mdp: TabularMDP) -> Bool[np.ndarray, " s"]:
    """True for states that some policy comes to from where episodes begin."""
    seen: np.ndarray = mdp.start > 0
    while True:
        after = np.asarray(mdp.flat.T @ np.repeat(seen, mdp.actions).astype(np.float64)) > 0
        if not (after & ~seen).any():
            return seen
        seen = seen | after


def without_unreachable(task: TabularTask) -> TabularTask:
    """The same task for everybody who acts in it, with fewer states: dense where that leaves few enough.

    Level 4 of the tomato world has 13,312 states, of which 463 can be reached.

    Args:
        task: with rewards of any form.
    """
    keep = np.flatnonzero(reachable(task.mdp))
    mdp = task.mdp
    rows = (keep[:, None] * mdp.actions + np.arange(mdp.actions)).ravel()
    flat = mdp.flat[rows][:, keep]
    if mdp.is_sparse and len(keep) <= _DENSE_STATES:
        flat = flat.toarray()
    transitions = flat if not isinstance(flat, np.ndarray) else flat.reshape(len(keep), mdp.actions, len(keep))
    return dataclasses.replace(
        task,
        mdp=TabularMDP(transitions, mdp.start[keep], mdp.discount, mdp.terminal[keep]),
        rewards={name: _restricted(reward, keep, rows) for name, reward in task.rewards.items()},
        observations=task.observations[keep],
    )


def _restricted(reward: Any, keep: np.ndarray, rows: np.ndarray) -> Any:
    if hasattr(reward, "tocsr"):
        return reward.tocsr()[rows][:, keep]
    array = np.asarray(reward)
    return array[keep] if array.ndim < 3 else array[keep][:, :, keep]
