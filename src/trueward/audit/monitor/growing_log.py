"""A log of completions that is still being written: what is new in it since the last look, step by step.

Nothing is read twice: of a JSON Lines file only what stands behind the last whole line that was read, of any other
file nothing as long as its size and its time stay what they were. What is not whole yet waits for the next look.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from trueward.errors import DataError
from trueward.tasks.text.formats import Record, records_of_lines
from trueward.tasks.text.rollout_formats import rollouts_of
from trueward.tasks.text.rollouts import (
    ENDINGS,
    LoggedCompletion,
    RecordedFile,
    log_files,
    read_files,
    unfinished,
)
from trueward.tasks.text.values import shown

LINES = (".jsonl", ".ndjson")
# Folder inside a run's folder → who writes it.
_INSIDE = {"rollouts": "trueward run", "completions": "TRL, with log_completions=True"}
# What the folder of a run holds that is no log of completions.
_BESIDE = ("monitor.jsonl", "metrics.jsonl", "seconds.jsonl", "run.json", "result.json")
_KEPT = 64  # bytes before the place where reading goes on, to see whether the file is still the one that was read
_DEEPEST = 4  # folders below the one that was given in which other runs are looked for
_MOST_NAMED = 5

Batch = list[tuple[int, list[LoggedCompletion]]]
"""Some steps, each with its completions."""


class GrowingLines:
    """A JSON Lines file that others append to: every whole line once.

    A file that was cut or written anew is read again from its beginning.

    Args:
        path: the file; it need not exist yet.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._offset = self._line = 0
        self._before = b""

    def read(self) -> tuple[list[Record], bool]:
        """The records that are new, and whether the file began anew, so that what was read before is void.

        Raises:
            DataError: a line is no JSON object; the message starts with `file:line`.
        """
        anew = False
        try:
            with self.path.open("rb") as stream:
                stream.seek(self._offset - len(self._before))
                if stream.read(len(self._before)) != self._before:
                    anew = True
                    self._offset, self._line, self._before = 0, 0, b""
                    stream.seek(0)
                raw = stream.read()
        except OSError as error:
            if isinstance(error, FileNotFoundError):
                return [], False
            raise DataError(f"{self.path}: cannot be read: {error.strerror or error}") from None
        end = raw.rfind(b"\n") + 1
        if _is_object(raw[end:]):
            end = len(raw)  # a last line without its line end
        new = raw[:end]
        records = records_of_lines(new, self.path, self._line + 1, self._offset)
        self._offset += len(new)
        self._line += new.count(b"\n")
        self._before = (self._before + new)[-_KEPT:]
        return records, anew


@dataclass
class _Pending:
    """Completions whose step is not known to be whole, by step; and which steps were already handed on."""

    steps: dict[int, list[LoggedCompletion]] = field(default_factory=dict)
    handed_on: int | None = None
    again: dict[int, int] = field(default_factory=dict)

    def add(self, completions: Iterable[LoggedCompletion]) -> None:
        for completion in completions:
            if self.handed_on is not None and completion.step <= self.handed_on:
                self.again[completion.step] = self.again.get(completion.step, 0) + 1
            else:
                self.steps.setdefault(completion.step, []).append(completion)

    def before(self, completions: Sequence[LoggedCompletion]) -> bool:
        """Whether all that waits is of earlier steps than these: files of one step each, not one file per process."""
        return bool(self.steps) and max(self.steps) < min(completion.step for completion in completions)

    def whole(self, *, last: bool) -> Batch:
        """The steps that are whole, in order: all but the highest, and that one with `last`."""
        numbers = sorted(self.steps)
        if not last:
            numbers = numbers[:-1]
        if numbers:
            self.handed_on = numbers[-1]
        return [(number, self.steps.pop(number)) for number in numbers]


class GrowingLog:
    """The completions of a run, step by step, each once, while it goes on.

    A step is handed on when a later one was logged, when the file that holds it is written in one go (Parquet), or
    when a look finds nothing new in it. A step that comes again later (a run that was resumed repeats some) is not
    handed on a second time.

    Args:
        path: a file, a folder of them, or the folder of a run.

    Attributes:
        format: "TRL completions", "verl rollouts" or "trueward rollouts"; "" before the first completion.
        rewards: names of the columns that hold rewards.
        completions: how many were handed on.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.format = ""
        self.rewards: tuple[str, ...] = ()
        self.completions = 0
        self._read: dict[Path, tuple[int, int]] = {}
        self._lines: dict[Path, GrowingLines] = {}
        self._last: RecordedFile | None = None
        self._pending = _Pending()
        self._repeated = 0

    def look(self, *, final: bool = False) -> Iterator[Batch]:
        """The steps that have become whole since the last look, in order, file by file, so that no more is held.

        Args:
            final: take what is there for whole, because nobody will look again.

        Raises:
            DataError: there is no such file or folder, a file cannot be read, or holds another layout than the others.
            MissingExtra: for Parquet without pyarrow.
        """
        require_there(self.path)
        first = self._pending.handed_on is None
        whole = True
        for file in self._files():
            lines = file.suffix.lower() in LINES
            read = self._new_lines(file) if lines else self._new_file(file)
            if read is None or not read.records:
                continue
            completions = self._completions_of(read)
            if completions and self._pending.before(completions):
                yield from self._hand_on(last=True)
            self._pending.add(completions)
            whole = not lines
            if whole:
                yield from self._hand_on(last=True)
        yield from self._hand_on(last=final or whole)
        if final and first and self._pending.handed_on == 0:
            raise DataError(
                f"{self.path}: no completion has a step, so nothing can be followed; expected a column step with the "
                "number of the training step"
            )

    @property
    def remarks(self) -> list[str]:
        """What was left out, one sentence each."""
        said = []
        if self._repeated:
            said.append(f"{self._repeated:,} completions were logged again at a later step; each counts once")
        if again := self._pending.again:
            first, last = min(again), max(again)
            steps = f"step {first:,}" if first == last else f"steps {first:,} to {last:,}"
            said.append(
                f"{sum(again.values()):,} completions of {steps} came when that step had been seen, as after a resume; "
                "what came first counts"
            )
        return said

    def _hand_on(self, *, last: bool) -> Iterator[Batch]:
        batch = self._pending.whole(last=last)
        self.completions += sum(len(completions) for _, completions in batch)
        if batch:
            yield batch

    def _files(self) -> list[Path]:
        folder = log_folder(self.path)
        if not folder.is_dir():
            return [folder]
        try:
            files = log_files(folder)
        except DataError:
            return []  # nothing is logged yet
        return [file for file in files if file.name not in _BESIDE]

    def _new_lines(self, file: Path) -> RecordedFile | None:
        reader = self._lines.setdefault(file, GrowingLines(file))
        records, _ = reader.read()
        return RecordedFile(file, records, {}) if records else None

    def _new_file(self, file: Path) -> RecordedFile | None:
        try:
            state = file.stat()
        except FileNotFoundError:
            return None  # it was there a moment ago
        mark = (state.st_size, state.st_mtime_ns)
        if self._read.get(file) == mark or unfinished(file):
            return None
        [read] = read_files(file)
        self._read[file] = mark
        return read

    def _completions_of(self, file: RecordedFile) -> Sequence[LoggedCompletion]:
        """The completions of a file, or of its new lines; TRL's repeat of the batch before is left out."""
        before = [self._last] if self._last is not None else []
        loaded = rollouts_of([*before, file], str(self.path))
        self._last = file if loaded.format.startswith("TRL") else None
        if self.format and loaded.format != self.format:
            raise DataError(
                f"{file.path}: holds {loaded.format}, and what came before {self.format}; watch one of them, or "
                "keep them in two folders"
            )
        self.format = loaded.format
        self.rewards = tuple(dict.fromkeys((*self.rewards, *loaded.rewards)))
        new = loaded.completions[len(before[0].records) if before else 0 :]
        self._repeated += len(file.records) - len(new)
        return new


def require_there(path: Path) -> None:
    """Raises `DataError` for a path that does not exist, or a folder in which no run can be found."""
    if not path.exists():
        raise DataError(f"{path}: there is no such file or folder; expected the folder of a run, or one of its logs")
    if path.is_file() and not path.name.lower().endswith(ENDINGS):
        raise DataError(f"{path}: the ending {shown(path.suffix)} is not known; expected {', '.join(ENDINGS)}")
    if path.is_dir() and (runs := _runs_below(path)):
        named = ", ".join(str(run) for run in runs[:_MOST_NAMED])
        more = f" and {len(runs) - _MOST_NAMED} more" if len(runs) > _MOST_NAMED else ""
        raise DataError(f"{path}: is no run itself; name one of those below it: {named}{more}")


def log_folder(path: Path) -> Path:
    """Where the completions of a run are: `path`, or the folder inside it that a trainer writes them to."""
    if path.is_dir():
        for name in _INSIDE:
            if (path / name).is_dir():
                return path / name
    return path


def run_folder(path: Path) -> Path:
    """The folder of the run that a log belongs to."""
    folder = path if path.is_dir() else path.parent
    return folder.parent if folder.name in _INSIDE else folder


def nothing_yet(path: Path) -> DataError:
    """The error for a folder in which nothing has been logged."""
    folder = log_folder(path)
    if not folder.is_dir():
        return DataError(f"{path}: holds no whole record yet; expected one for each completion")
    inside = ", ".join(sorted(file.name for file in folder.iterdir())[:_MOST_NAMED]) or "nothing"
    return DataError(
        f"{path}: holds no log of completions; it holds {inside}. TRL writes <output_dir>/completions/ with "
        "log_completions=True, verl what trainer.rollout_data_dir names, and trueward run rollouts/"
    )


def _runs_below(path: Path) -> list[Path]:
    """Folders of runs below one that holds no log itself."""
    if log_folder(path) != path or any(file.suffix.lower() in (*LINES, ".parquet") for file in path.iterdir()):
        return []
    found: list[Path] = []
    level = [path]
    for _ in range(_DEEPEST):
        level = [folder for above in level for folder in sorted(above.iterdir()) if folder.is_dir()]
        found += [folder.parent for folder in level if folder.name in _INSIDE]
        level = [folder for folder in level if folder.name not in _INSIDE]
    return list(dict.fromkeys(found))


def _is_object(raw: bytes) -> bool:
    """Whether a last line without its end is a whole JSON object all the same."""
    if not raw.strip():
        return False
    try:
        return isinstance(json.loads(raw), dict)
    except (ValueError, RecursionError):
        return False
