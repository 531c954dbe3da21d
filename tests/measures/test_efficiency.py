"""Stability and the exchange of accuracy for length, with numbers by hand."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trueward.measures.efficiency import (
    accuracy_efficiency,
    best_within,
    frontier_area,
    moving_average,
    viable_updates,
)


def test_a_moving_average_by_hand() -> None:
    np.testing.assert_allclose(moving_average([1.0, 2.0, 6.0, 0.0], 2), [1, 1.5, 4, 3])
    np.testing.assert_array_equal(moving_average([1.0, 2.0, 6.0], 1), [1, 2, 6])


def test_a_run_is_viable_until_it_has_fallen_by_more_than_five_points() -> None:
    steps, accuracy = [0, 10, 20, 30, 40], [0.5, 0.7, 0.66, 0.64, 0.9]
    assert viable_updates(steps, accuracy, window=1) == 30  # .70 − .64 = .06
    # Averages of two: .5, .6, .68, .65, .77.
    assert viable_updates(steps, accuracy, window=2) == 40
    assert viable_updates(steps, accuracy, window=2, fall=0.02) == 30


def test_a_run_that_rises_or_stands_still_is_viable_to_its_end() -> None:
    assert viable_updates([0, 10, 20], [0.2, 0.3, 0.9]) == 20
    assert viable_updates([0, 10, 20], [0.4, 0.4, 0.4]) == 20
    assert viable_updates([5], [0.4]) == 5


def test_one_bad_evaluation_is_no_collapse_but_a_fall_that_stays_is() -> None:
    steps = list(range(0, 80, 10))
    assert viable_updates(steps, [0.9, 0.9, 0.9, 0.8, 0.9, 0.9, 0.9, 0.9]) == 70
    assert viable_updates(steps, [0.9, 0.9, 0.9, 0.8, 0.8, 0.8, 0.8, 0.8]) == 40


def test_the_area_under_the_frontier_by_hand() -> None:
    # Up to 10 tokens: nothing below 2, then .4 up to 5, then .8; the point of 8 tokens is dominated, that of 12 beyond.
    length, accuracy = [12.0, 5.0, 2.0, 8.0], [1.0, 0.8, 0.4, 0.6]
    assert frontier_area(length, accuracy, 10.0) == pytest.approx((3 * 0.4 + 5 * 0.8) / 10)
    assert best_within(length, accuracy, 7.0) == 0.8
    assert best_within(length, accuracy, 1.0) == 0.0


POINTS = st.lists(st.tuples(st.floats(0.1, 30), st.floats(0, 1)), min_size=1, max_size=12)


@given(POINTS, st.floats(1, 20))
def test_it_is_the_mean_of_the_best_accuracy_over_all_lengths(points: list[tuple[float, float]], end: float) -> None:
    length, accuracy = [p[0] for p in points], [p[1] for p in points]
    # The frontier is constant between neighbouring lengths.
    ends = sorted({0.0, end, *(tokens for tokens in length if tokens < end)})
    expected = sum((b - a) * best_within(length, accuracy, (a + b) / 2) for a, b in pairwise(ends))
    assert frontier_area(length, accuracy, end) == pytest.approx(expected / end, abs=1e-9)


def test_more_points_never_lower_the_area() -> None:
    assert frontier_area([4.0, 2.0], [0.5, 0.1], 8.0) >= frontier_area([4.0], [0.5], 8.0)


def test_accuracy_efficiency_by_hand() -> None:
    # A quarter fewer tokens; 10 % more of a right answer counts 3, 10 % less counts 5.
    assert accuracy_efficiency(0.55, 75.0, 0.5, 100.0) == pytest.approx(0.25 + 0.3)
    assert accuracy_efficiency(0.45, 75.0, 0.5, 100.0) == pytest.approx(0.25 - 0.5)
    assert accuracy_efficiency(0.5, 100.0, 0.5, 100.0) == 0.0


def test_what_cannot_be_measured_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        viable_updates([], [])
    with pytest.raises(ValueError, match="as many"):
        viable_updates([0, 1], [0.1])
    with pytest.raises(ValueError, match="positive end"):
        frontier_area([1.0], [1.0], 0.0)
    with pytest.raises(ValueError, match="start from"):
        accuracy_efficiency(0.5, 10.0, 0.0, 10.0)
    with pytest.raises(ValueError, match="window"):
        moving_average([1.0], 0)
