"""Estimators against numbers worked out by hand, and against the functions that they join."""

from __future__ import annotations

import math

import numpy as np
import pytest

from trueward.batch import Context, Part, Rollouts, Scores, Text
from trueward.credit import (
    GeneralisedAdvantage,
    GreedyBaseline,
    GroupRelative,
    SegmentReturns,
    group_advantages,
    token_rewards,
)
from trueward.status import Status

MASK = np.array([[1, 1, 1], [1, 1, 0], [1, 1, 1], [1, 0, 0]], dtype=bool)
SEGMENTS = np.array([[0, 0, 1], [0, 1, -1], [0, 1, 2], [0, -1, -1]])
EXISTS = np.array([[1, 1, 0], [1, 1, 0], [1, 1, 1], [1, 0, 0]], dtype=bool)


def rollouts(**fields: object) -> Rollouts:
    known: dict[str, object] = {"group": np.array([0, 0, 1, 1]), "mask": MASK, "segments": SEGMENTS}
    return Rollouts(Text([""] * 4, [""] * 4), **{**known, **fields})


def scores(*values: float, status: dict[int, Status] | None = None, low: float | None = None) -> Scores:
    marks = [(status or {}).get(i, Status.OK) for i in range(len(values))]
    array = np.array([v if s.ok else np.nan for v, s in zip(values, marks, strict=True)])
    return Scores({"r": Part(array, marks, low=low)})


def steps(values: np.ndarray, weight: float = 1.0) -> Part:
    return Part(values, [Status.OK] * len(values), "segment", weight, EXISTS)


def test_group_relative_is_the_comparison_of_totals() -> None:
    given = scores(1.0, 0.0, 3.0, 1.0)
    found = GroupRelative("centre")(given, rollouts(), Context())
    assert found.advantages == pytest.approx([0.5, -0.5, 1.0, -1.0])
    assert found.metrics == {"degenerate_groups": 0.0, "unscored_rows": 0.0}


def test_divergence_in_the_reward_by_hand() -> None:
    # Row 0 moved by .2 + .1, and what lies outside the mask of row 1 does not count.
    moved = rollouts(
        logprobs=np.array([[-1.0, -1.0, -1.0], [-1.0, -1.0, 9.0], [0.0] * 3, [0.0] * 3]),
        ref_logprobs=np.array([[-1.2, -1.1, -1.0], [-1.0, -1.0, 0.0], [0.0] * 3, [0.0] * 3]),
    )
    found = GroupRelative("centre", kl=1.0)(scores(1.0, 0.0, 1.0, 0.0), moved, Context())
    assert found.advantages == pytest.approx([0.35, -0.35, 0.5, -0.5])


def test_divergence_and_separate_parts_are_refused() -> None:
    with pytest.raises(ValueError, match="part by part"):
        GroupRelative(kl=0.1, separately=True)(scores(1.0, 0.0, 1.0, 0.0), rollouts(), Context())


def test_a_failed_answer_never_beats_a_wrong_one_and_an_unscored_row_gets_nothing() -> None:
    given = scores(1.0, 0.0, 5.0, 0.0, status={1: Status.RAISED, 2: Status.UNAVAILABLE}, low=-1.0)
    found = GroupRelative("centre")(given, rollouts(), Context())
    assert found.advantages == pytest.approx([1.0, -1.0, 0.0, 0.0])
    assert found.metrics["unscored_rows"] == 1.0


def test_greedy_baseline() -> None:
    given = rollouts(features={"greedy": np.array([0.5, 0.5, math.nan, 1.0])})
    found = GreedyBaseline()(scores(1.0, 0.0, 3.0, 1.0), given, Context())
    assert found.advantages == pytest.approx([0.5, -0.5, 0.0, 0.0])
    assert GreedyBaseline().needs == {"greedy"}
    assert GreedyBaseline(kl=0.1).needs == {"greedy", "reference"}


def test_segment_returns_by_hand() -> None:
    values = np.array([[1.0, 2.0, 0.0], [0.0, 4.0, 0.0], [1.0, 1.0, 1.0], [3.0, 0.0, 0.0]])
    found = SegmentReturns(statistic="centre")(Scores({"p": steps(values, 0.5)}), rollouts(), Context())
    # Returns: row 0 (3, 2), row 1 (4, 4): mean 3.25; row 2 (3, 2, 1), row 3 (3): mean 2.25.
    wanted = [[-0.125, -0.125, -0.625], [0.375, 0.375, 0.0], [0.375, -0.125, -0.625], [0.375, 0.0, 0.0]]
    assert found.advantages == pytest.approx(np.array(wanted))


def test_segment_returns_of_rollout_parts_alone_reduce_to_group_relative() -> None:
    given = scores(1.0, 0.0, 3.0, 1.0)
    found = SegmentReturns()(given, rollouts(), Context()).advantages
    spread = GroupRelative()(given, rollouts(), Context()).advantages[:, None] * MASK
    assert found == pytest.approx(spread)


def test_differences_of_neighbours_keep_every_step_only_as_returns() -> None:
    """Delta telescopes: as returns each step keeps its own score, as one sum only the first one is left."""
    score = np.array([[0.9, 0.4, 0.0], [0.2, 0.8, 0.0], [0.5, 0.1, 0.7], [0.6, 0.0, 0.0]])
    delta = np.array([[0.9, 0, 0], [0.2, 0, 0], [0.4, 0.1, 0], [0, 0, 0]])
    part = Scores({"p": steps(delta)})
    found = SegmentReturns()(part, rollouts(), Context()).advantages
    kept = np.array([[0.9, 0.0, 0.0], [0.2, 0.0, 0.0], [0.5, 0.1, 0.0], [0, 0, 0]])
    assert score[2, 0] == kept[2, 0]
    entries = group_advantages(kept, np.array([0, 0, 1, 1]), statistic="centre", valid=EXISTS).values
    assert found[2] == pytest.approx(entries[2])
    assert part.total() == pytest.approx([0.9, 0.2, 0.5, 0.0])


def test_segment_returns_refuse_what_they_cannot_place() -> None:
    given = scores(1.0, 0.0, 3.0, 1.0)
    with pytest.raises(ValueError, match="cut the rollouts first"):
        SegmentReturns()(given, rollouts(segments=None), Context())
    token = Part(np.zeros((4, 3)), [Status.OK] * 4, "token")
    with pytest.raises(ValueError, match="per token"):
        SegmentReturns()(Scores({"t": token}), rollouts(), Context())


def test_rewards_stand_where_what_they_judge_ends() -> None:
    values = np.array([[1.0, 2.0, 0.0], [3.0, 4.0, 0.0], [5.0, 6.0, 7.0], [8.0, 0.0, 0.0]])
    both = Scores({"p": steps(values), "r": scores(10.0, 20.0, 30.0, 40.0).parts["r"]})
    placed = token_rewards(both, rollouts(), MASK)
    assert placed == pytest.approx(np.array([[0, 1, 12], [3, 24, 0], [5, 6, 37], [48, 0, 0]], dtype=float))


def test_generalised_advantages_without_a_critic_are_returns() -> None:
    given = rollouts(features={"value": np.zeros((4, 3))})
    found = GeneralisedAdvantage(trace=1.0, whitened=False)(scores(1.0, 0.0, 3.0, 1.0), given, Context())
    assert found.advantages == pytest.approx(np.array([1.0, 0.0, 3.0, 1.0])[:, None] * MASK)
    assert found.returns is not None
    assert found.returns == pytest.approx(found.advantages)


def test_generalised_advantages_by_hand() -> None:
    """γ = 1, λ = ½, β = ½: two decisions with values 1 and 2, log ratios .2 and .4, reward 3."""
    one = Rollouts(
        Text([""], [""]),
        mask=np.array([[True, True]]),
        logprobs=np.array([[0.2, 0.4]]),
        ref_logprobs=np.zeros((1, 2)),
        features={"value": np.array([[1.0, 2.0]])},
    )
    found = GeneralisedAdvantage(trace=0.5, kl=0.5, whitened=False)(scores(3.0), one, Context())
    last = 3.0 - 0.2 - 2.0
    assert found.advantages == pytest.approx(np.array([[-0.1 + 2.0 - 1.0 + 0.5 * last, last]]))
    assert found.returns == pytest.approx(found.advantages + np.array([[1.0, 2.0]]))
    plain = GeneralisedAdvantage(trace=0.5, kl=0.5, whitened=False, monte_carlo=True)(scores(3.0), one, Context())
    assert plain.returns == pytest.approx(np.array([[2.7, 2.8]]))


def test_generalised_advantages_leave_unscored_rows_out() -> None:
    given = rollouts(features={"value": np.ones((4, 3))})
    marked = scores(1.0, 0.0, 5.0, 0.0, status={2: Status.UNAVAILABLE})
    found = GeneralisedAdvantage()(marked, given, Context())
    assert (found.advantages[2] == 0).all()
    assert found.metrics == {"unscored_rows": 1.0}
    assert found.advantages[MASK & (np.arange(4) != 2)[:, None]].mean() == pytest.approx(0.0, abs=1e-9)
