"""Where the policy decides when to stop: which estimates of the gradient are right, by enumeration of every batch.

Turn 1 always happens and earns 0. With probability p the policy goes on to turn 2, which earns c. Then J = p c, and
with p = σ(logit) the gradient of the choice to go on is dJ / dlogit = p (1 − p) c.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest

from trueward.credit import group_advantages, returns_to_go

P, COST = 0.3, -1.0
TRUE = P * (1 - P) * COST
ROLLOUTS = 4

Estimate = Callable[[np.ndarray, np.ndarray], np.ndarray]


def of_totals(statistic: str) -> Estimate:
    def estimate(rewards: np.ndarray, exists: np.ndarray) -> np.ndarray:
        totals = np.where(exists, rewards, 0.0).sum(axis=1)
        return group_advantages(totals, np.zeros(len(totals), dtype=int), statistic=statistic).values

    return estimate


def of_segments(group_of: Callable[[tuple[int, ...]], np.ndarray]) -> Estimate:
    def estimate(rewards: np.ndarray, exists: np.ndarray) -> np.ndarray:
        compared = group_advantages(rewards, group_of(rewards.shape), statistic="leave_one_out", valid=exists)
        return returns_to_go(compared.values, exists)[:, 0]

    return estimate


pooled = of_segments(lambda shape: np.zeros(shape, dtype=int))
by_position = of_segments(lambda shape: np.broadcast_to(np.arange(shape[1]), shape))


def expected_gradient(estimate: Estimate) -> float:
    """Mean over all batches of the estimate of dJ / dlogit from the choice at turn 1."""
    total = 0.0
    for goes_on in itertools.product([0, 1], repeat=ROLLOUTS):
        chosen = np.array(goes_on, dtype=float)
        probability = float(np.prod(np.where(chosen == 1, P, 1 - P)))
        rewards = np.stack([np.zeros(ROLLOUTS), COST * chosen], axis=1)
        exists = np.stack([np.ones(ROLLOUTS), chosen], axis=1).astype(bool)
        total += probability * float(np.mean(estimate(rewards, exists) * (chosen - P)))
    return total


def test_leave_one_out_of_totals_is_unbiased() -> None:
    assert expected_gradient(of_totals("leave_one_out")) == pytest.approx(TRUE, rel=1e-12)
    assert expected_gradient(of_totals("none")) == pytest.approx(TRUE, rel=1e-12)


def test_centring_shrinks_it_by_a_known_factor() -> None:
    assert expected_gradient(of_totals("centre")) == pytest.approx(TRUE * (ROLLOUTS - 1) / ROLLOUTS, rel=1e-12)


def test_a_baseline_per_position_hides_the_cost_of_going_on() -> None:
    assert expected_gradient(by_position) == pytest.approx(0.0, abs=1e-12)


def test_pooled_segments_pay_for_the_number_of_segments() -> None:
    assert abs(expected_gradient(pooled) / TRUE - 1) > 0.1
