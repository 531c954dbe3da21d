r"""Policies that optimise a reward and must stay near a reference policy, exactly, in a tabular MDP.

Near in what they do in each state (`action_regularised`), or near in where they go (`occupancy_regularised`):

$$ \max_\pi J(\pi, \tilde R) - \lambda (1-\gamma) E \sum_t \gamma^t KL(\pi(\cdot|s_t) \| \pi_{ref}(\cdot|s_t)) $$
$$ \max_\pi J(\pi, \tilde R) - \lambda D(\mu_\pi, \mu_{ref}), \qquad J(\pi, R) = E_{\mu_\pi}[R]. $$

The second is concave in the occupancy, which natural policy gradient climbs: in each step the policy follows the
advantages of the reward $\tilde R - \lambda \, \partial D / \partial \mu$. How far the result is from the optimum is
bounded, not believed: no occupancy can be better by more than the best policy of that reward is.

Reference: Laidlaw, Singhal and Dragan 2024 (arXiv 2403.03185).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from jaxtyping import Float

from trueward.measures.divergences import chi_squared, kl, total_variation
from trueward.measures.tabular import TabularMDP, action_values, occupancy, optimal, soft_optimal

OccupancyDivergence: TypeAlias = Literal["chi2", "sqrt_chi2", "kl", "tv"]
Over: TypeAlias = Literal["state_action", "state"]

_SMOOTH = 1e-4
"""Added to χ² under the root, whose slope at 0 is infinite."""
_LARGEST_STEP = 1e4
_DONE = 1e-12


@dataclass(frozen=True)
class Regularised:
    """A policy near its reference.

    Attributes:
        policy: probability of each action.
        occupancy: where it goes.
        objective: J − λ D.
        gap: no policy has an objective higher by more than this.
    """

    policy: Float[np.ndarray, "s a"]
    occupancy: Float[np.ndarray, "s a"]
    objective: float
    gap: float


def action_regularised(
    mdp: TabularMDP, reward: Any, reference: Float[np.ndarray, "s a"], weight: float
) -> Float[np.ndarray, "s a"]:
    """The policy that earns most, less λ KL of its actions in each state: soft value iteration with a prior.

    Args:
        mdp: the world.
        reward: to optimise, in any form of `TabularMDP.expected`.
        reference: policy to stay near.
        weight: λ > 0.

    Raises:
        ValueError: λ is not above 0, or something does not fit the world.
    """
    return soft_optimal(mdp, reward, weight, reference).policy


def occupancy_regularised(
    mdp: TabularMDP,
    reward: Any,
    reference: Float[np.ndarray, "s a"],
    weight: float,
    divergence: OccupancyDivergence = "sqrt_chi2",
    *,
    over: Over = "state_action",
    steps: int = 250,
) -> Regularised:
    """The policy that earns most, less λ times how far its occupancy is from that of the reference.

    Args:
        mdp: the world, discounted.
        reward: to optimise, in any form of `TabularMDP.expected`.
        reference: policy to stay near. Where it never goes and a divergence needs that it does, the result never goes.
        weight: λ, not below 0.
        divergence: "chi2", "sqrt_chi2", "kl" or "tv".
        over: pairs of state and action, or states alone.
        steps: of natural policy gradient; steps that would lose are halved and count.

    Raises:
        ValueError: λ is negative, an unknown name, or something does not fit the world.
    """
    if weight < 0 or divergence not in _SLOPES or over not in ("state_action", "state"):
        raise ValueError(
            f"weight={weight!r}, divergence={divergence!r}, over={over!r}: expected a weight not below 0, one of "
            f"{', '.join(_SLOPES)}, and state_action or state"
        )
    problem = _Problem(mdp, mdp.expected(reward), reference, occupancy(mdp, reference), weight, divergence, over)
    with np.errstate(divide="ignore"):
        logits = np.log(reference)
    policy, occupied = reference, problem.nu
    value, size = problem.objective(occupied), 1.0
    for _ in range(steps):
        advantage = problem.advantages(policy, occupied)
        largest = float(np.abs(advantage).max())
        if largest < _DONE:
            break
        tried_logits = logits + size / problem.scale * advantage
        tried = _softmax(tried_logits)
        tried[mdp.terminal] = reference[mdp.terminal]
        visited = occupancy(mdp, tried)
        if (found := problem.objective(visited)) < value:
            size /= 2
            continue
        # Log-probabilities, so that logits do not grow for ever.
        logits = tried_logits - _log_sum(tried_logits)
        policy, occupied, value, size = tried, visited, found, min(1.5 * size, _LARGEST_STEP)
    return Regularised(policy, occupied, value, problem.gap(policy, occupied))


def occupancy_divergence(
    mu: Float[np.ndarray, "s a"],
    nu: Float[np.ndarray, "s a"],
    divergence: OccupancyDivergence,
    over: Over = "state_action",
) -> float:
    """D(μ, ν) as it is regularised: over pairs or states; √χ² without smoothing."""
    if over == "state":
        mu, nu = mu.sum(axis=1), nu.sum(axis=1)
    if divergence == "sqrt_chi2":
        return float(np.sqrt(chi_squared(mu, nu)))
    return {"chi2": chi_squared, "kl": kl, "tv": total_variation}[divergence](mu, nu)


@dataclass(frozen=True)
class _Problem:
    mdp: TabularMDP
    expected: np.ndarray
    reference: np.ndarray
    nu: np.ndarray
    weight: float
    divergence: OccupancyDivergence
    over: Over

    @property
    def scale(self) -> float:
        """What advantages are measured in: the spread of the reward, as a sum over the horizon."""
        mean = float((self.nu * self.expected).sum())
        spread = float(np.sqrt((self.nu * (self.expected - mean) ** 2).sum()))
        return (spread or 1.0) / (1.0 - self.mdp.discount)

    def objective(self, mu: np.ndarray) -> float:
        earned = float((mu * self.expected).sum())
        if self.weight == 0:
            return earned
        if self.divergence == "sqrt_chi2":
            squared = occupancy_divergence(mu, self.nu, "chi2", self.over)
            return earned - self.weight * float(np.sqrt(squared + _SMOOTH) - np.sqrt(_SMOOTH))
        return earned - self.weight * occupancy_divergence(mu, self.nu, self.divergence, self.over)

    def pseudo_reward(self, mu: np.ndarray) -> np.ndarray:
        """R − λ ∂D/∂μ. What it is at the end of an episode is paid, for all time after it, to whoever enters it."""
        slope = np.zeros_like(mu)
        if self.weight:
            pair = (mu, self.nu) if self.over == "state_action" else (mu.sum(axis=1), self.nu.sum(axis=1))
            slope += _SLOPES[self.divergence](*pair).reshape(len(mu), -1)
        reward = self.expected - self.weight * slope
        if not self.mdp.terminal.any():
            return reward
        ended = np.where(self.mdp.terminal, (self.reference * reward).sum(axis=1), 0.0)
        entering = self.mdp.backup(ended) * self.mdp.discount / (1.0 - self.mdp.discount)
        return np.where(self.mdp.terminal[:, None], 0.0, reward + entering)

    def advantages(self, policy: np.ndarray, mu: np.ndarray) -> np.ndarray:
        following = action_values(self.mdp, self.pseudo_reward(mu), policy)
        advantage: np.ndarray = following - (policy * following).sum(axis=1, keepdims=True)
        return advantage

    def gap(self, policy: np.ndarray, mu: np.ndarray) -> float:
        """max over occupancies of ⟨slope of the objective, μ' − μ⟩, which bounds a concave objective."""
        reward = self.pseudo_reward(mu)
        best = optimal(self.mdp, reward).values
        following = action_values(self.mdp, reward, policy)
        own = (policy * following).sum(axis=1)
        return float((1.0 - self.mdp.discount) * self.mdp.start @ (best - own))


def _ratio(mu: np.ndarray, nu: np.ndarray) -> np.ndarray:
    """μ/ν; 1 where neither is."""
    return np.where(nu > 0, mu / np.where(nu > 0, nu, 1.0), 1.0)


def _chi_slope(mu: np.ndarray, nu: np.ndarray) -> np.ndarray:
    return 2.0 * (_ratio(mu, nu) - 1.0)


def _root_slope(mu: np.ndarray, nu: np.ndarray) -> np.ndarray:
    slope: np.ndarray = (_ratio(mu, nu) - 1.0) / np.sqrt(chi_squared(mu, nu) + _SMOOTH)
    return slope


def _kl_slope(mu: np.ndarray, nu: np.ndarray) -> np.ndarray:
    slope: np.ndarray = np.log(np.maximum(_ratio(mu, nu), np.finfo(np.float64).tiny))
    return slope


def _variation_slope(mu: np.ndarray, nu: np.ndarray) -> np.ndarray:
    slope: np.ndarray = 0.5 * np.sign(mu - nu)
    return slope


# Up to a constant, which changes nothing because occupancies sum to 1.
_SLOPES = {"chi2": _chi_slope, "sqrt_chi2": _root_slope, "kl": _kl_slope, "tv": _variation_slope}


def _log_sum(logits: np.ndarray) -> np.ndarray:
    largest = logits.max(axis=1, keepdims=True)
    total: np.ndarray = largest + np.log(np.exp(logits - largest).sum(axis=1, keepdims=True))
    return total


def _softmax(logits: np.ndarray) -> np.ndarray:
    policy: np.ndarray = np.exp(logits - _log_sum(logits))
    return policy
