"""Bonuses against counts."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trueward.measures.bonus_calibration import calibration, unevenness

VISITS = np.array([1.0, 2.0, 5.0, 30.0, 400.0])


def test_a_count_is_calibrated():
    found = calibration(1.0 / VISITS, VISITS)
    assert (found.rank, found.slope, found.floor) == (pytest.approx(1.0), pytest.approx(-1.0), pytest.approx(1.0))


def test_a_square_root_has_half_the_slope():
    assert calibration(VISITS**-0.5, VISITS).slope == pytest.approx(-0.5)


def test_a_bonus_that_does_not_tell_has_no_slope_and_no_rank():
    found = calibration(np.full(5, 0.3), VISITS)
    assert (found.rank, found.slope) == (0.0, pytest.approx(0.0))
    assert calibration(np.arange(1.0, 6.0), VISITS).rank == pytest.approx(-1.0)


def test_a_floor_shows_where_visits_are_many():
    """0.1 + 1/n at 400 visits, the tenth visited most: 400 · 0.1025 = 41."""
    assert calibration(0.1 + 1.0 / VISITS, VISITS).floor == pytest.approx(41.0)


def test_states_that_were_never_visited_are_left_out():
    bonus, visits = np.append(1.0 / VISITS, 77.0), np.append(VISITS, 0.0)
    assert calibration(bonus, visits) == calibration(1.0 / VISITS, VISITS)


@given(st.permutations(range(5)), st.floats(0.01, 100.0))
def test_neither_order_nor_scale_matter_to_rank_and_slope(order, scale):
    bonus = np.array([0.9, 0.6, 0.1, 0.2, 0.01])
    moved = calibration(scale * bonus[list(order)], VISITS[list(order)])
    plain = calibration(bonus, VISITS)
    assert moved.rank == pytest.approx(plain.rank) and moved.slope == pytest.approx(plain.slope)


@pytest.mark.parametrize(
    ("bonus", "visits"),
    [([1.0], [3.0]), ([1.0, 0.0], [1.0, 2.0]), ([1.0, 0.5], [2.0, 2.0]), ([1.0, 2.0], [0.0, 4.0])],
)
def test_what_has_no_calibration_is_refused(bonus, visits):
    with pytest.raises(ValueError, match="two or more visited states"):
        calibration(np.array(bonus), np.array(visits))


def test_unevenness_by_hand():
    assert unevenness(np.array([2.0, 2.0, 2.0, 2.0])) == pytest.approx(0.0)
    assert unevenness(np.array([0.0, 5.0])) == pytest.approx(math.log(2))
    assert unevenness(np.array([1.0, 3.0])) == pytest.approx(0.25 * math.log(0.5) + 0.75 * math.log(1.5))


@pytest.mark.parametrize("bonus", [[], [0.0, 0.0], [1.0, -1.0]])
def test_shares_of_nothing_are_refused(bonus):
    with pytest.raises(ValueError, match="not below 0, and one above"):
        unevenness(np.array(bonus, dtype=float))
