"""Wilson intervals against published numbers, and the paired AUC by hand."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from trueward.measures.intervals import bounded_mean, wilson
from trueward.measures.separation import paired_auc


@given(st.integers(1, 300).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_agrees_with_scipy(case: tuple[int, int]) -> None:
    k, n = case
    theirs = binomtest(k, n).proportion_ci(method="wilson")
    assert wilson(k, n) == pytest.approx((theirs.low, theirs.high), abs=1e-9)


def test_no_units_tell_nothing() -> None:
    assert wilson(0, 0) == (0.0, 1.0)
    mean, low, high = bounded_mean([])
    assert math.isnan(mean) and (low, high) == (0.0, 1.0)


def test_bounded_mean_reduces_to_a_share() -> None:
    assert bounded_mean([1.0, 0.0, 1.0, 1.0])[1:] == wilson(3, 4)
    assert bounded_mean([7.0, -3.0])[0] == 0.5  # clipped to 1 and 0


def test_wilson_refuses_impossible_counts() -> None:
    with pytest.raises(ValueError, match="successes"):
        wilson(4, 3)


def test_paired_auc() -> None:
    assert paired_auc([(1.0, 0.0), (1.0, 1.0), (0.0, 1.0)]) == 0.5
    assert paired_auc([(2.0, 1.0)]) == 1.0
    assert paired_auc([]) == 0.5
