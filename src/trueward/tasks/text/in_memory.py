"""Records from what Python users have in hand: lists of dicts, columns, data frames, datasets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any

from trueward.errors import DataError
from trueward.tasks.text.formats import Record
from trueward.tasks.text.values import shown


def records_in_memory(data: Any, source: str, limit: int | None) -> list[Record]:
    """The first `limit` records of an iterable of mappings, a mapping of columns, or a table.

    Args:
        data: list of dicts, dict of lists, `pandas.DataFrame`, polars or pyarrow table, `datasets.Dataset`.
        source: stands where a file's name would stand in messages.
        limit: how many records at most; None for all.

    Raises:
        DataError: when it is none of these.
    """
    records: list[Record] = []
    for number, values in enumerate(islice(_iterate(data, source), limit), 1):
        if not isinstance(values, Mapping):
            raise DataError(f"{source}:{number}: expected a mapping from column to value, got {shown(values)}")
        records.append(Record(f"{source}:{number}", values))
    if not records:
        raise DataError(f"{source}:1: holds no records; expected one row for each prompt")
    return records


def _iterate(data: Any, source: str) -> Iterable[Any]:
    if isinstance(data, str | bytes):
        raise DataError(f"{source}:1: got {shown(data)}; expected records. A path of a file is read by load_rows")
    if isinstance(data, Mapping):
        return _by_rows(data, source)
    if hasattr(data, "iterrows") and hasattr(data, "to_dict"):
        if not data.columns.is_unique:
            raise DataError(f"{source}:1: two columns of the data frame have the same name; rename one")
        return list(data.to_dict(orient="records"))
    for to_rows in ("to_pylist", "to_dicts"):
        if hasattr(data, to_rows):
            return list(getattr(data, to_rows)())
    if not isinstance(data, Iterable):
        raise DataError(f"{source}:1: expected a list of records, columns or a table, got {shown(data)}")
    return data


def _by_rows(columns: Mapping[Any, Any], source: str) -> Iterable[dict[Any, Any]]:
    if any(hasattr(values, "column_names") for values in columns.values()):
        raise DataError(f"{source}:1: has the splits {', '.join(map(shown, columns))}; pass one of them")
    sizes: dict[Any, int] = {}
    for name, values in columns.items():
        if isinstance(values, str | bytes | Mapping) or not (
            hasattr(values, "__len__") and hasattr(values, "__iter__")
        ):
            raise DataError(
                f"{source}:1: column {shown(name)} is {shown(values)}; expected a list for each column. "
                "Put a single record into a list"
            )
        sizes[name] = len(values)
    if len(set(sizes.values())) > 1:
        lengths = ", ".join(f"{shown(name)} {size}" for name, size in sizes.items())
        raise DataError(f"{source}:1: the columns are not of one length: {lengths}")
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
