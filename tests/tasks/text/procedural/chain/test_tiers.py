"""Chains of three difficulties: gold and measures by hand, and the habits that their writer was given."""

from __future__ import annotations

import numpy as np
import pytest

from trueward.errors import DataError
from trueward.tasks.text.procedural import TieredChains
from trueward.tasks.text.procedural.chain import Scratchpad
from trueward.tasks.text.procedural.drawing import row_of
from trueward.tasks.text.procedural.steps import words_of
from trueward.tasks.text.rows import Row

N = 3000


def row(prompt: str) -> Row:
    return row_of("tiered_chains", prompt, None, TieredChains().rows(1, 0)[0].contract)


def within(count: float, n: int, rate: float) -> bool:
    return abs(count - n * rate) <= 4 * np.sqrt(n * rate * (1 - rate))


def test_gold_and_measures_by_hand() -> None:
    task = TieredChains(modulus=10, operations=3, tiers=(1, 3))
    easy, hard = "7 ; a + 0 ; b - 3 ; c * 1 ?", "7 ; a + 5 ; b * 2 ; c - 1 ?"  # 4; 12 ≡ 2, 4, 3
    texts = {
        "a 7 \n check a 7 \n b 4 \n ans = 4": easy,  # right, with a check, one line left out
        "ans = 4": easy,  # right at once
        "ans = 3": hard,  # right by luck
        "a 2 \n b 4 \n c 4 \n ans = 4": hard,  # a wrong step
        "a 2 \n b 4 \n": hard,  # no answer
    }
    gold = task.gold([row(prompt) for prompt in texts.values()], list(texts))
    assert gold.values.tolist() == [1, 1, 1, 0, 0]
    expected = {
        "length": [13, 3, 3, 12, 6],
        "right_length": [13, 3, 3, 0, 0],
        "lines": [3, 0, 0, 3, 2],
        "checks": [1, 0, 0, 0, 0],
        "truncated": [0, 0, 0, 0, 1],
        "tier_1": [1, 1, 0, 0, 0],
        "tier_1_right": [1, 1, 0, 0, 0],
        "tier_1_length": [13, 3, 0, 0, 0],
        "tier_2": [0, 0, 1, 1, 1],
        "tier_2_right": [0, 0, 1, 0, 0],
        "tier_2_length": [0, 0, 3, 12, 6],
    }
    assert {name: numbers.tolist() for name, numbers in gold.measures.items()} == expected


def test_all_tiers_are_equally_likely_and_equally_long_to_read() -> None:
    task = TieredChains(operations=4, tiers=(1, 2, 4))
    rows = task.rows(N, 0)
    means = task.gold(rows, [f"ans = {one.answer}" for one in rows]).means()
    assert means["gold"] == 1.0
    for tier in (1, 2, 3):
        assert within(N * means[f"tier_{tier}"], N, 1 / 3)
    assert {len(one.prompt_text.split()) for one in rows} == {1 + 4 * 4 + 1}


def test_a_writer_without_mistakes_is_right_whatever_it_leaves_out() -> None:
    for skip in (0.0, 0.5, 1.0):
        task = TieredChains(scratchpad=Scratchpad(skip=skip, slip=0.0))
        written = task.demonstrations(200, 1)
        assert task.gold([one.row for one in written], [one.completion for one in written]).values.all()


def test_the_habits_come_back_from_the_measures() -> None:
    task = TieredChains(operations=4, tiers=(1, 2), scratchpad=Scratchpad(skip=0.2, recheck=0.5, slip=0.0))
    written = task.demonstrations(N, 2)
    measures = task.gold([one.row for one in written], [one.completion for one in written]).measures
    lines = int((measures["lines"] - measures["checks"]).sum())
    assert within(lines, 4 * N, 0.8)
    assert within(measures["checks"].sum(), lines, 0.5)


def test_slips_are_carried_on() -> None:
    task = TieredChains(modulus=7, operations=4, tiers=(4,), scratchpad=Scratchpad(slip=1.0, skip=0.0, recheck=0.0))
    [written] = task.demonstrations(1, 3)
    values = [int(line.split()[-1]) for line in written.completion.split(" \n ")]
    assert values[-1] == values[-2]
    assert len(values) == 5


def test_demonstrations_are_nearly_twice_as_long_as_they_need_be() -> None:
    task = TieredChains()
    written = task.demonstrations(N, 0)
    length = np.mean([len(words_of(one.completion)) for one in written])
    # A line and its break are three tokens, so is the answer; the last line only says what the answer says again.
    assert length > 1.9 * (3 * (task.operations - 1) + 3)


@pytest.mark.parametrize(
    "settings",
    [{"modulus": 3}, {"tiers": ()}, {"tiers": (2, 1)}, {"tiers": (1, 6)}, {"tiers": (0, 1)}, {"operations": 9}],
)
def test_parameters_that_make_no_task_are_refused(settings: dict[str, object]) -> None:
    with pytest.raises(DataError, match="expected"):
        TieredChains(**settings)  # type: ignore[arg-type]


def test_rates_that_are_no_probabilities_are_refused() -> None:
    with pytest.raises(DataError, match="probabilities"):
        Scratchpad(skip=1.2)


def test_other_prompts_are_refused() -> None:
    with pytest.raises(DataError, match="labelled chain"):
        TieredChains().gold([row("start 7 ; + 5 ?")], ["ans = 2"])
