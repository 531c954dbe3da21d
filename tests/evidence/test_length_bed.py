"""What a run's evaluations of accuracy and length come to, by hand."""

from __future__ import annotations

import math
from typing import Any

import pytest

from trueward.errors import EvidenceError
from trueward.evidence.length_bed import LENGTH_METRICS, length_metrics


def line(step: int, tiers: tuple[float, float, float], tokens: tuple[float, float, float]) -> dict[str, Any]:
    """An evaluation of as many rows on each tier."""
    gold, length = sum(tiers) / 3, sum(tokens) / 3
    found = {"step": step, "gold": gold, "kl": step / 10, "measure/length": length}
    found["measure/right_length"] = 0.5 * length
    for tier, (right, used) in enumerate(zip(tiers, tokens, strict=True), 1):
        found |= {
            f"measure/tier_{tier}": 1 / 3,
            f"measure/tier_{tier}_right": right / 3,
            f"measure/tier_{tier}_length": used / 3,
        }
    return found


def test_a_run_that_collapses_on_its_hardest_tier() -> None:
    metrics = [
        line(0, (0.8, 0.7, 0.3), (10, 20, 30)),
        {"step": 5, "train/reward": 1.0},
        line(10, (0.9, 0.9, 0.6), (8, 14, 20)),
        line(20, (0.9, 0.9, 0.9), (6, 12, 18)),
        line(30, (0.9, 0.6, 0.3), (5, 6, 7)),
        line(40, (0.9, 0.6, 0.0), (4, 5, 6)),
    ]
    found = length_metrics(metrics)
    assert set(found) == {metric.name for metric in LENGTH_METRICS}
    assert found["tier_3_start"] == pytest.approx(0.3)
    assert found["tier_3_peak"] == pytest.approx(0.9)
    assert found["tier_3_end"] == pytest.approx(0.4)
    assert found["tier_3_short"] == pytest.approx(0.9)  # 14 and fewer tokens: the evaluations from step 20 on
    assert found["tier_1_end"] == pytest.approx(0.9)
    assert found["accuracy_start"] == pytest.approx(0.6)
    assert found["accuracy_end"] == pytest.approx((0.9 + 0.6 + 0.5) / 3)
    assert (found["length_start"], found["length_end"]) == pytest.approx((20, (12 + 6 + 5) / 3))
    assert found["log_length_end"] == pytest.approx(math.log(23 / 3))
    assert found["right_length_end"] == pytest.approx(0.5 * (23 / 3) / (2 / 3))
    assert (found["tier_1_length_end"], found["tier_3_length_end"]) == pytest.approx((5, 31 / 3))
    # Averages .6, .7, .767, .767, .667: a tenth lost at step 40.
    assert found["viable"] == 40
    assert found["log_viable"] == pytest.approx(math.log(40))
    assert found["efficiency"] == pytest.approx((20 - 23 / 3) / 20 + 3 * (2 / 3 - 0.6) / 0.6)
    assert found["kl"] == pytest.approx(3)


def test_a_run_without_evaluations_says_so() -> None:
    with pytest.raises(EvidenceError, match="no evaluations"):
        length_metrics([{"step": 1, "train/reward": 1.0}])
