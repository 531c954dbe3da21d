"""Targets of a ranking: by hand, by brute force, in their limits, and blind to the order of storage."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trueward.credit.softmax_targets import RankingTargets, softmax_targets


def draws(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def targets_of(rewards: Any, seed: int = 0, **settings: Any) -> RankingTargets:
    return softmax_targets(np.array(rewards, dtype=np.float64), draws(seed), **settings)


def stepwise(ranked: list[float], temperature: float, choices: int) -> list[float]:
    """Σ_i q_i(j) written out, choice by choice."""
    mass = [0.0] * len(ranked)
    for first in range(choices):
        left = [math.exp(reward / temperature) for reward in ranked[first:]]
        for place, weight in enumerate(left):
            mass[first + place] += weight / sum(left)
    return mass


def test_two_members_by_hand() -> None:
    targets = targets_of([[0.2, 0.5]], temperature=0.3)
    first = math.e / (1 + math.e)
    assert targets.order.tolist() == [[1, 0]] and targets.choices == 1
    assert targets.mass[0] == pytest.approx([first, 1 - first]) and targets.informative.tolist() == [True]


@given(st.lists(st.floats(0, 1), min_size=2, max_size=6), st.floats(0.05, 2))
def test_mass_is_what_the_choices_add_up_to(rewards: list[float], temperature: float) -> None:
    for kind, choices in (("pl", len(rewards) - 1), ("top1", 1)):
        targets = targets_of([rewards], temperature=temperature, kind=kind)
        ranked = [rewards[place] for place in targets.order[0]]
        assert ranked == sorted(rewards, reverse=True)
        assert targets.mass[0] == pytest.approx(stepwise(ranked, temperature, choices), abs=1e-12)
        assert targets.mass.sum() == pytest.approx(choices) and targets.choices == choices


def test_the_chain_of_choices_is_the_plackett_luce_distribution() -> None:
    """The products of the conditional targets, over all orders, are the probabilities of a race of exponentials."""
    rewards, temperature = np.array([0.1, 0.3, 0.6]), 0.4
    weights = np.exp(rewards / temperature)
    arrivals = draws(5).exponential(1 / weights, (200_000, 3)).argsort(axis=1)
    for order in itertools.permutations(range(3)):
        seen = (arrivals == order).all(axis=1).mean()
        # Conditional targets of the second choice, given who left: a group of the two that remain.
        first = weights[order[0]] / weights.sum()
        rest = targets_of([rewards[list(order[1:])]], temperature=temperature)
        second = rest.mass[0][rest.order[0].tolist().index(0)]
        assert seen == pytest.approx(first * second, abs=4 * math.sqrt(seen / 200_000))


def test_limits() -> None:
    rewards = [[0.3, 0.9, 0.1, 0.5]]
    hard = targets_of(rewards, kind="rank")
    assert hard.order.tolist() == [[1, 3, 0, 2]] and hard.mass.tolist() == [[1.0, 1.0, 1.0, 0.0]]
    assert targets_of(rewards, temperature=0.0).mass.tolist() == hard.mass.tolist()
    assert targets_of(rewards, temperature=1e-3).mass == pytest.approx(hard.mass)
    assert targets_of(rewards, temperature=0.0, kind="top1").mass.tolist() == [[1.0, 0.0, 0.0, 0.0]]
    flat = targets_of(rewards, temperature=1e9)
    assert flat.mass[0] == pytest.approx(stepwise([0.0] * 4, 1.0, 3))


def test_equal_rewards_have_even_targets_and_tell_nothing() -> None:
    targets = targets_of([[0.7] * 3, [0.7, 0.7, 0.2]], temperature=0.05)
    assert targets.informative.tolist() == [False, True]
    assert targets.mass[0] == pytest.approx([1 / 3, 1 / 3 + 1 / 2, 1 / 3 + 1 / 2])


def test_ties_are_broken_at_random() -> None:
    order = targets_of(np.tile([1.0, 0.0, 1.0, 1.0], (3000, 1)), kind="rank").order
    assert (order[:, 3] == 1).all()
    shares = np.bincount(order[:, 0], minlength=4) / 3000
    assert shares[[0, 2, 3]] == pytest.approx(1 / 3, abs=0.04)


def test_a_shift_of_all_rewards_changes_nothing() -> None:
    rewards = draws(3).random((5, 4))
    assert targets_of(rewards + 700.0).mass == pytest.approx(targets_of(rewards).mass)


@pytest.mark.parametrize(
    ("rewards", "settings", "message"),
    [
        ([[0.1]], {}, "at least two members"),
        ([[0.1, math.nan]], {}, "not finite"),
        ([[0.1, 0.2]], {"temperature": math.nan}, "nan"),
        ([[0.1, 0.2]], {"temperature": -1.0}, "-1.0"),
    ],
)
def test_what_is_refused(rewards, settings, message) -> None:
    with pytest.raises(ValueError, match=message):
        targets_of(rewards, **settings)
