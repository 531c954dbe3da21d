"""What is read from good data: every format, the columns, the contract, the notices."""

from __future__ import annotations

import csv
import datetime
import gzip
import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pandas
import pyarrow
import pytest
from pyarrow import parquet

from trueward.errors import DataError
from trueward.tasks.text.columns import PROMPT_COLUMNS
from trueward.tasks.text.data import ANSWER_COLUMNS, load_rows, rows_from
from trueward.tasks.text.formats import LONGEST_LINE

ROWS = [{"question": "What is 2+2?", "answer": "4"}, {"question": "Größe von\n„ß“, bitte", "answer": 'ja; "nein"'}]


def one(record: dict[str, Any], **options: Any) -> Any:
    (row,) = rows_from([record], **options).rows
    return row


def as_json_lines(path: Path) -> None:
    path.write_text("\n".join(json.dumps(row) for row in ROWS), encoding="utf-8")


def as_json(path: Path) -> None:
    path.write_text(json.dumps(ROWS, indent=2), encoding="utf-8")


def as_object(path: Path) -> None:
    path.write_text(json.dumps({"version": 1, "tags": ["a"], "data": ROWS}, indent=1), encoding="utf-8")


def as_columns(path: Path) -> None:
    path.write_text(json.dumps({name: [row[name] for row in ROWS] for name in ROWS[0]}), encoding="utf-8")


def as_table(path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, ["question", "answer"], delimiter="\t" if path.suffix == ".tsv" else ",")
        writer.writeheader()
        writer.writerows(ROWS)


def as_parquet(path: Path) -> None:
    parquet.write_table(pyarrow.Table.from_pylist(ROWS), path)


FORMATS: list[tuple[str, Callable[[Path], None], list[int]]] = [
    ("data.jsonl", as_json_lines, [1, 2]),
    ("data.NDJSON", as_json_lines, [1, 2]),
    ("data.json", as_json, [2, 6]),
    ("object.json", as_object, [7, 11]),
    ("columns.json", as_columns, [1, 1]),
    ("lines.json", as_json_lines, [1, 2]),
    ("data.csv", as_table, [2, 3]),
    ("data.tsv", as_table, [2, 3]),
    ("data.parquet", as_parquet, [1, 2]),
]


@pytest.mark.parametrize(("name", "write", "lines"), FORMATS)
def test_every_format_gives_the_same_rows(
    tmp_path: Path, name: str, write: Callable[[Path], None], lines: list[int]
) -> None:
    path = tmp_path / name
    write(path)
    rows = load_rows(path).rows
    assert [(row.prompt, row.answer) for row in rows] == [(row["question"], row["answer"]) for row in ROWS]
    assert [row.where for row in rows] == [f"{path}:{line}" for line in lines]
    assert [row.id for row in rows] == [row.id for row in rows_from(ROWS).rows]
    assert len(load_rows(path, limit=1).rows) == 1


@pytest.mark.parametrize(("name", "write", "lines"), [case for case in FORMATS if "parquet" not in case[0]])
def test_text_may_be_compressed_or_begin_with_a_byte_order_mark(
    tmp_path: Path, name: str, write: Callable[[Path], None], lines: list[int]
) -> None:
    plain = tmp_path / name
    write(plain)
    expected = [row.prompt for row in load_rows(plain).rows]
    compressed = tmp_path / f"{name}.gz"
    compressed.write_bytes(gzip.compress(plain.read_bytes()))
    plain.write_bytes(b"\xef\xbb\xbf" + plain.read_bytes())
    assert [row.prompt for row in load_rows(compressed).rows] == expected
    assert [row.prompt for row in load_rows(plain).rows] == expected


class Polars:
    """Stands for a polars frame, which iterates over columns."""

    def to_dicts(self) -> list[dict[str, str]]:
        return ROWS


@pytest.mark.parametrize(
    "data",
    [
        ROWS,
        iter(ROWS),
        {name: [row[name] for row in ROWS] for name in ROWS[0]},
        {name: np.array([row[name] for row in ROWS]) for name in ROWS[0]},
        pandas.DataFrame(ROWS),
        pyarrow.Table.from_pylist(ROWS),
        Polars(),
    ],
    ids=["records", "iterator", "columns", "arrays", "pandas", "pyarrow", "polars"],
)
def test_data_in_memory(data: Any) -> None:
    rows = rows_from(data).rows
    assert [row.prompt for row in rows] == [row["question"] for row in ROWS]
    assert [row.where for row in rows] == ["data:1", "data:2"]


def test_a_dataset_is_read_and_its_splits_are_named() -> None:
    dataset = datasets.Dataset.from_list(ROWS)
    assert [row.answer for row in rows_from(dataset).rows] == [row["answer"] for row in ROWS]
    with pytest.raises(DataError, match="splits 'train'; pass one"):
        rows_from(datasets.DatasetDict({"train": dataset}))


@pytest.mark.parametrize("prompt", PROMPT_COLUMNS)
@pytest.mark.parametrize("answer", ANSWER_COLUMNS[1:])
def test_columns_are_recognised_and_named(prompt: str, answer: str) -> None:
    loaded = rows_from([{"other": 1, prompt.title(): "Why?", answer.upper(): "because"}])
    assert (loaded.rows[0].prompt, loaded.rows[0].answer) == ("Why?", "because")
    assert f"prompts were taken from column {prompt.title()!r}" in loaded.notices
    assert f"reference answers were taken from column {answer.upper()!r}" in loaded.notices


def test_a_declared_column_needs_no_notice_and_the_others_are_mentioned() -> None:
    record = {"input": "no", "query": "yes", "solution": "long", "gold": "short"}
    loaded = rows_from([record], prompt_column="query", answer_column="gold", unique=True)
    assert (loaded.rows[0].prompt, loaded.rows[0].answer, loaded.notices) == ("yes", "short", ())
    notices = rows_from([record]).notices
    assert "prompts were taken from column 'input' (not from 'query')" in notices
    assert "reference answers were taken from column 'solution' (not from 'gold')" in notices


def test_an_answer_column_without_answers_is_passed_over() -> None:
    assert one({"prompt": "p", "answer": None, "solution": r"\boxed{3}"}).answer == "3"


def test_rows_of_verl() -> None:
    record = {
        "data_source": "openai/gsm8k",
        "prompt": [{"role": "user", "content": "What is 2+2?"}],
        "reward_model": {"style": "rule", "ground_truth": "4"},
        "extra_info": {"answer": "2+2 = 4\n#### 4"},
    }
    row = one(record, column_map={"ground_truth": "reward_model.ground_truth"})
    assert (row.prompt_text, row.answer) == ("What is 2+2?", "4")
    assert row.columns == {**record, "ground_truth": "4"}


def test_chat_messages_lose_the_answer_behind_the_question() -> None:
    messages = [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}, {"role": "assistant", "content": "4"}]
    loaded = rows_from([{"messages": messages, "answer": "4"}])
    assert loaded.rows[0].prompt == [{"role": "user", "content": "Hi"}]
    assert loaded.rows[0].columns["messages"] == messages
    assert "all rows have assistant messages behind the prompt; these were cut off" in loaded.notices


def test_undeclared_data_says_what_is_assumed() -> None:
    loaded = rows_from([{"prompt": "a", "answer": 1}, {"prompt": "b", "answer": None}, {"prompt": "c", "answer": [1]}])
    first, second, third = (row.contract for row in loaded.rows)
    assert (first.type, first.unique, first.declared) == ("undeclared", True, False)
    # A list may be one answer or several allowed ones: then nothing but the reference can be called right or wrong.
    assert (third.type, third.unique, third.declared) == ("list", False, False)
    assert loaded.rows[1].answer is None
    assert second.unique
    text = "\n".join(loaded.notices)
    assert "1 of 3 rows store no reference answer" in text
    assert "1 of 3 rows have a single 'answer' column, which is taken as unique" in text
    assert "1 of 3 rows have a list" in text


def test_no_answers_at_all() -> None:
    loaded = rows_from([{"prompt": "a", "topic": "b"}])
    assert loaded.rows[0].answer is None
    assert any(notice.startswith("no reference answers") for notice in loaded.notices)


def test_a_contract_in_columns_of_its_own() -> None:
    record = {
        "prompt": "p",
        "answer": "b",
        "answer_type": "choice",
        "answer_unique": "yes",
        "answer_form": "verbatim",
        "answer_tolerance": "0.5",
        "choices": "a| B |c",
        "case_sensitive": "1",
    }
    contract = one(record).contract
    assert (contract.type, contract.unique, contract.form, contract.tolerance) == ("choice", True, "verbatim", 0.5)
    assert (contract.choices, contract.case_sensitive, contract.declared) == (("a", "B", "c"), True, True)


@pytest.mark.parametrize("encode", [dict, json.dumps])
def test_a_contract_in_one_column(encode: Callable[[dict[str, Any]], Any]) -> None:
    said = {"type": "number", "unique": False, "tolerance": 1e-6, "form": None}
    contract = one({"prompt": "p", "answer": "2", "contract": encode(said)}).contract
    assert (contract.type, contract.unique, contract.tolerance, contract.form) == ("number", False, 1e-6, "undeclared")


def test_a_column_that_happens_to_be_called_contract() -> None:
    loaded = rows_from([{"prompt": "p", "answer": "2", "contract": "The parties agree"}])
    assert loaded.rows[0].contract.type == "undeclared"
    assert any("column 'contract'" in notice for notice in loaded.notices)


def test_flags_replace_what_the_data_declares_and_say_so() -> None:
    record = {"prompt": "p", "answer": "2", "answer_type": "nonsense", "answer_unique": "true"}
    loaded = rows_from([record, record | {"answer_type": None}], answer_type="int", unique=False, answer_tolerance=0)
    contract = loaded.rows[0].contract
    assert (contract.type, contract.unique, contract.tolerance, contract.declared) == ("int", False, 0.0, True)
    assert "1 of 2 rows declare type; answer_type was given and replaces it" in loaded.notices
    assert "all rows declare unique; unique was given and replaces it" in loaded.notices


@pytest.mark.parametrize(
    ("choices", "answer", "kept"),
    [
        (["red", "green"], "Green", ("red", "green")),
        ({"text": ["red", "green"], "label": ["A", "B"]}, "B", ("A", "B")),
        ([{"label": "A", "text": "red"}, {"label": "B", "text": "green"}], "A", ("A", "B")),
        ("red, green", "red", ("red", "green")),
        ('["red, dark", "green"]', "green", ("red, dark", "green")),
        # An index or letter says nothing of how the options may be written, so that none may be called wrong.
        (["red", "green"], 1, ()),
        (["red", "green"], "B", ()),
        (4, "4", ()),
    ],
)
def test_options_count_only_where_the_answer_is_one_of_them(choices: Any, answer: Any, kept: tuple[str, ...]) -> None:
    assert one({"prompt": "p", "answer": answer, "choices": choices}).contract.choices == kept


def test_names_of_rows() -> None:
    assert [row.id for row in rows_from([{"id": i, "prompt": "p"} for i in (7, "x")]).rows] == ["7", "x"]
    loaded = rows_from([{"id": 1, "prompt": "p", "answer": "a"}] * 3)
    first, second, third = (row.id for row in loaded.rows)
    assert (second, third) == (f"{first}-2", f"{first}-3")
    assert (len(first), int(first, 16) >= 0) == (12, True)
    assert "2 of 3 rows repeat the prompt and the answer of another row" in loaded.notices
    assert any("'id' is not unique" in notice for notice in loaded.notices)
    # The same row keeps its name whatever stands around it.
    assert one({"prompt": "p", "answer": "a", "more": 5}).id == first
    assert one({"prompt": "p", "answer": "b"}).id != first


def test_values_become_json() -> None:
    moment = datetime.datetime(2024, 5, 1, 12, 30, tzinfo=datetime.UTC)
    record = {
        "prompt": np.str_("p"),
        "a": moment,
        "b": moment.date(),
        "c": Decimal("1.5"),
        "d": np.float32(0.5),
        "e": np.array([[1, 2]]),
        "f": (True, np.int64(3)),
        "g": pandas.NaT,
        "h": np.datetime64("2024-05-01T00:00:00", "ns"),
        "i": datetime.timedelta(seconds=90),
        "j": {1: pandas.NA},
    }
    columns = one(record).columns
    assert columns == {
        "prompt": "p",
        "a": "2024-05-01T12:30:00+00:00",
        "b": "2024-05-01",
        "c": 1.5,
        "d": 0.5,
        "e": [[1, 2]],
        "f": [True, 3],
        "g": None,
        "h": "2024-05-01T00:00:00.000000000",
        "i": 90.0,
        "j": {"1": None},
    }
    assert all(type(value).__module__ == "builtins" for value in columns.values())
    assert np.isnan(one({"prompt": "p", "x": float("nan")}).columns["x"])


def test_a_cell_may_be_longer_than_the_default_of_the_csv_module(tmp_path: Path) -> None:
    before = csv.field_size_limit()
    assert before < 200_000 < LONGEST_LINE
    path = tmp_path / "long.csv"
    path.write_text("prompt,answer\n" + "x" * 200_000 + ",1\n")
    assert len(load_rows(path).rows[0].prompt) == 200_000
    assert csv.field_size_limit() == before
