"""The objects of one JSON document, with the line on which each of them starts."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trueward.errors import DataError
from trueward.tasks.text.values import shown

_SPACE = re.compile(r"[ \t\n\r]*")
_DECODER = json.JSONDecoder()


@dataclass(frozen=True)
class _Element:
    """A value and the position at which it starts."""

    at: int
    value: Any


def read_json(text: str, source: str) -> list[tuple[int, Mapping[str, Any]]] | None:
    """The rows of a list of objects, or of an object that holds one such list, or one list for each column.

    Args:
        text: the document.
        source: name of the file, for messages.

    Returns:
        (line, row) pairs; None when several objects follow one another, as in JSON Lines.

    Raises:
        json.JSONDecodeError, ValueError, RecursionError: when it is not JSON that Python can read.
        DataError: when it is JSON of another form.
    """
    at = _space(text, 0)
    if text[at : at + 1] == "[":
        elements, end = _list(text, at)
        _check_end(text, end)
        return _rows(text, elements, source)
    if text[at : at + 1] != "{":
        value, end = _DECODER.raw_decode(text, at)
        _check_end(text, end)
        raise DataError(f"{source}:1: expected a list of objects, got {shown(value)}")
    members, end = _object(text, at)
    if text.startswith("{", _space(text, end)):
        return None
    _check_end(text, end)
    return _rows_of_object(text, members, source)


def _rows_of_object(
    text: str, members: Mapping[str, list[_Element] | _Element], source: str
) -> list[tuple[int, Mapping[str, Any]]]:
    lists = {name: member for name, member in members.items() if isinstance(member, list) and member}
    of_objects = [name for name, member in lists.items() if all(isinstance(e.value, dict) for e in member)]
    if len(of_objects) == 1:
        return _rows(text, lists[of_objects[0]], source)
    sizes = {len(member) for member in lists.values()}
    if members and len(lists) == len(members) and len(sizes) == 1 and not of_objects:
        places = next(iter(lists.values()))
        lines = _line_numbers(text, places)
        return [(line, {name: lists[name][i].value for name in lists}) for i, line in enumerate(lines)]
    if len(of_objects) > 1:
        found = f"{len(of_objects)} lists of objects ({', '.join(map(shown, of_objects))}); keep one"
    else:
        found = "none; write a list of objects, one for each prompt, or one object a line into a .jsonl file"
    raise DataError(f"{source}:1: expected one list of objects in this object, found {found}")


def _rows(text: str, elements: list[_Element], source: str) -> list[tuple[int, Mapping[str, Any]]]:
    lines = _line_numbers(text, elements)
    for line, element in zip(lines, elements, strict=True):
        if not isinstance(element.value, dict):
            raise DataError(
                f"{source}:{line}: expected an object with the columns of one row, got {shown(element.value)}"
            )
    return [(line, element.value) for line, element in zip(lines, elements, strict=True)]


def _line_numbers(text: str, elements: list[_Element]) -> list[int]:
    lines, line, last = [], 1, 0
    for element in elements:
        line += text.count("\n", last, element.at)
        last = element.at
        lines.append(line)
    return lines


def _space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at


def _check_end(text: str, end: int) -> None:
    if (at := _space(text, end)) < len(text):
        raise json.JSONDecodeError("Extra data", text, at)


def _list(text: str, at: int) -> tuple[list[_Element], int]:
    elements: list[_Element] = []
    at = _space(text, at + 1)
    if text[at : at + 1] == "]":
        return elements, at + 1
    while True:
        value, end = _DECODER.raw_decode(text, at)
        elements.append(_Element(at, value))
        at = _space(text, end)
        if text[at : at + 1] == "]":
            return elements, at + 1
        if text[at : at + 1] != ",":
            raise json.JSONDecodeError("Expecting ',' delimiter", text, at)
        at = _space(text, at + 1)


def _object(text: str, at: int) -> tuple[dict[str, list[_Element] | _Element], int]:
    members: dict[str, list[_Element] | _Element] = {}
    at = _space(text, at + 1)
    if text[at : at + 1] == "}":
        return members, at + 1
    while True:
        if text[at : at + 1] != '"':
            raise json.JSONDecodeError("Expecting property name enclosed in double quotes", text, at)
        name, end = _DECODER.raw_decode(text, at)
        at = _space(text, end)
        if text[at : at + 1] != ":":
            raise json.JSONDecodeError("Expecting ':' delimiter", text, at)
        at = _space(text, at + 1)
        member: list[_Element] | _Element
        if text[at : at + 1] == "[":
            member, end = _list(text, at)
        else:
            value, end = _DECODER.raw_decode(text, at)
            member = _Element(at, value)
        members[name] = member
        at = _space(text, end)
        if text[at : at + 1] == "}":
            return members, at + 1
        if text[at : at + 1] != ",":
            raise json.JSONDecodeError("Expecting ',' delimiter", text, at)
        at = _space(text, at + 1)
