"""When a curve reaches a level, by hand."""

from __future__ import annotations

import pytest

from trueward.measures.speed import first_reaching

STEPS, PROXY, GOLD = [0, 10, 20, 30], [0.5, 0.7, 0.6, 1.0], [0.6, 0.8, 0.4, 0.0]


def test_the_first_crossing_is_straight_between_two_evaluations():
    found = first_reaching(STEPS, PROXY, 0.65)
    assert found.reached and found.step == pytest.approx(7.5) and found.at(GOLD) == pytest.approx(0.75)
    later = first_reaching(STEPS, PROXY, 0.9)
    assert later.step == pytest.approx(27.5) and later.at(GOLD) == pytest.approx(0.1)


def test_levels_at_evaluations():
    assert first_reaching(STEPS, PROXY, 0.7).step == 10.0
    assert first_reaching(STEPS, PROXY, 0.7).at(GOLD) == pytest.approx(0.8)
    start = first_reaching(STEPS, PROXY, 0.4)
    assert (start.step, start.reached, start.at(GOLD)) == (0.0, True, 0.6)


def test_a_run_that_never_gets_there_is_cut_off_at_its_end():
    never = first_reaching(STEPS, PROXY, 1.01)
    assert (never.step, never.reached, never.at(GOLD)) == (30.0, False, 0.0)
    one = first_reaching([5], [0.1], 0.5)
    assert (one.step, one.reached, one.at([3.0])) == (5.0, False, 3.0)


def test_evaluations_and_values_must_fit():
    for steps, values in (([], []), ([1], [])):
        with pytest.raises(ValueError, match="as many of both"):
            first_reaching(steps, values, 0.5)
