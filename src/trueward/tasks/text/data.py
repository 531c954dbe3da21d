"""Rows of a text task from the user's own data: a file, or records in memory.

Finds the prompt and the reference among the usual names of columns, takes the short value out of a worked solution, and
reads the answer contract where the data declares one. Whatever was assumed is said in a notice.
"""

from __future__ import annotations

import difflib
import hashlib
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trueward.errors import DataError
from trueward.tasks.text.columns import PROMPT_COLUMNS, REFERENCE_COLUMNS
from trueward.tasks.text.contract import Contract
from trueward.tasks.text.declared import contract_of, declared, tolerance
from trueward.tasks.text.formats import Record, read_records
from trueward.tasks.text.in_memory import records_in_memory
from trueward.tasks.text.prompts import prompt_of
from trueward.tasks.text.reference import Reference, reference_of
from trueward.tasks.text.rows import Prompt, Row
from trueward.tasks.text.values import json_value, shown

# verl keeps what its rewards receive as ground truth inside `reward_model`.
ANSWER_COLUMNS = ("reward_model.ground_truth", *REFERENCE_COLUMNS)

_FLAGS = {"type": "answer_type", "unique": "unique", "form": "answer_form", "tolerance": "answer_tolerance"}
_LIST_TYPES = ("list", "set", "grid", "code", "free")


@dataclass(frozen=True)
class LoadedRows:
    """Rows, and what was assumed in reading them.

    Attributes:
        rows: at least one.
        notices: one sentence each.
    """

    rows: tuple[Row, ...]
    notices: tuple[str, ...] = ()


def load_rows(
    path: str | os.PathLike[str],
    *,
    limit: int | None = None,
    prompt_column: str | None = None,
    answer_column: str | None = None,
    answer_type: str | None = None,
    answer_form: str | None = None,
    answer_tolerance: float | None = None,
    unique: bool | None = None,
    column_map: Mapping[str, str] | None = None,
) -> LoadedRows:
    """Read rows from a .jsonl, .ndjson, .json, .csv, .tsv (each also .gz) or .parquet file.

    Args:
        path: the file.
        limit: how many rows at most; None for all.
        prompt_column: column of the prompt; `a.b` names a field inside an object. By default the first of
            `PROMPT_COLUMNS` that the data has.
        answer_column: column of the reference answer, likewise.
        answer_type: the contract's type for every row; like the next three it replaces what the data declares.
        answer_form: the contract's form.
        answer_tolerance: the contract's tolerance.
        unique: whether only the reference is right.
        column_map: new name → column (or `a.b`) whose values rewards shall also get under that name.

    Raises:
        DataError: for whatever cannot be read; the message starts with `file:line:` and says what was expected.
        MissingExtra: for Parquet without pyarrow.
    """
    fields = _given(type=answer_type, form=answer_form, tolerance=answer_tolerance, unique=unique)
    reading = _Reading(_limit(limit), prompt_column, answer_column, fields, column_map or {})
    records = read_records(Path(path), reading.limit, reading.notices)
    return reading.rows_of(records)


def rows_from(
    records: Any,
    *,
    source: str = "data",
    limit: int | None = None,
    prompt_column: str | None = None,
    answer_column: str | None = None,
    answer_type: str | None = None,
    answer_form: str | None = None,
    answer_tolerance: float | None = None,
    unique: bool | None = None,
    column_map: Mapping[str, str] | None = None,
) -> LoadedRows:
    """Rows from a list of dicts, a dict of columns, a data frame or a dataset.

    Args:
        records: the data.
        source: stands where a file's name would stand, with the number of the record in place of the line.

    The other arguments and what is raised: as `load_rows`.
    """
    fields = _given(type=answer_type, form=answer_form, tolerance=answer_tolerance, unique=unique)
    reading = _Reading(_limit(limit), prompt_column, answer_column, fields, column_map or {})
    return reading.rows_of(records_in_memory(records, source, reading.limit))


def _limit(limit: int | None) -> int | None:
    if limit is not None and limit < 1:
        raise DataError(f"limit {limit!r} is not a number of rows; expected at least 1")
    return limit


def _given(**fields: Any) -> dict[str, Any]:
    given = {name: value for name, value in fields.items() if value is not None}
    if "tolerance" in given:
        given["tolerance"] = tolerance(given["tolerance"], "answer_tolerance")
    Contract(**given)
    return given


@dataclass
class _Reading:
    """One reading of one source: the options, and what was assumed on the way."""

    limit: int | None
    prompt_column: str | None
    answer_column: str | None
    fields: Mapping[str, Any]
    column_map: Mapping[str, str]
    notices: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    def rows_of(self, records: Sequence[Record]) -> LoadedRows:
        """Make the rows; raises `DataError`."""
        tables = [self._columns(record) for record in records]
        first = records[0].where
        prompt_column = self._prompt_column(tables[0], first)
        answer_column = self._answer_column(tables, first)
        drafts: list[Row] = []
        for record, columns in zip(records, tables, strict=True):
            prompt = self._prompt(columns, prompt_column, record.where)
            answer, contract = self._answer(columns, answer_column, record.where)
            drafts.append(Row("", prompt, answer, columns, contract, record.where))
        ids = self._ids(drafts)
        rows = tuple(
            Row(name, row.prompt, row.answer, row.columns, row.contract, row.where)
            for name, row in zip(ids, drafts, strict=True)
        )
        self._say_counts(answer_column, len(rows))
        return LoadedRows(rows, tuple(self.notices))

    def _columns(self, record: Record) -> dict[str, Any]:
        columns = {}
        for name, value in record.values.items():
            if not isinstance(name, str):
                raise DataError(f"{record.where}: a column is named {shown(name)}; expected text")
            columns[name] = json_value(value, record.where, name)
        for new, old in self.column_map.items():
            found, value = _look_up(columns, old)
            if not found:
                raise DataError(
                    f"{record.where}: no column {shown(old)} to be named {shown(new)}; {_has(columns, old)}"
                )
            columns[new] = value
        return columns

    def _prompt_column(self, columns: Mapping[str, Any], where: str) -> str:
        if self.prompt_column is not None:
            return self.prompt_column
        there = _recognised(columns, PROMPT_COLUMNS)
        if not there:
            raise DataError(
                f"{where}: no prompt column; {_has(columns)}. Expected one of {', '.join(PROMPT_COLUMNS)}, "
                "or name it with --prompt-column (prompt_column=)"
            )
        others = f" (not from {', '.join(map(shown, there[1:]))})" if there[1:] else ""
        self.notices.append(f"prompts were taken from column {shown(there[0])}{others}")
        return there[0]

    def _answer_column(self, tables: Sequence[Mapping[str, Any]], where: str) -> str | None:
        wanted = self.answer_column
        if wanted is not None:
            if not any(_look_up(columns, wanted)[0] for columns in tables):
                raise DataError(f"{where}: no column {shown(wanted)} for the answer; {_has(tables[0], wanted)}")
            return wanted
        there = dict.fromkeys(
            name
            for columns in tables
            for name in _recognised(columns, ANSWER_COLUMNS)
            if reference_of(_look_up(columns, name)[1]).text is not None
        )
        best = next((name for wish in ANSWER_COLUMNS for name in there if name.casefold() == wish), None)
        if best is None:
            self.notices.append(f"no reference answers: none of the columns {', '.join(ANSWER_COLUMNS)} holds one")
            return None
        others = f" (not from {', '.join(shown(name) for name in there if name != best)})" if len(there) > 1 else ""
        self.notices.append(f"reference answers were taken from column {shown(best)}{others}")
        return best

    def _prompt(self, columns: Mapping[str, Any], column: str, where: str) -> Prompt:
        found, value = _look_up(columns, column)
        if not found:
            raise DataError(f"{where}: no column {shown(column)} for the prompt; {_has(columns, column)}")
        prompt, cut = prompt_of(value, f"{where}: column {shown(column)}")
        self.counts["cut"] += cut
        return prompt

    def _answer(self, columns: Mapping[str, Any], column: str | None, where: str) -> tuple[str | None, Contract]:
        said = declared(columns, where, frozenset(self.fields))
        fields = {**said.fields, **self.fields}
        self.counts.update(f"override {name}" for name in said.overridden)
        self.counts["no contract"] += said.no_contract
        value = _look_up(columns, column)[1] if column is not None else None
        reference = reference_of(value, verbatim=fields.get("type") in ("code", "free"))
        if reference.is_list and fields.get("type", "list") not in _LIST_TYPES:
            raise DataError(
                f"{where}: the answer is a list, but its type is {shown(fields['type'])}; expected list or set"
            )
        self._assume(fields, reference)
        options = [option.casefold() for option in fields.get("choices", ())]
        if said.loose_choices and (reference.text or "").casefold() not in options:
            self.counts["choices"] += 1
            del fields["choices"]
        is_declared = "type" in said.fields or "type" in self.fields
        return reference.text, contract_of(fields, where, is_declared)

    def _assume(self, fields: dict[str, Any], reference: Reference) -> None:
        """Fill in what was not declared, and count it."""
        self.counts["missing"] += reference.text is None
        self.counts["shortened"] += reference.shortened
        if "type" in fields:
            return
        if reference.is_list:
            fields["type"] = "list"
        if "unique" not in fields and reference.text is not None:
            fields["unique"] = not reference.ambiguous
            self.counts["ambiguous" if reference.ambiguous else "unique"] += 1

    def _ids(self, rows: Sequence[Row]) -> list[str]:
        own = [row.columns.get("id") for row in rows]
        if all(isinstance(name, str | int) and not isinstance(name, bool) and name != "" for name in own):
            texts = [str(name) for name in own]
            if len(set(texts)) == len(texts):
                return texts
            self.notices.append("column 'id' is not unique: rows are named by a hash of prompt and answer")
        seen: Counter[str] = Counter()
        names = []
        for row in rows:
            digest = hashlib.sha256(f"{row.prompt_text}\0{row.answer}".encode()).hexdigest()[:12]
            seen[digest] += 1
            names.append(digest if seen[digest] == 1 else f"{digest}-{seen[digest]}")
        if twice := len(names) - len(seen):
            self.notices.append(f"{twice} of {len(names)} rows repeat the prompt and the answer of another row")
        return names

    def _say_counts(self, column: str | None, rows: int) -> None:
        said = {
            "missing": "store no reference answer" if column else "",
            "shortened": r"hold worked solutions; the value after #### or in the last \boxed{} is the answer",
            "unique": f"have a single {shown(column)} column, which is taken as unique (else --many-answers)",
            "ambiguous": "have a list, an object or different boxes as answer, which may mean several right ones; "
            "declare their type to have them taken as one",
            "choices": "have choices that do not contain the answer; these were not used",
            "no contract": "have a column 'contract' that is no answer contract; it was not used",
            "cut": "have assistant messages behind the prompt; these were cut off",
        }
        said |= {
            f"override {name}": f"declare {name}; {flag} was given and replaces it" for name, flag in _FLAGS.items()
        }
        for what, sentence in said.items():
            if sentence and (n := self.counts[what]):
                self.notices.append(f"{'all' if n == rows else f'{n} of {rows}'} rows {sentence}")


def _look_up(columns: Mapping[str, Any], name: str) -> tuple[bool, Any]:
    """Whether there is a column of this name, or a field `a.b` inside an object, and its value."""
    if name in columns:
        return True, columns[name]
    outer, dot, inner = name.partition(".")
    if dot and isinstance(columns.get(outer), Mapping):
        return _look_up(columns[outer], inner)
    return False, None


def _recognised(columns: Mapping[str, Any], names: Sequence[str]) -> list[str]:
    """The columns with one of these names, whatever the case, in the order of the names."""
    by_case = {column.casefold(): column for column in reversed(list(columns))}
    there = []
    for name in names:
        column = name if _look_up(columns, name)[0] else by_case.get(name)
        if column is not None:
            there.append(column)
    return there


def _has(columns: Mapping[str, Any], wanted: str | None = None) -> str:
    close = difflib.get_close_matches(wanted, columns, n=1) if wanted else []
    hint = f" (did you mean {shown(close[0])}?)" if close else ""
    names = [shown(name) for name in columns]
    more = f" and {len(names) - 20} more" if len(names) > 20 else ""
    return f"this row has {', '.join(names[:20]) or 'no columns'}{more}{hint}"
