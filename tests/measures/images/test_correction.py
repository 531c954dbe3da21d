"""Corrected scores, and where hacking starts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trueward.measures.images import corrected_score, five_point, hacking_boundary


def test_the_corrected_score_by_hand():
    """û = (5 + 4 + 3) / 3 = 4: 0.8 · 1 + 0.2. At the centre nothing of the reward is left, below it counts against."""
    assert corrected_score(0.8, [5.0, 4.0, 3.0]) == pytest.approx(1.0)
    assert corrected_score(0.8, [3.0]) == pytest.approx(0.2)
    assert corrected_score(0.8, [1.0, 2.0]) == pytest.approx(0.8 * -1.5 + 0.2)
    assert corrected_score(0.5, [0.9, 0.7], centre=0.5, scale=2.0, offset=0.0) == pytest.approx(0.3)


def test_row_by_row():
    found = corrected_score(np.array([1.0, 0.5]), [np.array([5.0, 3.0]), np.array([3.0, 1.0])])
    assert found.tolist() == [pytest.approx(1.2), pytest.approx(-0.3)]


@given(st.floats(0, 1), st.floats(0.01, 1), st.floats(1, 5))
def test_more_reward_helps_above_the_centre_and_harms_below_it(reward, more, judge):
    gained = float(corrected_score(reward + more, [judge]) - corrected_score(reward, [judge]))
    assert gained == pytest.approx(more * (judge - 3))


def test_the_reference_numbers_of_the_source():
    """GDRO, table of OCR: reward .5843 and corrected .4486 before training fit û = 3.425."""
    assert corrected_score(0.5843, [3.0 + (0.4486 - 0.2) / 0.5843]) == pytest.approx(0.4486)


def test_there_is_nothing_to_correct_by_without_a_judge():
    with pytest.raises(ValueError, match="at least one judge"):
        corrected_score(0.5, [])


def test_shares_on_five_points():
    assert five_point(np.array([0.0, 0.25, 1.0, 1.7, -0.2])).tolist() == [1.0, 2.0, 5.0, 5.0, 1.0]
    assert five_point(0.5) == 3.0


STEPS = [0, 10, 20, 30]


def test_the_boundary_is_the_peak_from_which_both_part_ways():
    assert hacking_boundary(STEPS, [0.1, 0.4, 0.6, 0.9], [0.3, 0.8, 0.7, 0.2]) == 10.0
    arrays = np.array(STEPS), np.array([0.1, 0.4, 0.6, 0.9]), np.array([0.3, 0.8, 0.7, 0.2])
    assert hacking_boundary(*arrays) == 10.0


@pytest.mark.parametrize(
    ("reward", "corrected"),
    [
        ([0.1, 0.4, 0.6, 0.9], [0.3, 0.5, 0.7, 0.8]),  # both rise
        ([0.9, 0.8, 0.5, 0.1], [0.8, 0.7, 0.4, 0.2]),  # both fall: training got worse, and hacked nothing
        ([0.5, 0.5, 0.5, 0.5], [0.8, 0.7, 0.4, 0.2]),  # the reward does not move
        ([0.1, 0.4, 0.6, 0.9], [0.5, 0.5, 0.5, 0.5]),  # the corrected score does not
    ],
)
def test_there_is_no_boundary_where_they_do_not_part(reward, corrected):
    assert hacking_boundary(STEPS, reward, corrected) is None


def test_a_small_fall_may_be_chance():
    reward, corrected = [0.1, 0.4, 0.6, 0.9], [0.3, 0.8, 0.79, 0.78]
    assert hacking_boundary(STEPS, reward, corrected) == 10.0
    assert hacking_boundary(STEPS, reward, corrected, tolerance=0.05) is None


def test_of_equal_peaks_the_last_counts_and_one_step_is_no_fall():
    assert hacking_boundary(STEPS, [0.1, 0.2, 0.3, 0.4], [0.8, 0.8, 0.8, 0.1]) == 20.0
    assert hacking_boundary([5.0], [0.1], [0.2]) is None


def test_lengths_must_agree():
    with pytest.raises(ValueError, match="as many rewards"):
        hacking_boundary(STEPS, [0.1], [0.2])
    with pytest.raises(ValueError, match="at least one"):
        hacking_boundary([], [], [])
