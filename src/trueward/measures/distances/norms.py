"""Norms of rewards on S × A × S, plain and weighted by how likely each transition is."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from trueward.measures.distances.form import Form, Terms, rows_of
from trueward.measures.distances.thin import is_vast, on_possible, sum_of_squares

_BLOCK = 1 << 22  # numbers of one block: 32 MiB, so that S = 2,000 needs no second array of full size


@dataclass(frozen=True)
class Norm:
    """An L_p norm of arrays [S, A, S].

    Attributes:
        order: p ≥ 1, or infinity; 0 for no norm at all, which leaves a reward as long as it is.
        weighted: True where each transition counts as much as it is likely, (Σ τ |x|^p)^(1/p), and max τ |x| for
            infinity.
    """

    order: float
    weighted: bool = False


def norm_named(given: int | float | str | Norm) -> Norm:
    """The norm that a user means.

    Args:
        given: 0 (none), 1, 2, "inf" or any other p ≥ 1; "weighted_1", "weighted_2", "weighted_inf" for the weighted
            ones.

    Raises:
        ValueError: it is none of these.
    """
    if isinstance(given, Norm):
        return given
    weighted = isinstance(given, str) and given.startswith("weighted_")
    try:
        order = float(given.removeprefix("weighted_") if isinstance(given, str) else given)
    except ValueError:
        order = math.nan
    if not (order >= 1 or (order == 0 and not weighted)):
        raise ValueError(
            f"{given!r} is no norm; expected 0 (none), 1, 2, inf or another number from 1 on, or 'weighted_1', "
            "'weighted_2', 'weighted_inf'"
        )
    return Norm(order, weighted)


def combined_norm(terms: Terms, norm: Norm, weights: Any = None) -> float:
    """Norm of Σ factor · form, computed block by block.

    Args:
        terms: factors and forms, all of one shape.
        norm: see `norm_named`.
        weights: [S, A, S] or a sparse matrix [S·A, S]; needed where the norm is weighted.
    """
    if norm.weighted and weights is None:
        raise ValueError("a weighted norm needs the transition probabilities as weights")
    weights = weights if norm.weighted else None
    if all(form.level for _, form in terms):
        return _level_norm(terms, norm, weights)
    if all(form.core is None or _is_sparse(form.core) for _, form in terms):
        if _is_sparse(weights):
            values, likely = on_possible(terms, weights)
            found = _partial(values, norm.order, likely)
            return found if math.isinf(norm.order) else _root(found, norm.order)
        if weights is None and norm.order == 2 and is_vast(terms):
            return math.sqrt(sum_of_squares(terms))
    parts = [
        _partial(block, norm.order, None if weights is None else rows_of(weights, states, block.shape[1]))
        for states, block in _blocks(terms)
    ]
    return max(parts) if math.isinf(norm.order) else _root(math.fsum(parts), norm.order)


def mean_of(form: Form, weights: Any = None) -> float:
    """Weighted mean of a form over all transitions; the plain mean without weights."""
    states, actions, _ = form.shape
    if weights is None and form.live is None:
        core = 0.0 if form.core is None else float(form.core.sum())
        column = 0.0 if form.column is None else float(form.column.sum())
        return (core / states + float(form.row.sum())) / (states * actions) + column / states
    terms = [(1.0, form)]
    if _is_sparse(weights) and (form.core is None or _is_sparse(form.core)):
        values, likely = on_possible(terms, weights)
        return float(values @ likely) / float(weights.sum())
    total = math.fsum(
        float(block.sum() if weights is None else np.vdot(block, rows_of(weights, place, actions)))
        for place, block in _blocks(terms)
    )
    return total / (states * actions * states if weights is None else float(weights.sum()))


def norm_of(array: Float[np.ndarray, "s a t"], norm: int | float | str | Norm = 2, weights: Any = None) -> float:
    """L_p norm of a reward on transitions.

    ‖x‖_p = (Σ |x(s, a, s')|^p)^(1/p), and max |x| for infinity; weighted: (Σ τ(s'|s, a) |x|^p)^(1/p) and max τ |x|.

    Args:
        array: [S, A, S].
        norm: see `norm_named`; 0 gives 1 whatever the array.
        weights: transition probabilities τ, [S, A, S] or sparse [S·A, S], for a weighted norm.

    Reference: Skalse et al. 2024, "STARC: a general framework for quantifying differences between reward functions",
    section 5.
    """
    wanted = norm_named(norm)
    if wanted.order == 0:
        return 1.0
    states, actions, _ = array.shape
    core = np.asarray(array, dtype=np.float64)
    return combined_norm([(1.0, Form(core, np.zeros((states, actions))))], wanted, weights)


def _is_sparse(matrix: Any) -> bool:
    return hasattr(matrix, "tocsr")


def _blocks(terms: Terms) -> Iterator[tuple[slice, np.ndarray]]:
    states, actions, width = terms[0][1].shape
    size = max(1, _BLOCK // (actions * width))
    for start in range(0, states, size):
        place = slice(start, min(states, start + size))
        summed = np.zeros((place.stop - place.start, actions, width))
        for factor, form in terms:
            block = form.block(place)
            block *= factor
            summed += block
        yield place, summed


def _partial(values: np.ndarray, order: float, weights: np.ndarray | None) -> float:
    """Σ w |x|^p, or max w |x|."""
    if order == 2 and weights is None:
        return float(np.vdot(values, values))
    sizes = np.abs(values)
    if math.isinf(order):
        return float((sizes if weights is None else sizes * weights).max())
    powers = sizes if order == 1 else sizes**order
    return float(powers.sum() if weights is None else np.vdot(powers, weights))


def _level_norm(terms: Terms, norm: Norm, weights: Any) -> float:
    """The same for what does not depend on s': each pair (s, a) counts S times, or as much as its weights sum to."""
    width = terms[0][1].shape[2]
    summed = sum(
        (factor * (form.row if form.live is None else form.row * form.live[:, None]) for factor, form in terms),
        start=np.zeros_like(terms[0][1].row),
    )
    if math.isinf(norm.order):
        largest = None if weights is None else _over_next(weights, summed.shape, "max")
        return _partial(summed, norm.order, largest)
    if weights is None:
        return _root(width * _partial(summed, norm.order, None), norm.order)
    return _root(_partial(summed, norm.order, _over_next(weights, summed.shape, "sum")), norm.order)


def _over_next(weights: Any, shape: tuple[int, ...], what: str) -> Float[np.ndarray, "s a"]:
    over: Any = getattr(weights, what)(axis=-1)
    dense = over.toarray() if hasattr(over, "toarray") else over
    return np.asarray(dense, dtype=np.float64).reshape(shape)


def _root(value: float, order: float) -> float:
    return float(math.sqrt(value) if order == 2 else value ** (1 / order))
