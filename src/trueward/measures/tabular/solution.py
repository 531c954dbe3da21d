"""Exact values of policies, and the policies that are best, worst, or best with a price on information.

With P the transitions under π and r(s) = Σ_a π(a|s) E R(s, a, s'), the values solve (I − γP) V = r. Policies improve by
policy iteration: an action changes only where it gains more than the rounding of that solve, so that equal actions
cannot take turns and the iteration ends.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from trueward.measures.tabular.linear import solve_forward
from trueward.measures.tabular.mdp import TabularMDP, check_policy, deterministic_policy, uniform_policy


@dataclass(frozen=True)
class Solution:
    """A policy and what it is worth.

    Attributes:
        values: of each state.
        action_values: of each action, followed by the policy.
        policy: probability of each action.
    """

    values: Float[np.ndarray, " s"]
    action_values: Float[np.ndarray, "s a"]
    policy: Float[np.ndarray, "s a"]


def policy_values(mdp: TabularMDP, reward: Any, policy: Float[np.ndarray, "s a"]) -> Float[np.ndarray, " s"]:
    """Discounted return of a policy from each state: V = (I − γP)⁻¹ r.

    Args:
        mdp: the world.
        reward: in any form that `TabularMDP.expected` takes.
        policy: probability of each action.

    Raises:
        ValueError: the policy or the reward does not fit the world.
    """
    check_policy(mdp, policy)
    return _evaluate(mdp, mdp.expected(reward), policy)


def action_values(mdp: TabularMDP, reward: Any, policy: Float[np.ndarray, "s a"]) -> Float[np.ndarray, "s a"]:
    """Discounted return of one action followed by a policy: Q = r + γ τV.

    Raises:
        ValueError: the policy or the reward does not fit the world.
    """
    check_policy(mdp, policy)
    expected = mdp.expected(reward)
    return _lookahead(mdp, expected, _evaluate(mdp, expected, policy))


def expected_return(mdp: TabularMDP, reward: Any, policy: Float[np.ndarray, "s a"]) -> float:
    """J(π, R): discounted return from where episodes begin.

    Raises:
        ValueError: the policy or the reward does not fit the world.
    """
    return float(mdp.start @ policy_values(mdp, reward, policy))


def optimal(mdp: TabularMDP, reward: Any) -> Solution:
    """The best deterministic policy; of actions that are equally good, the first.

    Raises:
        ValueError: the reward does not fit the world.

    Reference:
        Puterman, Markov Decision Processes, section 6.4 (policy iteration).
    """
    expected = mdp.expected(reward)
    action = expected.argmax(axis=1)
    states = np.arange(mdp.states)
    total = -np.inf
    while True:
        values = _evaluate(mdp, expected, deterministic_policy(mdp, action))
        following = _lookahead(mdp, expected, values)
        rounding = _rounding(mdp, values)
        gains = following.max(axis=1) > following[states, action] + rounding
        # Each change of the policy raises the sum of its values; if it does not, only rounding is left.
        if not gains.any() or values.sum() <= total:
            first = (following >= following.max(axis=1, keepdims=True) - rounding).argmax(axis=1)
            return Solution(values, following, deterministic_policy(mdp, first))
        total = values.sum()
        action = np.where(gains, following.argmax(axis=1), action)


def worst(mdp: TabularMDP, reward: Any) -> Solution:
    """The deterministic policy that earns least; of actions that are equally bad, the first.

    Raises:
        ValueError: the reward does not fit the world.
    """
    best = optimal(mdp, -mdp.expected(reward))
    return Solution(-best.values, -best.action_values, best.policy)


def soft_optimal(
    mdp: TabularMDP, reward: Any, temperature: float, prior: Float[np.ndarray, "s a"] | None = None
) -> Solution:
    """The policy that is best with a price on information, by exact soft policy iteration.

    Maximises E Σ_t γ^t [R + T·H(π(·|s_t))], or with a prior E Σ_t γ^t [R − T·KL(π(·|s_t) ‖ prior(·|s_t))]:
    π(a|s) ∝ prior(a|s)·exp(Q(s, a)/T), V(s) = T·log Σ_a prior(a|s)·exp(Q(s, a)/T). Each round evaluates its policy
    exactly, which is Newton's method on the soft Bellman equation and converges quadratically.

    Args:
        mdp: the world.
        reward: in any form that `TabularMDP.expected` takes.
        temperature: T > 0.
        prior: policy to stay near; actions to which it gives 0 are never taken. None for plain entropy.

    Returns:
        Values with the price included. `action_values` are R + γ τV, without the price of the action itself.

    Raises:
        ValueError: the temperature is not positive, or something does not fit the world.

    Reference:
        Haarnoja et al. 2018, arXiv 1801.01290, section 4.1 (soft policy iteration).
    """
    if not temperature > 0 or not np.isfinite(temperature):
        raise ValueError(f"the temperature is {temperature}; expected a positive number (for 0 use optimal)")
    if prior is not None:
        check_policy(mdp, prior)
    expected = mdp.expected(reward)
    with np.errstate(divide="ignore"):
        log_prior = np.zeros_like(expected) if prior is None else np.log(prior)
    policy = uniform_policy(mdp) if prior is None else prior
    previous = np.full(mdp.states, -np.inf)
    while True:
        priced = expected - temperature * _information(mdp, policy, log_prior)[:, None]
        values = _evaluate(mdp, priced, policy)
        following = _lookahead(mdp, expected, values)
        policy = _softmax(following / temperature + log_prior)
        # Values rise in every round until only rounding is left.
        if not (values > previous + _rounding(mdp, values)).any() or values.sum() <= previous.sum():
            return Solution(values, following, policy)
        previous = values


def _information(
    mdp: TabularMDP, policy: Float[np.ndarray, "s a"], log_prior: Float[np.ndarray, "s a"]
) -> Float[np.ndarray, " s"]:
    """Σ_a π log(π/prior) in each state; nothing is paid in terminal states."""
    taken = policy > 0
    ratio = np.log(np.where(taken, policy, 1.0)) - np.where(taken, log_prior, 0.0)
    return np.where(mdp.terminal, 0.0, (policy * ratio).sum(axis=1))


def _softmax(logits: Float[np.ndarray, "s a"]) -> Float[np.ndarray, "s a"]:
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    normalised: np.ndarray = exponentials / exponentials.sum(axis=1, keepdims=True)
    return normalised


def _lookahead(
    mdp: TabularMDP, expected: Float[np.ndarray, "s a"], values: Float[np.ndarray, " s"]
) -> Float[np.ndarray, "s a"]:
    return expected + mdp.discount * mdp.backup(values)


def _evaluate(
    mdp: TabularMDP, expected: Float[np.ndarray, "s a"], policy: Float[np.ndarray, "s a"]
) -> Float[np.ndarray, " s"]:
    return solve_forward(mdp, policy, (policy * expected).sum(axis=1))


def _rounding(mdp: TabularMDP, values: Float[np.ndarray, " s"]) -> float:
    """What values of this size may be off by: machine precision times the condition of the solve, 1/(1 − γ)."""
    condition = mdp.states if mdp.discount == 1.0 else min(1.0 / (1.0 - mdp.discount), 1e9)
    return float(64 * np.finfo(np.float64).eps * condition * np.abs(values).max())
