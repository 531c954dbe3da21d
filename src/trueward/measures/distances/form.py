"""How a reward on transitions is held: as the sum of what depends on all of (s, a, s') and what on one side only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float


@dataclass(frozen=True)
class Form:
    """A reward on transitions in the form x(s, a, s') = core(s, a, s') + row(s, a) + column(s').

    Most rewards of a big state space have no dense array [S, A, S], and what a canonicalisation adds depends on one of
    its sides only.

    Attributes:
        core: [S, A, S], a sparse matrix [S·A, S], or None for 0.
        row: [S, A].
        column: [S], or None for 0.
        live: False for states on whose transitions the reward is 0 (terminal ones); None where it is nowhere cut.
        scale: size of the numbers that it was computed from, against which rounding errors are measured.
        precision: of the numbers that it was computed from.
    """

    core: Any
    row: Float[np.ndarray, "s a"]
    column: Float[np.ndarray, " s"] | None = None
    live: Bool[np.ndarray, " s"] | None = None
    scale: float = 1.0
    precision: float = float(np.finfo(np.float64).eps)

    @property
    def shape(self) -> tuple[int, int, int]:
        """S, A, S."""
        states, actions = self.row.shape
        return states, actions, states

    @property
    def level(self) -> bool:
        """True where x does not depend on s'."""
        return self.core is None and self.column is None

    def block(self, states: slice) -> Float[np.ndarray, "b a s"]:
        """x on the transitions out of some states, as a new array."""
        width = self.shape[2]
        row = self.row[states]
        out = np.empty((*row.shape, width))
        out[:] = row[:, :, None]
        if self.core is not None:
            out += rows_of(self.core, states, row.shape[1])
        if self.column is not None:
            out += self.column
        if self.live is not None:
            out[~self.live[states]] = 0.0
        return out

    def dense(self) -> Float[np.ndarray, "s a t"]:
        """x as one array [S, A, S]; where it does not depend on s', a view that takes no more room than [S, A]."""
        if self.level:
            row = self.row if self.live is None else self.row * self.live[:, None]
            return np.broadcast_to(row[:, :, None], self.shape)
        return self.block(slice(0, self.shape[0]))


def rows_of(matrix: Any, states: slice, actions: int) -> Float[np.ndarray, "b a s"]:
    """Part of an array [S, A, S] or of a sparse matrix [S·A, S], dense."""
    if isinstance(matrix, np.ndarray):
        part: np.ndarray = matrix[states]
        return part
    rows = matrix[states.start * actions : states.stop * actions]
    dense: np.ndarray = rows.toarray().reshape(-1, actions, matrix.shape[1])
    return dense


Terms = Sequence[tuple[float, Form]]
