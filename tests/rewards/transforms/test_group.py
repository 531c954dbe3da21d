"""Centring: numbers by hand, and what an affine transform does to group-relative advantages."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from trueward.credit import group_advantages
from trueward.rewards.transforms import centre, centred, running_range, sigmoid, standardise, win_probability
from trueward.status import Status


def test_a_declared_range_holds_for_every_group(changed: Any, part_of: Any) -> None:
    group = np.array([0, 0, 1, 1, 1])
    status = [Status.OK] * 4 + [Status.TIMED_OUT]
    part = changed(centre(), part_of([0.0, 0.5, 1.0, 1.0, np.nan], status, low=0.0, high=1.0), group=group)
    np.testing.assert_allclose(part.values, [-0.25, 0.25, 0.0, 0.0, np.nan])
    assert (part.low, part.high) == (-1.0, 0.75)  # means .25 and 1
    assert part.filled()[4] == -1.0


def test_rewards_that_are_large_and_nearly_equal_keep_their_differences(changed: Any) -> None:
    part = changed(centre(), [1e15, 1e15 + 1.0, 1e15 + 2.0])
    np.testing.assert_array_equal(part.values, [-1.0, 0.0, 1.0])


@pytest.mark.parametrize("transform", [centre(), centred(), standardise(), running_range()])
def test_affine_transforms_do_nothing_under_group_normalisation(changed: Any, transform: Any) -> None:
    rng = np.random.default_rng(0)
    group = np.repeat(np.arange(8), 4)
    references = np.repeat(rng.normal(size=(8, 3)), 4, axis=0)
    columns = [{"reference_rewards": row.tolist()} for row in references]
    for _ in range(3):  # running statistics move, and inside a batch they are still one line
        rewards = rng.normal(size=32) + np.repeat(rng.normal(0.0, 3.0, 8), 4)
        plain = group_advantages(rewards, group, epsilon=0.0).values
        shaped = changed(transform, rewards, group=group, reference=columns).values
        np.testing.assert_allclose(group_advantages(shaped, group, epsilon=0.0).values, plain, atol=1e-9)
        for other in (win_probability(), sigmoid()):
            bent = changed(other, rewards, group=group, reference=columns).values
            assert np.abs(group_advantages(bent, group, epsilon=0.0).values - plain).max() > 0.1
