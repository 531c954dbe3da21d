"""How rewards combine, with numbers by hand."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from trueward.batch import Context, Part, Rollouts, Scores, Text
from trueward.rewards.base import Reward, as_reward, gate
from trueward.rewards.transforms import centre, clip, lengths, overlong
from trueward.status import Status


def correct(completion: str, answer: str) -> float:
    return float(completion == answer)


def brackets(completion: str) -> float:
    return float(completion.startswith("["))


def raises(completion: str) -> float:
    if completion == "boom":
        raise ValueError("boom")
    return float(completion)


ROLLOUTS = Rollouts(Text(["p"] * 3, ["[1]", "1", "[2]"]), reference=[{"answer": a} for a in ("[1]", "1", "[1]")])


def total(reward: Reward, rollouts: Rollouts = ROLLOUTS) -> list[float]:
    return [float(value) for value in reward.score(rollouts, Context()).total()]


def test_a_sum_keeps_its_parts_and_weights() -> None:
    reward = as_reward(correct) + 0.2 * as_reward(brackets)
    scores = reward.score(ROLLOUTS, Context())
    assert {name: part.weight for name, part in scores.parts.items()} == {"correct": 1.0, "brackets": 0.2}
    assert total(reward) == pytest.approx([1.2, 1.0, 0.2])
    assert total(2.0 * reward) == pytest.approx([2.4, 2.0, 0.4])


def test_the_same_reward_twice_keeps_both_parts() -> None:
    scores = (as_reward(correct) + as_reward(correct)).score(ROLLOUTS, Context())
    assert list(scores.parts) == ["correct", "correct 2"]


def test_a_product_and_a_gate() -> None:
    assert total(as_reward(correct) * as_reward(brackets)) == [1.0, 0.0, 0.0]
    assert total(gate(as_reward(brackets), as_reward(correct))) == [1.0, 0.0, 0.0]


def test_a_closed_gate_does_not_pay_more_than_an_open_one() -> None:
    punishing = Rollouts(Text(["p"] * 2, ["-3", "2"]))
    closed = as_reward(lambda completion: 0.0)
    assert total(gate(closed, as_reward(raises)), punishing) == [-3.0, 0.0]


def test_every_reward_is_a_trl_reward_function() -> None:
    reward = as_reward(correct, low=0.0, high=1.0)
    assert reward(["p", "p"], ["1", "2"], answer=["1", "1"], trainer_state=object()) == [1.0, 0.0]
    assert reward.__name__ == "correct"


def test_failing_earns_the_lowest_of_the_declared_range_and_never_a_silent_zero() -> None:
    assert as_reward(raises, low=-2.0, high=5.0)(["p", "p"], ["boom", "3"]) == [-2.0, 3.0]
    assert as_reward(raises)(["p", "p"], ["boom", "3"]) == [3.0, 3.0]  # no range: the lowest that was scored
    assert as_reward(raises)(["p"], ["boom"]) == [None]


def test_a_bug_of_the_reward_is_no_score() -> None:
    assert as_reward(lambda completion: float("nan"))(["p"], ["x"]) == [None]
    assert as_reward(lambda completion: "good")(["p"], ["x"]) == [None]


def test_async_rewards_score_inside_a_running_loop() -> None:
    async def slow(completions: list[str], **columns: object) -> list[float]:
        await asyncio.sleep(0)
        return [float(len(text)) for text in completions]

    async def main() -> list[float | None]:
        return as_reward(slow)(["p"], ["abc"])

    assert asyncio.run(main()) == [3.0]


def scores_of(values: list[float], status: list[Status] | None = None) -> Scores:
    return Scores({"r": Part(np.array(values), status or [Status.OK] * len(values))})


def test_clip_declares_the_range() -> None:
    part = clip(-1.0, 1.0)(scores_of([3.0, -0.5, -7.0]), ROLLOUTS, Context()).parts["r"]
    np.testing.assert_array_equal(part.values, [1.0, -0.5, -1.0])
    assert (part.low, part.high) == (-1.0, 1.0)
    with pytest.raises(ValueError, match="low must be below high"):
        clip(1.0, 1.0)


def test_centre_works_by_group_and_leaves_failed_rows_out() -> None:
    rollouts = Rollouts(Text(["p"] * 5, ["x"] * 5), group=np.array([0, 0, 0, 7, 7]))
    scores = scores_of([1.0, 3.0, np.nan, 5.0, 5.0], [Status.OK, Status.OK, Status.TIMED_OUT, Status.OK, Status.OK])
    part = centre()(scores, rollouts, Context()).parts["r"]
    np.testing.assert_array_equal(part.values, [-1.0, 1.0, np.nan, 0.0, 0.0])


def test_centre_does_not_depend_on_a_shift_or_the_order() -> None:
    rng = np.random.default_rng(0)
    values, group = rng.normal(size=12), rng.integers(0, 3, 12)
    order = rng.permutation(12)

    def centred(values: np.ndarray, group: np.ndarray) -> np.ndarray:
        rollouts = Rollouts(Text(["p"] * 12, ["x"] * 12), group=group)
        return centre()(scores_of(list(values)), rollouts, Context()).parts["r"].values

    np.testing.assert_allclose(centred(values + 100.0, group), centred(values, group), atol=1e-9)
    np.testing.assert_allclose(centred(values[order], group[order]), centred(values, group)[order], atol=1e-12)


def test_overlong_follows_the_published_equation() -> None:
    mask = np.zeros((4, 120), dtype=bool)
    for row, length in enumerate((80, 90, 100, 120)):
        mask[row, :length] = True
    rollouts = Rollouts(Text(["p"] * 4, ["x"] * 4), mask=mask)
    scores = overlong(limit=100, cache=20)(scores_of([1.0] * 4), rollouts, Context())
    np.testing.assert_allclose(scores.parts["overlong"].values, [0.0, -0.5, -1.0, -1.0])
    np.testing.assert_allclose(scores.total(), [1.0, 0.5, 0.0, 0.0])


def test_lengths_of_messages_are_those_of_their_content() -> None:
    rollouts = Rollouts(Text(["p", "p"], ["abcd", [{"role": "assistant", "content": "ab"}]]))
    np.testing.assert_array_equal(lengths(rollouts), [4.0, 2.0])


class Doubled(Reward):
    """Every part of another reward, twice as large."""

    def __init__(self, inner: Reward) -> None:
        self.inner = inner

    @property
    def name(self) -> str:
        return self.inner.name

    def use(self, runner: object) -> bool:
        return False

    def score(self, rollouts: Rollouts, context: Context) -> Scores:
        parts = self.inner.score(rollouts, context).parts
        return Scores({name: Part(2.0 * part.values, part.status) for name, part in parts.items()})


def test_changed_leaves_keep_weights_gates_and_transforms() -> None:
    first, second = as_reward(correct), as_reward(brackets)
    assert total((first + 0.2 * second).with_leaves(Doubled)) == pytest.approx([2.4, 2.0, 0.4])
    assert total((first * second).with_leaves(Doubled)) == [4.0, 0.0, 0.0]
    assert total(gate(second, first).with_leaves(Doubled)) == [2.0, 0.0, 0.0]
    assert total(first.transform(clip(0.0, 1.5)).with_leaves(Doubled)) == [1.5, 1.5, 0.0]
    assert total((first + 0.2 * second).with_leaves(lambda leaf: leaf)) == total(first + 0.2 * second)
