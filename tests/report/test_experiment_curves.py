"""Bands over seeds, against intervals worked out by hand."""

from __future__ import annotations

import math
from typing import Any

import experiment_sample
import pytest

from trueward.report.experiment_curves import against_kl, arm_curves, telling_arms, thinned


def arm(**runs: dict[str, list[float | None]]) -> Any:
    return {**experiment_sample.document()["arms"][0], "curves": runs}


def test_mean_and_band_of_two_seeds() -> None:
    """t at one degree of freedom is 12.7062; of 0.4 and 0.6 the mean is .5 and s / √n = .1."""
    made = arm_curves(
        arm(
            a={"step": [0, 10], "proxy": [0.4, 1.0], "gold": [0.1, 0.2], "kl": [0.0, 1.0]},
            b={"step": [0, 10], "proxy": [0.6, 1.0], "gold": [0.1, 0.4], "kl": [0.0, 3.0]},
        )
    )
    assert made.seeds == 2
    assert made.at == (0, 10)
    assert made.kl == (0.0, 2.0)
    assert made.proxy.mean == pytest.approx((0.5, 1.0))
    assert made.proxy.low == pytest.approx((0.5 - 1.27062, 1.0), abs=1e-5)
    assert made.proxy.high == pytest.approx((0.5 + 1.27062, 1.0), abs=1e-5)
    assert made.gold.mean == pytest.approx((0.1, 0.3))


def test_five_seeds_have_the_band_of_their_metric() -> None:
    [par, *_] = experiment_sample.document()["arms"]
    made = arm_curves(par)
    assert made.gold.mean[-1] == pytest.approx(par["metrics"]["gold"]["mean"])
    assert made.gold.high[-1] == pytest.approx(0.66 + experiment_sample.HALF, abs=1e-6)


def test_a_step_that_one_seed_lacks_is_left_out() -> None:
    made = arm_curves(arm(a={"step": [0, 10, 20], "proxy": [1, 2, 3]}, b={"step": [0, 20], "proxy": [3, 5]}))
    assert made.at == (0, 20)
    assert made.proxy.mean == (2, 4)
    assert made.gold.empty and not made.empty


def test_numbers_that_are_missing_leave_gaps_and_never_zeros() -> None:
    made = arm_curves(arm(a={"step": [0, 10], "proxy": [1, None]}, b={"step": [0, 10], "proxy": [math.nan, 2]}))
    assert made.proxy.mean == (None, None)
    assert made.empty


def test_one_seed_has_a_line_and_no_band() -> None:
    made = arm_curves(arm(a={"step": [0], "gold": [0.3]}))
    assert (made.gold.mean, made.gold.low, made.gold.high) == ((0.3,), (None,), (None,))


def test_no_run_no_curve() -> None:
    assert arm_curves(arm()).empty
    assert against_kl(arm_curves(arm())).empty
    assert thinned(arm_curves(arm()), 3).empty


def test_against_kl_is_in_the_order_of_the_kl() -> None:
    made = against_kl(arm_curves(arm(a={"step": [0, 10, 20, 30], "kl": [0, 3, None, 2], "gold": [1, 2, 3, 4]})))
    assert made.at == made.kl == (0, 2, 3)
    assert made.gold.mean == (1, 4, 2)
    assert against_kl(arm_curves(arm(a={"step": [0], "gold": [1]}))).empty  # no KL was logged


def test_thinned_keeps_the_ends() -> None:
    steps: list[float | None] = [float(step) for step in range(100)]
    made = arm_curves(arm(a={"step": steps, "gold": steps, "kl": steps}))
    few = thinned(made, 4)
    assert few.at == few.kl == few.gold.mean == (0, 33, 66, 99)
    assert thinned(made, 100) == made


def test_the_story_is_told_by_method_baselines_and_what_must_be_seen() -> None:
    def arm(name: str, role: str) -> dict[str, str]:
        return {"name": name, "role": role}

    document: Any = {
        "arms": [arm("hacked", "reference"), arm("ours", "method"), arm("best", "baseline"), arm("other", "ablation")],
        "preconditions": [{"a": "hacked", "b": None}],
    }
    assert [one["name"] for one in telling_arms(document)] == ["hacked", "ours", "best"]
