"""Two rewards of the same answers: by hand, against the tabular distance, and what is missing."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trueward.measures.distances import bandit_distance, starc_distance
from trueward.measures.tabular import TabularMDP

GROUP = np.array([7, 7, 3, 3])


def test_by_hand() -> None:
    # Centred: (.5, −.5, 1, −1) and (1, −1, −.5, .5); cos = (.5 + .5 − .5 − .5) / … = 0.
    found = bandit_distance(np.array([1.0, 0.0, 5.0, 3.0]), np.array([2.0, 0.0, 0.0, 1.0]), GROUP)
    assert found.distance == pytest.approx(math.sqrt(2), abs=1e-12)
    assert found.correlation == pytest.approx(0, abs=1e-12)
    assert (found.prompts, found.answers, found.left_out, found.constant) == (2, 4, 0, (False, False))
    # Centred: (.5, −.5, 1, −1) and (0, 0, 1, −1): cos = 2 / √(2.5 · 2).
    found = bandit_distance(np.array([1.0, 0.0, 5.0, 3.0]), np.array([2.0, 2.0, 2.0, 0.0]), GROUP)
    assert found.distance == pytest.approx(math.sqrt(2 - 2 * 2 / math.sqrt(5)), abs=1e-12)


def test_is_the_tabular_distance_of_one_step() -> None:
    """Prompts are states, answers actions, and every answer ends the episode."""
    generator = np.random.default_rng(0)
    prompts, answers = 6, 4
    a, b = generator.normal(size=(2, prompts, answers))
    transitions = np.zeros((prompts + 1, answers, prompts + 1))
    transitions[:, :, -1] = 1.0
    over = np.arange(prompts + 1) == prompts
    mdp = TabularMDP(transitions, np.append(np.full(prompts, 1 / prompts), 0.0), 0.9, over)
    tabular = starc_distance(*(np.vstack([r, np.zeros(answers)]) for r in (a, b)), mdp)
    found = bandit_distance(a.ravel(), b.ravel(), np.repeat(np.arange(prompts), answers))
    assert found.distance == pytest.approx(tabular, abs=1e-12)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), scale=st.floats(0.01, 100))
def test_offsets_of_prompts_scale_and_order_of_rows_do_not_matter(seed: int, scale: float) -> None:
    generator = np.random.default_rng(seed)
    group = generator.integers(0, 5, size=30)
    a, b = generator.normal(size=(2, 30))
    plain = bandit_distance(a, b, group, resamples=10)
    assert bandit_distance(a, scale * a + generator.normal(size=5)[group], group, resamples=10).distance < 1e-9
    assert bandit_distance(a, -scale * a, group, resamples=10).distance == pytest.approx(2, abs=1e-9)
    order = generator.permutation(30)
    again = bandit_distance(a[order], scale * b[order] + 3.0, group[order], resamples=10)
    assert again.distance == pytest.approx(plain.distance, abs=1e-9)
    assert plain.distance == pytest.approx(math.sqrt(2 - 2 * plain.correlation), abs=1e-9)


def test_missing_scores_leave_both_and_are_counted() -> None:
    generator = np.random.default_rng(1)
    a, b = generator.normal(size=(2, 12))
    group = np.repeat(np.arange(4), 3)
    holes_a, holes_b = a.copy(), b.copy()
    holes_a[0] = np.nan  # leaves two answers of prompt 0
    holes_a[3], holes_b[4] = np.nan, np.nan  # leaves one answer of prompt 1, which then says nothing
    found = bandit_distance(holes_a, holes_b, group)
    kept = np.array([1, 2, 6, 7, 8, 9, 10, 11])
    assert found.distance == bandit_distance(a[kept], b[kept], group[kept]).distance
    assert (found.prompts, found.answers, found.left_out) == (3, 8, 4)


def test_constant_rewards() -> None:
    a, flat = np.array([1.0, 0.0, 5.0, 3.0]), np.array([0.3, 0.3, 9.7, 9.7])
    found = bandit_distance(a, flat, GROUP)
    assert found.distance == pytest.approx(1, abs=1e-12)
    assert found.constant == (False, True)
    assert math.isnan(found.correlation)
    assert bandit_distance(flat, flat, GROUP).distance == 0


def test_interval_holds_the_truth_as_often_as_it_says() -> None:
    """ρ = .6 within prompts, so that d = √.8; of 60 intervals about 57 hold it."""
    held = 0
    for seed in range(60):
        generator = np.random.default_rng(seed)
        a, noise = generator.normal(size=(2, 200, 4))
        b = 0.6 * a + 0.8 * noise
        found = bandit_distance(a.ravel(), b.ravel(), np.repeat(np.arange(200), 4), resamples=400)
        held += found.low <= math.sqrt(0.8) <= found.high
        assert found.low < found.distance < found.high
    assert 51 <= held <= 60


def test_refusals() -> None:
    a = np.array([1.0, 0.0, 5.0, 3.0])
    with pytest.raises(ValueError, match="infinite"):
        bandit_distance(a, np.array([1.0, np.inf, 0.0, 0.0]), GROUP)
    with pytest.raises(ValueError, match="two answers"):
        bandit_distance(a, a, np.arange(4))
    with pytest.raises(ValueError, match="two answers"):
        bandit_distance(a, np.full(4, np.nan), GROUP)
