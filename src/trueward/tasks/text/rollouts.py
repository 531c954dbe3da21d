"""Completions that a training run has logged, from one file or from all files of a folder.

What TRL and verl write is read as it is; see `rollout_formats` for the layouts. A run may still be writing: a last line
that is not complete, or a last file, is left out and counted.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trueward.errors import DataError
from trueward.tasks.text.formats import Record, read_records
from trueward.tasks.text.rows import Message, Prompt, Row
from trueward.tasks.text.values import shown

ENDINGS = (".parquet", ".jsonl", ".ndjson", ".json", ".jsonl.gz", ".ndjson.gz", ".json.gz")
_LINES = (".jsonl", ".ndjson")


@dataclass(frozen=True)
class LoggedCompletion:
    """One completion of a training run, with what was logged about it.

    Attributes:
        step: training step.
        prompt: the prompt as it was logged: text (often with the marks of a chat template) or messages.
        completion: text, or the messages that the policy added.
        reference: the reference answer as a short string; None where none was logged.
        rewards: reward by name; None where the reward gave no score.
        advantage: the advantage that was trained on; None where none was logged.
        gold: what is really wanted, measured beside training; None where it was not.
        length: of the completion, in tokens; None where it was not logged.
        status: what became of the score, as `trueward.status` names it; "" where it was not logged.
        group: completions of one group were drawn for one prompt at one step; "" where it was not logged.
        columns: everything else that was logged.
        where: `file:line`.
    """

    step: int
    prompt: Prompt
    completion: str | Sequence[Message]
    reference: str | None = None
    rewards: Mapping[str, float | None] = field(default_factory=dict)
    advantage: float | None = None
    gold: float | None = None
    length: int | None = None
    status: str = ""
    group: str = ""
    columns: Mapping[str, Any] = field(default_factory=dict)
    where: str = ""

    @property
    def prompt_text(self) -> str:
        """The prompt as plain text."""
        return Row("", self.prompt, None).prompt_text

    @property
    def turns(self) -> list[str]:
        """What the policy said, turn by turn; a single turn for text."""
        if isinstance(self.completion, str):
            return [self.completion]
        said = [message for message in self.completion if message.get("role", "assistant") == "assistant"]
        return [content_text(message.get("content")) for message in said]

    @property
    def text(self) -> str:
        """What the policy said last: the turn that an answer stands in."""
        turns = self.turns
        return turns[-1] if turns else ""


def content_text(content: Any) -> str:
    """The text of a message; of content in parts, the parts that are text: images are logged too."""
    if isinstance(content, list):
        return "\n".join(str(part["text"]) for part in content if isinstance(part, Mapping) and part.get("text"))
    return "" if content is None else str(content)


@dataclass(frozen=True)
class LoadedRollouts:
    """Logged completions, and how they were found.

    Attributes:
        completions: at least one, by step.
        format: "TRL completions", "verl rollouts" or "trueward rollouts".
        source: the path.
        rewards: names of the columns that hold rewards.
        notices: one sentence each, on what was left out or assumed.
    """

    completions: tuple[LoggedCompletion, ...]
    format: str
    source: str
    rewards: tuple[str, ...]
    notices: tuple[str, ...] = ()


@dataclass(frozen=True)
class RecordedFile:
    """The records of one file of a log.

    Attributes:
        path: the file.
        records: its complete records.
        metadata: what the file says of itself (Parquet only).
        torn: 1 where the last line is not complete.
    """

    path: Path
    records: Sequence[Record]
    metadata: Mapping[str, str]
    torn: int = 0


def log_files(path: Path) -> list[Path]:
    """The files of a log in the order of their numbers: `path` itself, or what a folder holds.

    An output folder of TRL is taken for the folder `completions` inside it.

    Raises:
        DataError: a folder without any such file.
    """
    if not path.is_dir():
        return [path]
    files = [file for file in path.iterdir() if file.name.lower().endswith(ENDINGS) and not file.name.startswith(".")]
    if not files and (path / "completions").is_dir():
        return log_files(path / "completions")
    if not files:
        inside = ", ".join(sorted(file.name for file in path.iterdir())[:5]) or "nothing"
        raise DataError(
            f"{path}: holds no log of completions; it holds {inside}. Expected files that end in {', '.join(ENDINGS)}: "
            "TRL writes <output_dir>/completions/ with log_completions=True, verl trainer.rollout_data_dir"
        )
    return sorted(files, key=lambda file: [int(run) if run.isdigit() else run for run in _runs(file.name)])


def _runs(name: str) -> list[str]:
    return re.findall(r"\d+|\D+", f"_{name}")  # begins with text, so that numbers meet numbers


def read_files(path: Path) -> list[RecordedFile]:
    """The records of every file of a log; what a run is still writing is left out.

    Raises:
        DataError: for whatever cannot be read; the message starts with `file:line`.
        MissingExtra: for Parquet without pyarrow.
    """
    files = log_files(path)
    read = []
    for file in files:
        if len(files) > 1 and file == files[-1] and unfinished(file):
            read.append(RecordedFile(file, (), {}, torn=1))
            continue
        limit, torn = _complete_lines(file) if file.suffix.lower() in _LINES else (None, 0)
        records = read_records(file, limit, []) if limit != 0 else []
        read.append(RecordedFile(file, records, _metadata(file), torn))
    if not any(file.records for file in read):
        raise DataError(f"{path}: holds no complete record yet; expected one for each completion")
    return read


def unfinished(file: Path) -> bool:
    """True for a Parquet file without its closing mark, and for an empty file."""
    with file.open("rb") as stream:
        size = stream.seek(0, os.SEEK_END)
        if file.suffix.lower() != ".parquet" or size < 8:
            return size == 0 or file.suffix.lower() == ".parquet"
        stream.seek(size - 4)
        return stream.read(4) != b"PAR1"


def _complete_lines(file: Path) -> tuple[int | None, int]:
    """How many records to read, and 1 where a last one is torn: it has no line end and is no JSON."""
    if not file.is_file():
        return None, 0  # whoever reads it says what is wrong
    lines, last = 0, b""
    with file.open("rb") as stream:
        for line in stream:
            lines += bool(line.strip())
            last = line
    if not last.strip() or last.endswith(b"\n"):
        return None, 0
    try:
        json.loads(last)
    except (ValueError, RecursionError):
        return lines - 1, 1
    return None, 0


def _metadata(file: Path) -> dict[str, str]:
    if file.suffix.lower() != ".parquet":
        return {}
    from pyarrow import parquet

    found = parquet.read_schema(file).metadata or {}
    return {key.decode(errors="replace"): value.decode(errors="replace") for key, value in found.items()}


def number_of(value: Any) -> float | None:
    """A finite number as a float; None for anything else, NaN and infinities included: no score."""
    if isinstance(value, bool | int | float):
        try:
            number = float(value)
        except OverflowError:
            return None
        return number if abs(number) < float("inf") else None
    return None


def lacking(where: str, columns: Sequence[str]) -> DataError:
    """The error for a layout that nobody knows."""
    has = ", ".join(shown(name) for name in columns[:20]) or "no columns"
    return DataError(
        f"{where}: is no log of completions; it has {has}. Expected prompt and completion (TRL: step, prompt, "
        "completion, rewards, advantage; Trueward: step, prompt, completion, rewards), or input, output, score (verl)"
    )
