"""Ten thousand damaged files: each one loads, or is refused with a message that starts with the file."""

from __future__ import annotations

import csv
import gzip
import io
import json
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from pyarrow import parquet

from trueward.errors import DataError
from trueward.tasks.text.data import load_rows

FILES_PER_FORMAT = 1000

ROWS: list[dict[str, Any]] = [
    {"id": 1, "prompt": "What is 2+2?", "answer": "4", "answer_type": "int", "choices": ["3", "4"]},
    {"id": 2, "prompt": "Größe „ß“?", "answer": "so\n#### 4", "answer_type": None, "answer_tolerance": 0.5},
    {
        "id": 3,
        "prompt": 'Say "hi",\nthen',
        "answer": r"\boxed{\frac{1}{2}}",
        "answer_type": "expression",
        "choices": [],
    },
]
CHAT: list[dict[str, Any]] = [
    {
        "prompt": [{"role": "user", "content": "Hi"}],
        "reward_model": {"ground_truth": ["a", "b"]},
        "contract": {"type": "list"},
    },
    {
        "prompt": [{"role": "user", "content": "Ho"}],
        "reward_model": {"ground_truth": None},
        "contract": {"unique": False},
    },
]
WRONG: list[Any] = [
    None,
    True,
    -1,
    10**400,
    1e308,
    float("nan"),
    "",
    "\x00\x1b[2J",
    "\ud800",
    [],
    [[]],
    {},
    {"role": 1},
]
INSERTED = [
    b"\0",
    b"\xff",
    b"\n",
    b'"',
    b"\\",
    b"{",
    b"]",
    b",",
    b"\xef\xbb\xbf",
    b"[" * 3000,
    b"9" * 5000,
    b"\xed\xa0\x80",
]


def lines(rows: list[dict[str, Any]]) -> bytes:
    return "\n".join(json.dumps(row, ensure_ascii=bool(i % 2)) for i, row in enumerate(rows)).encode(errors="replace")


def table(rows: list[dict[str, Any]], delimiter: str = ",") -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(dict.fromkeys(key for row in rows for key in row)), delimiter=delimiter)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode(errors="replace")


def columnar(rows: list[dict[str, Any]]) -> bytes:
    buffer = io.BytesIO()
    try:
        parquet.write_table(pyarrow.Table.from_pylist(rows), buffer)
    # Rows with swapped types may fit no type that Parquet has.
    except (pyarrow.ArrowException, ValueError, TypeError, OverflowError):
        buffer = io.BytesIO()
        texts = [{key: repr(value) for key, value in row.items()} for row in rows]
        parquet.write_table(pyarrow.Table.from_pylist(texts), buffer)
    return buffer.getvalue()


FORMATS: list[tuple[str, Callable[[list[dict[str, Any]]], bytes], list[dict[str, Any]]]] = [
    ("data.jsonl", lines, ROWS),
    ("chat.ndjson", lines, CHAT),
    ("data.json", lambda rows: json.dumps(rows, indent=1).encode(), ROWS),
    ("object.json", lambda rows: json.dumps({"rows": rows, "n": 2}).encode(), CHAT),
    ("data.csv", table, ROWS),
    ("data.tsv", lambda rows: table(rows, "\t"), ROWS),
    ("data.parquet", columnar, ROWS),
    ("chat.parquet", columnar, CHAT),
    ("data.jsonl.gz", lambda rows: gzip.compress(lines(rows), mtime=0), ROWS),
    ("data.csv.gz", lambda rows: gzip.compress(table(rows), mtime=0), ROWS),
]


def swapped(rows: list[dict[str, Any]], rng: random.Random) -> list[dict[str, Any]]:
    changed = [dict(row) for row in rows]
    for _ in range(rng.randint(1, 3)):
        row = rng.choice(changed)
        key = rng.choice(list(row))
        if rng.random() < 0.2:
            del row[key]
            row[rng.choice(["Prompt", "answer", "x", ""])] = rng.choice(WRONG)
        else:
            row[key] = rng.choice(WRONG)
    return changed


def damaged(content: bytes, rng: random.Random) -> bytes:
    data = bytearray(content)
    for _ in range(rng.choice([1, 1, 1, 3, 20])):
        at = rng.randrange(len(data) + 1)
        match rng.randrange(6):
            case 0:
                del data[at:]
            case 1 if at < len(data):
                data[at] ^= 1 << rng.randrange(8)
            case 2:
                data[at:at] = rng.choice(INSERTED)
            case 3:
                data[at : at + rng.randint(1, 20)] = rng.randbytes(rng.randint(0, 20))
            case 4:
                data[at:at] = data[: rng.randint(0, 40)]
            case _:
                del data[at : at + rng.randint(1, 10)]
    return bytes(data)


@pytest.mark.parametrize(("name", "write", "rows"), FORMATS, ids=[case[0] for case in FORMATS])
def test_a_damaged_file_loads_or_is_refused(
    tmp_path: Path, name: str, write: Callable[[list[dict[str, Any]]], bytes], rows: list[dict[str, Any]]
) -> None:
    path = tmp_path / name
    good = write(rows)
    path.write_bytes(good)
    assert len(load_rows(path).rows) == len(rows)

    outcomes: Counter[str] = Counter()
    for seed in range(FILES_PER_FORMAT):
        rng = random.Random(f"{name} {seed}")
        kind = rng.choices(["swapped", "damaged", "both", "noise"], [10, 10, 10, 1])[0]
        if kind == "noise":
            content = rng.randbytes(rng.randint(0, 400))
        else:
            content = write(swapped(rows, rng)) if kind in ("swapped", "both") else good
        path.write_bytes(damaged(content, rng) if kind in ("damaged", "both") else content)
        try:
            loaded = load_rows(path)
        except DataError as error:
            outcomes["refused"] += 1
            message = str(error)
        else:
            outcomes["loaded"] += 1
            message = f"{path}:{loaded.rows[0].id.encode()!r}"
            # What was loaded can be sent to a worker and written to a report.
            for row in loaded.rows:
                json.dumps([row.id, row.prompt, row.answer, row.columns], ensure_ascii=False).encode()
        assert message.startswith(f"{path}:"), (seed, message)
        assert message.isprintable(), (seed, message)
    # A fuzzer that only ever gets one of the two tests nothing.
    assert min(outcomes["refused"], outcomes["loaded"]) > FILES_PER_FORMAT / 50, outcomes
