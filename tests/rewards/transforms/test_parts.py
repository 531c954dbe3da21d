"""The raw reward beside what was made of it."""

from __future__ import annotations

import numpy as np

from trueward.batch import Context, Part, Rollouts, Scores, Text
from trueward.rewards.transforms import clip, overlong, with_raw
from trueward.status import Status

ROLLOUTS = Rollouts(Text(["p"] * 2, ["x"] * 2))


def scores_of(**parts: list[float]) -> Scores:
    return Scores({name: Part(np.array(values), [Status.OK] * len(values)) for name, values in parts.items()})


def test_the_raw_reward_is_kept_and_not_paid() -> None:
    before = scores_of(r=[3.0, -0.5])
    after = with_raw(before, clip(0.0, 1.0)(before, ROLLOUTS, Context()))
    assert {name: part.weight for name, part in after.parts.items()} == {"r": 1.0, "r (raw)": 0.0}
    np.testing.assert_array_equal(after.parts["r (raw)"].values, [3.0, -0.5])
    np.testing.assert_array_equal(after.total(), [1.0, 0.0])


def test_of_two_transformations_the_first_one_saw_the_raw_reward() -> None:
    before = scores_of(r=[3.0, -0.5])
    once = with_raw(before, clip(0.0, 1.0)(before, ROLLOUTS, Context()))
    twice = with_raw(once, clip(0.25, 0.5)(once, ROLLOUTS, Context()))
    assert list(twice.parts) == ["r", "r (raw)"]
    np.testing.assert_array_equal(twice.parts["r"].values, [0.5, 0.25])
    np.testing.assert_array_equal(twice.parts["r (raw)"].values, [3.0, -0.5])


def test_what_no_transform_changed_has_no_copy() -> None:
    before = scores_of(r=[3.0, -0.5])
    after = with_raw(before, overlong(10, 5)(before, ROLLOUTS, Context()))
    assert list(after.parts) == ["r", "overlong"]
