"""Documents as JSON files: written whole, read with every field checked."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, NoReturn, Union, cast, get_args, get_origin, get_type_hints, is_typeddict

from trueward.errors import DataError
from trueward.report.atomic import write_whole
from trueward.report.distance_document import DistanceDocument
from trueward.report.document import SCHEMA_VERSION, Document
from trueward.report.experiment_document import ExperimentDocument
from trueward.report.watch_document import WatchDocument

_NAMES = {str: "text", int: "a whole number", float: "a number", bool: "true or false", NoneType: "null"}


def finite(value: Any) -> Any:
    """A copy of a JSON value in which NaN and infinite numbers are null: JSON has no words for them."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: finite(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [finite(part) for part in value]
    return value


def write_json(document: Document | DistanceDocument | ExperimentDocument | WatchDocument, path: str | Path) -> None:
    r"""Write a document, in ASCII: lone surrogates become `\udc80` escapes and come back when it is read.

    Args:
        document: what to write.
        path: the file; it appears whole or not at all.

    Raises:
        OSError: when the file cannot be written.
    """
    text = json.dumps(finite(document), ensure_ascii=True, indent=1, allow_nan=False)
    write_whole(Path(path), text.encode("ascii") + b"\n")


def read_json(path: str | Path) -> Document:
    """Read a document that `write_json` wrote, and check that every field is there and of its type.

    Args:
        path: the file.

    Returns:
        The document. Fields that this version does not know are kept.

    Raises:
        DataError: when the file cannot be read, is not JSON, or is not a document of this schema version.
    """
    kind = Kind("an audit", "trueward-audit", SCHEMA_VERSION, Document, "`trueward audit --json`", "audit again")
    return cast(Document, read_kind(path, kind))


@dataclass(frozen=True)
class Kind:
    """A kind of document, as files hold it.

    Attributes:
        said: with its article, for messages.
        schema: what the file's field "schema" says.
        version: what its field "schema_version" says.
        record: the `TypedDict` that it must fit.
        written_by, again: what writes such a file, and how to make it anew, for messages.
    """

    said: str
    schema: str
    version: int
    record: type
    written_by: str
    again: str


def read_kind(path: str | Path, kind: Kind) -> dict[str, Any]:
    """Read a document of a kind, and check that every field is there and of its type.

    Raises:
        DataError: when the file cannot be read, is not JSON, or is not a document of this kind and version.
    """
    try:
        value = json.loads(Path(path).read_bytes(), parse_constant=_no_constant)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from error
    except RecursionError as error:
        raise DataError(f"{path}: is nested too deeply to be {kind.said}") from error
    except ValueError as error:  # broken JSON, or bytes that are no UTF-8
        line = f":{error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        raise DataError(f"{path}{line}: is not JSON ({error}); expected what {kind.written_by} writes") from error
    if not isinstance(value, dict) or value.get("schema") != kind.schema:
        raise DataError(f'{path}: is not {kind.said}: expected an object with "schema": "{kind.schema}"')
    if value.get("schema_version") != kind.version:
        raise DataError(
            f"{path}: has schema version {value.get('schema_version')!r}, this Trueward reads {kind.version}; "
            f"{kind.again}, or read it with the version of Trueward that wrote it"
        )
    try:
        _check(value, kind.record, "")
    except _Mismatch as mismatch:
        raise DataError(f"{path}: {mismatch}") from None
    return value


class _Mismatch(Exception):
    """A field is missing or of another type."""


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def _check(value: Any, kind: Any, where: str) -> None:
    """Raises `_Mismatch`, naming the field, where `value` is not a `kind`."""
    if is_typeddict(kind):
        _check_record(value, kind, where)
    elif get_origin(kind) is list:
        if not isinstance(value, list):
            raise _Mismatch(f"{where}: expected a list, not {_given(value)}")
        for index, part in enumerate(value):
            _check(part, get_args(kind)[0], f"{where}[{index}]")
    elif get_origin(kind) is dict:
        if not isinstance(value, dict):
            raise _Mismatch(f"{where}: expected an object, not {_given(value)}")
        for key, part in value.items():
            _check(part, get_args(kind)[1], f"{where}.{key}")
    elif get_origin(kind) in (Union, UnionType):
        if value is not None:
            [other] = [option for option in get_args(kind) if option is not NoneType]
            _check(value, other, where)
    elif get_origin(kind) is Literal:
        if value not in get_args(kind):
            expected = ", ".join(repr(option) for option in get_args(kind))
            raise _Mismatch(f"{where}: expected one of {expected}, not {_given(value)}")
    elif kind is not Any and not _is(value, kind):
        raise _Mismatch(f"{where}: expected {_NAMES[kind]}, not {_given(value)}")


def _check_record(value: Any, kind: Any, where: str) -> None:
    if not isinstance(value, dict):
        raise _Mismatch(f"{where}: expected an object, not {_given(value)}")
    for name, hint in get_type_hints(kind).items():
        field = f"{where}.{name}" if where else name
        if name not in value and name in kind.__optional_keys__:
            continue
        if name not in value:
            raise _Mismatch(f"{field}: is missing")
        _check(value[name], hint, field)


def _is(value: Any, kind: type) -> bool:
    if isinstance(value, bool):
        return kind is bool
    return isinstance(value, int | float) if kind is float else isinstance(value, kind)


def _given(value: Any) -> str:
    shown = json.dumps(value)
    return shown if len(shown) <= 60 else f"{shown[:60]}…"
