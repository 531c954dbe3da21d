"""Sets of reasoning-gym as tasks: their own scorer is gold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from trueward.errors import DataError
from trueward.tasks.text.procedural import ReasoningGymTask
from trueward.tasks.text.rows import Row

# One set of each kind: a number, a word, a grid, several right answers, a scorer that needs the entry's metadata.
SETS = ["basic_arithmetic", "caesar_cipher", "binary_matrix", "prime_factorization", "n_queens"]


@pytest.mark.parametrize("name", SETS)
def test_stored_answers_are_right_and_others_are_not(name: str) -> None:
    task = ReasoningGymTask(name)
    demonstrations = task.demonstrations(5, 0)
    rows, answers = [d.row for d in demonstrations], [d.completion for d in demonstrations]
    assert task.gold(rows, answers).values.tolist() == [1] * 5
    assert not task.gold(rows, ["nothing at all"] * 5).values.any()
    assert task.gold(rows, [f"I think so. <answer>{answer}</answer>" for answer in answers]).values.all()
    # What stands in the last tag counts, and nothing outside it.
    assert not task.gold(rows, [f"<answer>{answer}</answer> <answer>?</answer>" for answer in answers]).values.any()


def test_partial_credit_is_a_measure_and_not_gold() -> None:
    task = ReasoningGymTask("basic_arithmetic")
    (row,) = task.rows(1, 0)
    gold = task.gold([row, row], [f"the answer is {row.answer}", str(row.answer)])
    assert gold.values.tolist() == [0, 1]
    assert 0 < gold.measures["partial"][0] < 1


def test_a_scorer_that_raises_makes_its_row_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    task = ReasoningGymTask("chain_sum")
    (row,) = task.rows(1, 0)
    dataset = task._dataset(row.columns["seed"])

    def broken(answer: str, entry: object) -> float:
        raise RecursionError(answer)

    monkeypatch.setattr(dataset, "score_answer", broken, raising=False)
    gold = task.gold([row], [str(row.answer)])
    assert gold.values.tolist() == [0] and gold.measures["failed"].tolist() == [1]


def test_another_scorer_takes_the_place_of_the_sets_own() -> None:
    asked: list[tuple[str, str]] = []

    def scorer(rows: Sequence[Row], answers: Sequence[str]) -> list[float]:
        asked.extend((row.id, answer) for row, answer in zip(rows, answers, strict=True))
        return [1.0, float("nan"), 0.5]

    task = ReasoningGymTask("chain_sum", scorer=scorer)
    rows = task.rows(3, 0)
    gold = task.gold(rows, ["<answer>1</answer>", "2", "3"])
    assert gold.values.tolist() == [1, 0, 0]
    assert gold.measures["failed"].tolist() == [0, 1, 0] and gold.measures["partial"].tolist() == [1, 0, 0.5]
    assert asked == [(rows[0].id, "1"), (rows[1].id, "2"), (rows[2].id, "3")]


def test_a_row_of_another_question_is_refused() -> None:
    task = ReasoningGymTask("chain_sum")
    (row,) = task.rows(1, 0)
    with pytest.raises(DataError, match="another question"):
        task.gold([replace(row, prompt="What is 1 + 1?")], ["2"])


def test_neighbouring_seeds_share_no_entries() -> None:
    task = ReasoningGymTask("spell_backward")
    first, second = ({row.prompt for row in task.rows(60, seed)} for seed in (0, 1))
    assert len(first & second) < 20  # words are few; shifted entries would give nearly all of them


@pytest.mark.parametrize(("name", "config"), [("no_such_set", {}), ("chain_sum", {"min_terms": -1})])
def test_what_cannot_be_made_is_said(name: str, config: dict[str, int]) -> None:
    with pytest.raises(DataError, match=f"reasoning_gym:{name} cannot be made"):
        ReasoningGymTask(name, config).rows(1, 0)


def test_sets_without_stored_answers_have_no_demonstrations() -> None:
    with pytest.raises(DataError, match="stores no answer"):
        ReasoningGymTask("rush_hour").demonstrations(1, 0)
