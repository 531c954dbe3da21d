"""Reads the records of a file, whatever the format, with the place of each one."""

from __future__ import annotations

import csv
import difflib
import gzip
import io
import json
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path
from typing import Any, BinaryIO, cast

from trueward.errors import DataError, MissingExtra
from trueward.tasks.text.json_list import read_json
from trueward.tasks.text.values import shown

LONGEST_LINE = 64 * 2**20
LARGEST_JSON = 2**30
TEXT_FORMATS = (".jsonl", ".ndjson", ".json", ".csv", ".tsv")


@dataclass(frozen=True)
class Record:
    """One record as it was found.

    Attributes:
        where: `file:line`, or `file:number of the record` where a format has no lines.
        values: column → value.
    """

    where: str
    values: Mapping[str, Any]


def read_records(path: Path, limit: int | None, notices: list[str]) -> list[Record]:
    """The first `limit` records of a .jsonl, .ndjson, .json, .csv, .tsv (each also .gz) or .parquet file.

    Args:
        path: the file.
        limit: how many records at most; None for all.
        notices: what was assumed is added to it.

    Raises:
        DataError: when it cannot be read; the message starts with `path` and, where there is one, the line.
        MissingExtra: for Parquet without pyarrow.
    """
    compressed, suffix = _format(path)
    try:
        _check(path)
        if suffix == ".parquet":
            records = _parquet(path, limit)
        elif suffix == ".json":
            records = _json(path, compressed, limit, notices)
        elif suffix in (".csv", ".tsv"):
            records = _table(path, compressed, "\t" if suffix == ".tsv" else ",", limit, notices)
        else:
            records = list(islice(_json_lines(path, compressed), limit))
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise DataError(f"{path}: cannot be read: {reason}") from None
    if not records:
        raise DataError(f"{path}:1: holds no records; expected one row for each prompt")
    return records


def _format(path: Path) -> tuple[bool, str]:
    suffixes = [suffix.lower() for suffix in path.suffixes]
    compressed = suffixes[-1:] == [".gz"]
    suffix = suffixes[-2 if compressed else -1] if len(suffixes) > compressed else ""
    if suffix in TEXT_FORMATS or (suffix == ".parquet" and not compressed):
        return compressed, suffix
    if path.is_dir():
        return False, suffix
    raise DataError(
        f"{path}: the ending {shown(path.suffix)} is not known; "
        f"expected {', '.join(TEXT_FORMATS)} (each also .gz) or .parquet"
    )


def _check(path: Path) -> None:
    if "\0" in str(path):
        raise DataError(f"{shown(str(path))}: holds a NUL character and names no file")
    if path.is_dir():
        files = sorted(p.name for p in path.iterdir() if p.name.endswith((*TEXT_FORMATS, ".gz", ".parquet")))
        inside = f"; it holds {', '.join(files[:5])}" if files else ""
        raise DataError(f"{path}: is a folder; name one file{inside}")
    if not path.exists():
        beside = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
        close = difflib.get_close_matches(path.name, beside, n=3)
        hint = f"; did you mean {' or '.join(close)}?" if close else f" in {path.parent.resolve()}"
        raise DataError(f"{path}: there is no such file{hint}")
    if not path.is_file():
        raise DataError(f"{path}: is not a regular file")
    if path.stat().st_size == 0:
        raise DataError(f"{path}:1: is empty; expected one row for each prompt")


def _open(path: Path, compressed: bool) -> BinaryIO:
    return cast(BinaryIO, gzip.open(path)) if compressed else path.open("rb")


def _decode(raw: bytes, path: Path, line: int, offset: int) -> str:
    if line == 1 and raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise DataError(f"{path}:1: is UTF-16; save it as UTF-8")
    if (nul := raw.find(b"\0")) >= 0:
        at = line + raw.count(b"\n", 0, nul)
        raise DataError(f"{path}:{at}: holds a NUL byte at byte {offset + nul}; expected text in UTF-8")
    try:
        return raw.decode("utf-8-sig" if line == 1 else "utf-8")
    except UnicodeDecodeError as error:
        at = line + raw.count(b"\n", 0, error.start)
        # Python counts from behind a byte-order mark.
        start = offset + error.start + (3 if line == 1 and raw.startswith(b"\xef\xbb\xbf") else 0)
        raise DataError(f"{path}:{at}: is not UTF-8 at byte {start} ({error.reason}); save it as UTF-8") from None


def _lines(path: Path, compressed: bool) -> Iterator[tuple[int, str]]:
    offset = 0
    with _open(path, compressed) as stream:
        for number in count(1):
            raw = stream.readline(LONGEST_LINE + 1)
            if not raw:
                return
            if len(raw) > LONGEST_LINE:
                raise DataError(f"{path}:{number}: is longer than {LONGEST_LINE >> 20} MiB; expected one row a line")
            yield number, _decode(raw, path, number, offset)
            offset += len(raw)


def _broken(where: str, error: Exception, text: str, at: int = 0, column: int | None = None) -> DataError:
    """The error for JSON that cannot be parsed, with what stands there."""
    if isinstance(error, RecursionError):
        return DataError(f"{where}: JSON is nested too deeply to be read; flatten it")
    if not isinstance(error, json.JSONDecodeError):
        return DataError(f"{where}: JSON holds an integer of more than 4300 digits; write it as text")
    near = text[max(0, at - 15) : at + 25].strip("\n")
    return DataError(f"{where}: broken JSON at column {column or at + 1}: {error.msg}; near {shown(near)}")


def _json_lines(path: Path, compressed: bool) -> Iterator[Record]:
    for number, line in _lines(path, compressed):
        if line.strip():
            yield _line_record(line, path, number)


def records_of_lines(raw: bytes, path: Path, first: int, offset: int) -> list[Record]:
    """The records of whole lines of a .jsonl file, for a reader that comes back for more.

    Args:
        raw: the lines as they are in the file.
        path: the file, for messages.
        first: the number of the first of them.
        offset: bytes of the file before them.

    Raises:
        DataError: a line is no JSON object in UTF-8; the message starts with `file:line`.
    """
    records = []
    for number, line in enumerate(io.BytesIO(raw), first):
        if line.strip():
            records.append(_line_record(_decode(line, path, number, offset), path, number))
        offset += len(line)
    return records


def _line_record(line: str, path: Path, number: int) -> Record:
    where = f"{path}:{number}"
    try:
        values = json.loads(line)
    except (ValueError, RecursionError) as error:
        if number == 1 and line.lstrip().startswith("["):
            raise DataError(
                f"{where}: looks like one JSON list over several lines; give the file the ending .json"
            ) from None
        raise _broken(where, error, line, getattr(error, "pos", 0)) from None
    if not isinstance(values, dict):
        raise DataError(f"{where}: expected a JSON object with the columns of one row, got {shown(values)}")
    return Record(where, values)


def _json(path: Path, compressed: bool, limit: int | None, notices: list[str]) -> list[Record]:
    with _open(path, compressed) as stream:
        raw = stream.read(LARGEST_JSON + 1)
    if len(raw) > LARGEST_JSON:
        raise DataError(f"{path}: is larger than {LARGEST_JSON >> 30} GiB; convert it to .jsonl")
    text = _decode(raw, path, 1, 0)
    if not text.strip():
        return []
    try:
        found = read_json(text, str(path))
    except json.JSONDecodeError as error:
        raise _broken(f"{path}:{error.lineno}", error, text, error.pos, error.colno) from None
    except (ValueError, RecursionError) as error:
        raise _broken(f"{path}:1", error, text) from None
    if found is None:
        notices.append(f"{path.name} holds one JSON object a line and was read as .jsonl")
        return list(islice(_json_lines(path, compressed), limit))
    return [Record(f"{path}:{line}", values) for line, values in found[:limit]]


def _table(path: Path, compressed: bool, delimiter: str, limit: int | None, notices: list[str]) -> list[Record]:
    reader = csv.reader((line for _, line in _lines(path, compressed)), delimiter=delimiter, strict=True)
    # The limit is the process's, and its default is shorter than a long prompt.
    before = csv.field_size_limit(LONGEST_LINE)
    start = 1
    try:
        header = next(reader, [])
        _check_header(header, f"{path}:1", notices)
        records: list[Record] = []
        start = reader.line_num + 1
        for cells in reader if limit is None or limit > 0 else ():
            if cells:
                if len(cells) != len(header):
                    raise DataError(f"{path}:{start}: expected {len(header)} cells as in the header, got {len(cells)}")
                values = {name: cell for name, cell in zip(header, cells, strict=True) if name}
                records.append(Record(f"{path}:{start}", values))
            start = reader.line_num + 1
            if len(records) == limit:
                break
        return records
    except csv.Error as error:
        said = str(error).replace("\t", r"\t")
        raise DataError(f"{path}:{start}: broken table: {said}; quote cells that hold quotes or line breaks") from None
    finally:
        csv.field_size_limit(before)


def _check_header(header: list[str], where: str, notices: list[str]) -> None:
    twice = [name for name in dict.fromkeys(header) if header.count(name) > 1]
    if twice:
        raise DataError(f"{where}: the header has {', '.join(map(shown, twice))} more than once; rename the columns")
    if len(header) == 1 and (mark := next((mark for mark in ";\t|" if mark in header[0]), None)):
        raise DataError(
            f"{where}: one column, {shown(header[0])}; if cells are separated by {shown(mark)}, "
            "save the table with commas (.csv) or tabs (.tsv)"
        )
    if "" in header:
        notices.append("a column without a name was left out")


def _parquet(path: Path, limit: int | None) -> list[Record]:
    try:
        from pyarrow import parquet
    except ImportError:
        raise MissingExtra(f"{path}: reading Parquet needs pyarrow; pip install 'trueward[audit]'") from None
    records: list[Record] = []
    try:
        with parquet.ParquetFile(path) as file:
            names = file.schema_arrow.names
            if len(set(names)) < len(names):
                raise DataError(f"{path}:1: two columns have the same name; rename one")
            for batch in file.iter_batches(batch_size=min(limit or 4096, 4096), use_threads=False):
                for values in batch.to_pylist():
                    records.append(Record(f"{path}:{len(records) + 1}", values))
                    if len(records) == limit:
                        return records
    except DataError:
        raise
    # A damaged file makes the library raise nearly anything.
    except Exception as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise DataError(f"{path}:{len(records) + 1}: cannot be read as Parquet: {shown(reason)}") from None
    return records
