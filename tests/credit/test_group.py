"""Group advantages against numbers by hand, a plain loop, TRL's formula, and the laws they must keep."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from jaxtyping import TypeCheckError

from trueward.credit import greedy_advantages, group_advantages

STATISTICS = ("centre", "z_score", "leave_one_out", "none")
REWARDS = np.array([3.0, 0.0, 1.0, 0.0, 6.0])
GROUP = np.array([7, -2, 7, -2, -2])  # in no order; {3, 1} and {0, 0, 6}


def by_loop(
    rewards: Sequence[float], group: Sequence[int], statistic: str, divisor: int, epsilon: float
) -> list[float]:
    """One group after the other, with exactly rounded sums."""
    values = [0.0] * len(rewards)
    for name in set(group):
        rows = [i for i, g in enumerate(group) if g == name and not math.isnan(rewards[i])]
        if statistic == "none":
            for i in rows:
                values[i] = rewards[i]
        if statistic == "none" or len(rows) < 2 or len({rewards[i] for i in rows}) == 1:
            continue
        mean = math.fsum(rewards[i] for i in rows) / len(rows)
        deviation = math.sqrt(math.fsum((rewards[i] - mean) ** 2 for i in rows) / (len(rows) - divisor))
        for i in rows:
            others = math.fsum(rewards[j] for j in rows if j != i) / (len(rows) - 1)
            values[i] = {
                "centre": rewards[i] - mean,
                "z_score": (rewards[i] - mean) / (deviation + epsilon),
                "leave_one_out": rewards[i] - others,
            }[statistic]
    return values


@pytest.mark.parametrize(
    ("statistic", "deviation", "by_hand"),
    [
        ("centre", "sample", [1, -2, -1, -2, 4]),
        ("leave_one_out", "sample", [2, -3, -2, -3, 6]),
        # Deviations: √2 and √((4 + 4 + 16) / 2) = √12; of the population 1 and √8.
        ("z_score", "sample", [0.5**0.5, -2 / 12**0.5, -(0.5**0.5), -2 / 12**0.5, 4 / 12**0.5]),
        ("z_score", "population", [1, -2 / 8**0.5, -1, -2 / 8**0.5, 4 / 8**0.5]),
        ("none", "sample", [3, 0, 1, 0, 6]),
    ],
)
def test_by_hand(statistic: str, deviation: str, by_hand: list[float]) -> None:
    found = group_advantages(REWARDS, GROUP, statistic=statistic, deviation=deviation, epsilon=0.0)
    np.testing.assert_allclose(found.values, by_hand, rtol=1e-15, atol=1e-15)
    assert (found.groups, found.degenerate, found.rows_left_out) == (2, 0, 0)
    assert found.informative.all()


def test_epsilon_is_added_to_the_deviation() -> None:
    found = group_advantages(np.array([0.0, 2.0]), np.array([0, 0]), epsilon=0.5)
    np.testing.assert_allclose(found.values, [-1 / (2**0.5 + 0.5), 1 / (2**0.5 + 0.5)])


def test_members_without_a_reward_leave_the_statistics_and_get_nothing() -> None:
    rewards, group = np.array([1.0, np.nan, 3.0, 8.0]), np.zeros(4, dtype=int)
    found = group_advantages(rewards, group, statistic="centre", valid=np.array([True, True, True, False]))
    np.testing.assert_array_equal(found.values, [-1, 0, 1, 0])
    np.testing.assert_array_equal(found.valid, [True, False, True, False])
    assert found.rows_left_out == 2
    # Negative control: counted as 0 it would move the mean.
    assert group_advantages(np.nan_to_num(rewards), group, statistic="centre").values[0] == -2.0


@pytest.mark.parametrize("statistic", STATISTICS)
def test_groups_that_cannot_be_compared_are_zero_and_counted(statistic: str) -> None:
    rewards = np.array([np.nan, np.nan, 5.0, np.nan, 0.1, 0.1, 0.1, 1.0, 0.0])
    group = np.array([0, 0, 1, 1, 2, 2, 2, 3, 3])
    found = group_advantages(rewards, group, statistic=statistic, epsilon=0.0)
    assert (found.groups, found.unscored, found.single, found.constant) == (4, 1, 1, 1)
    assert found.degenerate == 3
    assert np.isfinite(found.values).all()
    if statistic == "none":
        np.testing.assert_array_equal(found.values, np.nan_to_num(rewards))
        np.testing.assert_array_equal(found.informative, ~np.isnan(rewards))
    else:
        np.testing.assert_array_equal(found.values[:7], 0.0)
        np.testing.assert_array_equal(found.informative, [False] * 7 + [True] * 2)


@pytest.mark.parametrize("statistic", ["centre", "z_score", "leave_one_out"])
@pytest.mark.parametrize("offset", [1e9, -1e12, 2.0**50])
def test_nearly_equal_rewards_of_large_magnitude_lose_nothing(statistic: str, offset: float) -> None:
    small = np.array([0.0, 0.25, 1.0, 0.25])
    group = np.zeros(4, dtype=int)
    near = group_advantages(offset + small, group, statistic=statistic)
    np.testing.assert_allclose(near.values, group_advantages(small, group, statistic=statistic).values, rtol=1e-14)


def test_equal_rewards_are_exactly_equal_whatever_their_mean_rounds_to() -> None:
    rewards = np.full(10, 0.1)
    assert sum(rewards) / 10 != 0.1 and rewards.std() >= 0.0
    for reward in (0.1, 1e16 + 2, 1e-320, -7.3):
        found = group_advantages(np.full(10, reward), np.zeros(10, dtype=int), epsilon=0.0)
        assert found.constant == 1 and not found.values.any()


def test_differences_too_small_to_square_are_no_error() -> None:
    found = group_advantages(np.array([0.0, 1e-200]), np.zeros(2, dtype=int), epsilon=0.0)
    assert np.isfinite(found.values).all()


batches = st.lists(
    st.tuples(st.sampled_from([0.0, 0.1, 0.3, 1.0, -2.5, float("nan")]), st.sampled_from([-3, 0, 1, 10**12])),
    min_size=1,
    max_size=14,
)


@given(batches, st.sampled_from(STATISTICS), st.sampled_from([("sample", 1), ("population", 0)]))
def test_agrees_with_a_loop_over_groups(batch: list[tuple[float, int]], statistic: str, kind: tuple[str, int]) -> None:
    rewards, group = zip(*batch, strict=True)
    found = group_advantages(np.array(rewards), np.array(group), statistic=statistic, deviation=kind[0])
    np.testing.assert_allclose(found.values, by_loop(rewards, group, statistic, kind[1], 1e-6), rtol=1e-12, atol=1e-12)
    assert found.groups == len(set(group))


@pytest.mark.parametrize("statistic", STATISTICS)
def test_laws(statistic: str) -> None:
    rng = np.random.default_rng(0)
    rewards, group = rng.normal(size=60), rng.integers(0, 9, size=60)
    values = group_advantages(rewards, group, statistic=statistic, epsilon=0.0).values
    order = rng.permutation(60)
    permuted = group_advantages(rewards[order], group[order], statistic=statistic, epsilon=0.0).values
    np.testing.assert_allclose(permuted, values[order], rtol=1e-12, atol=1e-14)
    renamed = group_advantages(rewards, 10**15 - 7 * 10**9 * group, statistic=statistic, epsilon=0.0).values
    np.testing.assert_allclose(renamed, values, rtol=1e-12, atol=1e-14)
    scaled = group_advantages(4.0 * rewards, group, statistic=statistic, epsilon=0.0).values
    np.testing.assert_allclose(scaled, values if statistic == "z_score" else 4.0 * values, rtol=1e-12, atol=1e-14)
    shifted = group_advantages(rewards + 5.0, group, statistic=statistic, epsilon=0.0).values
    np.testing.assert_allclose(shifted, values + 5.0 * (statistic == "none"), rtol=1e-12, atol=1e-14)
    alone = group_advantages(rewards[group == 3], group[group == 3], statistic=statistic, epsilon=0.0).values
    np.testing.assert_allclose(alone, values[group == 3], rtol=1e-12, atol=1e-14)


def test_leave_one_out_is_a_multiple_of_centring() -> None:
    rng = np.random.default_rng(1)
    rewards, group = rng.normal(size=40), np.arange(40) % 5
    centred = group_advantages(rewards, group, statistic="centre").values
    np.testing.assert_allclose(group_advantages(rewards, group, statistic="leave_one_out").values, centred * 8 / 7)


def test_agrees_with_the_formula_of_trl() -> None:
    rewards = torch.rand(12, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    theirs = (rewards - rewards.mean(dim=1, keepdim=True)) / (rewards.std(dim=1, keepdim=True) + 1e-4)
    ours = group_advantages(rewards.flatten(), np.repeat(np.arange(12), 8), epsilon=1e-4)
    np.testing.assert_allclose(ours.values, theirs.flatten().numpy(), rtol=1e-12)


def test_segments_are_pooled_or_compared_by_position() -> None:
    rewards = np.array([[1.0, 5.0], [3.0, 9.0], [4.0, 0.0]])
    exists = np.array([[True, True], [True, True], [True, False]])
    pooled = group_advantages(rewards, np.array([0, 0, 1]), statistic="centre", valid=exists)
    np.testing.assert_allclose(pooled.values, [[-3.5, 0.5], [-1.5, 4.5], [0, 0]])
    assert pooled.single == 1
    by_position = np.array([[0, 1], [0, 1], [2, 3]])
    each = group_advantages(rewards, by_position, statistic="centre", valid=exists)
    np.testing.assert_allclose(each.values, [[-1, -2], [1, 2], [0, 0]])
    assert (each.groups, each.single, each.unscored, each.rows_left_out) == (4, 1, 1, 0)


def test_nothing_gives_nothing() -> None:
    found = group_advantages(np.zeros(0), np.zeros(0, dtype=int))
    assert found.values.shape == (0,) and found.groups == 0
    wide = group_advantages(np.zeros((3, 0)), np.arange(3))
    assert wide.values.shape == (3, 0) and wide.rows_left_out == 3


def test_the_greedy_rollout_is_a_baseline() -> None:
    found = greedy_advantages(np.array([1.0, 0.0, np.nan, 2.0, 1.0]), np.array([0.5, 1.0, 1.0, np.nan, 1.0]))
    np.testing.assert_array_equal(found.values, [0.5, -1, 0, 0, 0])
    np.testing.assert_array_equal(found.informative, [True, True, False, False, False])
    assert (found.groups, found.unscored, found.constant, found.rows_left_out) == (5, 2, 1, 2)


def test_unusable_input_is_refused() -> None:
    two = np.array([0.0, 1.0])
    with pytest.raises(ValueError, match="1 rewards are infinite"):
        group_advantages(np.array([0.0, np.inf]), np.array([0, 0]))
    with pytest.raises((ValueError, TypeCheckError), match="zscore"):  # the second where annotations are checked
        group_advantages(two, np.array([0, 0]), statistic="zscore")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="must not be negative"):
        group_advantages(two, np.array([0, 0]), epsilon=-1.0)
    # An infinite reward that was left out does no harm.
    kept = group_advantages(np.array([0.0, 1.0, np.inf]), np.zeros(3, dtype=int), valid=np.array([True, True, False]))
    assert np.isfinite(kept.values).all()
