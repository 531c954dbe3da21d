"""A run seen from its files: its logged steps shown to a monitor, or what its own monitor wrote down.

Both give the same: numbers by step and notices, growing with every `advance`.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from trueward.audit.monitor.growing_log import Batch, GrowingLines, GrowingLog, nothing_yet, require_there, run_folder
from trueward.audit.monitor.logged_steps import Paid, paid_of, step_from
from trueward.audit.monitor.monitor import FILE
from trueward.audit.monitor.notice import Notice
from trueward.audit.monitor.step import Step
from trueward.errors import DataError
from trueward.report.watch_document import Probe
from trueward.tasks.text.rollout_rows import rows_of
from trueward.tasks.text.rollouts import LoggedCompletion, number_of
from trueward.tasks.text.rows import Row

LOGGED_GOLD = "gold"  # series: mean of the gold that the run logged of all its rollouts


class Observer(Protocol):
    """What looks at the steps: `monitor.Monitor`."""

    @property
    def notices(self) -> Sequence[Notice]:
        """All so far."""
        ...

    def observe(self, step: Step) -> Mapping[str, float]:
        """Look at the next step; returns numbers to show."""
        ...


MakeObserver = Callable[[Any], Observer]
"""Gold (None for none) → an observer."""


class Seen:
    """Numbers by step: a name that appears late has None before."""

    def __init__(self) -> None:
        self.steps: list[int] = []
        self.series: dict[str, list[float | None]] = {}

    def add(self, step: int, numbers: Mapping[str, Any]) -> None:
        """The numbers of a step; those of later steps are dropped, because a resumed run does them again."""
        self.cut(step - 1)
        for name in numbers:
            self.series.setdefault(name, [None] * len(self.steps))
        self.steps.append(step)
        for name, values in self.series.items():
            values.append(number_of(numbers.get(name)))

    def cut(self, last: int) -> None:
        """Drop what is later than a step."""
        while self.steps and self.steps[-1] > last:
            self.steps.pop()
            for values in self.series.values():
                values.pop()


class Replay:
    """The logged steps of a run, each shown once to a monitor, in order.

    Gold is what was given; where nothing was, the gold that the log holds, of which the probe then sees only the rows
    that it picks.

    Args:
        path: what `GrowingLog` reads.
        make: makes the monitor, once it is known what gold there is.
        reward: see `paid_of`.
        gold: a check; None for none.
        rows: the data of the run, where the check needs columns that the log lacks.
    """

    def __init__(
        self, path: Path, make: MakeObserver, *, reward: str | None = None, gold: Any = None, rows: Sequence[Row] = ()
    ) -> None:
        self._log = GrowingLog(path)
        self._make, self._wanted, self._rows = make, reward, rows
        # A check that cannot be found is an error before the first step, not after it.
        self._observer: Observer | None = make(gold) if gold is not None else None
        self._paid: Paid | None = None
        self._beside = _Beside(run_folder(path))
        self._looking: Iterator[Batch] | None = None
        self.probe: Probe = "none" if gold is None else "asked"
        self.seen = Seen()

    @property
    def unfinished(self) -> bool:
        """Whether the last `advance` stopped before everything was shown."""
        return self._looking is not None

    @property
    def format(self) -> str:
        """Whose log it is; "" before the first step."""
        return self._log.format

    @property
    def reward(self) -> str:
        """Which columns are the reward; "" before the first step."""
        return self._paid.name if self._paid else ""

    @property
    def completions(self) -> int | None:
        """How many were seen."""
        return self._log.completions

    @property
    def notices(self) -> Sequence[Notice]:
        """All that was found so far."""
        return self._observer.notices if self._observer else []

    @property
    def remarks(self) -> list[str]:
        """What was left out, one sentence each."""
        return self._log.remarks

    def advance(self, *, final: bool = False, seconds: float | None = None) -> bool:
        """Show the monitor what is new; returns whether there was anything.

        Args:
            final: take what is there for whole, because nobody will look again.
            seconds: after so many it stops between two files; `unfinished` then says so, and the next call goes on.

        Raises:
            DataError: the log cannot be read, or (with `final`) there is none.
            TruewardError: what the check raises.
        """
        news = False
        end = math.inf if seconds is None else time.monotonic() + seconds
        looking = self._looking or self._log.look(final=final)
        self._looking = None
        for batch in looking:
            news = True
            if self._paid is None:
                self._start([completion for _, completions in batch for completion in completions])
            for number, completions in batch:
                self._show(number, completions)
            if time.monotonic() >= end:
                self._looking = looking
                return True
        if final and not self.seen.steps:
            raise nothing_yet(self._log.path)
        return news

    def _start(self, completions: Sequence[LoggedCompletion]) -> None:
        """What the log has is known from the first completions."""
        self._paid = paid_of(self._log.rewards, completions, self._wanted, str(self._log.path))
        if self._observer is None:
            logged = any(completion.gold is not None for completion in completions)
            self.probe = "logged" if logged else "none"
            self._observer = self._make(logged_gold if logged else None)

    def _show(self, number: int, completions: Sequence[LoggedCompletion]) -> None:
        assert self._observer is not None and self._paid is not None
        rows = rows_of(completions, self._rows) if self.probe == "asked" else ()
        metrics = dict(self._observer.observe(step_from(number, completions, self._paid, rows)))
        golds = [completion.gold for completion in completions if completion.gold is not None]
        if golds:
            metrics.setdefault(LOGGED_GOLD, float(np.mean(golds)))
        self.seen.add(number, {**self._beside.at(number), **metrics})


class Written:
    """What the monitor of a run wrote down while it trained: shown as it is.

    Args:
        file: its `monitor.jsonl`.
    """

    format = FILE
    reward = ""
    completions: int | None = None
    unfinished = False

    def __init__(self, file: Path) -> None:
        self._lines = GrowingLines(file)
        self._beside = _Beside(file.parent)
        self._found: list[Notice] = []
        self.probe: Probe = "none"
        self.seen = Seen()
        self.remarks: list[str] = []

    @property
    def notices(self) -> Sequence[Notice]:
        """All that was found so far."""
        return self._found

    def advance(self, *, final: bool = False, seconds: float | None = None) -> bool:
        """Read what is new; returns whether there was anything.

        Raises:
            DataError: a line is no line of a monitor, or (with `final`) there is none.
        """
        records, anew = self._lines.read()
        if anew:
            self.seen, self._found = Seen(), []
        for record in records:
            try:
                step, metrics = int(record.values["step"]), dict(record.values["metrics"])
                notices = [Notice.from_json(values) for values in record.values["notices"]]
            except (KeyError, TypeError, ValueError):
                raise DataError(
                    f'{record.where}: is no line of a monitor; expected {{"step": …, "metrics": {{…}}, "notices": […]}}'
                ) from None
            self._found = [notice for notice in self._found if notice.step < step] + notices
            self.seen.add(step, {**self._beside.at(step), **metrics})
            if any(name.startswith("probe/") for name in metrics):
                self.probe = "run"
        if final and not self.seen.steps:
            raise DataError(f"{self._lines.path}: holds no whole line yet")
        return bool(records) or anew


Watched = Replay | Written


def watched(
    path: Path,
    make: MakeObserver,
    *,
    reward: str | None = None,
    gold: Any = None,
    rows: Sequence[Row] = (),
) -> Watched:
    """What the run wrote down itself where it did and no other check or reward is asked for; else its log, replayed.

    Raises:
        DataError: there is no such path, or it only holds folders of runs.
    """
    require_there(path)
    file = written_by(path) if path.name == FILE or (reward is None and gold is None) else None
    return Replay(path, make, reward=reward, gold=gold, rows=rows) if file is None else Written(file)


def written_by(path: Path) -> Path | None:
    """What the monitor of a run writes, where there is any; None for a single file of completions."""
    file = path if path.name == FILE else run_folder(path) / FILE
    return file if file.is_file() and (path == file or path.is_dir()) else None


def logged_gold(prompts: Sequence[Any], completions: Sequence[Any], gold: Sequence[Any], **_: Any) -> list[Any]:
    """The check that looks up what the run logged, in TRL's convention."""
    return list(gold)


def planned_steps(path: Path) -> int | None:
    """How many steps a run shall have, by our `run.json` or TRL's newest `trainer_state.json`; None: not known."""
    folder = run_folder(path)
    settings = _json_of(folder / "run.json").get("settings")
    if isinstance(settings, Mapping) and isinstance(settings.get("train.steps"), int):
        return int(settings["train.steps"])
    states = sorted(folder.glob("checkpoint-*/trainer_state.json"), key=lambda file: file.stat().st_mtime)
    planned = _json_of(states[-1]).get("max_steps") if states else None
    return planned if isinstance(planned, int) and planned > 0 else None


class _Beside:
    """Numbers that our own loop logs in `metrics.jsonl` and that no log of completions holds: the entropy."""

    def __init__(self, folder: Path) -> None:
        self._lines = GrowingLines(folder / "metrics.jsonl")
        self._entropy: dict[int, float] = {}

    def at(self, step: int) -> dict[str, float]:
        """What is known of a step."""
        if step not in self._entropy:
            for record in self._lines.read()[0]:
                entropy, at = record.values.get("train/entropy_estimate"), record.values.get("step")
                if isinstance(at, int) and isinstance(entropy, int | float):
                    self._entropy[at] = float(entropy)
        return {"entropy": self._entropy[step]} if step in self._entropy else {}


def _json_of(file: Path) -> Mapping[str, Any]:
    """A JSON object; {} where there is none that can be read: a run may be writing it."""
    try:
        found = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
