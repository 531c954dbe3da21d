"""What it costs to optimise the wrong reward, exactly, and how a distance bounds it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from trueward.measures.distances.canonical import Kind
from trueward.measures.distances.norms import Norm, norm_named
from trueward.measures.distances.starc import starc_distance
from trueward.measures.tabular import TabularMDP, expected_return, optimal, solve_forward, worst

_TIE = 1e-10  # relative to the numbers involved: below it, differences of returns are rounding


@dataclass(frozen=True)
class Regret:
    """Normalised regret of two rewards in each other's eyes.

    Attributes:
        first: share of what can be won under the first reward that is lost by optimising the second.
        second: the other way round.
    """

    first: float
    second: float

    @property
    def mean(self) -> float:
        """Mean of both; NaN where one is."""
        return (self.first + self.second) / 2

    @property
    def largest(self) -> float:
        """The larger of both; NaN where one is."""
        return math.nan if math.isnan(self.first + self.second) else max(self.first, self.second)


def normalised_regret(a: Any, b: Any, mdp: TabularMDP) -> Regret:
    """What is lost under each of two rewards when the other one is optimised.

    reg₁ = (J₁(π*₁) − J₁(π*₂)) / (J₁(π*₁) − min_π J₁(π)), with exact returns. Where several policies are optimal for the
    second reward, the one that is worst for the first counts: an optimiser may find any of them.

    Args:
        a, b: rewards [S], [S, A], [S, A, S] or sparse [S·A, S].
        mdp: the world.

    Returns:
        Two numbers in [0, 1]; NaN for a reward under which all policies earn the same.

    Reference: Skalse et al. 2024, "STARC", section 5.
    """
    table = regrets([a, b], mdp)
    return Regret(float(table[0, 1]), float(table[1, 0]))


def regrets(rewards: Sequence[Any], mdp: TabularMDP) -> Float[np.ndarray, "r r"]:
    """Normalised regret under reward i of optimising reward j, for all pairs; each reward is solved once.

    Returns:
        [R, R]; rows of NaN for rewards under which all policies earn the same.
    """
    expected = np.stack([mdp.expected(reward) for reward in rewards])
    highest, lowest, chosen, ties = [], [], [], []
    for table in expected:
        best, least = optimal(mdp, table), worst(mdp, table)
        highest.append(float(mdp.start @ best.values))
        lowest.append(float(mdp.start @ least.values))
        chosen.append(best.policy)
        ties.append(_equally_good(best.action_values, table))
    earned = np.empty((len(expected), len(expected)))
    for j, policy in enumerate(chosen):
        values = solve_forward(mdp, policy, np.einsum("sa,rsa->sr", policy, expected))
        earned[:, j] = mdp.start @ values
        if ties[j][~mdp.terminal].sum(axis=1).max(initial=1) > 1:
            earned[:, j] = _lowest_among(mdp, expected, ties[j])
    best_returns = np.array(highest)[:, None]
    spread = best_returns - np.array(lowest)[:, None]
    size = np.abs(expected).max(axis=(1, 2))[:, None] + np.abs(best_returns)
    with np.errstate(divide="ignore", invalid="ignore"):
        lost = np.where(spread > _TIE * size, (best_returns - earned) / spread, np.nan)
    return np.clip(lost, 0.0, 1.0)


def worst_case_regret(a: Any, b: Any, mdp: TabularMDP) -> float:
    """The most that can be lost under one reward by a change of policy that another reward approves of.

    max {J₁(π₁) − J₁(π₂) : J₂(π₂) ≥ J₂(π₁)} / (max J₁ − min J₁), which is min_{λ ≥ 0} range(R₁ − λR₂) / range(R₁) with
    range(R) = max_π J − min_π J: returns are linear in the occupancy of a policy, so that this is the dual of a linear
    program, and exact. It is convex and piecewise linear in λ, and is minimised by following its tangents.

    Args:
        a: R₁, the reward by which is judged.
        b: R₂, the reward that is optimised.
        mdp: the world.

    Returns:
        In [0, 1]; 0 where R₂ orders all policies as R₁ does, 1 where it may approve of going from the best policy to
        the worst. NaN where all policies earn the same under R₁.
    """
    first, second = mdp.expected(a), mdp.expected(b)
    full, other = _range(mdp, first)[0], _range(mdp, second)[0]
    if full <= _TIE * float(np.abs(first).max()):
        return math.nan
    if other <= _TIE * float(np.abs(second).max()):
        return 1.0
    first, second = first / full, second / other

    def tangent(factor: float) -> tuple[float, float, float]:
        value, highest, lowest = _range(mdp, first - factor * second)
        slope = expected_return(mdp, second, lowest) - expected_return(mdp, second, highest)
        return factor, value, slope

    # range(R₁ − λR₂) ≥ λ − 1 here, so that its minimum lies at or below λ = 2.
    left, right = tangent(0.0), tangent(2.0)
    if left[2] >= 0:
        return 1.0
    while True:
        factor = (left[1] - right[1] + right[2] * right[0] - left[2] * left[0]) / (right[2] - left[2])
        below = left[1] + left[2] * (factor - left[0])
        middle = tangent(factor)
        if middle[1] - below <= 1e-12 or abs(middle[2]) <= 1e-12:
            return min(1.0, max(0.0, middle[1]))
        left, right = (middle, right) if middle[2] < 0 else (left, middle)


@dataclass(frozen=True)
class BoundRatios:
    """How tightly a distance bounds the worst regret of two rewards.

    Attributes:
        distance: d.
        regret: the normalised worst-case regret; see `worst_case_regret`.
        ratio: regret / distance. The constants of the theorems lie outside of all ratios: U at or above the largest,
            L at or below the smallest. NaN where the distance is 0 but for rounding.
        lower, upper: constants that hold for all rewards in this world, L and U; see `regret_constants`. 0 and infinity
            where none are known.
    """

    distance: float
    regret: float
    ratio: float
    lower: float
    upper: float


def bound_ratios(
    a: Any,
    b: Any,
    mdp: TabularMDP,
    *,
    canonical: Kind = "value",
    norm: int | float | str = 2,
    metric: int | float | str = 2,
) -> BoundRatios:
    """Distance and exact worst-case regret of two rewards, and the constants between which their ratio must lie.

    Args:
        a: the reward by which is judged.
        b: the reward that is optimised.
        mdp: the world.
        canonical, norm, metric: as for `starc_distance`.
    """
    distance = starc_distance(a, b, mdp, canonical=canonical, norm=norm, metric=metric)
    regret = worst_case_regret(a, b, mdp)
    known = canonical == "value" and norm_named(norm) == norm_named(metric) == Norm(2.0)
    lower, upper = regret_constants(mdp) if known else (0.0, math.inf)
    return BoundRatios(distance, regret, regret / distance if distance > _TIE else math.nan, lower, upper)


def regret_constants(mdp: TabularMDP) -> tuple[float, float]:
    """L and U with L·d ≤ worst-case regret ≤ U·d, for "value" under the uniform policy with the L₂ norm.

    U = √(A/2) / ((1 − γ) min_s μ₀(s)), L = 1 / (2U). For an advantage x, range(x) ≤ √2 ‖x‖ / (1 − γ), because two
    occupancies are at most √2 apart; and range(x) ≥ min μ₀ · Σ_s (max_a x − min_a x) ≥ 2 min μ₀ ‖x‖ / √A, because
    acting greedily on x earns that much in the first step alone and x has mean 0 in every state. U is the ratio of the
    two, and L follows from min_λ ‖x₁ − λx₂‖ ≥ ½ ‖x₁‖ d.

    Returns:
        (0, infinity) where an episode cannot begin in some state, or the discount is 1.
    """
    rarest = float(mdp.start[~mdp.terminal].min(initial=1.0))
    if rarest <= 0 or mdp.discount >= 1:
        return 0.0, math.inf
    upper = math.sqrt(mdp.actions / 2) / ((1 - mdp.discount) * rarest)
    return 1 / (2 * upper), upper


def _range(mdp: TabularMDP, expected: Float[np.ndarray, "s a"]) -> tuple[float, np.ndarray, np.ndarray]:
    """max_π J − min_π J, and the two policies."""
    best, least = optimal(mdp, expected), worst(mdp, expected)
    return float(mdp.start @ (best.values - least.values)), best.policy, least.policy


def _equally_good(
    action_values: Float[np.ndarray, "s a"], expected: Float[np.ndarray, "s a"]
) -> Bool[np.ndarray, "s a"]:
    size = float(np.abs(expected).max() + np.abs(action_values).max())
    return np.asarray(action_values >= action_values.max(axis=1, keepdims=True) - _TIE * size)


def _lowest_among(mdp: TabularMDP, rewards: np.ndarray, allowed: Bool[np.ndarray, "s a"]) -> list[float]:
    """Lowest return of a policy that takes allowed actions only, under each reward [R, S, A]: the other actions become
    copies of an allowed one.
    """
    stands_for = np.where(allowed, np.arange(mdp.actions), allowed.argmax(axis=1)[:, None])
    rows = (np.arange(mdp.states)[:, None] * mdp.actions + stands_for).ravel()
    transitions = mdp.flat[rows] if mdp.is_sparse else mdp.flat[rows].reshape(mdp.transitions.shape)
    narrowed = TabularMDP(transitions, mdp.start, mdp.discount, mdp.terminal)
    kept = rewards.reshape(len(rewards), -1)[:, rows].reshape(rewards.shape)
    return [float(mdp.start @ worst(narrowed, expected).values) for expected in kept]
