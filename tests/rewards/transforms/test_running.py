"""Running statistics against numbers by hand and against those of everything at once."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trueward.errors import RewardError
from trueward.rewards.transforms import running_clip, running_range, standardise
from trueward.rewards.transforms.running import Seen
from trueward.status import Status


def test_by_hand(changed: Any) -> None:
    # 1, 3: mean 2, population deviation 1. With 2, 6: mean 3, variance (4 + 0 + 1 + 9) / 4.
    for transform, first, second in (
        (standardise(), [-1.0, 1.0], [-1 / math.sqrt(3.5), 3 / math.sqrt(3.5)]),
        (running_clip(), [1.0, 3.0], [2.0, 3.0 + math.sqrt(3.5)]),
        (running_range(), [0.0, 1.0], [0.2, 1.0]),
    ):
        np.testing.assert_allclose(changed(transform, [1.0, 3.0]).values, first, rtol=1e-14)
        np.testing.assert_allclose(changed(transform, [2.0, 6.0]).values, second, rtol=1e-14)


def test_evaluation_uses_what_training_saw(changed: Any) -> None:
    transform = standardise()
    np.testing.assert_array_equal(changed(transform, [7.0], training=False).values, [7.0])  # nothing seen: as it is
    changed(transform, [1.0, 3.0])
    for _ in range(2):
        np.testing.assert_allclose(changed(transform, [102.0], training=False).values, [100.0])


def test_rows_that_are_not_ok_do_not_enter_and_earn_the_transformed_low(changed: Any, part_of: Any) -> None:
    status = [Status.OK, Status.TIMED_OUT, Status.OK, Status.ABSTAINED]
    transform = standardise()
    part = changed(transform, part_of([1.0, np.nan, 3.0, np.nan], status, low=0.0, high=4.0))
    np.testing.assert_allclose(part.filled(), [-1.0, -2.0, 1.0, np.nan])
    assert (part.low, part.high) == (-2.0, 2.0)
    assert transform.seen["r"].count == 2


def test_each_part_has_statistics_of_its_own_and_segments_count_each(changed: Any) -> None:
    transform = running_range()
    np.testing.assert_allclose(changed(transform, [[0.0, 4.0], [2.0]]).filled(), [[0.0, 1.0], [0.5, 0.0]])
    assert transform.seen["r"] == Seen(3, 2.0, 8.0, 0.0, 4.0)


@pytest.mark.parametrize("value", [0.1, 1e9 + 0.1, -3e-7])
def test_equal_rewards_have_no_deviation_which_counts_as_1(changed: Any, value: float) -> None:
    for transform in (standardise(), running_range()):
        for _ in range(3):
            np.testing.assert_array_equal(changed(transform, [value] * 7).values, [0.0] * 7)
    clipping = running_clip()
    changed(clipping, [value] * 7)
    assert changed(clipping, [value + 5.0], training=False).values[0] == value + 1.0


@given(st.lists(st.lists(st.floats(-1e3, 1e3), max_size=6), min_size=1, max_size=6), st.sampled_from([0.0, 1e8]))
def test_statistics_batch_by_batch_are_those_of_everything_at_once(batches: list[list[float]], offset: float) -> None:
    seen = Seen()
    for values in batches:
        seen = seen.merged(np.array(values) + offset)
    everything = np.array([value for values in batches for value in values]) + offset
    assert seen.count == len(everything)
    if len(everything):
        mean = math.fsum(everything) / len(everything)
        assert seen.mean == pytest.approx(mean, rel=1e-12, abs=1e-9)
        variance = math.fsum((everything - mean) ** 2) / len(everything)
        assert seen.squares / seen.count == pytest.approx(variance, rel=1e-6, abs=1e-6)
        assert (seen.lowest, seen.highest) == (everything.min(), everything.max())


@pytest.mark.parametrize("state", [{}, {"seen": {"r": {"count": 1, "median": 0.0}}}, {"seen": 3}])
def test_the_state_of_something_else_is_refused(state: Any) -> None:
    with pytest.raises(RewardError, match="not that of running statistics"):
        standardise().load_state_dict(state)


def test_parameters_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="positive number"):
        running_clip(0.0)
