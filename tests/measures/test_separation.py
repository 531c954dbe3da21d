"""The area under the curve: by hand, against pairs and against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest

from trueward.measures.separation import area_under_curve, paired_auc


def test_by_hand() -> None:
    score, positive = np.array([0.9, 0.4, 0.4, 0.1]), np.array([True, True, False, False])
    assert area_under_curve(score, positive) == (1 + 1 + 0.5 + 1) / 4
    assert area_under_curve(score, ~positive) == 1 - 3.5 / 4
    assert area_under_curve(score, np.ones(4, dtype=bool)) == 0.5
    assert area_under_curve(np.zeros(4), positive) == 0.5
    with pytest.raises(ValueError, match="NaN"):
        area_under_curve(np.array([np.nan, 1.0]), np.array([True, False]))


@pytest.mark.parametrize("seed", range(3))
def test_it_is_the_share_of_all_pairs_and_what_scikit_learn_says(seed: int) -> None:
    from sklearn.metrics import roc_auc_score

    generator = np.random.default_rng(seed)
    score, positive = generator.integers(0, 8, 60) / 8, generator.random(60) < 0.3
    found = area_under_curve(score, positive)
    assert found == pytest.approx(roc_auc_score(positive, score))
    assert found == pytest.approx(paired_auc([(a, b) for a in score[positive] for b in score[~positive]]))
