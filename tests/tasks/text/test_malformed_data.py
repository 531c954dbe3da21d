"""Bad data: what is said, and where. Each message starts with the file and the line."""

# ruff: noqa: E501  (one case a line)

from __future__ import annotations

import gzip
import json
import os
import sys
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from pyarrow import parquet

from trueward.errors import DataError, MissingExtra
from trueward.tasks.text.data import load_rows, rows_from

GOOD = b'{"prompt": "p", "answer": "1"}\n'
DEEP = 100_000

FILES: list[tuple[str, bytes, str, str]] = [
    # file, content, place (line or nothing), what is said
    ("empty.jsonl", b"", ":1:", "is empty; expected one row for each prompt"),
    ("blank.jsonl", b"\n \n", ":1:", "holds no records"),
    ("blank.json", b" \n", ":1:", "holds no records"),
    ("header.csv", b"prompt,answer\n", ":1:", "holds no records"),
    ("none.json", b"[]", ":1:", "holds no records"),
    ("latin.jsonl", GOOD + b'{"prompt": "Gr\xf6\xdfe"}\n', ":2:", f"is not UTF-8 at byte {len(GOOD) + 14}"),
    ("latin.csv", b"prompt,answer\nGr\xf6,1\n", ":2:", "is not UTF-8 at byte 16"),
    ("latin.json", b'\xef\xbb\xbf[\n{"a": "\xf6"}]', ":2:", "is not UTF-8 at byte 12"),
    ("wide.csv", "prompt,answer\n".encode("utf-16"), ":1:", "is UTF-16; save it as UTF-8"),
    ("nul.jsonl", GOOD + b'{"prompt": "\0"}\n', ":2:", "NUL byte at byte 43"),
    ("broken.jsonl", GOOD + b'{"prompt": "p" "answer": 1}\n', ":2:", "broken JSON at column 16: Expecting ',' delimiter"),
    ("cut.jsonl", GOOD + b'{"prompt": "p', ":2:", "broken JSON at column 12: Unterminated string"),
    ("control.jsonl", b'{"prompt": "\x1b[31m"}\n', ":1:", r"near '{\"prompt\": \"\x1b[31m\"}'".replace(r"\"", '"')),
    ("list.jsonl", GOOD + b'["p", "a"]\n', ":2:", "expected a JSON object with the columns of one row, got ['p', 'a']"),
    ("pretty.jsonl", b'[\n{"prompt": "p"}\n]\n', ":1:", "give the file the ending .json"),
    ("deep.jsonl", GOOD + b'{"prompt": ' + b"[" * DEEP + b"]" * DEEP + b"}\n", ":2:", "nested too deeply"),
    ("deep.json", b"[" * DEEP, ":1:", "nested too deeply"),
    ("deepish.jsonl", b'{"prompt": "p", "x": ' + b"[" * 150 + b"]" * 150 + b"}", ":1:", "column 'x' is nested more than 100"),
    ("huge.jsonl", GOOD + b'{"prompt": "p", "answer": ' + b"9" * 5000 + b"}\n", ":2:", "more than 4300 digits"),
    ("huge.json", b'[{"prompt": "p", "answer": ' + b"9" * 5000 + b"}]", ":1:", "more than 4300 digits"),
    ("half.jsonl", b'{"prompt": "p\\ud800"}', ":1:", r"column 'prompt' holds half of a surrogate pair ('\ud800')"),
    ("broken.json", b'[{"prompt": "p"},\n {"prompt": }]', ":2:", "broken JSON at column 13: Expecting value"),
    ("more.json", b'[{"prompt": "p"}]\n]', ":2:", "broken JSON at column 1: Extra data"),
    ("open.json", b'{"data": [{"prompt": "p"}', ":1:", "broken JSON at column 26"),
    ("number.json", b"5", ":1:", "expected a list of objects, got 5"),
    ("numbers.json", b'[{"prompt": "p"},\n5]', ":2:", "expected an object with the columns of one row, got 5"),
    ("two.json", b'{"a": [{"x": 1}], "b": [{"y": 1}]}', ":1:", "found 2 lists of objects ('a', 'b'); keep one"),
    ("no.json", b'{"a": 1}', ":1:", "expected one list of objects in this object, found none"),
    ("second.json", GOOD + b'{"prompt"\n', ":2:", "broken JSON at column 11"),
    ("prompts.jsonl", b'{"text": "p", "meta": 1}', ":1:", "no prompt column; this row has 'text', 'meta'"),
    ("later.jsonl", GOOD + b'{"promt": "p"}', ":2:", "no column 'prompt' for the prompt; this row has 'promt' (did you mean"),
    ("null.jsonl", b'{"prompt": null}', ":1:", "column 'prompt' is None; expected text or a list of chat messages"),
    ("number.jsonl", b'{"prompt": 5}', ":1:", "column 'prompt' is 5; expected text"),
    ("space.jsonl", b'{"prompt": " "}', ":1:", "column 'prompt' is empty"),
    ("chat.jsonl", b'{"prompt": [{"role": "user"}]}', ":1:", "message 1 has no content, it has 'role'"),
    ("from.jsonl", b'{"prompt": [{"from": "a", "value": "b"}]}', ":1:", "message 1 has no role and no content"),
    ("text.jsonl", b'{"prompt": ["hello"]}', ":1:", "message 1 is 'hello'; expected an object with role and content"),
    ("role.jsonl", b'{"prompt": [{"role": 1, "content": ""}]}', ":1:", "has the role 1; expected text such as user"),
    ("image.jsonl", b'{"prompt": [{"role": "user", "content": [{"type": "image"}]}]}', ":1:", "expected text"),
    ("nobody.jsonl", b'{"prompt": []}', ":1:", "holds no message that asks something"),
    ("said.jsonl", b'{"prompt": [{"role": "assistant", "content": "4"}]}', ":1:", "holds no message that asks something"),
    ("ragged.csv", b'prompt,answer\n"a\nb",1\nc,2,3\n', ":4:", "expected 2 cells as in the header, got 3"),
    ("short.tsv", b"prompt\tanswer\nc\n", ":2:", "expected 2 cells as in the header, got 1"),
    ("twice.csv", b"prompt,answer,answer\na,1,2\n", ":1:", "the header has 'answer' more than once"),
    ("semicolon.csv", b"prompt;answer\na;1\n", ":1:", "if cells are separated by ';', save the table with commas"),
    ("quote.csv", b'prompt,answer\na,1\n"a"b,1\n', ":3:", "broken table: ',' expected after '\"'"),
    ("unclosed.csv", b'prompt,answer\n"a,1\nb,2\n', ":2:", "broken table: unexpected end of data"),
    ("no.parquet", b"PAR1 this is not it PAR1", ":1:", "cannot be read as Parquet"),
    ("bad.jsonl.gz", b"not compressed", ":", "cannot be read: Not a gzipped file"),
    ("cut.jsonl.gz", gzip.compress(GOOD * 100)[:-12], ":", "cannot be read: Compressed file ended"),
    ("data.xlsx", b"PK", ":", "the ending '.xlsx' is not known; expected .jsonl"),
    ("data", GOOD, ":", "the ending '' is not known"),
    ("data.parquet.gz", b"", ":", "the ending '.gz' is not known"),
    ("type.jsonl", b'{"prompt": "p", "answer_type": "integer"}', ":1:", "answer type 'integer' is not one of int, number"),
    ("form.jsonl", b'{"prompt": "p", "contract": {"form": "any"}}', ":1:", "answer form 'any' is not one of"),
    ("key.jsonl", b'{"prompt": "p", "contract": {"kind": 1}}', ":1:", "the contract has the key 'kind'; expected type"),
    ("flag.jsonl", b'{"prompt": "p", "answer_unique": "maybe"}', ":1:", "'answer_unique' is 'maybe'; expected true or"),
    ("near.jsonl", b'{"prompt": "p", "answer_tolerance": -1}', ":1:", "'answer_tolerance' is -1; expected a number of"),
    ("inf.jsonl", b'{"prompt": "p", "answer_tolerance": Infinity}', ":1:", "expected a number of at least 0"),
    ("word.jsonl", b'{"prompt": "p", "contract": {"type": 1}}', ":1:", "'type' of the contract is 1; expected text"),
    ("choices.jsonl", b'{"prompt": "p", "contract": {"choices": 5}}', ":1:", "expected a list of options"),
    ("clash.jsonl", b'{"prompt": "p", "answer": [1], "answer_type": "int"}', ":1:", "the answer is a list, but its type"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "content", "place", "said"), FILES, ids=[case[0] for case in FILES])
def test_the_message_names_the_place_and_what_was_expected(
    tmp_path: Path, name: str, content: bytes, place: str, said: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        load_rows(path)
    message = str(caught.value)
    assert message.startswith(f"{path}{place} "), message
    assert said in message
    assert message.isprintable()
    assert len(message) < 600 + len(str(path))


def test_files_that_are_not_there(tmp_path: Path) -> None:
    (tmp_path / "prompts.jsonl").write_bytes(GOOD)
    with pytest.raises(DataError, match=r"promts\.jsonl: there is no such file; did you mean prompts\.jsonl\?"):
        load_rows(tmp_path / "promts.jsonl")
    with pytest.raises(DataError, match="there is no such file in"):
        load_rows(tmp_path / "zzz.csv")
    with pytest.raises(DataError, match=r"is a folder; name one file; it holds prompts\.jsonl"):
        load_rows(tmp_path)
    with pytest.raises(DataError, match="there is no such file"):
        load_rows(tmp_path / "no" / "folder.csv")
    with pytest.raises(DataError, match="NUL"):
        load_rows("a\0b.csv")
    with pytest.raises(DataError, match="cannot be read"):
        load_rows("a" * 5000 + ".csv")


def test_a_pipe_is_refused_rather_than_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jsonl")
    with pytest.raises(DataError, match="is not a regular file"):
        load_rows(tmp_path / "pipe.jsonl")


def test_a_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "secret.jsonl"
    path.write_bytes(GOOD)

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    # The tests may run as root, whom no mode stops.
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(DataError, match=r"secret\.jsonl: cannot be read: Permission denied"):
        load_rows(path)


def test_parquet_without_pyarrow_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "data.parquet"
    path.write_bytes(b"PAR1")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(MissingExtra, match=r"pip install 'trueward\[audit\]'"):
        load_rows(path)


def test_bytes_in_parquet_name_the_column(tmp_path: Path) -> None:
    path = tmp_path / "images.parquet"
    rows = [{"prompt": "p", "image": None}, {"prompt": "q", "image": b"\xff\xd8"}]
    parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    with pytest.raises(DataError, match=r"images\.parquet:2: column 'image' holds bytes; decode them"):
        load_rows(path)
    twice = pyarrow.Table.from_arrays([pyarrow.array(["a"])] * 2, names=["prompt", "prompt"])
    parquet.write_table(twice, path)
    with pytest.raises(DataError, match=r"images\.parquet:1: two columns have the same name"):
        load_rows(path)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ([], "data:1: holds no records"),
        ({}, "data:1: holds no records"),
        ("prompts.jsonl", "data:1: got 'prompts.jsonl'; expected records. A path of a file is read by load_rows"),
        (5, "data:1: expected a list of records, columns or a table, got 5"),
        ([{"prompt": "p"}, 5], "data:2: expected a mapping from column to value, got 5"),
        ([{"prompt": "p"}, {"prompt": 5}], "data:2: column 'prompt' is 5"),
        ({"prompt": ["a", "b"], "answer": ["c"]}, "data:1: the columns are not of one length: 'prompt' 2, 'answer' 1"),
        ({"prompt": "p", "answer": "a"}, "data:1: column 'prompt' is 'p'; expected a list for each column"),
        ([{5: "p"}], "data:1: a column is named 5; expected text"),
        ([{"prompt": "p", "x": {"a": {1, 2}}}], "data:1: column 'x' holds a set; expected text, numbers"),
        ([{"prompt": "p", "x": 10**5000}], "data:1: column 'x' holds an integer of more than 4300 digits"),
        ([{"prompt": "p", "x": {(1,): 2}}], "data:1: column 'x' has the key (1,); the keys of an object are text"),
    ],
)
def test_records_in_memory(data: Any, said: str) -> None:
    with pytest.raises(DataError) as caught:
        rows_from(data)
    assert str(caught.value).startswith(said)


def test_a_record_that_contains_itself() -> None:
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(DataError, match="nested more than 100 levels"):
        rows_from([{"prompt": "p", "x": loop}])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"limit": 0}, "limit 0 is not a number of rows"),
        ({"answer_type": "float"}, "answer type 'float' is not one of"),
        ({"answer_form": "x"}, "answer form 'x' is not one of"),
        ({"answer_tolerance": -1.0}, "answer_tolerance is -1.0; expected a number of at least 0"),
        (
            {"prompt_column": "promt"},
            "data:1: no column 'promt' for the prompt; this row has 'prompt', 'answer' (did you",
        ),
        ({"answer_column": "gold"}, "data:1: no column 'gold' for the answer; this row has 'prompt', 'answer'"),
        ({"column_map": {"x": "y"}}, "data:1: no column 'y' to be named 'x'; this row has"),
    ],
)
def test_options_that_cannot_be(options: dict[str, Any], said: str) -> None:
    with pytest.raises(DataError) as caught:
        rows_from([{"prompt": "p", "answer": "1"}], **options)
    assert str(caught.value).startswith(said)


def test_only_what_is_asked_for_is_read(tmp_path: Path) -> None:
    for name in ("data.jsonl", "data.csv"):
        path = tmp_path / name
        path.write_text("prompt,answer\np,1\nragged\n" if name == "data.csv" else json.dumps({"prompt": "p"}) + "\n{")
        assert len(load_rows(path, limit=1).rows) == 1
        with pytest.raises(DataError):
            load_rows(path, limit=2)
