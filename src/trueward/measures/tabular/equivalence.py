"""Rewards that order all policies alike: potential shaping and S'-redistribution.

Two rewards order the policies of an MDP identically exactly if they differ by these two and a positive factor. A
distance between rewards must not see them; these make the pairs on which that is tested.

Reference:
    Skalse et al. 2024, arXiv 2309.15257, section 2.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float

from trueward.measures.tabular.forms import as_sparse, as_transition_reward
from trueward.measures.tabular.mdp import TabularMDP
from trueward.measures.tabular.successors import successors


def shaped(reward: Any, potential: Float[np.ndarray, " s"], mdp: TabularMDP) -> Any:
    """R(s, a, s') + γΦ(s') − Φ(s).

    The return of every policy changes by the same −E_μ₀ Φ.

    Args:
        reward: [S], [S, A], [S, A, S] or scipy.sparse [S·A, S].
        potential: Φ; 0 in terminal states.
        mdp: the world.

    Returns:
        [S, A, S]; for sparse transitions a sparse [S·A, S] with entries for possible steps only.

    Raises:
        ValueError: Φ is not 0 in a terminal state, which would pay for ending, or a shape does not fit.

    Reference:
        Ng, Harada and Russell 1999.
    """
    if potential.shape != (mdp.states,):
        raise ValueError(
            f"the potential has shape {potential.shape}; expected one number for each of {mdp.states} states"
        )
    if (potential[mdp.terminal] != 0).any():
        raise ValueError(
            "the potential is not 0 in every terminal state; what is left of it there is paid for ending and changes "
            "which policy is best: set potential[mdp.terminal] to 0"
        )
    if mdp.is_sparse:
        steps = successors(mdp)
        earned = steps.reward(reward) + mdp.discount * potential[steps.next_state] - potential[steps.state]
        return as_sparse(steps, earned)
    return as_transition_reward(reward, mdp) + mdp.discount * potential[None, None, :] - potential[:, None, None]


def redistributed(reward: Any, mdp: TabularMDP, generator: np.random.Generator, scale: float = 1.0) -> Any:
    """Another R with the same E_{s'~τ(s,a)} R(s, a, s') for every action.

    Normal noise is added to every entry and its mean under τ is taken away, so that what is paid for steps that cannot
    happen becomes arbitrary.

    Args:
        reward: [S], [S, A], [S, A, S] or scipy.sparse [S·A, S].
        mdp: the world.
        generator: source of randomness.
        scale: standard deviation of the noise.

    Returns:
        [S, A, S]; for sparse transitions a sparse [S·A, S] with entries for possible steps only.

    Raises:
        ValueError: the reward does not fit the world.
    """
    if mdp.is_sparse:
        steps = successors(mdp)
        noise = generator.normal(0.0, scale, len(steps.next_state))
        mean = np.bincount(steps.row, weights=steps.probability * noise, minlength=mdp.states * mdp.actions)
        return as_sparse(steps, steps.reward(reward) + noise - mean[steps.row])
    noise = generator.normal(0.0, scale, mdp.transitions.shape)
    mean = np.einsum("sat,sat->sa", mdp.transitions, noise)
    return as_transition_reward(reward, mdp) + noise - mean[:, :, None]
