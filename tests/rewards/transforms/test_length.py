"""Prices for length, with numbers by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from trueward.rewards.transforms import ceiling, length_penalty, tanh
from trueward.status import Status


def mask(*lengths: int) -> np.ndarray:
    return np.arange(max(lengths)) < np.array(lengths)[:, None]


def test_by_hand(changed: Any) -> None:
    part = changed(length_penalty(), [1.0, 1.0, 1.0], mask=mask(300, 301, 500))
    np.testing.assert_allclose(part.values, [1.0, 0.99, -1.0], rtol=1e-12)


def test_it_comes_after_the_ceiling_and_before_what_bounds(changed: Any) -> None:
    part = changed([ceiling(3.0), length_penalty(0.5, 1), tanh()], [9.0, 9.0], mask=mask(1, 3))
    np.testing.assert_allclose(part.values, np.tanh([3.0, 2.0]), rtol=1e-14)


def test_breaking_the_reward_is_no_way_around_the_price(changed: Any, part_of: Any) -> None:
    part = part_of([0.0, 1.0, np.nan], [Status.OK, Status.OK, Status.CRASHED], low=0.0, high=1.0)
    after = changed(length_penalty(0.5, 1), part, mask=mask(5, 1, 1))
    np.testing.assert_allclose(after.filled(), [-2.0, 1.0, -2.0])


def test_parameters_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="neither may be negative"):
        length_penalty(-0.01)
