"""What holds for every text task: seeds, splits, contracts, vocabulary, demonstrations, gold."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from trueward.audit.certificates.answers import certify_answer
from trueward.errors import DataError
from trueward.tasks.text.procedural import (
    ChainArithmetic,
    Countdown,
    DataTask,
    ReasoningGymTask,
    ReviewReplies,
    Sums,
    TextTask,
    TieredChains,
    TopicKeywords,
)
from trueward.tasks.text.procedural.chain import Habits
from trueward.tasks.text.procedural.chain.writer import STYLES
from trueward.tasks.text.procedural.drawing import split_of

FILE = Path(__file__).parent / "additions.jsonl"


def judge(row: object, completion: str) -> float:
    return float(completion.strip() == row.answer)  # type: ignore[attr-defined]


def everything() -> dict[str, TextTask]:
    return {
        "chain": ChainArithmetic(),
        "chain in all styles": ChainArithmetic(
            modulus=20, operations=(2, 4), habits=Habits(0.2, 0.5, 0.15, "any", 0.2, "wait", STYLES), max_new_tokens=160
        ),
        "tiers": TieredChains(),
        "countdown": Countdown(),
        "countdown with mistakes": Countdown(5, 6, 20, 0.5, 0.1, 0.5, 10),
        "topics": TopicKeywords(),
        "replies": ReviewReplies(),
        "sums": Sums(),
        "gym": ReasoningGymTask("chain_sum"),
        "gym with many answers": ReasoningGymTask("number_sorting", {"max_numbers": 5}),
        "data": DataTask(FILE, judge, demonstration_column="worked"),
    }


TASKS = everything()
NAMES = sorted(TASKS)


def words(task: TextTask, text: str) -> list[str]:
    return text.split(" ") if task.vocabulary.kind == "words" else list(text)


@pytest.mark.parametrize("name", NAMES)
def test_the_same_seed_gives_the_same_rows_and_another_one_others(name: str) -> None:
    task = TASKS[name]
    assert task.rows(20, 3) == everything()[name].rows(20, 3)
    assert task.demonstrations(20, 3) == everything()[name].demonstrations(20, 3)
    assert task.rows(20, 3) != task.rows(20, 4)
    assert task.demonstrations(20, 3) != task.demonstrations(20, 4)
    assert [d.row.prompt for d in task.demonstrations(20, 3)] != [row.prompt for row in task.rows(20, 3)]


PROGRAM = """
import json, sys
sys.path.insert(0, sys.argv[1])
from test_contracts import everything
made = {}
for name, task in everything().items():
    made[name] = [[r.prompt, r.answer] for r in task.rows(5, 7) + task.rows(5, 7, "held out")]
    made[name] += [d.completion for d in task.demonstrations(5, 7)]
print(json.dumps(made))
"""


def test_seeds_reproduce_in_another_process_with_another_hash_seed() -> None:
    found = [
        subprocess.run(
            [sys.executable, "-c", PROGRAM, str(Path(__file__).parent)],
            env={**os.environ, "PYTHONHASHSEED": salt},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.splitlines()[-1]
        for salt in ("1", "2")
    ]
    made = json.loads(found[0])
    assert found[0] == found[1]
    for name, task in TASKS.items():
        here = [[r.prompt, r.answer] for r in task.rows(5, 7) + task.rows(5, 7, "held out")]
        assert made[name] == here + [d.completion for d in task.demonstrations(5, 7)]


@pytest.mark.parametrize("name", NAMES)
def test_splits_share_no_prompt_and_demonstrations_keep_to_train(name: str) -> None:
    task = TASKS[name]
    train = {row.prompt for seed in (0, 1) for row in task.rows(150, seed)}
    held_out = {row.prompt for seed in (0, 1) for row in task.rows(150, seed, "held out")}
    assert len(held_out) > 3 and len(train) > 10
    assert not train & held_out
    assert all(split_of(demonstration.row.prompt_text) == "train" for demonstration in task.demonstrations(150, 0))


@pytest.mark.parametrize("name", NAMES)
def test_every_row_has_a_declared_contract_that_its_answer_meets(name: str) -> None:
    for row in TASKS[name].rows(40, 0):
        if row.answer is None:
            assert not row.contract.unique
        else:
            assert row.columns["answer"] == row.answer
            assert certify_answer(row, row.answer, None) == "right"
        assert row.contract.declared


@pytest.mark.parametrize("name", NAMES)
def test_text_stays_inside_the_vocabulary_and_the_length(name: str) -> None:
    task = TASKS[name]
    known = set(task.vocabulary.tokens)
    for demonstration in task.demonstrations(200, 1):
        written = words(task, demonstration.completion)
        assert set(written) <= known
        assert set(words(task, demonstration.row.prompt_text)) <= known
        assert 0 < len(written) <= task.max_new_tokens


@pytest.mark.parametrize("name", NAMES)
def test_gold_is_bounded_finite_and_of_one_completion_alone(name: str) -> None:
    task = TASKS[name]
    demonstrations = task.demonstrations(30, 2)
    rows = [demonstration.row for demonstration in demonstrations]
    texts = [demonstration.completion for demonstration in demonstrations]
    texts[:6] = ["", "\n", " \n \n ", "ans = ", "9" * 6000, "answer" * 50]
    gold = task.gold(rows, texts)
    assert gold.values.shape == (30,) and gold.values.any()
    assert not gold.values[:3].any()
    order = np.random.default_rng(0).permutation(30)
    shuffled = task.gold([rows[i] for i in order], [texts[i] for i in order])
    assert (shuffled.values == gold.values[order]).all()
    for measure, numbers in gold.measures.items():
        assert (shuffled.measures[measure] == numbers[order]).all()
        assert numbers[7] == task.gold(rows[7:8], texts[7:8]).measures[measure][0]
    assert len(task.gold([], [])) == 0


@pytest.mark.parametrize("name", NAMES)
def test_gold_refuses_another_number_of_completions(name: str) -> None:
    task = TASKS[name]
    with pytest.raises(ValueError, match="zip"):
        task.gold(task.rows(2, 0), ["1"])


@pytest.mark.parametrize("name", NAMES)
def test_unusable_requests_are_refused(name: str) -> None:
    task = TASKS[name]
    assert task.rows(0, 0) == []
    with pytest.raises(DataError, match="seed is -1"):
        task.rows(1, -1)
    with pytest.raises(DataError, match="split 'test'"):
        task.rows(1, 0, "test")  # type: ignore[arg-type]
    with pytest.raises(DataError, match="-2 rows"):
        task.rows(-2, 0)


def within_binomial(count: int, n: int, rate: float) -> bool:
    """Four standard errors: one test in sixteen thousand fails by chance, and the seeds are fixed."""
    return abs(count - n * rate) <= 4 * np.sqrt(n * rate * (1 - rate))


def test_a_fifth_of_the_prompts_is_held_out() -> None:
    held_out = sum(split_of(f"prompt {i}") == "held out" for i in range(5000))
    assert within_binomial(held_out, 5000, 0.2)
    assert not within_binomial(held_out, 5000, 0.25)


Maker = Callable[[], object]
IMPOSSIBLE: list[tuple[Maker, str]] = [
    (lambda: ChainArithmetic(modulus=3), "modulus is 3"),
    (lambda: ChainArithmetic(operations=(4, 3)), "least <= most"),
    (lambda: Habits(restatement=1.0), "below 1"),
    (lambda: Habits(styles=("plain", "loud")), "loud"),  # type: ignore[arg-type]
    (lambda: Countdown(count=1), "count must be at least 2"),
    (lambda: Countdown(products=1.5), "probabilities"),
    (lambda: TopicKeywords(keyword_rate=0.95), "exceed 1"),
    (lambda: TopicKeywords(lengths=(5, 40)), "between 1 and 24"),
    (lambda: ReviewReplies(flip=1.2), "flip is 1.2"),
    (lambda: Sums(plain_share=-0.1), "probabilities"),
    (lambda: Sums(writers=()), "add up to 1"),
    (lambda: ReasoningGymTask("chain_sum", {"seed": 1}), "leave them out"),
]


@pytest.mark.parametrize(("make", "message"), IMPOSSIBLE)
def test_impossible_parameters_are_refused(make: Maker, message: str) -> None:
    with pytest.raises(DataError, match=message):
        make()
