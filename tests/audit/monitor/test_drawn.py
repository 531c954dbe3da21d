"""Which rollouts are checked."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from tests.audit.monitor.steps import step

from trueward.audit.monitor.drawn import drawn, means_of_prompts, rows_by_prompt


def test_each_prompt_comes_once_before_any_comes_twice() -> None:
    prompts = [[0, 1, 2], [3, 4, 5], [6, 7, 8], [9]]
    for seed in range(30):
        generator = random.Random(seed)
        assert [len(rows) for rows in drawn(prompts, 3, generator)] == [1, 1, 1]
        assert sorted(row // 3 for [row] in drawn(prompts, 4, generator)) == [0, 1, 2, 3]
        six = drawn(prompts, 6, generator)
        assert sorted(map(len, six)) == [1, 1, 2, 2]
        assert len({row for rows in six for row in rows}) == 6
        assert sorted(row for rows in drawn(prompts, 99, generator) for row in rows) == list(range(10))


def test_every_prompt_and_every_rollout_of_it_is_as_likely_as_any_other() -> None:
    """Prompts of 1, 3 and 6 rollouts: each prompt in two of three draws, each rollout in its share of them."""
    prompts, runs = [[0], [1, 2, 3], [4, 5, 6, 7, 8, 9]], 6000
    generator = random.Random(0)
    counts = Counter(place for _ in range(runs) for [place] in drawn(prompts, 2, generator))
    for rows in prompts:
        for place in rows:
            assert counts[place] == pytest.approx(2 / 3 * runs / len(rows), rel=0.12)
        assert sum(counts[place] for place in rows) == pytest.approx(2 / 3 * runs, rel=0.04)


def test_with_more_than_one_each_the_second_is_of_any_prompt() -> None:
    generator, prompts = random.Random(0), [[0, 1, 2], [3, 4, 5]]
    counts = Counter(place for _ in range(4000) for rows in drawn(prompts, 3, generator) for place in rows)
    assert all(counts[place] == pytest.approx(2000, rel=0.1) for place in range(6))


def test_nothing_to_draw_from() -> None:
    assert drawn([], 8, random.Random(0)) == []


def test_prompts_are_known_by_group_or_by_themselves() -> None:
    assert [list(rows) for rows in rows_by_prompt(step(1, [0.0] * 4, group=[7, 7, 3, 3]))] == [[0, 1], [2, 3]]
    assert rows_by_prompt(step(1, [0.0] * 4, group=[7, 3, 7, 3])) == [[0, 2], [1, 3]]
    chat = [[{"role": "user", "content": text}] for text in ("a", "b", "a")]
    assert [list(rows) for rows in rows_by_prompt(step(1, [0.0] * 3, group=[0, 0, 0], prompts=chat))] == [[0, 1, 2]]
    without = step(1, [0.0] * 3, prompts=chat)
    assert rows_by_prompt(type(without)(**{**vars(without), "group": None})) == [[0, 2], [1]]


def test_groups_that_stand_together_are_known_by_their_first_rows() -> None:
    assert step(1, [0.0] * 5, group=[7, 7, 3, 4, 4]).starts.tolist() == [0, 2, 3]
    assert step(1, [0.0] * 3, group=[7, 3, 7]).starts is None


def test_one_number_per_prompt() -> None:
    assert means_of_prompts([1.0, 0.0, 0.5, float("nan")], [2, 1, 1]).tolist() == [0.5, 0.5]
    assert means_of_prompts([0.25, 0.75], [1, 1]).tolist() == [0.25, 0.75]
    assert means_of_prompts([float("nan")] * 2, [2]).tolist() == []
