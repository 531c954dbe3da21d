"""From rollouts and segments to decisions."""

from __future__ import annotations

import numpy as np
import pytest

from trueward.credit import at_segment_ends, spread, spread_segments, spread_written

MASK = np.array([[True, True, False, True], [False, True, True, False]])
SEGMENTS = np.array([[0, 0, -1, 2], [-1, 0, 0, -1]])


def test_a_rollouts_advantage_is_a_view_without_memory() -> None:
    advantages = np.array([1.5, -2.0])
    view = spread(advantages, 4)
    assert view.shape == (2, 4) and view.strides[1] == 0 and np.shares_memory(view, advantages)
    assert not view.flags.writeable
    np.testing.assert_array_equal(view * MASK, [[1.5, 1.5, 0, 1.5], [0, -2, -2, 0]])


def test_written_it_is_the_same_under_the_mask() -> None:
    advantages = np.array([1 / 3, -2.0])
    written = spread_written(advantages, MASK)
    assert written.dtype == np.float32
    np.testing.assert_array_equal(written, (spread(advantages, 4) * MASK).astype(np.float32))
    exact = spread_written(advantages, MASK, np.float64)
    np.testing.assert_array_equal(exact, spread(advantages, 4) * MASK)


def test_segments_by_hand() -> None:
    advantages = np.array([[1.0, 9.0, 3.0], [5.0, 9.0, 9.0]])
    np.testing.assert_array_equal(spread_segments(advantages, SEGMENTS), [[1, 1, 0, 3], [0, 5, 5, 0]])
    chosen = np.array([[True, False, True, True], [True] * 4])
    np.testing.assert_array_equal(spread_segments(advantages, SEGMENTS, chosen), [[1, 0, 0, 3], [0, 5, 5, 0]])


def test_one_segment_is_a_rollout() -> None:
    advantages = np.array([1.5, -2.0])
    by_segment = spread_segments(advantages[:, None], np.where(MASK, 0, -1))
    np.testing.assert_array_equal(by_segment, spread(advantages, 4) * MASK)


def test_rewards_stand_at_the_last_decision_of_their_segment() -> None:
    rewards = np.array([[1.0, 0.0, 3.0], [5.0, 0.0, 0.0]])
    np.testing.assert_array_equal(at_segment_ends(rewards, SEGMENTS), [[0, 1, 0, 3], [0, 0, 5, 0]])
    chosen = np.array([[True, False, True, True], [True] * 4])
    np.testing.assert_array_equal(at_segment_ends(rewards, SEGMENTS, chosen), [[1, 0, 0, 3], [0, 0, 5, 0]])
    outcome = at_segment_ends(np.array([[7.0], [8.0]]), np.where(MASK, 0, -1))
    np.testing.assert_array_equal(outcome, [[0, 0, 0, 7], [0, 0, 8, 0]])


def test_no_reward_is_dropped_without_a_word() -> None:
    with pytest.raises(ValueError, match="1 segments have a reward but no decision"):
        at_segment_ends(np.array([[1.0, 2.0, 3.0], [5.0, 0.0, 0.0]]), SEGMENTS)
    with pytest.raises(ValueError, match="numbered up to 2"):
        spread_segments(np.zeros((2, 2)), SEGMENTS)
    with pytest.raises(ValueError, match="numbered up to 2"):
        at_segment_ends(np.zeros((2, 2)), SEGMENTS)


def test_no_segments_at_all() -> None:
    np.testing.assert_array_equal(spread_segments(np.zeros((2, 0)), np.full((2, 3), -1)), np.zeros((2, 3)))
    np.testing.assert_array_equal(at_segment_ends(np.zeros((2, 0)), np.full((2, 3), -1)), np.zeros((2, 3)))
