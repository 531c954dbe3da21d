"""Joint and separate comparison of `Scores`, at all levels, with failures."""

from __future__ import annotations

import numpy as np
import pytest

from trueward.batch import Part, Scores
from trueward.credit import group_advantages, returns_to_go, score_advantages
from trueward.status import Status

OK, LOST, BLAMED = Status.OK, Status.UNAVAILABLE, Status.UNPARSABLE
GROUP = np.array([0, 0, 1, 1])


def part(values: object, status: list[Status] | None = None, **more: object) -> Part:
    array = np.array(values, dtype=float)
    return Part(values=array, status=status or [OK] * len(array), **more)  # type: ignore[arg-type]


def test_jointly_the_part_that_varies_more_decides_and_separately_the_weights_do() -> None:
    scores = Scores({"big": part([10, 0, 0, 0]), "small": part([0, 1, 1, 0], weight=2.0)})
    joint = score_advantages(scores, GROUP, statistic="z_score", epsilon=0.0)
    # Totals 10, 2 and 2, 0: ±1/√2 in each group.
    np.testing.assert_allclose(joint.values, np.array([1, -1, 1, -1]) * 0.5**0.5)
    apart = score_advantages(scores, GROUP, statistic="z_score", epsilon=0.0, separately=True)
    # In the first group 1 · (1/√2) + 2 · (−1/√2); in the second "big" is constant.
    np.testing.assert_allclose(apart.values, np.array([-1, 1, 2, -2]) * 0.5**0.5)
    assert apart.parts["big"].constant == 1 and apart.parts["small"].constant == 0
    np.testing.assert_array_equal(apart.informative, [True] * 4)
    assert set(joint.parts) == {"total"}


@pytest.mark.parametrize("level", ["rollout", "segment"])
@pytest.mark.parametrize("statistic", ["centre", "z_score", "leave_one_out", "none"])
def test_with_one_part_separate_is_joint(level: str, statistic: str) -> None:
    rng = np.random.default_rng(0)
    exists = np.array([[True, True, False], [True, True, True], [True, False, False], [True, True, False]])
    segments = part(rng.normal(size=(4, 3)), level="segment", exists=exists)
    scores = Scores({"only": segments})
    joint = score_advantages(scores, GROUP, statistic=statistic, level=level, epsilon=0.0)
    apart = score_advantages(scores, GROUP, statistic=statistic, level=level, epsilon=0.0, separately=True)
    np.testing.assert_array_equal(joint.values, apart.values)
    assert joint.values.any()


def test_centring_is_linear_so_that_separate_is_joint() -> None:
    rng = np.random.default_rng(1)
    scores = Scores({"a": part(rng.normal(size=4), weight=0.3), "b": part(rng.normal(size=4), weight=-2.0)})
    joint, apart = (score_advantages(scores, GROUP, statistic="centre", separately=s) for s in (False, True))
    np.testing.assert_allclose(joint.values, apart.values, atol=1e-14)


@pytest.mark.parametrize("separately", [False, True])
def test_a_row_that_lacks_a_part_is_left_out_and_one_to_blame_is_paid_the_lowest(separately: bool) -> None:
    group = np.zeros(4, dtype=int)
    scores = Scores(
        {
            "right": part([1, 0, 0.5, np.nan], [OK, OK, OK, BLAMED], low=0.0, high=1.0),
            "judge": part([0, 0, np.nan, 0], [OK, OK, LOST, OK]),
        }
    )
    found = score_advantages(scores, group, statistic="centre", separately=separately)
    np.testing.assert_allclose(found.values, [2 / 3, -1 / 3, 0, -1 / 3], atol=1e-15)
    np.testing.assert_array_equal(found.valid, [True, True, False, True])
    assert found.unscored_rows == 1
    assert found.values[3] <= found.values[1]  # failed is not better than wrong


def test_segments_are_pooled_and_the_rollout_part_stands_at_the_last() -> None:
    exists = np.array([[True, True, False], [True, False, False]])
    gain = part([[1, 3, 0], [5, 0, 0]], level="segment", exists=exists)
    outcome = part([0, 2])
    scores = Scores({"gain": gain, "outcome": outcome})
    group = np.zeros(2, dtype=int)
    joint = score_advantages(scores, group, statistic="centre", level="segment")
    # Entries 1, 3 and 5 + 2: mean 11/3.
    np.testing.assert_allclose(joint.values, [[-8 / 3, -2 / 3, 0], [10 / 3, 0, 0]])
    np.testing.assert_array_equal(joint.valid, exists)
    apart = score_advantages(scores, group, statistic="centre", level="segment", separately=True)
    # Gains 1, 3, 5 around 3; outcomes 0, 2 around 1, at the last segments.
    np.testing.assert_allclose(apart.values, [[-2, 0 - 1, 0], [2 + 1, 0, 0]])
    np.testing.assert_allclose(returns_to_go(apart.values, apart.valid, discount=0.5), [[-2.5, -1, 0], [3, 0, 0]])


def test_no_reward_is_lost_where_no_segment_could_be_told_apart() -> None:
    exists = np.array([[True, True], [False, False], [True, False]])
    gain = part(
        [[0.5, 0.5], [np.nan, np.nan], [np.nan, np.nan]], [OK, BLAMED, LOST], level="segment", exists=exists, low=-1.0
    )
    for separately in (False, True):
        found = score_advantages(
            Scores({"gain": gain}), np.zeros(3, dtype=int), statistic="centre", level="segment", separately=separately
        )
        np.testing.assert_array_equal(found.valid, [[True, True], [False, True], [False, False]])
        np.testing.assert_allclose(found.values, [[0.5, 0.5], [0, -1], [0, 0]])
        assert found.unscored_rows == 1


def test_a_lowest_reward_of_zero_is_compared_too() -> None:
    exists = np.array([[True, True], [False, False]])
    gain = part([[0.5, 1.0], [np.nan, np.nan]], [OK, BLAMED], level="segment", exists=exists, low=0.0)
    found = score_advantages(Scores({"gain": gain}), np.zeros(2, dtype=int), statistic="centre", level="segment")
    np.testing.assert_array_equal(found.valid, [[True, True], [False, True]])
    np.testing.assert_allclose(found.values, [[0, 0.5], [0, -0.5]])


def test_a_reward_counts_wherever_the_total_has_it() -> None:
    """The rollout part of the first row stands at the end of the row, because its first part has no segment there."""
    first = part(np.zeros((2, 2)), level="segment", exists=np.array([[False, False], [True, True]]))
    second = part(np.zeros((2, 2)), level="segment", exists=np.array([[True, False], [True, True]]))
    scores = Scores({"first": first, "second": second, "outcome": part([2, 0])})
    np.testing.assert_array_equal(scores.total("segment"), [[0, 2], [0, 0]])
    found = score_advantages(scores, np.zeros(2, dtype=int), statistic="centre", level="segment")
    np.testing.assert_allclose(found.values, [[-0.5, 1.5], [-0.5, -0.5]])


def test_segments_are_summed_for_a_comparison_of_rollouts() -> None:
    scores = Scores({"steps": part([[1, 2], [0, 1]], level="segment"), "end": part([0, 4])})
    for separately in (False, True):
        found = score_advantages(scores, np.zeros(2, dtype=int), statistic="centre", separately=separately)
        np.testing.assert_allclose(found.values, [-1, 1])


def test_scores_and_plain_numbers_agree() -> None:
    rng = np.random.default_rng(2)
    values = rng.normal(size=(64, 2))
    scores = Scores({"a": part(values[:, 0]), "b": part(values[:, 1], weight=0.5)})
    group = rng.integers(0, 6, size=64)
    np.testing.assert_array_equal(
        score_advantages(scores, group).values, group_advantages(values @ [1.0, 0.5], group).values
    )
