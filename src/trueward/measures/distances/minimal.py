"""The smallest reward among those that differ from a given one only by what changes no policy's rank.

In the L₂ norm it is a linear function of the reward and has a closed form. In L₁ and L∞ there may be many smallest
ones, no choice among them is linear, and what is not linear is no canonicalisation: these are refused.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from trueward.measures.distances.form import Form
from trueward.measures.distances.norms import Norm
from trueward.measures.tabular import TabularMDP


def minimal(given: Form, expected: Float[np.ndarray, "s a"], mdp: TabularMDP, norm: Norm) -> Form:
    """Smallest reward up to shaping and redistribution over next states.

    Redistribution leaves only e(s, a) = E_τ R. With a potential Φ this is e' = e + γ E_τ Φ − Φ, the smallest reward
    of that mean is c(s, a, s') = τ(s'|s, a) e'(s, a) / ‖τ(s, a)‖², of squared norm Σ e'² / ‖τ(s, a)‖², and Φ is the
    solution of least squares with weights 1 / ‖τ(s, a)‖². In the weighted norm the smallest one is e' itself, with
    equal weights.

    Args:
        given: the reward.
        expected: e.
        mdp: the world; terminal states pay nothing and have potential 0.
        norm: 2, or the weighted 2.

    Raises:
        ValueError: another norm.

    Reference: Skalse et al. 2024, arXiv 2309.15257, definition of minimal canonicalisation; the closed form is ours.
    """
    _require_linear(norm, "minimal")
    squares = np.ones_like(expected) if norm.weighted else _sum_of_squares(mdp)
    potential = _least_squares(mdp, expected, 1 / squares)
    rest = expected + mdp.discount * mdp.backup(potential) - potential[:, None]
    rest[mdp.terminal] = 0.0
    scale = given.scale + 2 * float(np.abs(potential).max())
    if norm.weighted:
        return Form(None, rest, scale=scale, precision=given.precision)
    ratio = rest / squares
    if mdp.is_sparse:
        from scipy.sparse import diags

        core = (diags(ratio.ravel()) @ mdp.transitions).tocsr()
    else:
        core = mdp.transitions * ratio[:, :, None]
    return Form(core, np.zeros_like(rest), scale=scale, precision=given.precision)


def minimal_potential(given: Form, mdp: TabularMDP, norm: Norm) -> Form:
    """Smallest reward up to shaping: R + γΦ(s') − Φ(s), with Φ by least squares over all transitions.

    In the plain norm the normal equations are (aI − b11ᵀ) Φ = right side with a = A(S + nγ²) and b = 2γA, for n states
    that are not terminal; in the weighted norm they are as large and as sparse as the transitions.

    Args:
        given: the reward.
        mdp: the world; terminal states pay nothing and have potential 0.
        norm: 2, or the weighted 2.

    Raises:
        ValueError: another norm.
    """
    _require_linear(norm, "minimal_potential")
    potential = (_weighted_potential if norm.weighted else _plain_potential)(given, mdp)
    return dataclasses.replace(
        given,
        row=given.row - potential[:, None],
        column=mdp.discount * potential,
        live=~mdp.terminal,
        scale=given.scale + 2 * float(np.abs(potential).max()),
    )


def _require_linear(norm: Norm, kind: str) -> None:
    if norm.order != 2:
        raise ValueError(
            f"{kind} needs the norm 2 or 'weighted_2', got order {norm.order:g}: in other norms the smallest reward is "
            "not unique, hence no linear function of the reward, hence no canonicalisation"
        )


def _sum_of_squares(mdp: TabularMDP) -> Float[np.ndarray, "s a"]:
    if mdp.is_sparse:
        summed = np.asarray(mdp.transitions.multiply(mdp.transitions).sum(axis=1))
        return summed.reshape(mdp.states, mdp.actions)
    squares: np.ndarray = np.einsum("iaj,iaj->ia", mdp.transitions, mdp.transitions)
    return squares


def _least_squares(
    mdp: TabularMDP, target: Float[np.ndarray, "s a"], weights: Float[np.ndarray, "s a"]
) -> Float[np.ndarray, " s"]:
    """Φ that minimises Σ w (e + γ E_τ Φ − Φ)² over states that are not terminal."""
    kept = np.flatnonzero(~mdp.terminal)
    rows = (kept[:, None] * mdp.actions + np.arange(mdp.actions)).ravel()
    own = np.repeat(np.arange(len(kept)), mdp.actions)
    weight, right = weights[kept].ravel(), target[kept].ravel()
    design, solve = (_sparse_system if mdp.is_sparse else _dense_system)(mdp, rows, kept, own, weight)
    solution = -solve(design.T @ (weight * right))
    # Normal equations square the condition; one step of refinement gives the lost digits back.
    solution = solution - solve(design.T @ (weight * (right + design @ solution)))
    return _spread(solution, kept, mdp.states)


Index = Int[np.ndarray, " _"]
System = tuple[Any, Callable[[np.ndarray], np.ndarray]]


def _dense_system(mdp: TabularMDP, rows: Index, kept: Index, own: Index, weight: np.ndarray) -> System:
    from scipy.linalg import cho_factor, cho_solve

    design = mdp.discount * (mdp.flat if len(kept) == mdp.states else mdp.flat[np.ix_(rows, kept)])
    design[np.arange(len(rows)), own] -= 1.0
    weighted = np.sqrt(weight)[:, None] * design
    # Of one array with itself, which NumPy hands to a routine of half the cost.
    factor = cho_factor(weighted.T @ weighted, check_finite=False)
    return design, lambda right: np.asarray(cho_solve(factor, right, check_finite=False))


def _sparse_system(mdp: TabularMDP, rows: Index, kept: Index, own: Index, weight: np.ndarray) -> System:
    from scipy.sparse import csr_matrix, diags
    from scipy.sparse.linalg import splu

    identity = csr_matrix((np.ones(len(rows)), (np.arange(len(rows)), own)), shape=(len(rows), len(kept)))
    design = (mdp.discount * mdp.transitions[rows][:, kept] - identity).tocsr()
    return design, splu((design.T @ diags(weight) @ design).tocsc()).solve


def _plain_potential(given: Form, mdp: TabularMDP) -> Float[np.ndarray, " s"]:
    s, a, discount = mdp.states, mdp.actions, mdp.discount
    kept = np.flatnonzero(~mdp.terminal)
    n = len(kept)
    outgoing = s * given.row.sum(axis=1)
    incoming = np.full(s, given.row[kept].sum())
    if given.core is not None:
        outgoing = outgoing + np.asarray(_flat(given.core).sum(axis=1)).reshape(s, a).sum(axis=1)
        incoming = incoming + _into(_flat(given.core), mdp)
    right = (outgoing - discount * incoming)[kept]
    diagonal, off = a * (s + n * discount**2), 2 * discount * a
    solution = (right + off * right.sum() / (diagonal - off * n)) / diagonal
    return _spread(solution, kept, s)


def _weighted_potential(given: Form, mdp: TabularMDP) -> Float[np.ndarray, " s"]:
    """Normal equations of Σ τ (R + γΦ(s') − Φ(s))²: diag(A + γ² arriving) − γ(Σ_a τ + its transpose)."""
    s, a, discount = mdp.states, mdp.actions, mdp.discount
    kept = np.flatnonzero(~mdp.terminal)
    weighted = _weighted_reward(given, mdp)
    outgoing = np.asarray(weighted.sum(axis=1)).reshape(s, a).sum(axis=1)
    right = (outgoing - discount * _into(weighted, mdp))[kept]
    diagonal = a + discount**2 * _into(mdp.flat, mdp)[kept]
    if not mdp.is_sparse:
        among = mdp.transitions.sum(axis=1)[np.ix_(kept, kept)]
        system = np.diag(diagonal) - discount * (among + among.T)
        return _spread(np.linalg.solve(system, right), kept, s)
    from scipy.sparse import diags
    from scipy.sparse.linalg import splu

    among = mdp.under(np.ones((s, a)))[kept][:, kept]
    system = (diags(diagonal) - discount * (among + among.T)).tocsc()
    return _spread(np.asarray(splu(system).solve(right)), kept, s)


def _weighted_reward(given: Form, mdp: TabularMDP) -> Any:
    """τ(s'|s, a) R(s, a, s') as [S·A, S], dense or sparse."""
    flat, row = mdp.flat, given.row.reshape(-1, 1)
    core = None if given.core is None else _flat(given.core)
    if not mdp.is_sparse and (core is None or isinstance(core, np.ndarray)):
        return flat * (row if core is None else row + core)
    from scipy.sparse import csr_matrix

    flat = csr_matrix(flat)
    weighted = flat.multiply(row)
    return csr_matrix(weighted if core is None else weighted + flat.multiply(core))


def _into(matrix: Any, mdp: TabularMDP) -> Float[np.ndarray, " s"]:
    """Sums of [S·A, S] over the actions of states that are not terminal."""
    counted = np.repeat((~mdp.terminal).astype(np.float64), mdp.actions)
    return np.asarray(matrix.T @ counted).reshape(-1)


def _flat(core: Any) -> Any:
    return core.reshape(-1, core.shape[-1]) if isinstance(core, np.ndarray) else core


def _spread(solution: np.ndarray, kept: Index, states: int) -> Float[np.ndarray, " s"]:
    potential = np.zeros(states)
    potential[kept] = solution
    return potential
