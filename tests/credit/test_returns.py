"""Returns and generalised advantages: by hand, against a double loop, and what they reduce to."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from trueward.credit import Estimates, gae, gae_over_episodes, lambda_returns, returns_to_go

RNG = np.random.default_rng(0)
REWARDS, VALUES = RNG.normal(size=(2, 6, 90))
LENGTHS = np.array([90, 0, 1, 33, 64, 89])
PADDED = np.arange(90) < LENGTHS[:, None]
HOLES = PADDED & (RNG.random((6, 90)) < 0.7)
BOOTSTRAP = RNG.normal(size=6)


def by_double_loop(
    rewards: np.ndarray, values: np.ndarray, mask: np.ndarray, discount: float, trace: float, bootstrap: np.ndarray
) -> np.ndarray:
    """A row at a time, over the steps that count."""
    advantages = np.zeros(rewards.shape)
    for row in range(len(rewards)):
        following, value_after = 0.0, bootstrap[row]
        for t in reversed(np.flatnonzero(mask[row]).tolist()):
            error = rewards[row, t] + discount * value_after - values[row, t]
            following = error + discount * trace * following
            value_after = values[row, t]
            advantages[row, t] = following
    return advantages


def test_by_hand() -> None:
    rewards, values = np.array([[0.0, 0.0, 8.0]]), np.array([[1.0, 2.0, 4.0]])
    # Errors: 0 + ½·2 − 1 = 0; 0 + ½·4 − 2 = 0; 8 + 0 − 4 = 4. Decay ½·½ = ¼.
    ended = gae(rewards, values, discount=0.5, trace=0.5)
    np.testing.assert_array_equal(ended.advantages, [[0.25, 1, 4]])
    np.testing.assert_array_equal(ended.returns, [[1.25, 3, 8]])
    # Cut off in a state worth 6: the last error is 8 + ½·6 − 4 = 7.
    cut = gae(rewards, values, discount=0.5, trace=0.5, bootstrap=np.array([6.0]))
    np.testing.assert_array_equal(cut.advantages, [[0.4375, 1.75, 7]])
    np.testing.assert_array_equal(returns_to_go(np.array([[1.0, 2.0, 4.0]]), discount=0.5), [[3, 4, 4]])
    np.testing.assert_array_equal(
        returns_to_go(np.array([[1.0, 2.0]]), discount=0.5, bootstrap=np.array([8.0])), [[4, 6]]
    )
    np.testing.assert_array_equal(lambda_returns(rewards, values, discount=0.5, trace=0.5), [[1.25, 3, 8]])


def test_what_the_policy_did_not_choose_is_skipped_and_not_decayed() -> None:
    rewards, values = np.array([[1.0, 50.0, np.nan, 8.0, 7.0]]), np.array([[1.0, 60.0, np.nan, 4.0, 9.0]])
    mask = np.array([[True, False, False, True, False]])
    found = gae(rewards, values, mask, discount=0.5, trace=0.5)
    # Two steps: errors 1 + ½·4 − 1 = 2 and 8 − 4 = 4.
    np.testing.assert_array_equal(found.advantages, [[3, 0, 0, 4, 0]])
    np.testing.assert_array_equal(found.returns, [[4, 0, 0, 8, 0]])
    np.testing.assert_array_equal(returns_to_go(rewards, mask, discount=0.5), [[5, 0, 0, 8, 0]])


def test_an_empty_row_does_not_hide_the_holes_of_another() -> None:
    mask = np.array([[True, False, True], [False, False, False]])
    found = returns_to_go(np.array([[1.0, 9.0, 4.0], [9.0, 9.0, 9.0]]), mask, discount=0.5)
    np.testing.assert_array_equal(found, [[3, 0, 4], [0, 0, 0]])


@pytest.mark.parametrize("mask", [PADDED, HOLES, np.flip(PADDED, axis=1)], ids=["right", "holes", "left"])
@pytest.mark.parametrize(("discount", "trace"), [(1.0, 1.0), (0.99, 0.95), (1.0, 0.0), (0.0, 1.0), (0.9, 1.0)])
def test_agrees_with_a_double_loop(mask: np.ndarray, discount: float, trace: float) -> None:
    expected = by_double_loop(REWARDS, VALUES, mask, discount, trace, BOOTSTRAP)
    found = gae(REWARDS, VALUES, mask, discount=discount, trace=trace, bootstrap=BOOTSTRAP)
    np.testing.assert_allclose(found.advantages, expected, atol=1e-12)
    np.testing.assert_allclose(found.returns, np.where(mask, expected + VALUES, 0.0), atol=1e-12)


def test_many_rows_agree_with_one_at_a_time() -> None:
    rng = np.random.default_rng(3)
    rewards, values = rng.normal(size=(2, 300, 500))  # more than one block of rows
    mask = np.arange(500) < rng.integers(0, 501, size=300)[:, None]
    mask[::3] &= rng.random((100, 500)) < 0.5
    found = gae(rewards, values, mask)
    for row in range(0, 300, 23):
        one = slice(row, row + 1)
        alone = gae(rewards[one], values[one], mask[one])
        np.testing.assert_allclose(found.advantages[one], alone.advantages, atol=1e-12)
    order = rng.permutation(300)
    np.testing.assert_allclose(
        gae(rewards[order], values[order], mask[order]).returns, found.returns[order], atol=1e-12
    )


def test_padding_changes_nothing() -> None:
    wide = np.pad(PADDED, ((0, 0), (5, 40)))
    moved = (np.pad(x, ((0, 0), (5, 40)), constant_values=np.nan) for x in (REWARDS, VALUES))
    found = gae(*moved, wide, bootstrap=BOOTSTRAP)
    narrow = gae(REWARDS, VALUES, PADDED, bootstrap=BOOTSTRAP)
    np.testing.assert_allclose(found.advantages[:, 5:95], narrow.advantages, atol=1e-12)
    assert not found.advantages[:, :5].any() and not found.returns[:, 95:].any()


def test_trace_one_is_monte_carlo_minus_the_value() -> None:
    monte_carlo = returns_to_go(REWARDS, HOLES, discount=0.9, bootstrap=BOOTSTRAP)
    found = gae(REWARDS, VALUES, HOLES, discount=0.9, trace=1.0, bootstrap=BOOTSTRAP)
    np.testing.assert_allclose(found.advantages, np.where(HOLES, monte_carlo - VALUES, 0.0), atol=1e-12)
    np.testing.assert_allclose(found.returns, monte_carlo, atol=1e-12)


def test_trace_zero_is_the_error_of_one_step() -> None:
    found = gae(REWARDS, VALUES, discount=0.9, trace=0.0, bootstrap=BOOTSTRAP)
    after = np.concatenate([VALUES[:, 1:], BOOTSTRAP[:, None]], axis=1)
    np.testing.assert_allclose(found.advantages, REWARDS + 0.9 * after - VALUES, atol=1e-14)


def test_without_discount_a_return_is_a_cumulative_sum() -> None:
    np.testing.assert_allclose(returns_to_go(REWARDS), REWARDS[:, ::-1].cumsum(axis=1)[:, ::-1], atol=1e-12)


def test_lambda_returns_keep_their_recurrence() -> None:
    found = lambda_returns(REWARDS, VALUES, discount=0.9, trace=0.7, bootstrap=BOOTSTRAP)
    after = np.concatenate([VALUES[:, 1:], BOOTSTRAP[:, None]], axis=1)
    following = np.concatenate([found[:, 1:], BOOTSTRAP[:, None]], axis=1)
    np.testing.assert_allclose(found, REWARDS + 0.9 * (0.3 * after + 0.7 * following), atol=1e-12)


def test_the_delta_of_step_rewards_telescopes() -> None:
    """Delta: r_k − r_{k+1}, the last but one kept, the last dropped, sums to r_k from every step but the last."""
    steps = np.array([[0.9, 0.2, 0.7, 0.4]])
    delta = np.array([[0.9 - 0.2, 0.2 - 0.7, 0.7, 0.0]])
    np.testing.assert_allclose(returns_to_go(delta)[:, :3], steps[:, :3])


def test_a_discount_is_per_segment() -> None:
    """A third segment is two discounts away, whatever its length in tokens."""
    rewards = np.array([[0.0, 0.0, 1.0, 0.0], [0.0, 1.0, 0.0, 0.0]])
    exists = np.array([[True, True, True, False], [True, True, False, False]])
    np.testing.assert_allclose(returns_to_go(rewards, exists, discount=0.5), [[0.25, 0.5, 1, 0], [0.5, 1, 0, 0]])


def test_one_episode_per_row_is_a_case_of_many() -> None:
    ended = np.zeros(REWARDS.shape, dtype=bool)
    ended[:, -1] = True
    after = np.concatenate([VALUES[:, 1:], BOOTSTRAP[:, None]], axis=1)
    for terminated, bootstrap in ((True, None), (False, BOOTSTRAP)):
        one = gae(REWARDS, VALUES, discount=0.9, trace=0.8, bootstrap=bootstrap)
        flags = (ended, ~ended & ended) if terminated else (~ended & ended, ended)
        many = gae_over_episodes(REWARDS, VALUES, after, *flags, discount=0.9, trace=0.8)
        np.testing.assert_allclose(many.advantages, one.advantages, atol=1e-12)
        np.testing.assert_allclose(many.returns, one.returns, atol=1e-12)


def test_terminated_is_not_truncated_and_neither_reaches_into_the_next_episode() -> None:
    rewards, values = np.array([[1.0, 1.0, 1.0, 1.0]]), np.zeros((1, 4))
    after = np.array([[0.0, 10.0, 0.0, 0.0]])
    at, nowhere = np.array([[False, True, False, False]]), np.zeros((1, 4), dtype=bool)
    terminated = gae_over_episodes(rewards, values, after, at, nowhere, discount=0.5, trace=1.0)
    np.testing.assert_array_equal(terminated.advantages, [[1.5, 1, 1.5, 1]])
    truncated = gae_over_episodes(rewards, values, after, nowhere, at, discount=0.5, trace=1.0)
    np.testing.assert_array_equal(truncated.advantages, [[1 + 0.5 * 6, 6, 1.5, 1]])


def test_tensors_are_read_and_the_precision_is_kept() -> None:
    rewards, values = (torch.from_numpy(x).float() for x in (REWARDS, VALUES))
    found = gae(rewards, values, torch.from_numpy(PADDED))
    assert found.advantages.dtype == found.returns.dtype == np.float32
    exact = gae(rewards.double(), values.double(), PADDED)
    assert exact.advantages.dtype == np.float64 and isinstance(exact, Estimates)
    np.testing.assert_allclose(found.advantages, exact.advantages, rtol=2e-7)  # rounded once


def test_large_values_do_not_drown_small_advantages_in_single_precision() -> None:
    """Values near 1,000, as critics of control have them, with advantages of a few hundredths."""
    rng = np.random.default_rng(4)
    values = (1000.0 + 0.01 * rng.normal(size=(8, 400))).astype(np.float32)
    rewards = (10.0 + 0.01 * rng.normal(size=(8, 400))).astype(np.float32)
    settings = {"discount": 0.99, "trace": 0.95, "bootstrap": np.full(8, 1000.0)}
    exact = gae(rewards.astype(float), values.astype(float), **settings).advantages
    error = np.abs(gae(rewards, values, **settings).advantages - exact).max()
    # The same recurrence, every product rounded where it stands.
    plain, following, after = np.zeros_like(values), np.zeros(8, dtype=np.float32), np.full(8, 1000.0, dtype=np.float32)
    for t in range(399, -1, -1):
        following = rewards[:, t] + np.float32(0.99) * after - values[:, t] + np.float32(0.99 * 0.95) * following
        plain[:, t], after = following, values[:, t]
    assert error < 1e-7
    assert np.abs(plain - exact).max() > 1e-4


def test_no_steps_at_all() -> None:
    for shape in ((0, 3), (2, 0)):
        nothing = np.zeros(shape)
        assert gae(nothing, nothing, nothing.astype(bool), bootstrap=np.zeros(shape[0])).returns.shape == shape
        assert gae(nothing, nothing).advantages.shape == shape


def test_unusable_input_is_refused() -> None:
    broken = REWARDS.copy()
    broken[3, 5] = np.nan
    for mask in (PADDED, PADDED & (np.arange(90) != 2)):
        with pytest.raises(ValueError, match="is not finite"):
            gae(broken, VALUES, mask)
    with pytest.raises(ValueError, match="is not finite"):
        gae_over_episodes(broken, VALUES, VALUES, ~PADDED, ~PADDED)
    without = PADDED & (np.arange(6) != 3)[:, None]
    assert np.isfinite(gae(broken, VALUES, without).advantages).all()
    with pytest.raises(ValueError, match="discount and trace must lie"):
        gae(REWARDS, VALUES, discount=1.5)
