"""The test of exchangeability behind all detectors."""

from __future__ import annotations

import itertools
import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trueward.audit.monitor.detectors import rank_test
from trueward.audit.monitor.detectors.rank_test import RankTest, Side


def wealths(values: list[float], side: Side = "up", alpha: float = 1e-12, window: int = 2) -> list[float]:
    """Wealth after each value."""
    test = RankTest(side, alpha, window)
    found = []
    for value in values:
        test.see(value)
        found.append(test.wealth)
    return found


def test_wealth_worked_out_by_hand() -> None:
    # Window 2. At 3: p = 1/3, only c = 0.5 wins (0.1 + 0.9/0.5 = 1.9), w_1 = 1/2 enters; 1/2 is still to enter.
    first = 0.5 * (3 * 0.1 + 1.9) / 4
    assert wealths([1.0, 2.0, 3.0])[-1] == pytest.approx(first + 0.5)
    # At 0: p = 1, all bets lose; w_2 = 1/6 enters; 1/3 is still to enter.
    lost = (3 * (0.5 * 0.1 + 1 / 6) * 0.1 + (0.5 * 1.9 + 1 / 6) * 0.1) / 4
    assert wealths([1.0, 2.0, 3.0, 0.0])[-1] == pytest.approx(lost + 1 / 3)


@pytest.mark.parametrize("values", [(1, 2, 3, 4, 5, 6, 7), (1, 1, 2, 2, 2, 3, 4), (0, 0, 0, 0, 0, 0, 1)])
@pytest.mark.parametrize("side", ["up", "down"])
def test_over_all_orders_the_mean_wealth_is_at_most_1_and_ville_holds(values: tuple[float, ...], side: Side) -> None:
    paths = [wealths(list(order), side, window=1) for order in itertools.permutations(values)]
    assert np.mean(paths, axis=0).max() <= 1 + 1e-12
    for alpha in (0.9, 0.7, 0.5, 0.3):
        assert np.mean([max(path) >= 1 / alpha for path in paths]) <= alpha
        stopped = [next((wealth for wealth in path if wealth >= 1 / alpha), path[-1]) for path in paths]
        assert np.mean(stopped) <= 1 + 1e-12


def test_without_ties_nothing_is_given_away() -> None:
    """Mean 1 where each rank that decides a bet lies on the grid of possible ranks: t = 20, shares 1/20, 2/20, …"""
    values = list(range(19))
    after = []
    for last in range(20):  # the last of 20 values takes each rank once
        order = [value + (value >= last) for value in values]
        test = RankTest("up", 1e-12, 19)
        for value in order:
            test.see(float(value))
        test.see(float(last))
        after.append(test.wealth)
    assert np.mean(after) == pytest.approx(1.0)


def test_false_alarms_of_long_runs_stay_within_alpha() -> None:
    rng = np.random.default_rng(0)
    alarms = 0
    for _ in range(300):
        test = RankTest("up", 0.1, 10)
        for value in rng.normal(size=400).tolist():
            test.see(value)
        alarms += test.changed
    assert alarms <= 0.1 * 300 + 3 * math.sqrt(0.1 * 0.9 * 300)


def test_a_rise_is_found_soon_even_after_a_long_quiet_time_and_a_fall_is_not() -> None:
    rng = np.random.default_rng(1)
    quiet = rng.normal(size=500).tolist()
    up, down = RankTest("up", 1 / 500, 10), RankTest("down", 1 / 500, 10)
    for value in quiet:
        up.see(value)
        down.see(value)
    assert not up.changed and not down.changed
    needed = 0
    while not up.changed and needed < 100:
        needed += 1
        up.see(5.0 + rng.normal())
        down.see(5.0 + rng.normal())
    assert needed <= 12
    assert not down.changed


@given(st.lists(st.integers(-5, 5), min_size=3, max_size=40))
def test_only_the_order_of_values_counts(values: list[int]) -> None:
    plain = wealths([float(value) for value in values])
    assert wealths([math.exp(value) for value in values]) == plain
    assert wealths([-3.0 * value + 1.0 for value in values], "down") == plain


def test_state_survives_as_json() -> None:
    values = np.random.default_rng(2).normal(size=60).tolist()
    whole, first = RankTest("up", 0.01, 10), RankTest("up", 0.01, 10)
    for value in values:
        whole.see(value)
    for value in values[:30]:
        first.see(value)
    second = RankTest("up", 0.01, 10)
    second.load_state_dict(json.loads(json.dumps(first.state_dict())))
    for value in values[30:]:
        second.see(value)
    assert second.wealth == whole.wealth


def test_what_is_kept_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rank_test, "BLOCK", 16)
    test = RankTest("up", 1e-9, 4)
    for value in range(1, 100):
        test.see(float(value % 7))
        assert len(test.state_dict()["sorted"]) <= 16
