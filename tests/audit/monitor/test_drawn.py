"""Which rollouts are checked."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from tests.audit.monitor.steps import step

from trueward.audit.monitor.drawn import drawn, means_of_prompts, prompts_of


def test_each_prompt_comes_once_before_any_comes_twice() -> None:
    prompts = [0, 0, 0, 1, 1, 1, 2, 2, 2, 3]
    for seed in range(30):
        generator = random.Random(seed)
        assert len({prompts[place] for place in drawn(prompts, 3, generator)}) == 3
        assert sorted(prompts[place] for place in drawn(prompts, 4, generator)) == [0, 1, 2, 3]
        six = drawn(prompts, 6, generator)
        assert len(set(six)) == 6
        assert max(Counter(prompts[place] for place in six).values()) == 2
        assert sorted(drawn(prompts, 99, generator)) == list(range(10))


def test_every_prompt_and_every_rollout_of_it_is_as_likely_as_any_other() -> None:
    """Prompts of 1, 3 and 6 rollouts: each prompt in two of three draws, each rollout in its share of them."""
    prompts, runs = ["a"] + ["b"] * 3 + ["c"] * 6, 6000
    generator = random.Random(0)
    counts = Counter(place for _ in range(runs) for place in drawn(prompts, 2, generator))
    for place, prompt in enumerate(prompts):
        assert counts[place] == pytest.approx(2 / 3 * runs / prompts.count(prompt), rel=0.12)
    for prompt in "abc":
        times = sum(counts[place] for place in range(10) if prompts[place] == prompt)
        assert times == pytest.approx(2 / 3 * runs, rel=0.04)


def test_with_more_than_one_each_the_second_is_of_any_prompt() -> None:
    generator = random.Random(0)
    counts = Counter(place for _ in range(4000) for place in drawn([0, 0, 0, 1, 1, 1], 3, generator))
    assert all(counts[place] == pytest.approx(2000, rel=0.1) for place in range(6))


def test_nothing_to_draw_from() -> None:
    assert drawn([], 8, random.Random(0)) == []


def test_prompts_are_known_by_group_or_by_themselves() -> None:
    assert prompts_of(step(1, [0.0] * 4, group=[7, 7, 3, 3])) == [7, 7, 3, 3]
    chat = [[{"role": "user", "content": text}] for text in ("a", "b", "a")]
    assert prompts_of(step(1, [0.0] * 3, group=[0, 0, 0], prompts=chat)) == [0, 0, 0]
    without = step(1, [0.0] * 3, prompts=chat)
    first, second, third = prompts_of(type(without)(**{**vars(without), "group": None}))
    assert first == third != second


def test_one_number_per_prompt() -> None:
    assert means_of_prompts([2, 0, 2, 1], [1.0, 0.5, 0.0, float("nan")]).tolist() == [0.5, 0.5]
    assert means_of_prompts([1, 0], [0.25, 0.75]).tolist() == [0.25, 0.75]
    assert means_of_prompts([1, 1], [float("nan")] * 2).tolist() == []
