"""The answer contract that a row declares, in columns of its own or in one `contract` column."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trueward.errors import DataError
from trueward.tasks.text.contract import Contract
from trueward.tasks.text.values import shown

COLUMNS = {
    "answer_type": "type",
    "answer_unique": "unique",
    "answer_form": "form",
    "answer_tolerance": "tolerance",
    "choices": "choices",
    "case_sensitive": "case_sensitive",
}

_BOOLEANS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


@dataclass(frozen=True)
class Declared:
    """What a row says of its answer.

    Attributes:
        fields: fields of `Contract` by name, those that were declared.
        loose_choices: True when the options come from a `choices` column, which data sets also have for options that
            are not what the answer is compared with.
        no_contract: True when a column `contract` holds something else.
        overridden: the fields to skip that the row declares.
    """

    fields: Mapping[str, Any]
    loose_choices: bool = False
    no_contract: bool = False
    overridden: frozenset[str] = frozenset()


def declared(columns: Mapping[str, Any], where: str, skip: frozenset[str] = frozenset()) -> Declared:
    """Read what the row declares; nothing (null, an empty cell) declares nothing.

    Args:
        columns: the row.
        where: `file:line`, for messages.
        skip: fields that are given otherwise, so that it does not matter what the columns hold.

    Raises:
        DataError: for a declaration that cannot be read.
    """
    said = columns.get("contract")
    nested = _object(said)
    unknown = [name for name in nested or () if name not in COLUMNS.values()]
    if unknown:
        raise DataError(
            f"{where}: the contract has the key {shown(unknown[0])}; expected {', '.join(COLUMNS.values())}"
        )
    found = {COLUMNS[column]: (f"column {shown(column)}", columns[column]) for column in COLUMNS if column in columns}
    found = {name: said for name, said in found.items() if not _nothing(said[1])}
    loose = "choices" in found
    for name, value in (nested or {}).items():
        if not _nothing(value):
            found[name] = (f"{shown(name)} of the contract", value)
            loose = loose and name != "choices"
    fields: dict[str, Any] = {}
    for name, (place, value) in found.items():
        if name in skip:
            continue
        # Data sets have a column `choices` in many forms; one that is no list of options says nothing of the answer.
        if name == "choices" and loose and not _options(value):
            continue
        fields[name] = _read(name, value, f"{where}: {place}")
    return Declared(
        fields,
        loose_choices=loose and "choices" in fields,
        no_contract=nested is None and not _nothing(said),
        overridden=skip & found.keys(),
    )


def contract_of(fields: Mapping[str, Any], where: str, is_declared: bool) -> Contract:
    """The contract with these fields.

    Raises:
        DataError: for a type or form that does not exist.
    """
    try:
        return Contract(**fields, declared=is_declared)
    except DataError as error:
        raise DataError(f"{where}: {error}") from None


def _nothing(value: Any) -> bool:
    return value is None or value == "" or (isinstance(value, float) and math.isnan(value))


def _object(value: Any) -> Mapping[str, Any] | None:
    if isinstance(value, str) and value.lstrip().startswith("{"):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return None
    return value if isinstance(value, Mapping) else None


def _read(name: str, value: Any, where: str) -> Any:
    if name in ("unique", "case_sensitive"):
        known = _BOOLEANS.get(str(value).strip().casefold())
        if known is None:
            raise DataError(f"{where} is {shown(value)}; expected true or false")
        return known
    if name == "tolerance":
        return tolerance(value, where)
    if name == "choices":
        options = _options(value)
        if not options:
            raise DataError(f"{where} is {shown(value)}; expected a list of options")
        return options
    if not isinstance(value, str):
        raise DataError(f"{where} is {shown(value)}; expected text")
    return value.strip()


def tolerance(value: Any, where: str) -> float:
    """A finite number of at least 0.

    Raises:
        DataError: for anything else.
    """
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not (number >= 0 and math.isfinite(number)):
        raise DataError(f"{where} is {shown(value)}; expected a number of at least 0")
    return number


def _options(value: Any) -> tuple[str, ...]:
    """The options of a question, or nothing when the value is no list of them.

    A list, a JSON list in text, or text with one of newline | ; , between the options. Objects as ARC (`label`, `text`)
    give their labels.
    """
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            mark = next((mark for mark in "\n|;," if mark in value), "\n")
            value = value.split(mark)
    if isinstance(value, Mapping):
        value = value.get("label")
    if not isinstance(value, list):
        return ()
    options = [option.get("label") if isinstance(option, Mapping) else option for option in value]
    if not all(isinstance(option, str | int | float) for option in options):
        return ()
    texts = [re.sub(r"\s+", " ", str(option)).strip() for option in options]
    return tuple(dict.fromkeys(text for text in texts if text))
