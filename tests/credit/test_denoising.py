"""Advantages of denoising steps against numbers by hand and a plain loop."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trueward.credit.denoising import process_advantages
from trueward.credit.group import group_advantages

GROUP = np.array([4, 9, 4, 9])


def test_every_step_is_compared_with_itself():
    # Levels of 0, 100 and −7 per step: pooled, every state of step 1 would beat every state of step 2.
    values = np.array([[0.0, 101.0, -7.0], [1.0, 100.0, -7.0], [2.0, 103.0, -7.0], [5.0, 100.0, -8.0]])
    found = process_advantages(values, GROUP, epsilon=0.0)
    half = 0.5**0.5
    assert found.values == pytest.approx(
        np.array([[-half, -half, 0.0], [-half, 0.0, half], [half, half, 0.0], [half, 0.0, -half]])
    )
    assert (found.groups, found.constant) == (6, 2)


def test_what_failed_or_was_not_recorded_is_no_zero():
    """Three states of one step, the middle one without a value: the others are compared as if it were not there."""
    values = np.array([[-2.0, 1.0], [np.nan, 7.0], [-4.0, 2.0]])
    recorded = np.array([[True, False]] * 3)
    found = process_advantages(values, np.zeros(3, int), recorded=recorded, epsilon=0.0)
    assert found.values == pytest.approx(np.array([[0.5**0.5, 0.0], [0.0, 0.0], [-(0.5**0.5), 0.0]]))
    assert found.valid.tolist() == [[True, False], [False, False], [True, False]]


def test_the_bound():
    # 40 equal ones and one that differs: z = 40/√41 ≈ 6.25 with the sample deviation.
    values = np.array([[0.0, 0.0]] * 40 + [[1.0, -1.0]])
    free = process_advantages(values, np.zeros(41, int), bound=None).values
    held = process_advantages(values, np.zeros(41, int)).values
    assert free[40] == pytest.approx([40 / 41**0.5, -40 / 41**0.5], rel=1e-6) and held[40].tolist() == [5.0, -5.0]
    assert held[:40] == pytest.approx(free[:40])
    with pytest.raises(ValueError, match="must be positive; got 0"):
        process_advantages(values, np.zeros(41, int), bound=0.0)


def test_one_step_is_a_comparison_of_samples():
    rewards, group = np.random.default_rng(0).normal(size=12), np.arange(12) % 3
    one = process_advantages(rewards[:, None], group)
    assert one.values[:, 0].tolist() == group_advantages(rewards, group, epsilon=1e-8).values.tolist()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 5), st.integers(1, 4))
def test_against_a_loop_over_groups_and_steps(seed, steps, groups):
    generator = np.random.default_rng(seed)
    values, group = generator.normal(size=(9, steps)), generator.integers(-3, groups, 9)
    found = process_advantages(values, group, deviation="population").values
    for step in range(steps):
        for name in set(group.tolist()):
            rows = np.flatnonzero(group == name)
            own = values[rows, step]
            wanted = np.clip((own - own.mean()) / (own.std() + 1e-8), -5, 5) if len(rows) > 1 else 0.0
            np.testing.assert_allclose(found[rows, step], wanted, rtol=1e-6, atol=1e-9)
