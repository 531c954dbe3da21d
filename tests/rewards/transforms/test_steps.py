"""Step rewards: numbers by hand, telescoping sums, and what more steps earn."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trueward.batch import Context, Part, Rollouts, Scores, Text
from trueward.credit import returns_to_go
from trueward.errors import RewardError
from trueward.rewards.transforms import (
    BatchQuantile,
    Frozen,
    QuestionMean,
    min_form,
    per_step_count,
    step_clip,
    step_cost,
    step_delta,
)
from trueward.status import Status

NAN = math.nan
OK, FAILED = Status.OK, Status.TIMED_OUT
ignore_share = pytest.mark.filterwarnings("ignore:step_clip punishes")


@pytest.mark.parametrize(
    ("transforms", "by_hand"),
    [
        ([step_clip(0.5)], [[0.0, -0.25, 0.0], [-0.5]]),
        ([step_delta()], [[0.5, 0.25, 0.0], [0.0]]),
        ([step_clip(0.5), step_delta()], [[0.25, -0.25, 0.0], [0.0]]),
        ([per_step_count()], [[0.25, 0.25 / 3, 0.25], [0.0]]),
        ([step_cost(0.25)], [[0.5, 0.0, 0.5], [-0.25]]),
        ([min_form(0.0)], [[0.0, 0.25, 0.0], [0.0]]),
    ],
    ids=["clip", "delta", "clip and delta", "by count", "cost", "min-form"],
)
@ignore_share
def test_by_hand(changed: Any, transforms: list[Any], by_hand: list[list[float]]) -> None:
    part = changed(transforms, [[0.75, 0.25, 0.75], [0.0]])
    for found, wanted in zip(part.values, by_hand, strict=True):
        np.testing.assert_allclose(found[: len(wanted)], wanted, rtol=1e-14, atol=1e-15)


@pytest.mark.parametrize(("steps", "left"), [([0.7], [0.0]), ([0.7, 0.2], [0.7, 0.0]), ([], [])])
def test_delta_of_one_two_and_no_steps(changed: Any, steps: list[float], left: list[float]) -> None:
    part = changed(step_delta(), [steps, [0.1, 0.2, 0.3]])
    np.testing.assert_allclose(part.values[0, : len(left)], left)


def test_steps_that_exist_count_in_order_wherever_they_stand(changed: Any) -> None:
    values = np.array([[9.0, 0.75, 9.0, 0.25, 0.5, 9.0]])
    exists = np.array([[False, True, False, True, True, False]])
    part = changed(step_delta(), Part(values, [OK], "segment", exists=exists))
    np.testing.assert_array_equal(part.values, [[9.0, 0.5, 9.0, 0.25, 0.0, 9.0]])


@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=9), st.booleans())
@ignore_share
def test_the_return_of_a_step_is_its_own_reward(steps: list[float], clipped: bool) -> None:
    rollouts = Rollouts(Text(["p"], ["x"]))
    scores = Scores({"r": Part(np.array([steps]), [OK], "segment")})
    if clipped:
        scores = step_clip(0.6)(scores, rollouts, Context())
    own = scores.parts["r"].values[0]
    part = step_delta()(scores, rollouts, Context()).parts["r"]
    returns = returns_to_go(part.values, part.present, discount=1.0)[0]
    np.testing.assert_allclose(returns[:-1], own[:-1], atol=1e-12)
    assert returns[-1] == 0.0
    if clipped:
        assert (own <= 0.0).all()
        assert own.sum() <= 0.0


def test_a_discount_breaks_the_telescope(changed: Any) -> None:
    part = changed(step_delta(), [[0.75, 0.25, 0.5, 0.5]])
    returns = returns_to_go(part.values, part.present, discount=0.5)[0]
    np.testing.assert_allclose(returns, [0.5, 0.0, 0.5, 0.0], atol=1e-15)
    assert np.abs(returns[:2] - [0.75, 0.25]).min() > 0.2


def test_a_tail_without_a_reward_is_the_last_step_of_a_rollout_that_was_cut_off(changed: Any) -> None:
    segments = np.array([[0, 0, 1, 1, 2], [0, 0, 1, 1, -1], [0, 0, 1, 1, -1], [0, 0, 1, 1, 1]])
    part = changed(
        step_delta(),
        [[0.75, 0.25], [0.75, 0.25], [0.75, 0.25], [0.75, 0.25]],
        mask=np.ones((4, 5), dtype=bool),
        segments=segments,
        features={"finished": np.array([False, False, True, False])},
    )
    # Cut off in step 2, and outside of any step: the tail is step K. Finished, and cut off in step 1: that one is.
    np.testing.assert_array_equal(part.values, [[0.5, 0.25], [0.5, 0.25], [0.75, 0.0], [0.75, 0.0]])


@pytest.mark.parametrize(
    ("threshold", "by_hand"),
    [
        (QuestionMean(), [[0.0, -0.25], [0.0, -0.25], [-0.2, 0.0]]),  # means of steps: (1 + .25 + .5 + .25) / 4, .7
        (BatchQuantile(0.5), [[0.0, -0.25], [0.0, -0.25], [0.0, 0.0]]),  # of .25 .25 .5 .5 .9 1: .5
        (0.5, [[0.0, -0.25], [0.0, -0.25], [0.0, 0.0]]),
    ],
    ids=["question", "quantile", "constant"],
)
def test_thresholds_by_hand(changed: Any, threshold: Any, by_hand: list[list[float]]) -> None:
    steps = [[1.0, 0.25], [0.5, 0.25], [0.5, 0.9]]
    part = changed(step_clip(threshold), steps, group=np.array([3, 3, 8]))
    np.testing.assert_allclose(part.values, by_hand, atol=1e-12)


@ignore_share
def test_equal_scores_are_exactly_0_whatever_their_mean_is_in_floating_point(changed: Any) -> None:
    steps = [[0.1] * 10, [0.1] * 3]
    assert sum([0.1] * 10) / 10 < 0.1  # by itself the mean of tenths is not a tenth
    np.testing.assert_array_equal(changed(step_clip(), steps).filled(), 0.0)


@ignore_share
def test_a_frozen_threshold_no_longer_follows_the_policy(changed: Any) -> None:
    frozen, following = step_clip(Frozen(QuestionMean(), batches=2)), step_clip(QuestionMean())
    changed(frozen, [[0.2, 0.4]])  # .3
    changed(frozen, [[0.4, 0.6]])  # .5
    better = [[0.6, 0.8]]
    np.testing.assert_allclose(changed(frozen, better).values, [[0.0, 0.0]])  # above .4
    np.testing.assert_allclose(changed(following, better).values, [[-0.1, 0.0]])
    np.testing.assert_allclose(changed(frozen, [[0.3, 0.5]], training=False).values, [[-0.1, 0.0]])
    restored = step_clip(Frozen(QuestionMean(), batches=2))
    restored.load_state_dict(frozen.state_dict())
    np.testing.assert_allclose(changed(restored, [[0.3, 0.5]]).values, [[-0.1, 0.0]])
    with pytest.raises(RewardError, match="not that of a frozen threshold"):
        restored.load_state_dict({"seen": 1})


def test_the_share_of_punished_steps_is_in_the_log_and_not_in_the_reward() -> None:
    values = np.array([[0.9, 0.1], [0.9, 0.8], [NAN, NAN]])
    scores = Scores({"r": Part(values, [OK, OK, FAILED], "segment", low=0.0, high=1.0)})
    after = step_clip(0.5)(scores, Rollouts(Text(["p"] * 3, ["x"] * 3)), Context(training=True))
    share = after.parts["r (share of steps)"]
    np.testing.assert_array_equal(share.values, [0.5, 0.0, NAN])
    assert share.weight == 0.0
    np.testing.assert_allclose(after.total(), [-0.4, 0.0, -0.5])


@pytest.mark.parametrize(("threshold", "warns"), [(0.0, True), (0.35, False), (0.95, True)])
def test_a_threshold_that_tells_no_steps_apart_is_warned_of(
    changed: Any, recwarn: pytest.WarningsRecorder, threshold: float, warns: bool
) -> None:
    steps = [[0.1, 0.3, 0.5, 0.7, 0.9]]
    changed(step_clip(threshold), steps, training=False)
    assert not recwarn.list
    changed(step_clip(threshold), steps)
    assert bool(recwarn.list) is warns


@pytest.mark.parametrize("temperature", [1.0, 0.1, 0.01])
def test_min_form_against_its_equation(changed: Any, temperature: float) -> None:
    steps = [0.3, 0.9, 0.2]
    weights = [math.exp(-step / temperature) for step in steps]
    wanted = [step * weight / sum(weights) for step, weight in zip(steps, weights, strict=True)]
    part = changed(min_form(temperature), [steps, [0.5]])
    np.testing.assert_allclose(part.values[0], wanted, rtol=1e-12)
    assert part.values[1, 0] == 0.5
    if temperature == 0.01:
        assert part.values[0].sum() == pytest.approx(0.2, abs=1e-4)


@pytest.mark.parametrize("transform", [step_clip(0.5), step_delta(), min_form()])
@ignore_share
def test_a_failed_rollout_earns_one_lowest_reward_at_its_last_step(changed: Any, part_of: Any, transform: Any) -> None:
    part = part_of([[0.0, 0.0, 0.0], [0.9, 0.9, 0.9], [NAN] * 3], [OK, OK, FAILED], low=0.0, high=1.0)
    part = Part(part.values, part.status, "segment", low=0.0, high=1.0)
    filled = changed(transform, part).filled()
    np.testing.assert_array_equal(filled[2, :2], 0.0)
    assert filled[2].sum() <= filled[:2].sum(axis=1).min()


# What copies of a true line earn, m = 0 … 10 of them before the answer


def earned_by_copies(changed: Any, transforms: list[Any]) -> tuple[np.ndarray, np.ndarray]:
    """Sum of all steps, and the return to go from the first step, for each number of copies."""
    part = changed(transforms, [[0.9, 0.45, *[0.8] * m, 0.95] for m in range(11)])
    totals = np.where(part.present, part.values, 0.0).sum(axis=1)
    return totals, returns_to_go(np.where(part.present, part.values, 0.0), part.present, discount=1.0)[:, 0]


def test_copies_raise_the_sum_of_process_rewards_by_the_same_each(changed: Any) -> None:
    totals, _ = earned_by_copies(changed, [])
    np.testing.assert_allclose(np.diff(totals), 0.8)


@ignore_share
def test_copies_earn_nothing_under_clip(changed: Any) -> None:
    totals, _ = earned_by_copies(changed, [step_clip(0.5)])
    np.testing.assert_allclose(totals, -0.05)
    totals, _ = earned_by_copies(changed, [step_clip(0.85)])
    np.testing.assert_allclose(np.diff(totals), -0.05)


@ignore_share
def test_copies_earn_nothing_under_delta_nor_clip_and_delta(changed: Any) -> None:
    _, first = earned_by_copies(changed, [step_delta()])
    np.testing.assert_allclose(first, 0.9)
    _, first = earned_by_copies(changed, [step_clip(0.85), step_delta()])
    np.testing.assert_allclose(first, 0.0, atol=1e-15)


def test_dividing_by_the_number_of_steps_or_a_price_is_not_enough(changed: Any) -> None:
    totals, _ = earned_by_copies(changed, [per_step_count()])
    assert (np.diff(totals) > 0.0).all()  # .8 is above the mean of the others
    totals, _ = earned_by_copies(changed, [step_cost(0.5)])
    np.testing.assert_allclose(np.diff(totals), 0.3)
    totals, _ = earned_by_copies(changed, [min_form(0.0)])
    np.testing.assert_allclose(totals, 0.45)


def test_a_reward_without_steps_is_refused(changed: Any) -> None:
    with pytest.raises(RewardError, match="exactly one paid part at level 'segment'"):
        changed(step_delta(), [1.0])


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: step_clip(NAN),
        lambda: step_clip(0.5, tolerance=-1.0),
        lambda: step_cost(math.inf),
        lambda: min_form(-0.1),
        lambda: BatchQuantile(1.0),
        lambda: Frozen(QuestionMean(), batches=0),
    ],
)
def test_parameters_that_make_no_sense_are_refused(wrong: Any) -> None:
    with pytest.raises(ValueError, match=r"needed|must be"):
        wrong()
