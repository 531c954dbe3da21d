"""References: one set per prompt, the first ones taken, and never a prompt's own when exchanged."""

from __future__ import annotations

import numpy as np
import pytest
from tests.training.conftest import ROWS, policy, reward

from trueward.batch import Context, Rollouts, Text
from trueward.errors import TrainingError
from trueward.policies.sampling import Sampling
from trueward.rewards.base import as_reward
from trueward.rewards.transforms import win_probability
from trueward.training.reference_rewards import exchanged, reference_rewards, with_references

SAMPLING = Sampling(max_new_tokens=4)


def test_one_set_for_each_different_prompt_and_the_same_for_the_same_seed() -> None:
    rows = [*ROWS, *ROWS]
    table = reference_rewards(policy(), rows, reward(), references=5, sampling=SAMPLING, seed=1)
    again = reference_rewards(policy(), ROWS, reward(), references=5, sampling=SAMPLING, seed=1)
    other = reference_rewards(policy(), ROWS, reward(), references=5, sampling=SAMPLING, seed=2)
    assert list(table) == [row.prompt_text for row in ROWS]
    assert all(len(rewards) == 5 for rewards in table.values())
    assert table == again != other


def test_a_reference_without_a_reward_is_none_and_skipped_by_the_transform() -> None:
    def fails_on_one_colour(completion: str, answer: str) -> float | None:
        return None if answer == "red" else 1.0

    partial = as_reward(fails_on_one_colour)
    table = reference_rewards(policy(), ROWS, partial, references=3, sampling=SAMPLING, seed=0)
    assert table[ROWS[0].prompt_text] == [None] * 3
    assert table[ROWS[1].prompt_text] == [1.0] * 3


def test_a_reward_that_scores_no_reference_is_refused() -> None:
    with pytest.raises(TrainingError, match="scored none of 6 references"):
        reference_rewards(policy(), ROWS, as_reward(says_nothing), references=2, sampling=SAMPLING, seed=0)


def says_nothing(completion: str) -> float | None:
    return None


def test_the_column_feeds_the_win_probability() -> None:
    table = {row.prompt_text: [0.0, 1.0, None] for row in ROWS}
    rows = with_references(ROWS, table)
    whole = Rollouts(Text(["p"] * 3, ["red"] * 3), reference=[{**row.columns, "answer": "red"} for row in rows])
    shaped = reward().transform(win_probability()).score(whole, Context()).total()
    # r = 1 against 0 and 1: (σ(1) + σ(0)) / 2.
    assert shaped == pytest.approx([(0.7310585786 + 0.5) / 2] * 3)
    assert with_references(ROWS, table, most=1)[0].columns["reference_rewards"] == [0.0]
    assert rows[0].columns["number"] == 0 and "reference_rewards" not in ROWS[0].columns


@pytest.mark.parametrize("prompts", [2, 3, 17])
def test_exchanged_references_are_all_there_and_never_a_prompts_own(prompts: int) -> None:
    table = {f"prompt {number}": [float(number)] for number in range(prompts)}
    for seed in range(20):
        found = exchanged(table, np.random.default_rng(seed))
        assert found.keys() == table.keys()
        assert sorted(found.values()) == sorted(table.values())
        assert all(found[prompt] != table[prompt] for prompt in table)
    assert exchanged(table, np.random.default_rng(3)) == exchanged(table, np.random.default_rng(3))
