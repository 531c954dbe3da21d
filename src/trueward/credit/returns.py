"""Returns along a rollout: discounted sums, generalised advantages, λ-returns.

"Step" is whatever the columns are: tokens, or segments, in which case a discount is per segment and long segments lose
nothing by being long. Steps outside the mask are skipped: they earn nothing, have no value, and cost no discount.
A rollout that ended has nothing after its last step; one that was cut off has the critic's value there (`bootstrap`).

Matrices may be NumPy arrays or torch tensors in the memory of the CPU; what is returned is NumPy, in the precision
that was given. Everything is computed in float64, some rows at a time, so that what lies between input and output
stays in the cache.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from trueward.credit.scan import discounted_sums, varying_sums

_AT_ONCE = 2**15  # entries whose float64 temporaries fit the cache of one core


@dataclass(frozen=True)
class Estimates:
    """What a critic and rewards say about each step.

    Attributes:
        advantages: how much better the step did than the critic expected; 0 outside the mask.
        returns: advantages + values, what the critic should have said; 0 outside the mask.
    """

    advantages: Float[np.ndarray, "n t"]
    returns: Float[np.ndarray, "n t"]


def returns_to_go(
    rewards: Float[Any, "n t"],
    mask: Bool[Any, "n t"] | None = None,
    *,
    discount: float = 1.0,
    bootstrap: Float[Any, " n"] | None = None,
) -> Float[np.ndarray, "n t"]:
    """Discounted sum of the rewards from each step on: G_t = r_t + γ G_{t+1}.

    Over segments it is the return of process supervision and of turn-level credit: give it one reward per segment and
    the mask of the segments that exist, then spread the result over their tokens.

    Args:
        rewards: one per step.
        mask: steps that count; None for all.
        discount: γ, per step that counts.
        bootstrap: value of what follows the last step: 0 where the rollout ended, the critic's where it was cut off.
            None: all ended.

    Returns:
        G, 0 outside the mask.

    Raises:
        ValueError: shapes differ, γ outside [0, 1], or a reward inside the mask that is not finite.

    Reference: Shao et al. 2024, "DeepSeekMath", section 4.1.3 (γ = 1, over segments); Sutton and Barto 2018, equation
    3.8.
    """
    nothing = np.broadcast_to(np.zeros((), np.asarray(rewards).dtype), np.shape(rewards))
    return gae(rewards, nothing, mask, discount=discount, trace=1.0, bootstrap=bootstrap).returns


def lambda_returns(
    rewards: Float[Any, "n t"],
    values: Float[Any, "n t"],
    mask: Bool[Any, "n t"] | None = None,
    *,
    discount: float = 1.0,
    trace: float = 1.0,
    bootstrap: Float[Any, " n"] | None = None,
) -> Float[np.ndarray, "n t"]:
    """G_t = r_t + γ ((1 − λ) V_{t+1} + λ G_{t+1}): between one step and the critic (λ = 0) and all steps (λ = 1).

    They equal generalised advantages plus values. Arguments and errors are those of `gae`.

    Reference: Sutton and Barto 2018, equation 12.18.
    """
    return gae(rewards, values, mask, discount=discount, trace=trace, bootstrap=bootstrap).returns


def gae(
    rewards: Float[Any, "n t"],
    values: Float[Any, "n t"],
    mask: Bool[Any, "n t"] | None = None,
    *,
    discount: float = 1.0,
    trace: float = 0.95,
    bootstrap: Float[Any, " n"] | None = None,
) -> Estimates:
    """Generalised advantages of rollouts with one episode per row.

        δ_t = r_t + γ V_{t+1} − V_t
        A_t = δ_t + γ λ A_{t+1}

    where t + 1 is the next step inside the mask. Not whitened: `weight.whiten` does that.

    Args:
        rewards: r, one per step.
        values: V, the critic's value before each step.
        mask: steps that the policy took; None for all. Steps between them (tool results) are skipped, not decayed.
        discount: γ.
        trace: λ; 0 trusts the critic after one step, 1 never.
        bootstrap: value of what follows the last step: 0 where the rollout terminated, the critic's where it was
            truncated. None: all terminated.

    Raises:
        ValueError: shapes differ, γ or λ outside [0, 1], or a reward or value inside the mask that is not finite (give
            a row without a score an empty mask).

    Reference: Schulman et al. 2016, "High-dimensional continuous control using generalized advantage estimation",
    equations 11–16.
    """
    reward, value = np.asarray(rewards), np.asarray(values)
    chosen = None if mask is None else np.asarray(mask, dtype=bool)
    last = None if bootstrap is None else np.asarray(bootstrap, dtype=np.float64)
    _check(reward, value, chosen, last, discount, trace)
    advantages, returns = np.empty((2, *reward.shape), dtype=_precision(reward, value))
    for rows in _some_rows(reward.shape):
        here = None if chosen is None else chosen[rows]
        end = None if last is None else last[rows]
        if here is not None and _has_holes(here):
            found = _packed(reward[rows], value[rows], here, end, discount, trace)
        else:
            found = _unbroken(reward[rows], value[rows], here, end, discount, trace)
        advantages[rows], returns[rows] = found
    return Estimates(advantages=advantages, returns=returns)


def gae_over_episodes(
    rewards: Float[Any, "n t"],
    values: Float[Any, "n t"],
    next_values: Float[Any, "n t"],
    terminated: Bool[Any, "n t"],
    truncated: Bool[Any, "n t"],
    *,
    discount: float = 0.99,
    trace: float = 0.95,
) -> Estimates:
    """Generalised advantages of environments that go on after an episode ends: several episodes per row.

        δ_t = r_t + γ (1 − terminated_t) V'_t − V_t
        A_t = δ_t + γ λ (1 − terminated_t) (1 − truncated_t) A_{t+1}

    An episode that terminated has nothing after it. One that was truncated has the value of the state in which it was
    cut off, but no part in the episode that the environment starts next.

    Args:
        rewards, values: r and V, one per step.
        next_values: V', the critic's value of the observation that the step led to: where the episode ended its own
            last observation, never the first one of the next episode.
        terminated, truncated: how the episode ended with the step; both False where it went on.
        discount, trace: γ and λ.

    Raises:
        ValueError: shapes differ, γ or λ outside [0, 1], or an entry that is not finite.

    Reference: as `gae`; Pardo et al. 2018, "Time limits in reinforcement learning".
    """
    reward, value, after = np.asarray(rewards), np.asarray(values), np.asarray(next_values)
    dead, cut = np.asarray(terminated, dtype=bool), np.asarray(truncated, dtype=bool)
    for matrix in (after, dead, cut):
        _check(reward, value, matrix, None, discount, trace)
    going_on = np.where(dead, 0.0, after.astype(np.float64))
    errors = np.subtract(reward, value, dtype=np.float64) + discount * going_on
    advantages = varying_sums(errors, discount * trace * ~(dead | cut))
    if not np.isfinite(advantages).all():
        raise ValueError("a reward or value is not finite: every step of an environment needs both")
    precision = _precision(reward, value)
    return Estimates(advantages=advantages.astype(precision), returns=(advantages + value).astype(precision))


def _unbroken(
    reward: np.ndarray,
    value: np.ndarray,
    mask: np.ndarray | None,
    bootstrap: np.ndarray | None,
    discount: float,
    trace: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Advantages and returns of rows whose steps lie together, float64.

    By way of the λ-return, G_t = (r_t + γ (1 − λ) V_{t+1}) + γ λ G_{t+1}, and A_t = G_t − V_t, which reads every number
    once. The difference of two large numbers needs float64 even where both were given in single precision.
    """
    before = value.astype(np.float64, copy=False)
    gained = reward.astype(np.float64)
    if trace < 1.0:
        gained[:, :-1] += discount * (1.0 - trace) * before[:, 1:]
    rows, last = _last_steps(reward.shape, mask)
    gained[rows, last] = reward[rows, last] + (0.0 if bootstrap is None else discount * bootstrap[rows])
    outside = None if mask is None else ~mask
    if outside is not None:
        np.copyto(gained, 0.0, where=outside)
    returns = discounted_sums(gained, discount * trace)
    advantages = returns - before
    if outside is not None:
        np.copyto(advantages, 0.0, where=outside)
        # Nothing follows a row's last step, but something follows what stands before its first.
        if outside[:, :1].any():
            np.copyto(returns, 0.0, where=outside)
    if not np.isfinite(advantages.sum()):
        raise ValueError("a reward or value inside the mask is not finite: give rows without a score an empty mask")
    return advantages, returns


def _last_steps(shape: tuple[int, ...], mask: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Row and column of the last step of every row that has one, where the steps of a row lie together."""
    end = shape[1] - 1
    if mask is None or end < 1:
        rows = np.arange(shape[0] if end >= 0 else 0) if mask is None else np.flatnonzero(mask.any(axis=1))
        return rows, np.full(len(rows), end)
    rows = np.flatnonzero(mask.any(axis=1))
    falls = mask[rows, :-1] > mask[rows, 1:]
    return rows, np.where(mask[rows, -1], end, falls.argmax(axis=1))


def _packed(
    reward: np.ndarray,
    value: np.ndarray,
    mask: np.ndarray,
    bootstrap: np.ndarray | None,
    discount: float,
    trace: float,
) -> tuple[np.ndarray, np.ndarray]:
    """The same for any rows: their steps are moved together and the results back."""
    together = np.arange(mask.shape[1]) < mask.sum(axis=1)[:, None]
    # Both list the steps row by row, so the k-th place belongs to the k-th slot.
    places, slots = np.flatnonzero(mask), np.flatnonzero(together)
    moved = np.zeros((2, mask.size))
    moved[0, slots], moved[1, slots] = reward.take(places), value.take(places)
    gained, before = moved.reshape(2, *mask.shape)
    packed = _unbroken(gained, before, together, bootstrap, discount, trace)
    back = np.zeros((2, mask.size))
    back[0, places], back[1, places] = packed[0].take(slots), packed[1].take(slots)
    advantages, returns = back.reshape(2, *mask.shape)
    return advantages, returns


def _precision(reward: np.ndarray, value: np.ndarray) -> np.dtype[Any]:
    return np.result_type(reward.dtype, value.dtype, np.float32)


def _check(
    reward: np.ndarray,
    value: np.ndarray,
    mask: np.ndarray | None,
    bootstrap: np.ndarray | None,
    discount: float,
    trace: float,
) -> None:
    shapes = [reward.shape, value.shape] + ([] if mask is None else [mask.shape])
    if reward.ndim != 2 or len(set(shapes)) > 1 or (bootstrap is not None and bootstrap.shape != reward.shape[:1]):
        end = "" if bootstrap is None else f" and bootstrap {bootstrap.shape}"
        raise ValueError(f"matrices must have one shape [N, T], and bootstrap [N]; got {shapes}{end}")
    if not (0.0 <= discount <= 1.0 and 0.0 <= trace <= 1.0):
        raise ValueError(f"discount and trace must lie in [0, 1]; got {discount} and {trace}")


def _has_holes(mask: Bool[np.ndarray, "n t"]) -> bool:
    """True when the steps of some row do not lie together: when there are more beginnings than rows with steps."""
    begins = np.count_nonzero(mask[:, 1:] > mask[:, :-1]) + np.count_nonzero(mask[:, :1])
    return bool(begins > np.count_nonzero(mask.any(axis=1)))


def _some_rows(shape: tuple[int, ...]) -> Iterator[slice]:
    size = max(1, _AT_ONCE // max(1, shape[1]))
    return (slice(start, start + size) for start in range(0, shape[0], size))
