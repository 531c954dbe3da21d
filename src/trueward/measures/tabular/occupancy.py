"""Where a policy spends its time: occupancy measures, and the policies that belong to them.

μ(s, a) = (1 − γ) Σ_t γ^t P(s_t = s, a_t = a) sums to 1, and J(π, R) = E_μ[R]/(1 − γ): returns are linear in it, which
is what divergences between occupancies rest on.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from trueward.measures.tabular.linear import solve_backward
from trueward.measures.tabular.mdp import TabularMDP, check_policy


def state_occupancy(mdp: TabularMDP, policy: Float[np.ndarray, "s a"]) -> Float[np.ndarray, " s"]:
    """Share of the discounted time in each state: d = (1 − γ)(I − γPᵀ)⁻¹ μ₀.

    An episode that is over stays where it ended.

    Raises:
        ValueError: the policy does not fit the world, or γ is 1, where time has no shares.
    """
    check_policy(mdp, policy)
    if mdp.discount == 1.0:
        raise ValueError("occupancy measures need a discount below 1: without it all time is spent after the end")
    visits = solve_backward(mdp, policy, mdp.start)
    # Rounding may leave a state that is never visited at −1e-17.
    return np.maximum(np.where(mdp.terminal, visits, (1.0 - mdp.discount) * visits), 0.0)


def occupancy(mdp: TabularMDP, policy: Float[np.ndarray, "s a"]) -> Float[np.ndarray, "s a"]:
    """Share of the discounted time in each state with each action: μ(s, a) = d(s) π(a|s).

    Raises:
        ValueError: the policy does not fit the world, or γ is 1.
    """
    occupied: np.ndarray = state_occupancy(mdp, policy)[:, None] * policy
    return occupied


def policy_of(occupied: Float[np.ndarray, "s a"]) -> Float[np.ndarray, "s a"]:
    """The policy with a given occupancy: π(a|s) = μ(s, a)/Σ_a μ(s, a); uniform where the state is never visited."""
    visited = occupied.sum(axis=1, keepdims=True)
    uniform = np.full_like(occupied, 1.0 / occupied.shape[1])
    policy: np.ndarray = np.where(visited > 0, occupied / np.where(visited > 0, visited, 1.0), uniform)
    return policy
