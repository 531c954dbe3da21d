"""Gains in spreads, findings and corrected scores: numbers by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from trueward.audit.images.comparing import GAIN, LOSS, gain_of, unit_of
from trueward.audit.images.growing import Growth
from trueward.audit.images.judging import apart, judge
from trueward.audit.images.perturbations import Perturbation
from trueward.audit.images.scoring import Asked
from trueward.audit.images.trying import Prompted, Trial
from trueward.measures.paired import mean_interval

OWN = np.array([0.0, 1.0, 2.0, 3.0, 4.0, 5.0])


def trial(scores: np.ndarray, relation: str = "no_gain", holdout: np.ndarray | None = None) -> Trial:
    family = "contrast" if relation == "no_gain" else "pure noise"
    one = Perturbation(family, "×2", lambda pixels, generators: pixels, relation)  # type: ignore[arg-type]
    return Trial(one, scores, np.isfinite(scores), Asked(scores, ()), holdout)


def test_the_unit_is_the_standard_deviation_of_the_images() -> None:
    unit = unit_of(OWN, np.array([100.0]))
    assert unit.spread == pytest.approx(math.sqrt(3.5))
    assert (unit.mean, unit.best) == (2.5, 5.0)


def test_where_all_images_are_paid_the_same_the_unit_comes_from_what_was_made_of_them() -> None:
    same = np.full(4, 1.0)
    unit = unit_of(same, np.array([1.0, 3.0, np.nan]))
    assert unit.spread == pytest.approx(np.std([1, 1, 1, 1, 1, 3], ddof=1))
    constant = unit_of(same, same)
    assert constant.spread == 1.0 and "pays everything the same" in constant.said
    assert unit_of(np.zeros(3), np.zeros(3)).spread == 1.0


def test_a_gain_is_paired_and_in_spreads() -> None:
    unit = unit_of(OWN, np.zeros(0))
    changed = OWN + np.array([1.0, 1.0, 1.0, 1.0, 3.0, np.nan])
    gain = gain_of(changed, OWN, unit, 0.05)
    expected = mean_interval([1 / unit.spread] * 4 + [3 / unit.spread], 0.95)
    assert (gain.interval.mean, gain.interval.low) == pytest.approx((expected.mean, expected.low))
    assert (gain.tested, gain.raised, gain.beyond) == (5, 5, 1)
    narrower = gain_of(changed, OWN, unit, 0.001)
    assert narrower.interval.low < gain.interval.low


def test_room_is_left_for_a_little_gain_and_none_for_more() -> None:
    unit = unit_of(OWN, np.zeros(0))
    noise = np.array([1e-3, -1e-3] * 3)
    assert not gain_of(OWN + (GAIN - 0.01) * unit.spread + noise, OWN, unit, 0.001).surely_raised
    assert gain_of(OWN + (GAIN + 0.01) * unit.spread + noise, OWN, unit, 0.001).surely_raised
    assert gain_of(OWN - (LOSS - 0.01) * unit.spread + noise, OWN, unit, 0.001).surely_as_much
    assert not gain_of(OWN - (LOSS + 0.01) * unit.spread + noise, OWN, unit, 0.001).surely_as_much


def test_the_room_grows_where_all_images_are_good() -> None:
    # All near 1, and empty ones earn 0: a twentieth of the way is .05, which is far more than a quarter of a spread.
    own = np.array([0.99, 1.0, 1.01, 1.0, 0.99, 1.01])
    unit = unit_of(own, np.zeros(0), [np.zeros(6), np.full(6, -3.0), np.full(6, np.nan)])
    assert unit.span == pytest.approx(1.0)
    assert unit.room * unit.spread == pytest.approx(0.05) and unit.far * unit.spread == pytest.approx(0.15)
    assert not gain_of(own + 0.04, own, unit, 0.01).surely_raised
    assert gain_of(own + 0.06, own, unit, 0.01).surely_raised
    # Empty images that are paid better say nothing.
    assert unit_of(own, np.zeros(0), [np.full(6, 2.0)]).room == GAIN


def test_few_pairs_are_no_finding() -> None:
    unit = unit_of(OWN, np.zeros(0))
    changed = np.where(np.arange(6) < 4, OWN + 10, np.nan)
    assert not gain_of(changed, OWN, unit, 0.05).surely_raised


def test_the_more_comparisons_the_wider_each() -> None:
    changed = OWN + np.array([1.0, 2.0, 0.5, 1.5, 1.0, 1.2])
    [few] = judge(OWN, [trial(changed)], None, None, None, None).rows
    many = judge(OWN, [trial(changed) for _ in range(40)], None, None, None, None).rows[0]
    assert many.gain.interval.mean == few.gain.interval.mean
    assert many.gain.interval.low < few.gain.interval.low
    assert few.gain.interval.low == pytest.approx(gain_of(changed, OWN, unit_of(OWN, changed), 0.05 / 4).interval.low)


def test_what_must_not_rise_may_stay_and_what_is_empty_must_fall() -> None:
    same, less = OWN + np.array([0.01, -0.01] * 3), OWN - 2 + np.array([0.01, -0.01] * 3)
    judged = judge(OWN, [trial(same), trial(same, "wrong"), trial(less, "wrong")], None, None, None, None)
    assert [row.found for row in judged.rows] == [False, True, False]
    assert {family: len(rows) for family, rows in judged.found.items()} == {"pure noise": 1}


def test_prompts_count_only_where_the_reward_reads_them() -> None:
    blind = judge(OWN, [], Prompted(False, OWN, ()), None, None, None)
    assert blind.elsewhere is None and blind.everywhere is None
    read = judge(OWN, [], Prompted(True, OWN - 3, (), 0, OWN + 1), None, None, None)
    assert read.elsewhere is not None and not read.elsewhere.surely_as_much
    assert read.everywhere is not None and read.everywhere.surely_as_much


def growth(scores: list[list[float]], holdout: list[list[float]] | None = None) -> Growth:
    held = None if holdout is None else np.array(holdout)
    return Growth((5, 4), 20, tuple(range(0, 10 * len(scores), 10)), np.array(scores), held, ())


def test_growth_is_against_the_best_paid_images_as_they_are() -> None:
    unit = unit_of(OWN, np.zeros(0))
    far, near = 4.5 + 0.6 * unit.spread, 4.5 + 0.4 * unit.spread
    judged = judge(OWN, [], None, growth([[5.0, 4.0], [far, near]]), None, None)
    assert judged.growth is not None and judged.far == 1 and judged.grew
    assert judged.growth.by_image == pytest.approx([0.6, 0.4])
    assert not judge(OWN, [], None, growth([[5.0, 4.0], [near, near]]), None, None).grew


def test_growth_is_far_only_against_what_lies_between_images_and_empty_ones() -> None:
    unit = unit_of(OWN, np.zeros(0))
    grown = growth([[5.0, 4.0], [4.5 + 0.6 * unit.spread] * 2])
    # The images earn 2.5 on average; .15 of the way from −4.9 are 1.11 and from −5.1 1.14, and .6 spreads are 1.12.
    for lowest, far in ((-4.9, 2), (-5.1, 0)):
        empty = trial(np.full(6, lowest), "wrong")
        assert judge(OWN, [empty], None, grown, None, None).far == far


def test_the_corrected_score_and_where_it_parts_from_the_reward() -> None:
    # Empty images have reward −1 and judgement 0, the images as they are 2.5 and 1 on average.
    empty = trial(np.full(6, -1.0), "wrong", np.zeros(6))
    held = np.full(6, 1.0) + np.array([0.1, -0.1] * 3)
    # Shares of the reward 1, 2, 3 and of the judgement 1, .75, .25: 1·2 + .2, 2·1 + .2, 3·(−1) + .2.
    grown = growth([[2.5] * 2, [6.0] * 2, [9.5] * 2], [[1.0] * 2, [0.75] * 2, [0.25] * 2])
    judged = judge(OWN, [empty], None, grown, None, held)
    assert judged.corrected == pytest.approx((2.2, 2.2, -2.8))
    assert judged.boundary == 10
    assert judged.held is not None and judged.held.rank is not None


def test_no_corrected_score_where_empty_images_are_paid_like_others() -> None:
    empty = trial(np.full(6, 9.0), "wrong", np.zeros(6))
    judged = judge(OWN, [empty], None, growth([[2.5] * 2], [[1.0] * 2]), None, np.ones(6))
    assert judged.corrected is None and judged.boundary is None


def test_rising_here_and_falling_there() -> None:
    noise = np.array([0.01, -0.01] * 3)
    held = OWN / 2
    rises = trial(OWN + 3 + noise, "no_gain", held - 3 + noise)
    both = trial(OWN + 3 + noise, "no_gain", held + 3 + noise)
    judged = judge(OWN, [rises, both], None, None, None, held)
    assert [apart(row) for row in judged.rows] == [True, False]
    assert judged.held is not None and judged.held.rank == pytest.approx(1.0)
