"""Student's t intervals by hand, against scipy, and where there is little to go on."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ttest_rel

from trueward.measures.paired import mean_interval, paired_interval

NUMBERS = st.floats(-1e3, 1e3, allow_nan=False).map(lambda x: round(x, 3))


def test_by_hand() -> None:
    found = mean_interval([1.0, 2.0, 3.0, 4.0, 5.0])
    # s² = 10/4, t(4; .975) = 2.776445 from the printed tables: half = 2.776445 · √(2.5/5)
    assert (found.mean, found.n) == (3.0, 5)
    assert found.high - found.mean == pytest.approx(2.776445 * math.sqrt(0.5), rel=1e-6)
    assert found.mean - found.low == pytest.approx(found.high - found.mean)


@given(st.lists(st.tuples(NUMBERS, NUMBERS), min_size=2, max_size=12), st.sampled_from([0.8, 0.95, 0.99]))
def test_agrees_with_scipy(pairs: list[tuple[float, float]], level: float) -> None:
    a, b = (list(column) for column in zip(*pairs, strict=True))
    found = paired_interval(a, b, level)
    if np.ptp(np.subtract(a, b)) < 1e-9:
        assert found.low == pytest.approx(found.high, abs=1e-6)
        return
    theirs = ttest_rel(a, b).confidence_interval(level)
    assert (found.low, found.high) == pytest.approx((theirs.low, theirs.high), rel=1e-6, abs=1e-6)


def test_what_both_share_drops_out() -> None:
    a, b, shared = [1.0, 4.0, 2.0], [0.0, 2.0, 3.0], [64.0, -32.0, 16.0]
    moved = paired_interval(np.add(a, shared).tolist(), np.add(b, shared).tolist())
    assert moved == paired_interval(a, b)
    unpaired = mean_interval(np.add(a, shared).tolist())
    assert unpaired.high - unpaired.low > 10 * (moved.high - moved.low)


@pytest.mark.parametrize("values", [[], [7.0]])
def test_one_value_says_nothing_about_the_spread(values: list[float]) -> None:
    found = mean_interval(values)
    assert (found.low, found.high, found.n) == (-math.inf, math.inf, len(values))
    assert found.mean == 7.0 if values else math.isnan(found.mean)


def test_equal_values_have_no_spread() -> None:
    found = mean_interval([0.1] * 5)
    assert (found.mean, found.low, found.high) == (0.1, 0.1, 0.1)


def test_refuses_what_it_cannot_use() -> None:
    with pytest.raises(ValueError, match="partner"):
        paired_interval([1.0], [1.0, 2.0])
    with pytest.raises(ValueError, match="finite"):
        mean_interval([1.0, math.nan])
    with pytest.raises(ValueError, match="level"):
        mean_interval([1.0, 2.0], 1.0)
