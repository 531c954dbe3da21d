"""Options that say where prompts and answers are, and what an answer is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from trueward.errors import TruewardError


@dataclass(frozen=True)
class DataOptions:
    """The user's data, and the answer contract where the data does not declare one."""

    data: Path | None = None
    """Prompts with answers: .jsonl, .json, .csv, .tsv or .parquet. Not needed for reasoning-gym sets."""
    prompts: int | None = None
    """Audit at most this many prompts (reasoning-gym sets: 20 unless given)."""
    prompt_column: str | None = None
    """Column that holds the prompt."""
    answer_column: str | None = None
    """Column that holds the reference answer."""
    answer_type: (
        Literal["int", "number", "expression", "choice", "word", "list", "set", "grid", "code", "free"] | None
    ) = None
    """What an answer is; without it only what is wrong under every type counts as wrong."""
    answer_form: Literal["value", "verbatim"] | None = None
    """value: every way to write it must be paid. verbatim: the string itself is asked for."""
    answer_tolerance: float | None = None
    """Absolute difference up to which two numbers are the same answer."""
    many_answers: bool = False
    """Other answers than the reference may be right."""

    @property
    def columns(self) -> dict[str, Any]:
        """Options of `load_rows`."""
        return {
            "prompt_column": self.prompt_column,
            "answer_column": self.answer_column,
            "answer_type": self.answer_type,
            "answer_form": self.answer_form,
            "answer_tolerance": self.answer_tolerance,
            "unique": False if self.many_answers else None,
        }


def require_folders(*paths: Path | None) -> None:
    """Raises `TruewardError` for a file to be written into a folder that does not exist, before any work is done."""
    for path in paths:
        if path is not None and not path.resolve().parent.is_dir():
            raise TruewardError(f"{path}: the folder {path.resolve().parent} does not exist")
