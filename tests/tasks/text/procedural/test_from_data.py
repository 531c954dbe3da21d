"""A data file as a task: splits, rounds, demonstrations from a column, a judge that must judge."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from trueward.errors import DataError
from trueward.tasks.text.procedural import DataTask
from trueward.tasks.text.procedural.drawing import split_of
from trueward.tasks.text.rows import Row


def exact(row: Row, completion: str) -> float:
    return float(completion == row.answer)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "prompts.jsonl"
    records = [{"prompt": f"Größe {i}?", "answer": str(i), "shown": f"it is {i}" if i % 2 else ""} for i in range(40)]
    file.write_text("\n".join(json.dumps(record) for record in records))
    return file


def test_every_row_of_a_split_comes_once_before_any_comes_again(path: Path) -> None:
    task = DataTask(path, exact)
    train = {row.prompt for row in task.loaded if split_of(row.prompt_text) == "train"}
    rows = [row.prompt for row in task.rows(2 * len(train), 0)]
    assert set(rows[: len(train)]) == set(rows[len(train) :]) == train
    assert rows[: len(train)] != rows[len(train) :]
    assert len(train) + len({row.prompt for row in task.rows(40, 0, "held out")}) == 40


def test_gold_is_what_the_judge_says(path: Path) -> None:
    task = DataTask(path, exact)
    rows = task.rows(2, 0)
    gold = task.gold(rows, [str(rows[0].answer), "no"])
    assert gold.values.tolist() == [1, 0] and gold.measures["length"].tolist() == [len(str(rows[0].answer)), 2]


@pytest.mark.parametrize("verdict", [1.5, -1, float("nan"), None, "1"])
def test_a_judge_must_give_a_number_in_the_range(path: Path, verdict: object) -> None:
    task = DataTask(path, lambda row, completion: verdict)  # type: ignore[arg-type, return-value]
    with pytest.raises(DataError, match=r"prompts\.jsonl:\d+: the judge gave"):
        task.gold(task.rows(1, 0), ["1"])


def test_demonstrations_come_from_rows_that_have_one(path: Path) -> None:
    demonstrations = DataTask(path, exact, demonstration_column="shown").demonstrations(30, 0)
    assert len(demonstrations) == 30
    assert all(d.completion == f"it is {d.row.answer}" and int(d.row.answer or 0) % 2 for d in demonstrations)


def test_what_is_missing_for_demonstrations_is_said(path: Path) -> None:
    with pytest.raises(DataError, match="name their column with demonstration_column"):
        DataTask(path, exact).demonstrations(1, 0)
    with pytest.raises(DataError, match="text in the column 'worked'"):
        DataTask(path, exact, demonstration_column="worked").demonstrations(1, 0)


def test_an_empty_split_is_said(tmp_path: Path) -> None:
    file = tmp_path / "one.jsonl"
    file.write_text(json.dumps({"prompt": "What is 1 + 1?", "answer": "2"}))
    task = DataTask(file, exact)
    other = "held out" if split_of("What is 1 + 1?") == "train" else "train"
    with pytest.raises(DataError, match="there are none"):
        task.rows(1, 0, other)  # type: ignore[arg-type]


def test_the_vocabulary_has_every_character_of_the_file(path: Path) -> None:
    tokens = DataTask(path, exact).vocabulary.tokens
    assert {"ö", "ß", "a", "\n", " "} <= set(tokens) and "é" not in tokens
    assert len(tokens) == len(set(tokens))


def test_options_reach_the_reader(path: Path) -> None:
    rows = DataTask(path, exact, options={"answer_column": "shown"}).rows(5, 0)
    assert all(row.answer is None or row.answer.startswith("it is") for row in rows)
