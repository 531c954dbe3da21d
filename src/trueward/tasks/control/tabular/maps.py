"""Worlds drawn as text: which cells there are, where a move leads, and the transitions of an MDP made of moves.

A map is a tuple of rows of one length. # is a wall; every other sign is a cell, numbered row by row. A move into a wall
or over the rim stays where it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Int

DENSE_STATES = 1000
"""Worlds of more states get sparse transitions: 1000 states and 4 actions are 32 MB."""

RIGHT, DOWN, LEFT, UP, STAY = (0, 1), (1, 0), (0, -1), (-1, 0), (0, 0)
"""Moves, as rows and columns."""


def cells_of(rows: Sequence[str]) -> tuple[Int[np.ndarray, "c 2"], np.ndarray]:
    """Row and column of each cell, and its sign [C].

    Raises:
        ValueError: the rows have different lengths, or there is no cell.
    """
    if len({len(row) for row in rows}) != 1:
        raise ValueError(f"a map needs rows of one length; got lengths {[len(row) for row in rows]}")
    signs = np.array([list(row) for row in rows])
    cells = np.argwhere(signs != "#")
    if not len(cells):
        raise ValueError("the map has no cell: everything is wall (#)")
    return cells, signs[tuple(cells.T)]


def arrivals(cells: Int[np.ndarray, "c 2"], moves: Sequence[tuple[int, int]]) -> Int[np.ndarray, "c m"]:
    """The cell to which each move leads from each cell."""
    # A rim of one cell, so that a move over it finds no cell instead of the other side.
    number = np.full(cells.max(axis=0) + 3, -1)
    number[tuple((cells + 1).T)] = np.arange(len(cells))
    target = cells[:, None, :] + np.array(moves) + 1
    arrived = number[target[..., 0], target[..., 1]]
    return np.where(arrived < 0, np.arange(len(cells))[:, None], arrived)


def mixed(outcomes: Sequence[tuple[Int[np.ndarray, "s a"], float]]) -> Any:
    """Transitions in which an action has one of some outcomes.

    Args:
        outcomes: next state of each state and action, and the probability of that outcome.

    Returns:
        [S, A, S], or scipy.sparse [S·A, S] for more than `DENSE_STATES` states.
    """
    states, actions = outcomes[0][0].shape
    row = np.tile(np.arange(states * actions), len(outcomes))
    column = np.concatenate([following.reshape(-1) for following, _ in outcomes])
    probability = np.repeat([share for _, share in outcomes], states * actions)
    if states <= DENSE_STATES:
        transitions = np.zeros((states * actions, states))
        np.add.at(transitions, (row, column), probability)
        return transitions.reshape(states, actions, states)
    from scipy import sparse

    return sparse.csr_matrix((probability, (row, column)), shape=(states * actions, states))
