"""Labels that simulated annotators make of gold."""

from __future__ import annotations

import numpy as np
import pytest

from trueward.tasks.gold import Gold
from trueward.tasks.text.procedural import TopicKeywords
from trueward.tasks.text.procedural.annotations import agreed, compared, judged, preferences_of


def gold(values: list[float] | np.ndarray) -> Gold:
    return Gold(np.asarray(values, dtype=float))


def within(count: float, n: int, rate: float) -> bool:
    return abs(count - n * rate) <= 4 * np.sqrt(n * rate * (1 - rate))


def test_without_noise_the_better_one_is_preferred() -> None:
    labels = compared(gold([0.9, 0.1, 0.5]), gold([0.2, 0.3, 0.4]), np.random.default_rng(0))
    assert labels.tolist() == [1, 0, 1]


def test_ties_are_a_coin_and_flips_come_at_their_rate() -> None:
    generator = np.random.default_rng(0)
    same = gold(np.full(4000, 0.5))
    assert within(compared(same, same, generator).sum(), 4000, 0.5)
    better = compared(gold(np.ones(4000)), gold(np.zeros(4000)), generator, flip=0.15)
    assert within(better.sum(), 4000, 0.85)
    assert not within(better.sum(), 4000, 0.8)


def test_bias_turns_what_is_closer_than_it() -> None:
    a, b = gold([0.5, 0.5, 0.0]), gold([0.6, 0.9, 0.0])
    labels = compared(a, b, np.random.default_rng(0), bias=np.array([0.2, 0.2, 0.2]))
    assert labels.tolist() == [1, 0, 1]


def test_verdicts_err_at_their_rate() -> None:
    generator = np.random.default_rng(0)
    assert judged(gold([0.4, 0.5, 1.0]), generator).tolist() == [0, 1, 1]
    assert within(judged(gold(np.zeros(4000)), generator, error=0.1).sum(), 4000, 0.1)


def test_preferences_hold_what_rewards_may_read_and_no_gold() -> None:
    task = TopicKeywords()
    rows = task.rows(2, 0)
    pairs = preferences_of(rows, ["oven", "rain"], ["wave", "moss"], np.array([1.0, 0.0]))
    assert list(pairs.a.content.completions) == ["oven", "rain"]
    assert list(pairs.b.content.prompts) == [row.prompt for row in rows]
    assert pairs.label.tolist() == [1, 0] and pairs.id is not None and pairs.id.tolist() == [0, 1]
    assert all(set(reference) == {"answer"} for reference in pairs.a.reference)


def test_unusable_requests_are_refused() -> None:
    generator = np.random.default_rng(0)
    with pytest.raises(ValueError, match="expected a probability"):
        compared(gold([0]), gold([1]), generator, flip=1.5)
    with pytest.raises(ValueError, match="compare 1 completions with 2"):
        compared(gold([0]), gold([1, 1]), generator)
    with pytest.raises(ValueError, match="1 completions for 2 rows"):
        preferences_of(TopicKeywords().rows(2, 0), ["oven"], ["oven"], np.ones(2))


def test_labels_are_kept_where_all_annotators_agree() -> None:
    rule, judge = np.array([1.0, 1.0, 0.0, 0.0, np.nan]), np.array([1.0, 0.0, 1.0, 0.0, np.nan])
    assert np.array_equal(agreed(rule, judge), [1, np.nan, np.nan, 0, np.nan], equal_nan=True)
    assert np.array_equal(agreed(rule, judge, np.ones(5)), [1, *[np.nan] * 4], equal_nan=True)
