"""Gold and demonstrations of chain arithmetic: rates that the writer was given come back from the reader."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

import numpy as np
import pytest

from trueward.tasks.text.procedural import ChainArithmetic
from trueward.tasks.text.procedural.chain import Habits
from trueward.tasks.text.procedural.chain.lines import Line
from trueward.tasks.text.procedural.chain.writer import STYLES, Style
from trueward.tasks.text.procedural.drawing import row_of
from trueward.tasks.text.rows import Row

N = 3000


def row(prompt: str) -> Row:
    return row_of("chain_arithmetic", prompt, None, ChainArithmetic().rows(1, 0)[0].contract)


def written(habits: Habits, **parameters: object) -> tuple[ChainArithmetic, list[list[Line]], dict[str, float]]:
    task = ChainArithmetic(habits=habits, **parameters)  # type: ignore[arg-type]
    demonstrations = task.demonstrations(N, 0)
    rows, texts = [d.row for d in demonstrations], [d.completion for d in demonstrations]
    return task, [task.lines(r, text) for r, text in zip(rows, texts, strict=True)], task.gold(rows, texts).means()


def within(count: int, n: int, rate: float) -> bool:
    return abs(count - n * rate) <= 4 * np.sqrt(n * rate * (1 - rate))


def test_gold_and_measures_by_hand() -> None:
    task = ChainArithmetic()
    texts = [
        "7 + 5 = 12 \n 7 + 5 = 12 \n 12 * 2 = 24 \n ans = 24",  # right, one line repeated
        "7 + 5 = 13 \n 13 * 2 = 26 \n ans = 26",  # one slip, carried on
        "7 + 5 = 13 \n 13 * 2 = 24 \n ans = 24",  # two slips that cancel
        "ans = 24",  # a guess
        "7 + 5 = 12 \n 12 * 2 = 24 \n",  # no answer
    ]
    gold = task.gold([row("start 7 ; + 5 ; * 2 ?")] * 5, texts)
    assert gold.values.tolist() == [1, 0, 1, 1, 0]
    expected = {
        "lines": [4, 3, 3, 1, 2],
        "duplicated": [1 / 4, 0, 0, 0, 0],
        "restated": [1 / 4, 0, 0, 0, 0],
        "true_lines": [1, 1 / 3, 1 / 3, 1, 1],
        "sound": [1, 0, 0, 0, 0],
        "length": [5 * 3 + 3 + 3, 5 * 2 + 2 + 3, 5 * 2 + 2 + 3, 3, 5 * 2 + 2],
        "truncated": [0, 0, 0, 0, 1],
    }
    assert {name: numbers.tolist() for name, numbers in gold.measures.items()} == expected


def test_without_mistakes_every_demonstration_is_sound() -> None:
    _, solutions, means = written(Habits(slip=0.0, restatement=0.0))
    assert means["gold"] == means["sound"] == means["true_lines"] == 1
    assert means["duplicated"] == means["restated"] == means["truncated"] == 0
    assert all(line.kind in ("step", "answer") for lines in solutions for line in lines)


def test_slips_come_at_their_rate_and_stay() -> None:
    _, solutions, means = written(Habits(slip=0.1, restatement=0.0))
    steps = [line for lines in solutions for line in lines if line.kind == "step"]
    assert within(sum(not line.true for line in steps), len(steps), 0.1)
    assert not within(sum(not line.true for line in steps), len(steps), 0.12)
    assert means["sound"] <= means["gold"] < 0.75
    assert sum(line.kind == "step" for lines in solutions for line in lines) == len(steps)


@pytest.mark.parametrize("share", [0.1, 0.15])
@pytest.mark.parametrize("restated", ["latest", "any"])
def test_restatements_are_their_share_of_all_lines(share: float, restated: Literal["latest", "any"]) -> None:
    _, solutions, means = written(Habits(slip=0.0, restatement=share, restated=restated))
    lines = [line for solution in solutions for line in solution]
    found = sum(line.kind == "restatement" for line in lines)
    assert abs(found / len(lines) - share) < 0.01
    assert abs(sum(line.duplicate for line in lines) / len(lines) - share) < 0.01
    assert means["gold"] == 1
    repeats = [a.claim == b.claim for s in solutions for a, b in pairwise(s) if b.kind == "restatement"]
    assert all(repeats) == (restated == "latest")


def test_slips_are_repaired_at_their_rate() -> None:
    _, solutions, means = written(Habits(slip=0.2, repair=0.4, restatement=0.0))
    slips = sum(line.kind == "step" and not line.true for lines in solutions for line in lines)
    revisions = [line for lines in solutions for line in lines if line.kind == "revision"]
    assert within(len(revisions), slips, 0.4)
    assert all(line.true and line.marker == "wait" for line in revisions)
    assert means["sound"] < means["gold"]


def test_rechecks_repeat_the_step_before_them_at_their_rate() -> None:
    _, solutions, _ = written(Habits(slip=0.0, restatement=0.0, recheck=0.3, recheck_marker="check"))
    steps = sum(line.kind == "step" for lines in solutions for line in lines)
    checks = [(a, b) for lines in solutions for a, b in pairwise(lines) if b.marker == "check"]
    assert within(len(checks), steps, 0.3)
    assert all(a.claim == b.claim for a, b in checks)


@pytest.mark.parametrize("style", STYLES)
def test_every_style_is_read_without_loss(style: Style) -> None:
    _, solutions, means = written(Habits(slip=0.0, restatement=0.1, styles=(style,)), operations=(2, 4))
    assert means["gold"] == means["sound"] == means["true_lines"] == 1
    kinds = {line.kind for lines in solutions for line in lines}
    assert kinds == {"step", "restatement", "answer"}


def test_a_solution_keeps_to_one_style() -> None:
    task = ChainArithmetic(habits=Habits(slip=0.0, restatement=0.0, styles=("plain", "reversed")))
    texts = [d.completion.split(" \n ")[:-1] for d in task.demonstrations(400, 0)]
    plain = [all(line.split()[3] == "=" for line in lines) for lines in texts]
    assert all(
        all(line.split()[1] == "=" for line in lines)
        for lines, is_plain in zip(texts, plain, strict=True)
        if not is_plain
    )
    assert within(sum(plain), 400, 0.5)


def test_small_moduli_make_right_answers_by_wrong_lines() -> None:
    _, _, means = written(Habits(slip=0.3, restatement=0.0), modulus=7, operations=(4, 6))
    assert means["gold"] - means["sound"] > 0.05
