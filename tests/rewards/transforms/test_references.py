"""Rewards against those of reference answers, with numbers by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from trueward.batch import Context, Part, Rollouts, Scores, Text
from trueward.errors import RewardError
from trueward.rewards.transforms import centred, log_sigmoid_centred, sigmoid, slow_start, win_probability
from trueward.status import Status

LN3 = math.log(3.0)  # σ(ln 3) = 3/4


def columns(*references: Any) -> list[dict[str, Any]]:
    return [{"reference_rewards": entry} for entry in references]


@pytest.mark.parametrize(
    ("transform", "by_hand"),
    [
        (win_probability(), [(0.5 + 0.75) / 2, 0.25]),
        (win_probability(2.0), [(0.5 + 0.9) / 2, 0.1]),  # σ(2 ln 3) = 9/10
        (slow_start(LN3), [(0.25 + 0.5) / 2, 0.1]),
        (centred(), [LN3 / 2, -LN3]),
        (centred("sigmoid"), [(0.5 + 0.75) / 2, 0.25]),
        (centred("tanh"), [0.8 / 2, -0.8]),  # tanh(ln 3) = (9 − 1) / (9 + 1)
        (centred("atan"), [math.atan(LN3) / 2, -math.atan(LN3)]),
    ],
    ids=["k=1", "k=2", "slow start", "centred", "sigmoid", "tanh", "atan"],
)
def test_by_hand(changed: Any, transform: Any, by_hand: list[float]) -> None:
    part = changed(transform, [LN3, 0.0], reference=columns([LN3, 0.0], [LN3]))
    np.testing.assert_allclose(part.values, by_hand, rtol=1e-14)


def test_lsc_by_hand(changed: Any) -> None:
    # References 1 and 3: mean 2, population deviation 1; Φ⁻¹(0.85) = 1.0364333894937896 (tables of the normal law).
    bar = 2.0 + 1.0364333894937896 * (1.0 + 1e-5)
    part = changed(log_sigmoid_centred(), [bar, bar - LN3], reference=columns([1.0, 3.0], [3.0, None, 1.0]))
    np.testing.assert_allclose(part.values, [-math.log(2.0), -math.log(4.0)], rtol=1e-12)
    assert (part.low, part.high) == (None, 0.0)


def test_references_of_0_reduce_it_to_the_uncentred_sigmoid(changed: Any) -> None:
    rewards = np.random.default_rng(0).normal(size=9)
    part = changed(win_probability(), rewards, reference=columns(*[[0.0, 0.0]] * 9))
    np.testing.assert_allclose(part.values, changed(sigmoid(), rewards).values, rtol=1e-14)


def test_a_prompt_whose_rewards_all_lie_higher_earns_the_same(changed: Any) -> None:
    rng = np.random.default_rng(1)
    rewards, references = rng.normal(size=6), rng.normal(size=(6, 4))
    for transform in (win_probability(), centred("atan"), log_sigmoid_centred()):
        plain = changed(transform, rewards, reference=columns(*references.tolist()))
        higher = changed(transform, rewards + 50.0, reference=columns(*(references + 50.0).tolist()))
        np.testing.assert_allclose(higher.values, plain.values, rtol=1e-9)
    assert not np.allclose(changed(sigmoid(), rewards + 50.0).values, changed(sigmoid(), rewards).values)


def test_a_missing_reference_is_skipped_and_not_taken_for_0(changed: Any, part_of: Any) -> None:
    status = [Status.OK, Status.OK, Status.OK, Status.TIMED_OUT, Status.ABSTAINED]
    part = changed(
        win_probability(),
        part_of([LN3, 0.0, 1.0, np.nan, np.nan], status),
        reference=columns([0.0, None, math.nan, math.inf], [], [math.nan], [], [0.0]),
    )
    np.testing.assert_allclose(part.values, [0.75, *[np.nan] * 4])
    missing = Status.MISSING_REFERENCE
    assert list(part.status) == [Status.OK, missing, missing, Status.TIMED_OUT, Status.ABSTAINED]
    np.testing.assert_allclose(part.filled(), [0.75, np.nan, np.nan, 0.0, np.nan])


def test_what_failed_stands_where_the_declared_low_would(changed: Any, part_of: Any) -> None:
    part = part_of([0.0, np.nan], [Status.OK, Status.RAISED], low=-LN3, high=LN3)
    after = changed(win_probability(), part, reference=columns([0.0], [0.0]))
    assert (after.low, after.high) == pytest.approx((0.25, 0.75))
    after = changed(win_probability(), part, reference=columns([0.0], [LN3]))  # the lower one: for the whole batch
    assert after.low == pytest.approx(0.1)
    after = changed(centred(), part, reference=columns([0.0], [1.0]))
    assert (after.low, after.high) == pytest.approx((-LN3 - 1.0, LN3))


def test_one_number_is_one_reference_and_the_column_has_a_name(changed: Any) -> None:
    part = changed(win_probability(column="rm"), [LN3], reference=[{"rm": 0.0}])
    assert part.values[0] == pytest.approx(0.75)


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ((), "needs the column 'reference_rewards'"),
        ([{"other": 1.0}], "needs the column 'reference_rewards'"),
        (columns(["0.5"]), "row 0 is"),
        (columns({"a": 1.0}), "row 0 is"),
        (columns(True), "row 0 is"),
    ],
)
def test_a_column_that_is_not_there_or_holds_no_numbers(changed: Any, reference: Any, message: str) -> None:
    with pytest.raises(RewardError, match=message):
        changed(win_probability(), [0.0], reference=reference)


def test_of_several_parts_one_has_to_be_named() -> None:
    rollouts = Rollouts(Text(["p"], ["x"]), reference=columns([0.0]))
    parts = {name: Part(np.array([LN3]), [Status.OK]) for name in ("rm", "form")}
    with pytest.raises(RewardError, match=r"exactly one paid part.*'rm' \(rollout\), 'form' \(rollout\)"):
        win_probability()(Scores(parts), rollouts, Context())
    with pytest.raises(RewardError, match="part 'else'"):
        win_probability(part="else")(Scores(parts), rollouts, Context())
    after = win_probability(part="rm")(Scores(parts), rollouts, Context())
    assert after.parts["form"] is parts["form"]
    assert after.parts["rm"].values[0] == pytest.approx(0.75)
    seen = Scores({"rm": parts["rm"], "form": Part(np.array([1.0]), [Status.OK], weight=0.0)})
    assert win_probability()(seen, rollouts, Context()).parts["rm"].values[0] == pytest.approx(0.75)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: win_probability(-1.0),
        lambda: win_probability(shift=math.inf),
        lambda: log_sigmoid_centred(1.0),
        lambda: centred("cubic"),  # type: ignore[arg-type]
    ],
)
def test_parameters_that_make_no_sense_are_refused(wrong: Any) -> None:
    with pytest.raises(ValueError, match=r"must be|expected one of"):
        wrong()
