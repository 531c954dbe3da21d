"""Gold is one number in [0, 1] per completion, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from trueward.tasks.gold import Gold


def test_means_of_values_and_measures() -> None:
    gold = Gold(np.array([0.0, 1.0, 0.5]), {"length": np.array([3.0, 6.0, 9.0])})
    assert gold.means() == {"gold": 0.5, "length": 6.0}
    assert len(gold) == 3


@pytest.mark.parametrize("values", [[-0.1], [1.1], [np.nan], [[0.5]]])
def test_values_outside_the_range_are_refused(values: list[float]) -> None:
    with pytest.raises(ValueError, match=r"in \[0, 1\]"):
        Gold(np.array(values))


@pytest.mark.parametrize("numbers", [[1.0], [np.inf, 1.0]])
def test_measures_need_one_finite_number_per_completion(numbers: list[float]) -> None:
    with pytest.raises(ValueError, match="measure 'length'"):
        Gold(np.array([0.0, 1.0]), {"length": np.array(numbers)})


def test_nothing_has_no_mean() -> None:
    with pytest.raises(ValueError, match="no completions"):
        Gold(np.zeros(0)).means()
