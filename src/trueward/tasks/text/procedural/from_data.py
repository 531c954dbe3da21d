"""Any data file as a task: its rows, split by prompt, with gold and demonstrations as its owner defines them."""

from __future__ import annotations

import os
import string
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from trueward.errors import DataError
from trueward.tasks.gold import Gold
from trueward.tasks.text.data import load_rows
from trueward.tasks.text.procedural.drawing import check_request, generator_of, split_of
from trueward.tasks.text.procedural.task import Demonstration, Split
from trueward.tasks.text.rows import Row
from trueward.tasks.text.vocabulary import Vocabulary

ASCII = tuple(string.digits + string.ascii_letters + string.punctuation + " \n")


@dataclass(frozen=True)
class DataTask:
    """Rows of a file, a fifth of the prompts held out by their hash.

    Attributes:
        path: a file that `load_rows` reads.
        judge: gold of one completion, in [0, 1], from its row and its text.
        demonstration_column: column with a completion to imitate; None when the data has none.
        options: of `load_rows` (columns, contract).
        max_new_tokens: how long a completion may become.
        name: enters the seeds.
    """

    path: str | os.PathLike[str]
    judge: Callable[[Row, str], float]
    demonstration_column: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    max_new_tokens: int = 256
    name: str = "data"

    @cached_property
    def loaded(self) -> tuple[Row, ...]:
        """All rows of the file; raises `DataError` as `load_rows` does."""
        return load_rows(self.path, **self.options).rows

    @property
    def vocabulary(self) -> Vocabulary:
        """ASCII and every other character of the file's prompts, answers and demonstrations."""
        texts = [row.prompt_text + (row.answer or "") for row in self.loaded]
        if self.demonstration_column is not None:
            texts += [str(row.columns.get(self.demonstration_column, "")) for row in self.loaded]
        return characters_of(texts)

    def rows(self, n: int, seed: int, split: Split = "train") -> list[Row]:
        """n rows in random order; every row of the split once before any comes again.

        Raises:
            DataError: the file has no row in that split, or cannot be read.
        """
        check_request(n, split)
        chosen = [row for row in self.loaded if split_of(row.prompt_text) == split]
        return _in_rounds(chosen, n, generator_of(self.name, seed, f"rows {split}"), f"{self.path}: split {split!r}")

    def demonstrations(self, n: int, seed: int) -> list[Demonstration]:
        """n completions of the demonstration column.

        Raises:
            DataError: no column was named, or no row of the train split has text in it.
        """
        check_request(n)
        column = self.demonstration_column
        if column is None:
            raise DataError(
                f"{self.path}: a warm start needs completions to imitate; name their column with demonstration_column"
            )
        train = [row for row in self.loaded if split_of(row.prompt_text) == "train"]
        having = [row for row in train if isinstance(row.columns.get(column), str) and row.columns[column].strip()]
        generator = generator_of(self.name, seed, "demonstrations")
        rows = _in_rounds(having, n, generator, f"{self.path}: rows with text in the column {column!r}")
        return [Demonstration(row, row.columns[column]) for row in rows]

    def gold(self, rows: Sequence[Row], completions: Sequence[str]) -> Gold:
        """What the judge says, with the measure `length` in characters.

        Raises:
            DataError: the judge gave no number in [0, 1].
        """
        values = [self._judged(row, completion) for row, completion in zip(rows, completions, strict=True)]
        return Gold(np.array(values, dtype=float), {"length": np.array([len(c) for c in completions], dtype=float)})

    def _judged(self, row: Row, completion: str) -> float:
        value = self.judge(row, completion)
        if not isinstance(value, bool | int | float | np.number | np.bool_) or not 0 <= value <= 1:
            raise DataError(f"{row.where}: the judge gave {value!r}; expected a number in [0, 1]")
        return float(value)


def characters_of(texts: Sequence[str]) -> Vocabulary:
    """ASCII, and whatever else the texts contain, in the order of code points."""
    others = sorted(set().union(*texts) - set(ASCII))
    return Vocabulary("characters", (*ASCII, *others))


def _in_rounds(rows: Sequence[Row], n: int, generator: np.random.Generator, what: str) -> list[Row]:
    if n and not rows:
        raise DataError(f"{what}: there are none; give more rows, with more different prompts")
    found: list[Row] = []
    while len(found) < n:
        found += [rows[int(i)] for i in generator.permutation(len(rows))]
    return found[:n]
