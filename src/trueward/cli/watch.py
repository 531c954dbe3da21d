"""`trueward watch`."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import tyro
from rich.console import Console
from rich.live import Live

from trueward.cli.data_options import require_folders
from trueward.errors import RewardError, TruewardError
from trueward.report.wording import duration

if TYPE_CHECKING:
    from trueward.audit.monitor.replay import Observer, Watched
    from trueward.report.watch_document import WatchDocument


_REFRESH = 0.5  # seconds after which the screen shows what has been read of a long log


@dataclass(frozen=True, kw_only=True)
class WatchCommand:
    """Follow a training run by what it logs: is its reward still earned?

    Reads the log of TRL, of verl, or of Trueward while it is written, and shows every step to the monitor once. On a
    terminal it goes on until Ctrl-C; otherwise, and with --once, it reports what is there.

    Exit code: 0 nothing was found, 1 an alarm (or what --fail-on says), 2 could not watch.
    """

    path: tyro.conf.Positional[Path]
    """Folder of the run, or its log: TRL's output folder, verl's rollout_data_dir, a run of Trueward, or one file."""

    gold: str | None = None
    """Address of a stricter check, file.py:name, asked about a few rollouts a step. Without it, gold of the log."""
    budget: int = 8
    """Rollouts of a step that are checked against gold."""
    data: Path | None = None
    """Prompts with answers, where the check needs columns that the log lacks (TRL logs no answers)."""
    reward: str | None = None
    """Column of the reward, or a sum such as 'correct + 0.5*format'; needed where the log has several."""

    once: bool = False
    """Report what is there and end."""
    until: Literal["alarm"] | None = None
    """Follow until the first alarm, or the last planned step; without a terminal too."""
    every: float = 5.0
    """Seconds between two looks."""
    fail_on: Literal["alarm", "notice", "hint"] = "alarm"
    """From which kind on the exit code is 1."""

    html: Path | None = None
    """Write one self-contained HTML page; while following, after every new step."""
    json: Path | None = None
    """Write what was seen as JSON, likewise."""


def make_monitor(gold: Any, budget: int) -> Observer:
    """The monitor that replays a log."""
    from trueward.audit.monitor.monitor import Monitor

    return Monitor(gold, budget=budget)


def run_watch(command: WatchCommand, typed: str = "") -> int:
    """Watch the run, print what was found, write the files; returns the exit code.

    Args:
        command: what to do.
        typed: the command line as it was typed, for the report.
    """
    from trueward.report.watch_terminal import render_watch

    watch = _Watch(command, typed)
    console = Console()
    if command.once or not (console.is_terminal or command.until):
        watch.look(final=True)
    elif console.is_terminal:
        watch.on_screen(console)
    else:
        watch.in_lines(console)
    document = watch.write()
    render_watch(document, console, str(command.html) if command.html else None)
    return document["exit_code"]


class _Watch:
    """A run that is followed, and what is made of it."""

    def __init__(self, command: WatchCommand, typed: str) -> None:
        self._command, self._typed = command, typed
        require_folders(command.html, command.json)
        for name, value in (("--budget", command.budget), ("--every", command.every)):
            if not value > 0:
                raise TruewardError(f"{name} {value}: expected more than 0")
        self._watched = self._start()
        self._last_news = time.monotonic()

    def _start(self) -> Watched:
        from trueward.audit.monitor.replay import watched
        from trueward.tasks.text.data import load_rows

        command = self._command
        if command.data is not None and command.gold is None:
            raise TruewardError(f"--data {command.data}: only a check needs it; name one with --gold")
        rows = () if command.data is None else load_rows(command.data).rows
        return watched(
            command.path,
            lambda gold: make_monitor(gold, command.budget),
            reward=command.reward,
            gold=command.gold,
            rows=rows,
        )

    def look(self, *, final: bool = False, seconds: float | None = None) -> bool:
        """Read what is new, for about so many seconds; returns whether there was anything."""
        from trueward.audit.monitor.replay import Replay, written_by

        command = self._command
        own = command.gold is None and command.reward is None and written_by(command.path) is not None
        if own and isinstance(self._watched, Replay):
            self._watched = self._start()  # the run's own monitor has begun to write
        try:
            news = self._watched.advance(final=final, seconds=seconds)
        except RewardError as error:
            if command.gold is None or command.data is not None:
                raise
            raise RewardError(f"{error} What the log lacks is read from --data FILE, prompts with answers.") from None
        if news:
            self._last_news = time.monotonic()
        return news

    def document(self) -> WatchDocument:
        """What was seen so far."""
        from trueward.audit.monitor.watched_document import document_of_watched

        command = self._command
        return document_of_watched(
            self._watched,
            command.path,
            gold=command.gold or "",
            budget=command.budget,
            fail_on=command.fail_on,
            command=self._typed,
        )

    def write(self) -> WatchDocument:
        """The files that were asked for."""
        document = self.document()
        if self._command.json is not None:
            from trueward.report.json_file import write_json

            write_json(document, self._command.json)
        if self._command.html is not None:
            from trueward.report.watch_html import write_watch_html

            write_watch_html(document, self._command.html)
        return document

    def on_screen(self, console: Console) -> None:
        """Follow on a terminal until Ctrl-C, or what `--until` says."""
        from trueward.report.watch_terminal import dashboard

        document = self.document()
        waited = "reading what is there"
        with Live(console=console, screen=True, auto_refresh=False) as live:
            try:
                while True:
                    live.update(dashboard(document, console, waited), refresh=True)
                    if self.look(seconds=_REFRESH):
                        document = self.write()
                    if self._ended(document):
                        return
                    if not self._watched.unfinished:
                        waited = f"the last step came {duration(round(time.monotonic() - self._last_news))} ago"
                        live.update(dashboard(document, console, waited), refresh=True)
                        time.sleep(self._command.every)
            except KeyboardInterrupt:
                return

    def in_lines(self, console: Console) -> None:
        """Follow without a terminal: every notice as one line, until what `--until` says."""
        from trueward.report.watch_terminal import notice_line

        told: set[str] = set()
        try:
            while True:
                if self.look():
                    document = self.write()
                    lines = [notice_line(notice) for notice in document["notices"]]
                    for words in lines:
                        if words.plain not in told:
                            console.print(words, soft_wrap=True)
                    told |= {words.plain for words in lines}
                    if self._ended(document):
                        return
                time.sleep(self._command.every)
        except KeyboardInterrupt:
            return

    def _ended(self, document: WatchDocument) -> bool:
        if self._command.until is None or not document["steps"]:
            return False
        planned = document["steps_planned"]
        return document["state"] == "alarm" or (planned is not None and document["steps"][-1] >= planned)
