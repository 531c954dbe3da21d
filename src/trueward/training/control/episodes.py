"""Episodes out of what was collected: what each earned by every measure, and how it ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from jaxtyping import Float, Shaped

from trueward.errors import DataError, MissingExtra
from trueward.training.control.collected import Collected

Episodes: TypeAlias = Mapping[str, Shaped[np.ndarray, " e"]]
"""Columns with one entry per episode:

- `step`: the update in which it ended. `row`: its environment. `source`: who acted (see `Collected`).
- `end`: "terminated", "truncated", or "cut" where the run began a new one at a checkpoint.
- `length`: steps. `proxy`: sum of what the reward says (`raw`). `optimised`: sum of what was learnt from, shaping and
  penalties included. `environment`: sum of what the environment paid. `gold`, `bonus` and `part/…` where there are any.
"""

_ALWAYS = ("proxy", "optimised", "environment")


class EpisodeSums:
    """Adds up the episodes of N environments over several collections."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._open: dict[str, np.ndarray] = {}

    def take(self, collected: Collected, step: int) -> Episodes:
        """The episodes that ended, in the order in which they did."""
        ended = (collected.terminated | collected.truncated) & collected.exists
        columns = _columns(collected)
        # Column by column, so that what is summed lies together: a new episode begins with every environment, and
        # after every end.
        last = ended.T.copy()
        last[:, -1] = True
        first = np.zeros_like(last)
        first[:, 0], first[:, 1:] = True, last[:, :-1]
        starts = np.flatnonzero(first)
        begins_row = starts % last.shape[1] == 0
        row, time = np.nonzero(last)
        complete = ended.T[row, time]
        order = np.lexsort((row[complete], time[complete]))
        found: dict[str, np.ndarray] = {}
        still_open: dict[str, np.ndarray] = {}
        for name, values in columns.items():
            sums = np.add.reduceat(np.where(collected.exists, values, 0.0).T.ravel(), starts)
            sums[begins_row] += self._open.get(name, np.zeros(self._count))
            found[name] = sums[complete][order]
            still_open[name] = np.zeros(self._count)
            still_open[name][row[~complete]] = sums[~complete]
        self._open = still_open
        rows, times = row[complete][order], time[complete][order]
        end = np.where(collected.terminated[times, rows], "terminated", "truncated")
        return _table(found, step, rows, collected.source[rows], end)

    def cut(self, step: int, source: Shaped[np.ndarray, " n"]) -> Episodes:
        """What is open, as episodes that were cut; nothing is open afterwards."""
        rows = np.flatnonzero(self._open.get("length", np.zeros(self._count)) > 0)
        found = {name: sums[rows] for name, sums in self._open.items()}
        self._open = {}
        return _table(found, step, rows, source[rows], np.full(len(rows), "cut"))


def _columns(collected: Collected) -> dict[str, Float[np.ndarray, "t n"]]:
    columns = {
        "length": collected.exists.astype(np.float64),
        "proxy": collected.raw,
        "optimised": collected.reward,
        "environment": collected.environment,
        **{f"part/{name}": values for name, values in collected.parts.items()},
    }
    if collected.gold is not None:
        columns["gold"] = collected.gold
    if collected.bonus is not None:
        columns["bonus"] = collected.bonus
    return columns


def _table(
    sums: Mapping[str, np.ndarray], step: int, rows: np.ndarray, source: np.ndarray, end: np.ndarray
) -> dict[str, np.ndarray]:
    numbers = dict(sums)
    length = numbers.pop("length", np.zeros(len(rows)))
    return {
        "step": np.full(len(rows), step, dtype=np.int64),
        "row": rows.astype(np.int64),
        "source": source.astype(np.int64),
        "end": end.astype(object),
        "length": np.rint(length).astype(np.int64),
        **numbers,
    }


def joined(tables: Sequence[Episodes]) -> Episodes:
    """Episodes of several tables, one after another; a number that a table lacks is NaN."""
    if not tables:
        nobody = np.zeros(0, dtype=np.int64)
        return _table(dict.fromkeys(("length", *_ALWAYS), np.zeros(0)), 0, nobody, nobody, np.zeros(0, dtype=object))
    names = dict.fromkeys(name for table in tables for name in table)
    return {
        name: np.concatenate(
            [table[name] if name in table else np.full(len(table["step"]), np.nan) for table in tables]
        )
        for name in names
    }


def write_episodes(path: Path, tables: Sequence[Episodes]) -> None:
    """Write episodes as Parquet.

    Raises:
        MissingExtra: pyarrow is not installed.
    """
    pyarrow, parquet = need_parquet()
    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(pyarrow.table(dict(joined(tables))), path)


def read_episodes(directory: Path) -> Episodes:
    """All episodes of a run.

    Args:
        directory: of the run.

    Raises:
        DataError: a file cannot be read.
        MissingExtra: pyarrow is not installed.
    """
    _, parquet = need_parquet()
    tables = []
    for path in sorted((directory / "episodes").glob("*.parquet")):
        try:
            table = parquet.read_table(path)
        except (OSError, ValueError) as error:
            raise DataError(f"{path}: cannot be read as Parquet: {error}") from error
        tables.append({name: table[name].to_numpy() for name in table.column_names})
    return joined(tables)


def need_parquet() -> tuple[Any, Any]:
    """The library that episodes are written with, to fail before a run and not after it.

    Returns:
        `pyarrow` and `pyarrow.parquet`.

    Raises:
        MissingExtra: it is not installed.
    """
    try:
        import pyarrow
        from pyarrow import parquet
    except ModuleNotFoundError as error:
        raise MissingExtra(
            "episodes are written as Parquet, which needs pyarrow: pip install 'trueward[train]', or give no directory"
        ) from error
    return pyarrow, parquet
