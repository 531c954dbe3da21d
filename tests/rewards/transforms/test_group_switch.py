"""The switch over groups and the forms of pay by length, with numbers by hand and every pitfall that is known."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trueward.batch import Context, Part, Rollouts, Scores, Text
from trueward.credit.estimators import GroupRelative
from trueward.errors import RewardError
from trueward.rewards.transforms import (
    group_switch,
    grpo_lambda,
    length_budget,
    linear_length,
    sigmoid_length,
)
from trueward.status import Status


def sigmoid(z: float) -> float:
    return 1 / (1 + math.exp(-z))


def rollouts_of(length: Any, group: Any, finished: Any = None) -> Rollouts:
    n = len(length)
    mask = np.arange(max(length)) < np.array(length)[:, None]
    features = {} if finished is None else {"finished": np.array(finished)}
    return Rollouts(Text(["p"] * n, ["x"] * n), group=np.array(group), mask=mask, features=features)


def scored(
    transform: Any,
    correct: Any,
    length: Any,
    group: Any,
    *,
    finished: Any = None,
    status: Any = None,
    seed: int | None = None,
    **ends: float,
) -> Scores:
    ends = {"low": 0.0, "high": 1.0, **ends}
    part = Part(np.array(correct, dtype=float), status or [Status.OK] * len(correct), **ends)
    generator = None if seed is None else np.random.default_rng(seed)
    return transform(
        Scores({"r": part}), rollouts_of(length, group, finished), Context(training=True, generator=generator)
    )


def paid(*given_: Any, **more: Any) -> np.ndarray:
    return scored(*given_, **more).parts["r"].values


def selected(*given_: Any, **more: Any) -> list[int]:
    """Groups that were selected."""
    inside = scored(*given_, **more).parts["selected"].values
    return sorted({int(group) for group, chosen in zip(given_[3], inside, strict=True) if chosen})


def reference(correct: Any, length: Any, group: Any, share: float, alpha: float) -> list[float]:
    """GRPO-λ as the card writes it, one group after the other; ties by the longest mean length."""
    names = sorted(set(group))
    rows = {name: [i for i, g in enumerate(group) if g == name] for name in names}
    ratio = {name: sum(correct[i] for i in rows[name]) / len(rows[name]) for name in names}
    mean = {name: sum(length[i] for i in rows[name]) / len(rows[name]) for name in names}
    order = sorted(names, key=lambda name: (-ratio[name], -mean[name], name))
    chosen = {name for name in order[: math.ceil(share * len(names) - 1e-9)] if ratio[name] > 0}
    rewards = [float(c) for c in correct]
    for name in chosen:
        lengths = [length[i] for i in rows[name] if correct[i]]
        mu = sum(lengths) / len(lengths)
        sd = max(math.sqrt(sum((x - mu) ** 2 for x in lengths) / len(lengths)), 1e-4)
        for i in rows[name]:
            if correct[i]:
                rewards[i] = 1 - alpha * sigmoid((length[i] - mu) / sd)
    return rewards


@given(st.integers(0, 2**32 - 1), st.sampled_from([0.1, 0.2, 0.5, 1.0]), st.sampled_from([0.2, 0.6, 1.0]))
def test_it_is_the_published_rule(seed: int, share: float, alpha: float) -> None:
    rng = np.random.default_rng(seed)
    group = rng.permutation(np.repeat(np.arange(7), 4))
    correct, length = rng.integers(0, 2, 28), rng.integers(1, 20, 28)
    found = paid(grpo_lambda(share, alpha), correct, length, group)
    np.testing.assert_allclose(found, reference(correct, length.tolist(), group.tolist(), share, alpha), atol=1e-12)


def test_one_group_by_hand() -> None:
    # Right ones: 2 and 6 tokens, mean 4, deviation 2, z = −1 and 1; the wrong one is the shortest.
    found = paid(sigmoid_length(0.6), [1, 1, 0], [2, 6, 1], [0, 0, 0])
    np.testing.assert_allclose(found, [1 - 0.6 * sigmoid(-1), 1 - 0.6 * sigmoid(1), 0.0], rtol=1e-14)


def test_a_wrong_answer_is_never_paid_for_being_short() -> None:
    correct, length, group = [1, 0, 0, 1, 1, 1, 0, 0], [9, 1, 2, 8, 1, 2, 3, 4], [0] * 4 + [1] * 4
    for transform in (
        sigmoid_length(1.0),
        sigmoid_length(1.0, "all"),
        length_budget(100),
        linear_length(0.5),
        grpo_lambda(1.0, 1.0),
    ):
        found = paid(transform, correct, length, group)
        assert found[np.array(correct) == 0].max() <= 0.0


@given(st.integers(0, 2**32 - 1), st.floats(0.0, 0.99))
def test_below_1_a_right_answer_earns_more_than_a_wrong_one(seed: int, alpha: float) -> None:
    rng = np.random.default_rng(seed)
    correct, length = rng.integers(0, 2, 8), rng.integers(1, 10_000, 8)
    for over in ("right", "all"):
        found = paid(sigmoid_length(alpha, over), correct, length, [0] * 8)
        assert (found[correct == 1] >= 1 - alpha - 1e-12).all()
        assert (found[correct == 0] == 0).all()


def test_a_single_right_answer_is_neither_long_nor_short() -> None:
    np.testing.assert_allclose(paid(grpo_lambda(1.0, 0.6), [0, 1, 0], [3, 50, 9], [0, 0, 0]), [0, 0.7, 0])


def test_equal_lengths_give_no_signal() -> None:
    scores = scored(grpo_lambda(1.0, 0.6), [1, 1, 1], [5, 5, 5], [0, 0, 0])
    np.testing.assert_allclose(scores.parts["r"].values, 0.7)
    assert not GroupRelative()(scores, rollouts_of([5] * 3, [0] * 3), Context()).advantages.any()


def test_a_group_without_a_right_answer_is_never_selected() -> None:
    assert selected(grpo_lambda(1.0), [0, 0, 1, 0], [1, 2, 3, 4], [0, 0, 1, 1]) == [1]
    assert selected(grpo_lambda(1.0), [0, 0], [1, 2], [0, 0]) == []
    assert selected(group_switch(sigmoid_length(), select="threshold", threshold=0.0), [0, 0], [1, 2], [0, 0]) == []


def test_the_floor_keeps_bad_groups_out_when_nothing_is_good() -> None:
    batch = ([1, 0, 0, 0, 1, 1, 0, 0], [1] * 8, [0] * 4 + [1] * 4)
    assert selected(grpo_lambda(1.0), *batch) == [0, 1]
    assert selected(grpo_lambda(1.0, min_ratio=0.5), *batch) == [1]
    assert selected(grpo_lambda(1.0, min_ratio=0.6), *batch) == []


@pytest.mark.parametrize(("groups", "expected"), [(1, 1), (4, 1), (5, 1), (6, 2), (15, 3), (16, 4), (20, 4)])
def test_the_quota_is_rounded_up(groups: int, expected: int) -> None:
    # 0.2 · 15 is 3.0000000000000004 in floating point.
    length = list(range(1, groups + 1))
    assert len(selected(grpo_lambda(0.2), [1] * groups, length, length)) == expected


def test_ties_go_to_the_longest_answers() -> None:
    batch = ([1, 1, 1, 1, 1, 1], [3, 3, 9, 9, 5, 5], [0, 0, 1, 1, 2, 2])
    assert selected(grpo_lambda(0.3), *batch) == [1]
    assert selected(grpo_lambda(0.6), *batch) == [1, 2]


def test_ties_at_random_leave_no_place_in_the_batch_at_an_advantage() -> None:
    switch = group_switch(sigmoid_length(), fraction=0.25, ties="random")
    drawn = [selected(switch, [1] * 8, [4] * 8, np.repeat(range(4), 2), seed=seed) for seed in range(400)]
    counts = np.bincount([one for [one] in drawn], minlength=4)
    # 100 each are expected, with a deviation of 8.7.
    assert counts.min() > 60
    assert counts.max() < 140


def test_at_random_the_ratio_still_comes_first() -> None:
    switch = group_switch(sigmoid_length(), fraction=0.5, ties="random")
    batch = ([1, 0, 1, 1, 1, 1, 0, 1], [2] * 8, np.repeat(range(4), 2))
    assert all(selected(switch, *batch, seed=seed) == [1, 2] for seed in range(20))


def test_a_threshold_selects_all_that_reach_it_or_none() -> None:
    batch = ([1, 1, 1, 1, 1, 1, 1, 0, 1, 0, 0, 0], [2] * 12, np.repeat(range(3), 4))
    assert selected(group_switch(sigmoid_length(), select="threshold", threshold=1.0), *batch) == [0]
    assert selected(group_switch(sigmoid_length(), select="threshold", threshold=0.75), *batch) == [0, 1]
    three_of_four = ([1, 1, 1, 0], [2] * 4, [0] * 4)
    assert selected(group_switch(sigmoid_length(), select="threshold", threshold=0.8), *three_of_four) == []


def test_the_control_takes_as_many_groups_and_any_of_those_with_a_right_answer() -> None:
    switch = group_switch(sigmoid_length(), fraction=0.4, rank="random")
    # ρ = 1, 1, 1/2, 1/2 and 0: the last has nothing to shorten.
    batch = ([1, 1, 1, 1, 1, 0, 1, 0, 0, 0], [2] * 10, np.repeat(range(5), 2))
    drawn = [selected(switch, *batch, seed=seed) for seed in range(600)]
    assert {len(one) for one in drawn} == {2}
    counts = np.bincount([group for one in drawn for group in one], minlength=5)
    assert counts[4] == 0
    assert counts[:4].min() > 240
    by_threshold = group_switch(sigmoid_length(), select="threshold", threshold=1.0, rank="random")
    assert {len(selected(by_threshold, *batch, seed=seed)) for seed in range(20)} == {2}


@pytest.mark.parametrize("setting", [{"rank": "random"}, {"ties": "random"}])
def test_what_is_drawn_needs_a_source_of_randomness(setting: Any) -> None:
    with pytest.raises(RewardError, match="generator"):
        paid(group_switch(sigmoid_length(), **setting), [1, 1], [1, 2], [0, 0])


def test_what_was_cut_off_is_wrong_and_says_nothing_about_length() -> None:
    correct, length, finished = [1, 1, 1, 0], [2, 6, 40, 3], [True, True, False, True]
    wanted = [1 - 0.6 * sigmoid(-1), 1 - 0.6 * sigmoid(1), 0.0, 0.0]
    for transform in (sigmoid_length(0.6), grpo_lambda(1.0, 0.6)):
        np.testing.assert_allclose(paid(transform, correct, length, [0] * 4, finished=finished), wanted, rtol=1e-14)
    # In a group that is not selected too, and in ρ: two of four against three of four.
    both = ([*correct, 1, 1, 1, 0], [*length, 1, 1, 1, 1], [0] * 4 + [1] * 4)
    more = {"finished": [*finished, True, True, True, True]}
    assert selected(grpo_lambda(0.5), *both, **more) == [1]
    np.testing.assert_array_equal(paid(grpo_lambda(0.5), *both, **more)[:4], [1, 1, 0, 0])
    # Of all that ended by themselves: 2, 6 and 3 tokens.
    z = (np.array([2, 6]) - 11 / 3) / np.std([2, 6, 3])
    found = paid(sigmoid_length(0.6, "all"), correct, length, [0] * 4, finished=finished)
    np.testing.assert_allclose(found, [1 - 0.6 * sigmoid(z[0]), 1 - 0.6 * sigmoid(z[1]), 0, 0], rtol=1e-14)


def test_what_failed_counts_as_wrong_if_it_is_to_blame_and_not_at_all_if_not() -> None:
    correct, group = [1, np.nan, 1, 1, 1, 0], [0, 0, 1, 1, 1, 1]
    blamed = [Status.OK, Status.UNPARSABLE, *[Status.OK] * 4]
    lost = [Status.OK, Status.TIMED_OUT if not Status.TIMED_OUT.blames_answer else Status.ABSTAINED, *[Status.OK] * 4]
    assert not lost[1].blames_answer
    assert selected(grpo_lambda(0.5), correct, [2] * 6, group, status=blamed) == [1]  # 1/2 against 3/4
    assert selected(grpo_lambda(0.5), correct, [2] * 6, group, status=lost) == [0]  # 1/1 against 3/4
    failed = scored(grpo_lambda(1.0), correct, [2] * 6, group, status=blamed)
    assert failed.total()[1] == 0.0
    assert math.isnan(scored(grpo_lambda(1.0), correct, [2] * 6, group, status=lost).total()[1])


def test_solved_groups_learn_after_the_switch_and_would_not_before() -> None:
    correct, length, group = [1, 1, 1, 1], [2, 6, 3, 3], [0, 0, 1, 1]
    plain = Scores({"r": Part(np.array(correct, dtype=float), [Status.OK] * 4)})
    rollouts = rollouts_of(length, group)
    assert not GroupRelative()(plain, rollouts, Context()).advantages.any()
    learnt = GroupRelative()(scored(grpo_lambda(0.5), correct, length, group), rollouts, Context()).advantages
    assert learnt[0] == pytest.approx(-learnt[1])
    assert learnt[0] > 0.7
    np.testing.assert_array_equal(learnt[2:], 0.0)


def test_the_size_of_alpha_is_lost_where_all_are_right() -> None:
    length, rollouts = [2, 6, 7, 1], rollouts_of([2, 6, 7, 1], [0] * 4)
    found = [
        GroupRelative(epsilon=0.0)(scored(sigmoid_length(alpha), [1] * 4, length, [0] * 4), rollouts, Context())
        for alpha in (0.2, 1.0)
    ]
    np.testing.assert_allclose(found[0].advantages, found[1].advantages, rtol=1e-12)


def test_all_groups_selected_is_the_inner_reward_and_none_the_verifier() -> None:
    batch = ([1, 0, 1, 1, 1, 0], [1, 2, 3, 4, 5, 6], [0, 0, 1, 1, 2, 2])
    np.testing.assert_array_equal(paid(grpo_lambda(1.0, 0.6), *batch), paid(sigmoid_length(0.6), *batch))
    np.testing.assert_array_equal(paid(grpo_lambda(0.0, 0.6), *batch), batch[0])


def test_it_ranks_all_groups_that_it_is_given() -> None:
    correct, length, group = [1, 1, 1, 0, 1, 0, 0, 0], [2, 4] * 4, np.repeat(range(4), 2)
    whole = selected(grpo_lambda(0.25), correct, length, group)
    halves = [selected(grpo_lambda(0.25), correct[at], length[at], group[at]) for at in (slice(4), slice(4, 8))]
    assert (whole, halves) == ([0], [[0], [2]])


def test_any_other_reward_can_be_switched_to() -> None:
    found = paid(group_switch(length_budget(3), fraction=0.5), [1, 1, 1, 0], [2, 9, 9, 9], [0, 0, 1, 1])
    np.testing.assert_array_equal(found, [1, 0, 1, 0])


def test_rewards_that_are_no_0_and_1_are_taken_from_what_a_wrong_one_earns() -> None:
    found = paid(sigmoid_length(0.6, wrong=-1.0), [1, 1, -1], [2, 6, 4], [0] * 3, low=-1.0)
    np.testing.assert_allclose(found, [-1 + 2 * (1 - 0.6 * sigmoid(-1)), -1 + 2 * (1 - 0.6 * sigmoid(1)), -1])


def test_a_budget_by_hand() -> None:
    np.testing.assert_array_equal(paid(length_budget(5), [1, 1, 0], [5, 6, 1], [0, 0, 0]), [1, 0, 0])


def test_the_linear_bonus_by_hand() -> None:
    # 1 to 9 tokens: b = 1/2 − (L − 1) / 8; a wrong answer pays where it is long and earns nothing where it is short.
    found = paid(linear_length(0.5), [1, 1, 0, 0], [1, 9, 1, 7], [0] * 4)
    np.testing.assert_allclose(found, [1.25, 0.75, 0.0, -0.125])
    np.testing.assert_array_equal(paid(linear_length(0.5), [1, 0], [4, 4], [0, 0]), [1, 0])


@pytest.mark.parametrize(
    ("make", "given_"),
    [
        (sigmoid_length, {"alpha": 1.1}),
        (sigmoid_length, {"over": "some"}),
        (length_budget, {"budget": 0}),
        (linear_length, {"weight": -1}),
        (group_switch, {"inner": sigmoid_length(), "fraction": 1.2}),
        (group_switch, {"inner": sigmoid_length(), "select": "best"}),
        (group_switch, {"inner": sigmoid_length(), "ties": "first"}),
    ],
)
def test_parameters_that_make_no_sense_are_refused(make: Any, given_: Any) -> None:
    with pytest.raises(ValueError, match=r"need|negative|at least"):
        make(**given_)
