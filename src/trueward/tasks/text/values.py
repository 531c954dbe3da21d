"""What a column may hold: JSON values, because rewards run in other processes."""

from __future__ import annotations

import datetime
import reprlib
import uuid
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from trueward.errors import DataError

DEEPEST = 100
"""Levels of nesting. Far from the recursion limits of the parsers that read a row after us."""

_SHOWN = reprlib.Repr()
_SHOWN.maxstring = _SHOWN.maxother = 80


def shown(value: object) -> str:
    """A short form of anything for a message: one line, and nothing that a terminal would obey."""
    # `repr` escapes whatever is not printable: control characters, bidirectional marks, lone surrogates.
    return _SHOWN.repr(value)


def json_value(value: Any, where: str, column: str) -> Any:
    """The value with nothing but JSON types in it; NaN and infinities are kept.

    Dates become ISO text, decimals floats, durations seconds, NumPy scalars and arrays plain numbers and lists.

    Args:
        value: what the data holds.
        where: `file:line`, for messages.
        column: name of the column, for messages.

    Raises:
        DataError: for bytes, objects that are no data, nesting deeper than `DEEPEST`, integers too long to be written
            as text, and text that cannot be encoded.
    """
    return _plain(value, f"{where}: column {shown(column)}", 0)


def _plain(value: Any, where: str, depth: int) -> Any:
    if depth > DEEPEST:
        raise DataError(f"{where} is nested more than {DEEPEST} levels deep; flatten it or remove it")
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _text(value, where)
    if isinstance(value, int):
        return _integer(int(value), where)
    if isinstance(value, float):
        return float(value)
    if isinstance(value, Mapping):
        return {_key(key, where): _plain(inner, where, depth + 1) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner, where, depth + 1) for inner in value]
    if hasattr(value, "dtype") and hasattr(value, "tolist"):
        # A time in nanoseconds would come out of `tolist` as a bare integer.
        in_units_of_time = getattr(value.dtype, "kind", None) in ("m", "M")
        return _plain(value.astype(str).tolist() if in_units_of_time else value.tolist(), where, depth + 1)
    return _scalar(value, where)


def _scalar(value: Any, where: str) -> Any:
    if type(value).__name__ in ("NAType", "NaTType"):
        return None
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, datetime.timedelta):
        return value.total_seconds()
    if isinstance(value, uuid.UUID):
        return str(value)
    if isinstance(value, Decimal):
        return float("nan") if value.is_nan() else float(value)
    if isinstance(value, bytes | bytearray | memoryview):
        raise DataError(f"{where} holds bytes; decode them to text, or remove the column")
    raise DataError(
        f"{where} holds a {type(value).__name__}; expected text, numbers, true or false, lists, objects or nothing"
    )


def _text(value: str, where: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise DataError(
            f"{where} holds half of a surrogate pair ({shown(value[error.start])}), which no file can store; "
            "replace it, for instance with U+FFFD"
        ) from None
    return str(value)


def _integer(value: int, where: str) -> int:
    try:
        str(value)
    except ValueError:
        raise DataError(f"{where} holds an integer of more than 4300 digits; write it as text") from None
    return value


def _key(key: Any, where: str) -> str:
    if isinstance(key, str):
        return _text(key, where)
    if isinstance(key, int | float) and not isinstance(key, bool):
        return str(key)
    raise DataError(f"{where} has the key {shown(key)}; the keys of an object are text")
