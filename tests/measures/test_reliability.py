"""Reliability and AUC by hand, and against all pairs."""

from __future__ import annotations

import numpy as np
import pytest

from trueward.measures.reliability import area_under_curve, reliability


def test_two_bins_by_hand() -> None:
    """Stated .2 .4 | .9 1.; true 0 1 | 1 1: gaps .2 and .05, each over half of the entries."""
    found = reliability(np.array([0.2, 0.4, 0.9, 1.0]), np.array([0.0, 1.0, 1.0, 1.0]), bins=2)
    assert found.count.tolist() == [2, 2]
    np.testing.assert_allclose(found.stated, [0.3, 0.95])
    np.testing.assert_allclose(found.observed, [0.5, 1.0])
    assert found.error == pytest.approx(0.5 * 0.2 + 0.5 * 0.05)
    assert found.largest_error == pytest.approx(0.2)
    assert found.brier == pytest.approx((0.04 + 0.36 + 0.01 + 0.0) / 4)


def test_empty_bins_are_unknown_and_count_nothing() -> None:
    found = reliability(np.array([0.05, 0.95]), np.array([0.0, 1.0]), bins=10)
    assert np.isnan(found.stated[1:9]).all() and np.isnan(found.observed[1:9]).all()
    assert found.error == pytest.approx(0.05)


def test_labels_drawn_from_what_is_stated_have_no_error() -> None:
    """And half of the confidence, stated as if it were all, has one: the negative control."""
    rng = np.random.default_rng(0)
    probability = rng.uniform(size=100_000)
    label = (rng.uniform(size=100_000) < probability).astype(float)
    assert reliability(probability, label).error < 0.01
    assert reliability(np.clip(2 * probability - 0.5, 0, 1), label).error > 0.1


def test_auc_by_hand_and_against_all_pairs() -> None:
    """Right at 3, 1; wrong at 2, 1: of four pairs two are won, one tied, one lost."""
    assert area_under_curve(np.array([3.0, 1.0, 2.0, 1.0]), np.array([1.0, 1.0, 0.0, 0.0])) == pytest.approx(2.5 / 4)
    rng = np.random.default_rng(1)
    score, label = rng.integers(0, 6, size=60).astype(float), rng.integers(0, 2, size=60).astype(float)
    right, wrong = score[label == 1][:, None], score[label == 0][None, :]
    pairs = ((right > wrong) + 0.5 * (right == wrong)).mean()
    assert area_under_curve(score, label) == pytest.approx(pairs)
    assert area_under_curve(-score, label) == pytest.approx(1 - pairs)


def test_auc_of_one_class_is_unknown() -> None:
    assert np.isnan(area_under_curve(np.array([1.0, 2.0]), np.array([1.0, 1.0])))


@pytest.mark.parametrize("probability", [[1.2], [-0.1], [np.nan], []])
def test_refuses_what_is_no_probability(probability: list[float]) -> None:
    with pytest.raises(ValueError, match="probability"):
        reliability(np.array(probability), np.zeros(len(probability)))


def test_auc_refuses_failed_rows() -> None:
    with pytest.raises(ValueError, match="finite"):
        area_under_curve(np.array([np.nan, 1.0]), np.array([0.0, 1.0]))
