"""Norms of sparse rewards without a pass over S × A × S."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from trueward.measures.distances.form import Terms

_VAST = 1 << 27  # numbers: 1 GiB; below it a pass over all of them takes less than a second


def is_vast(terms: Terms) -> bool:
    """True where a pass over all transitions would be slow, and few of them have an entry of their own.

    The sum over all pairs is then not made of what the entries take away again, so that no digits are lost.
    """
    states, actions, _ = terms[0][1].shape
    size = states * actions * states
    entries = sum(0 if form.core is None else int(form.core.nnz) for _, form in terms)
    return size > _VAST and entries <= size // 8


def sum_of_squares(terms: Terms) -> float:
    """Σ x² over all (s, a, s') for x = core + row(s, a) + column(s') with a sparse core.

    S Σ row² + L·A Σ column² over the L live states, with the columns centred so that no mixed term is left, and
    core² + 2 core (row + column) for every entry.
    """
    core, row, column, live = _combined(terms)
    row = row[live]
    centre = float(column.mean())
    row, column = row + centre, column - centre
    width = len(column)
    squares: float = width * float(np.vdot(row, row)) + row.size * float(np.vdot(column, column))
    if core is None:
        return squares
    entries = core[np.repeat(live, row.shape[1])].tocoo()
    rest = row.reshape(-1)[entries.row] + column[entries.col]
    return squares + float(np.vdot(entries.data, entries.data)) + 2 * float(np.vdot(entries.data, rest))


def on_possible(terms: Terms, weights: Any) -> tuple[Float[np.ndarray, " m"], Float[np.ndarray, " m"]]:
    """x and the weights on the transitions whose weight is not 0."""
    core, row, column, live = _combined(terms)
    places = weights.tocoo()
    values = row.reshape(-1)[places.row] + column[places.col]
    if core is not None:
        values = values + np.asarray(core[places.row, places.col]).reshape(-1)
    return np.where(np.repeat(live, row.shape[1])[places.row], values, 0.0), np.asarray(places.data, dtype=np.float64)


def _combined(terms: Terms) -> tuple[Any, Float[np.ndarray, "s a"], Float[np.ndarray, " s"], Bool[np.ndarray, " s"]]:
    """Core, row and column of Σ factor · form, and the states that are live in all of them."""
    states, actions, _ = terms[0][1].shape
    core: Any = None
    row, column, live = np.zeros((states, actions)), np.zeros(states), np.ones(states, dtype=bool)
    for factor, form in terms:
        row = row + factor * form.row
        if form.column is not None:
            column = column + factor * form.column
        if form.core is not None:
            core = factor * form.core if core is None else core + factor * form.core
        if form.live is not None:
            live = live & form.live
    return core, row, column, live
