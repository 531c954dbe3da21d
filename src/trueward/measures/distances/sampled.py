"""Distances of rewards that are functions, on spaces too big for tables: estimates with intervals."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Shaped

from trueward.measures.distances.bandit import angle_distance
from trueward.measures.resampling import RESAMPLES, resampled_means, sums_by

RewardFunction = Callable[[Any, Any, Any], Float[np.ndarray, " n"]]
"""Observations, actions and next observations, each with N rows, to N rewards."""

Simulator = Callable[[Any, Any, np.random.Generator], Any]
"""Observations and actions to one draw of the next observations; or to a pair of these and which of them are over."""

Values = Callable[[Any], Float[np.ndarray, " n"]]
"""Observations to values."""

_ROWS = 1 << 20  # rows that a reward function is given at a time
_ROUNDING = 1e-10  # relative to the numbers that a canonical reward is the difference of


@dataclass(frozen=True)
class SampledDistance:
    """An estimated distance.

    Attributes:
        distance: the estimate.
        low, high: 95 % interval from resampling units.
        units: number of independent units: episodes where they are known, otherwise rows.
    """

    distance: float
    low: float
    high: float
    units: int


def sampled_starc_distance(
    a: RewardFunction,
    b: RewardFunction,
    observation: Shaped[np.ndarray, "n *o"],
    action: Shaped[np.ndarray, "n *c"],
    simulate: Simulator,
    values_a: Values,
    values_b: Values,
    *,
    discount: float,
    draws: int = 1,
    episode: Shaped[np.ndarray, " n"] | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> SampledDistance:
    """STARC distance with value-adjusted levelling and L₂ norms over a sample of observations and actions.

    c(s, a) = E_{S'~τ(s,a)}[R(s, a, S') − V(s) + γV(S')] and d = √(2 − 2ρ), with ρ the cosine of the two canonical
    rewards. With K ≥ 2 draws of S' the products are taken between different draws, (ΣxΣy − Σxy) / (K(K − 1)), so that
    what scatters in S' does not count as a difference; with one draw the simulator must be deterministic.

    Args:
        a, b: rewards.
        observation, action: the sample over which rewards are compared; N rows.
        simulate: draws S'. For recorded transitions of a deterministic environment, `lambda o, a, g: recorded`.
        values_a, values_b: value of one and the same policy under each reward, as from `fit_values`.
        discount: γ.
        draws: K.
        episode: of each row, where rows come from episodes: they are drawn together for the interval.
        resamples: for the interval, which covers the sample and the draws and takes the values as given.
        seed: of the draws and the resampling.

    Returns:
        A distance in [0, 2]; 1 where one of the rewards is trivial.

    Raises:
        ValueError: a reward or a value is not one finite number per row, or the draws are too few to see a reward.

    Reference: Skalse et al. 2024, "STARC", appendix on continuous environments; the product over draws is ours.
    """
    if draws < 1:
        raise ValueError(f"draws is {draws}; expected 1 for a deterministic simulator, and 2 or more for any other")
    sums, squares, trivial = _levelled(
        (a, b), (values_a, values_b), observation, action, simulate, discount, draws, seed
    )
    products = np.stack([sums[0] ** 2, sums[1] ** 2, sums[0] * sums[1]])
    moments = (squares if draws == 1 else (products - squares) / (draws * (draws - 1))).T
    moments[:, [*trivial, any(trivial)]] = 0.0
    lengths = moments[:, :2].mean(axis=0)
    if any(length <= 0 and not nothing for length, nothing in zip(lengths, trivial, strict=True)):
        raise ValueError(
            f"with {draws} draws of {len(sums[0])} next states their scatter hides the canonical reward, whose squared "
            f"length is estimated as {lengths.min():.3g}; take more draws or more rows"
        )
    units = moments if episode is None else sums_by(episode, moments)
    if draws == 1:
        # The difference itself keeps digits that √(2 − 2ρ) loses.
        factors = [0.0 if length == 0 else 1 / np.sqrt(length * len(moments)) for length in lengths]
        distance = float(np.linalg.norm(factors[0] * sums[0] - factors[1] * sums[1]))
    else:
        distance = float(angle_distance(units.mean(axis=0)[None])[0])
    return _with_interval(distance, angle_distance(resampled_means(units, resamples, seed)), len(units))


def _levelled(
    rewards: tuple[RewardFunction, RewardFunction],
    values: tuple[Values, Values],
    observation: Any,
    action: Any,
    simulate: Simulator,
    discount: float,
    draws: int,
    seed: int,
) -> tuple[Float[np.ndarray, "2 n"], Float[np.ndarray, "3 n"], list[bool]]:
    """Σ_k x and y over the draws, Σ_k x², y² and xy; and for each side whether it is 0 but for rounding."""
    generator = np.random.default_rng(seed)
    n = len(observation)
    sums, squares, scale = np.zeros((2, n)), np.zeros((3, n)), np.zeros(2)
    now = [_numbers(value(observation), n, "the value of the observations") for value in values]
    for _ in range(draws):
        drawn = simulate(observation, action, generator)
        following, over = drawn if isinstance(drawn, tuple) else (drawn, np.zeros(n, dtype=bool))
        kept = discount * np.where(over, 0.0, 1.0)
        sides = []
        for side, (reward, value) in enumerate(zip(rewards, values, strict=True)):
            paid = _rewards(reward, observation, action, following)
            ahead = kept * _numbers(value(following), n, "the value of the next observations")
            scale[side] = max(scale[side], *(float(np.abs(part).max()) for part in (paid, ahead, now[side])))
            sides.append(paid - now[side] + ahead)
        sums += sides
        squares += (sides[0] ** 2, sides[1] ** 2, sides[0] * sides[1])
    largest = np.sqrt((squares[:2] / draws).max(axis=1))
    return sums, squares, (largest <= _ROUNDING * scale).tolist()


def sampled_epic_distance(
    a: RewardFunction,
    b: RewardFunction,
    observation: Shaped[np.ndarray, "n *o"],
    action: Shaped[np.ndarray, "n *c"],
    next_observation: Shaped[np.ndarray, "n *o"],
    actions: Shaped[np.ndarray, "m *c"],
    next_observations: Shaped[np.ndarray, "m *o"],
    *,
    discount: float,
    resamples: int = 200,
    seed: int = 0,
) -> SampledDistance:
    """EPIC distance over a sample of transitions.

    With V(s) the mean of R(s, A, S') over M samples, the canonical reward is R(s, a, s') + γV(s') − V(s) and a constant
    that the correlation does not see; the distance is √((1 − ρ) / 2).

    Args:
        a, b: rewards.
        observation, action, next_observation: the coverage; N transitions.
        actions, next_observations: M samples of A and S', from distributions that do not depend on s.
        discount: γ.
        resamples: for the interval, in which both the N transitions and the M samples are drawn again.
        seed: of the resampling.

    Returns:
        A distance in [0, 1]; ½ where one of the rewards is constant after canonicalisation.

    Raises:
        ValueError: a reward is not one finite number per row.

    Reference: Gleave et al. 2021, "Quantifying differences in reward functions", appendix A.1.1.
    """
    generator = np.random.default_rng(seed)
    n, m = len(observation), len(actions)
    # Column 0 is the sample as it is; the others are drawn again.
    rows = np.concatenate([np.ones((n, 1)), generator.multinomial(n, np.full(n, 1 / n), size=resamples).T], axis=1)
    inner = np.concatenate([np.ones((m, 1)), generator.multinomial(m, np.full(m, 1 / m), size=resamples).T], axis=1)
    sides = []
    for reward in (a, b):
        canonical = np.repeat(_rewards(reward, observation, action, next_observation)[:, None], resamples + 1, axis=1)
        scale = float(np.abs(canonical).max())
        for states, factor in ((next_observation, discount), (observation, -1.0)):
            means = _mean_rewards(reward, states, actions, next_observations, inner / m)
            scale = max(scale, float(np.abs(means).max()))
            canonical += factor * means
        canonical -= (rows * canonical).sum(axis=0) / n
        length = np.sqrt((rows * canonical**2).sum(axis=0))
        constant = length <= _ROUNDING * scale * np.sqrt(n)
        sides.append(np.where(constant, 0.0, canonical / np.where(constant, 1.0, length)))
    distances = np.sqrt((rows * (sides[0] - sides[1]) ** 2).sum(axis=0)) / 2
    return _with_interval(float(distances[0]), distances[1:], n)


def _mean_rewards(
    reward: RewardFunction, states: Any, actions: Any, following: Any, weights: Float[np.ndarray, "m b"]
) -> Float[np.ndarray, "n b"]:
    """Weighted means of R(s, A, S') over the M samples, for each state and each column of weights."""
    m = len(actions)
    block = max(1, _ROWS // m)
    means = np.empty((len(states), weights.shape[1]))
    for start in range(0, len(states), block):
        part = states[start : start + block]
        k = len(part)
        tiled = [np.tile(side, (k, *(1,) * (np.ndim(side) - 1))) for side in (actions, following)]
        paid = _rewards(reward, np.repeat(part, m, axis=0), *tiled)
        means[start : start + k] = paid.reshape(k, m) @ weights
    return means


def _rewards(reward: RewardFunction, observation: Any, action: Any, following: Any) -> Float[np.ndarray, " n"]:
    return _numbers(reward(observation, action, following), len(observation), getattr(reward, "__name__", "the reward"))


def _numbers(given: Any, n: int, name: str) -> Float[np.ndarray, " n"]:
    numbers = np.asarray(given, dtype=np.float64)
    if numbers.shape != (n,) or not np.isfinite(numbers).all():
        raise ValueError(f"{name} returned shape {numbers.shape}; expected {n} finite numbers, one for each row")
    return numbers


def _with_interval(distance: float, drawn: Float[np.ndarray, " b"], units: int) -> SampledDistance:
    return SampledDistance(distance, float(np.quantile(drawn, 0.025)), float(np.quantile(drawn, 0.975)), units)
