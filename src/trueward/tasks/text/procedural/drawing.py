"""Seeded drawing of rows, and the split into train and held-out prompts."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable

import numpy as np

from trueward.errors import DataError
from trueward.tasks.text.contract import Contract
from trueward.tasks.text.procedural.task import Split
from trueward.tasks.text.rows import Row

HELD_OUT_SHARE = 0.2
_ATTEMPTS_PER_ROW, _ATTEMPTS = 100, 1000


def generator_of(name: str, seed: int, purpose: str) -> np.random.Generator:
    """A stream of its own for each task, seed and purpose; Python's salted hash has no part in it.

    Raises:
        DataError: the seed is negative.
    """
    if seed < 0:
        raise DataError(f"{name}: the seed is {seed}; expected a number of at least 0")
    return np.random.default_rng([seed, zlib.crc32(f"{name}/{purpose}".encode())])


def split_of(prompt: str) -> Split:
    """The split that a prompt belongs to, whoever draws it: a fifth of all prompts, by their hash, is held out."""
    number = int.from_bytes(hashlib.sha256(prompt.encode()).digest()[:8], "big")
    return "held out" if number < HELD_OUT_SHARE * 2**64 else "train"


def check_request(n: int, split: str = "train") -> None:
    """Raises `DataError` for a number of rows below 0, or a split that does not exist."""
    if n < 0 or split not in ("train", "held out"):
        raise DataError(f"cannot draw {n} rows of the split {split!r}; expected n >= 0 and 'train' or 'held out'")


def draw_rows(
    make: Callable[[np.random.Generator], Row], n: int, generator: np.random.Generator, split: Split
) -> list[Row]:
    """n independent rows, each drawn until its prompt is in the split.

    Raises:
        DataError: n is negative, the split does not exist, or the prompts of this task leave it empty.
    """
    check_request(n, split)
    rows: list[Row] = []
    for _ in range(_ATTEMPTS + _ATTEMPTS_PER_ROW * n):
        if len(rows) == n:
            return rows
        row = make(generator)
        if split_of(row.prompt_text) == split:
            rows.append(row)
    raise DataError(
        f"only {len(rows)} of {n} rows fell into the split {split!r}: the task has too few different prompts. Give it "
        "parameters that allow more of them"
    )


def row_of(name: str, prompt: str, answer: str | None, contract: Contract, **columns: object) -> Row:
    """A row whose id is the task's name and a hash of prompt and answer."""
    digest = hashlib.sha256(f"{prompt}\0{answer}".encode()).hexdigest()[:12]
    kept = {**columns} if answer is None else {"answer": answer, **columns}
    return Row(f"{name}-{digest}", prompt, answer, kept, contract, name)
