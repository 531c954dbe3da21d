"""Layouts of logged completions: TRL's Parquet, verl's JSONL, and our own.

- TRL (`GRPOTrainer(log_completions=True)`, `<output_dir>/completions/completions_<step>.parquet`): step, prompt,
  completion, one column for each reward function by its `__name__`, columns of `log_extra`, advantage. Text or
  messages. No reference. The trainer writes its latest batch at every logging step, so a batch appears again where it
  logs more often than it generates; it counts once, under its first step.
- verl (`trainer.rollout_data_dir`, `<step>.jsonl`): input and output decoded without special tokens, gts (the
  reference), score, step, and whatever else the reward returned.
- Trueward (`write_rollouts`): step, prompt, completion, reference, rewards, gold, advantage, length, status, group. Any
  table with prompt and completion is read like this; what holds numbers is a reward then.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from trueward.errors import DataError, MissingExtra
from trueward.report.atomic import write_whole
from trueward.tasks.text.formats import Record
from trueward.tasks.text.reference import reference_of
from trueward.tasks.text.rollouts import (
    LoadedRollouts,
    LoggedCompletion,
    RecordedFile,
    content_text,
    lacking,
    number_of,
    read_files,
)
from trueward.tasks.text.rows import Prompt
from trueward.tasks.text.values import json_value, shown

METADATA = "trueward_rollouts"
_OWN = ("step", "prompt", "completion", "reference", "gold", "advantage", "length", "status", "group")


@dataclass(frozen=True)
class Layout:
    """How one engine lays out its log.

    Attributes:
        name: as the report names it.
        columns: field of `LoggedCompletion` → column. Other columns with numbers are rewards.
        rewards: the columns that hold rewards, where the layout fixes them.
    """

    name: str
    columns: Mapping[str, str]
    rewards: tuple[str, ...] = ()


_TRL = Layout("TRL completions", {name: name for name in ("step", "prompt", "completion", "advantage")})
_VERL = Layout(
    "verl rollouts",
    {"step": "step", "prompt": "input", "completion": "output", "reference": "gts"},
    rewards=("score",),
)
_TRUEWARD = Layout("trueward rollouts", {name: name for name in _OWN})


def read_rollouts(path: str | Path) -> LoadedRollouts:
    """Read the completions that a run logged.

    Args:
        path: a .parquet, .jsonl or .json file, or a folder of them (all are read, in the order of their steps).

    Raises:
        DataError: for whatever cannot be read; the message starts with `file:line`. A layout that is not known: what it
            has, and what was expected.
        MissingExtra: for Parquet without pyarrow.
    """
    loaded = rollouts_of(read_files(Path(path)), str(path))
    return replace(loaded, completions=tuple(sorted(loaded.completions, key=lambda completion: completion.step)))


def rollouts_of(files: Sequence[RecordedFile], source: str) -> LoadedRollouts:
    """The completions of some files of a log, in the order in which they were logged.

    Args:
        files: at least one of them with a record.
        source: what the log is called.

    Raises:
        DataError: as in `read_rollouts`.
    """
    filled = [file for file in files if file.records]
    layouts = [_layout(file) for file in filled]
    other = next((i for i, layout in enumerate(layouts) if layout.name != layouts[0].name), None)
    if other is not None:
        raise DataError(
            f"{filled[other].path}: holds {layouts[other].name}, and {filled[0].path.name} {layouts[0].name}; "
            "name one of them, or keep them in two folders"
        )
    rewards = _reward_columns(filled, layouts[0])
    notices = []
    repeated = 0
    if layouts[0] is _TRL:
        filled, repeated = _without_repeats(filled)
    if repeated:
        notices.append(f"{repeated:,} completions were logged again at a later step; each counts once")
    if torn := sum(file.torn for file in files):
        notices.append(f"{torn} that was still being written was left out")
    completions = tuple(_completion(record, layouts[0], rewards) for file in filled for record in file.records)
    return LoadedRollouts(completions, layouts[0].name, source, rewards, tuple(notices))


def _layout(file: RecordedFile) -> Layout:
    columns = list(dict.fromkeys(name for record in file.records[:100] for name in record.values))
    if METADATA in file.metadata:
        try:
            named = tuple(str(name) for name in json.loads(file.metadata[METADATA])["rewards"])
        except (ValueError, LookupError, TypeError):
            raise DataError(
                f"{file.path}: its metadata {METADATA} cannot be read; write it with write_rollouts"
            ) from None
        return Layout(_TRUEWARD.name, _TRUEWARD.columns, named)
    has = set(columns)
    if {"input", "output", "score"} <= has:
        return _VERL
    if not {"prompt", "completion"} <= has:
        raise lacking(file.records[0].where, columns)
    return _TRL if {"step", "advantage"} <= has and not {"reference", "gold", "group"} & has else _TRUEWARD


def _reward_columns(files: Sequence[RecordedFile], layout: Layout) -> tuple[str, ...]:
    """The columns that hold nothing but numbers or nothing, at least one number."""
    if layout.rewards:
        return layout.rewards
    numeric: dict[str, bool] = {}
    for file in files:
        for record in file.records:
            for name, value in record.values.items():
                if name in _OWN or value is None:
                    continue
                # TRL stores scores as floats; a whole number is something that a reward has logged beside its score.
                kinds = float if layout is _TRL else int | float
                numeric[name] = numeric.get(name, True) and isinstance(value, kinds)
    return tuple(name for name, kept in numeric.items() if kept)


def _without_repeats(files: Sequence[RecordedFile]) -> tuple[list[RecordedFile], int]:
    """The files without those that log the batch of the file before them again, and how many completions these hold."""
    kept: list[RecordedFile] = []
    repeated = 0
    for file in files:
        if kept and _batch(kept[-1]) == _batch(file):
            repeated += len(file.records)
        else:
            kept.append(file)
    return kept, repeated


def _batch(file: RecordedFile) -> list[dict[str, Any]]:
    """All but the step, NaN as nothing, so that a batch equals itself."""
    return [
        {name: None if value != value else value for name, value in record.values.items() if name != "step"}
        for record in file.records
    ]


def _completion(record: Record, layout: Layout, rewards: Sequence[str]) -> LoggedCompletion:
    where, values = record.where, record.values

    def get(name: str) -> Any:
        return values.get(layout.columns.get(name, ""))

    used = {*layout.columns.values(), *rewards}
    rest = {name: json_value(value, where, name) for name, value in values.items() if name not in used}
    length, group = number_of(get("length")), get("group")
    return LoggedCompletion(
        step=_step(get("step"), where),
        prompt=_prompt(get("prompt"), where, layout.columns["prompt"]),
        completion=_said(get("completion"), where, layout.columns["completion"]),
        reference=reference_of(json_value(get("reference"), where, "reference")).text,
        rewards={name: number_of(values.get(name)) for name in rewards},
        advantage=number_of(get("advantage")),
        gold=number_of(get("gold")),
        length=None if length is None else int(length),
        status=str(get("status") or ""),
        group="" if group is None else str(group),
        columns=rest,
        where=where,
    )


def _step(value: Any, where: str) -> int:
    if value is None:
        return 0
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value or int(value) != value:
        raise DataError(f"{where}: the step is {shown(value)}; expected a whole number")
    return int(value)


def _prompt(value: Any, where: str, column: str) -> Prompt:
    if isinstance(value, str):
        return value
    return [
        {"role": str(message.get("role", "user")), "content": content_text(message.get("content"))}
        for message in _messages(value, where, column)
    ]


def _said(value: Any, where: str, column: str) -> str | list[Mapping[str, Any]]:
    return value if isinstance(value, str) else _messages(value, where, column)


def _messages(value: Any, where: str, column: str) -> list[Mapping[str, Any]]:
    if not isinstance(value, list) or not all(isinstance(message, Mapping) for message in value):
        raise DataError(f"{where}: column {shown(column)} is {shown(value)}; expected text or a list of chat messages")
    return [json_value(message, where, column) for message in value]


def write_rollouts(path: str | Path, completions: Iterable[LoggedCompletion]) -> None:
    """Write completions as Parquet with our own layout, whole or not at all.

    Columns: step, prompt, completion, reference, each reward under its name, gold, advantage, length, status, group,
    then the other columns. The names of the rewards stand in the metadata `trueward_rollouts`.

    Raises:
        DataError: a reward or a column has the name of a field, or a column holds values of different types.
        MissingExtra: pyarrow is not installed.
    """
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise MissingExtra(f"{path}: writing Parquet needs pyarrow; pip install 'trueward[audit]'") from None
    rows = list(completions)
    rewards = list(dict.fromkeys(name for row in rows for name in row.rewards))
    extra = list(dict.fromkeys(name for row in rows for name in row.columns))
    taken = [name for name in (*rewards, *extra) if name in _OWN] + [name for name in rewards if name in extra]
    if taken:
        raise DataError(f"{path}: the name {shown(taken[0])} is taken; rename the reward or the column")
    fields: dict[str, Callable[[LoggedCompletion], Any]] = {name: _getter(name) for name in _OWN}
    table = {name: [get(row) for row in rows] for name, get in fields.items()}
    table |= {name: [row.rewards.get(name) for row in rows] for name in rewards}
    table |= {name: [row.columns.get(name) for row in rows] for name in extra}
    types = {"step": pyarrow.int64(), "length": pyarrow.int64()}
    types |= dict.fromkeys(("reference", "status", "group"), pyarrow.string())
    types |= dict.fromkeys(("gold", "advantage", *rewards), pyarrow.float64())
    try:
        arrays = {name: pyarrow.array(values, types.get(name)) for name, values in table.items()}
    except (pyarrow.ArrowException, UnicodeError, OverflowError) as error:
        raise DataError(f"{path}: a column cannot be written: {error}") from None
    metadata = {METADATA: json.dumps({"version": 1, "rewards": rewards})}
    buffer = io.BytesIO()
    parquet.write_table(pyarrow.table(arrays).replace_schema_metadata(metadata), buffer)
    write_whole(Path(path), buffer.getvalue())


def _getter(name: str) -> Callable[[LoggedCompletion], Any]:
    return lambda row: getattr(row, name)
