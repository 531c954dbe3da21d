"""Linear equations of a policy's chain: what is earned from each state on, and how often each is visited.

Dense chains are solved directly. Sparse ones first by a few iterations of a Krylov method, which suit chains that mix
fast, where a factorisation would fill up; and where these do not arrive at the accuracy of a direct solution, as in
long corridors, by a sparse factorisation, which stays thin just there.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float

from trueward.measures.tabular.mdp import TabularMDP

_ITERATIONS = 100
"""Iterations before a factorisation is tried: some hundred products with the transitions, little beside it."""
_REFINEMENTS = 2
_RESIDUAL = 16 * float(np.finfo(np.float64).eps)
"""What a direct solution leaves, relative to the largest number in the equation."""


def solve_forward(
    mdp: TabularMDP, policy: Float[np.ndarray, "s a"], quantity: Float[np.ndarray, "s *k"]
) -> Float[np.ndarray, "s *k"]:
    """Σ_t γ^t E[x(s_t)] from each state under a policy: (I − γP)⁻¹ x, with terminal states worth x once.

    Several quantities are solved for with one factorisation.

    Args:
        mdp: the world.
        policy: probability of each action; not checked.
        quantity: x, one or more numbers per state.
    """
    return _solve(_system(mdp, policy), quantity)


def solve_backward(
    mdp: TabularMDP, policy: Float[np.ndarray, "s a"], weights: Float[np.ndarray, "s *k"]
) -> Float[np.ndarray, "s *k"]:
    """Discounted number of visits of each state, begun with the given weights: (I − γP)⁻ᵀ w.

    Terminal states count once, when they are entered.

    Args:
        mdp: the world.
        policy: probability of each action; not checked.
        weights: w, how much begins in each state.
    """
    return _solve(_system(mdp, policy).T, weights)


def _system(mdp: TabularMDP, policy: Float[np.ndarray, "s a"]) -> Any:
    """I − γP, with nothing following after terminal states: regular even where γ is 1."""
    going_on = np.where(mdp.terminal, 0.0, mdp.discount)
    chain = mdp.under(policy)
    if mdp.is_sparse:
        from scipy import sparse

        return sparse.identity(mdp.states, format="csr") - sparse.diags(going_on) @ chain
    system = -going_on[:, None] * chain
    system[np.diag_indices(mdp.states)] += 1.0
    return system


def _solve(system: Any, right: Float[np.ndarray, "s *k"]) -> Float[np.ndarray, "s *k"]:
    if isinstance(system, np.ndarray):
        return np.linalg.solve(system, right)
    columns = np.asarray(right, dtype=np.float64).reshape(len(right), -1)
    # Where each state leads to one other, a factorisation has nothing to fill.
    if system.nnz > 2 * len(right):
        iterated = [_iterated(system, column) for column in columns.T]
        if all(column is not None for column in iterated):
            return np.stack([column for column in iterated if column is not None], axis=1).reshape(right.shape)
    from scipy.sparse.linalg import splu

    solved: np.ndarray = splu(system.tocsc()).solve(columns).reshape(right.shape)
    return solved


def _iterated(system: Any, right: Float[np.ndarray, " s"]) -> Float[np.ndarray, " s"] | None:
    """The solution by BiCGSTAB with refinement; None where it is not as good as a direct one."""
    from scipy.sparse.linalg import bicgstab

    solved: np.ndarray = np.zeros_like(right)
    for _ in range(1 + _REFINEMENTS):
        # Only what it leaves counts: it reports failure, too, where nothing but rounding was left to reduce.
        step, _ = bicgstab(system, right - system @ solved, rtol=1e-8, atol=0.0, maxiter=_ITERATIONS)
        solved = solved + np.asarray(step)
        left = np.abs(right - system @ solved).max()
        if left <= _RESIDUAL * max(np.abs(right).max(), np.abs(solved).max()):
            return solved
    return None
