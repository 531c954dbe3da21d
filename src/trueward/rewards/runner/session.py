"""One `run` of a pool: a team of workers, the calls that wait, and those that are done.

One loop in the calling thread watches every worker. A worker gets a few calls ahead, but the clock of a call starts
when it is its turn; when a worker has to be killed, the calls that it had not begun go back.
"""

from __future__ import annotations

import json
import selectors
import subprocess
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from trueward.errors import RewardError, WorkerError
from trueward.rewards.address import shown
from trueward.rewards.runner.process import Process, Sent
from trueward.rewards.runner.types import Item, Outcome
from trueward.status import Status

_AHEAD = 16
_LARGEST_AHEAD = 20_000
_WATCH_MEMORY = 0.02
_HEARTBEAT = 0.5
_SETTLE = 0.1  # seconds between the end of a process's pipe and its exit code
_NEEDS_FRESH = (Status.TIMED_OUT, Status.CRASHED, Status.OUT_OF_MEMORY)


class Keeper(Protocol):
    """What a session needs from its pool: the limits, and workers in place of those it kills."""

    workers: int
    deadline: float
    memory_mb: float
    budget: float | None
    start_limit: float

    @property
    def slowest(self) -> list[tuple[float, str]]:
        """The slowest calls so far."""

    def replace(self, process: Process) -> Process:
        """Kill a worker and give back another."""

    def warm_spare(self, address: str) -> None:
        """Let the spare load a reward."""

    def remember(self, seconds: float, rows: Sequence[Item]) -> None:
        """Keep a call if it is among the slowest."""

    def tell(self, done: int, total: int) -> None:
        """Report progress."""


@dataclass(eq=False)
class Job:
    """One call, until it has its outcome."""

    index: int
    rows: Sequence[Item]
    alone: bool = False
    first: list[Outcome] | None = None
    size: int = field(init=False)

    def __post_init__(self) -> None:
        self.size = sum(len(str(item.completion)) for item in self.rows)


class Session:
    """One `run`: a team of workers, the calls that wait, and those that are done."""

    def __init__(
        self, pool: Keeper, address: str, team: list[Process], calls: Sequence[Sequence[Item]], retry: bool
    ) -> None:
        self.pool, self.address, self.team, self.retry = pool, address, team, retry
        self.waiting = deque(Job(index, rows) for index, rows in enumerate(calls))
        self.again: deque[Job] = deque()
        self.outcomes: list[list[Outcome] | None] = [None] * len(calls)
        self.left = len(calls)
        self.selector = selectors.DefaultSelector()
        self.watched = time.monotonic()
        self.told = time.monotonic()
        rows = sum(max(1, len(call)) for call in calls)
        default = 2 * rows * pool.deadline / pool.workers + 2 * pool.start_limit
        self.ends = time.monotonic() + (pool.budget if pool.budget is not None else default)

    def finish(self) -> list[list[Outcome]]:
        """Until every call has its outcome."""
        try:
            for process in self.team:
                self._watch(process)
            while self.left:
                self._dispatch()
                self._wait()
                self._enforce()
                self._tell()
            return [rows for rows in self.outcomes if rows is not None]
        finally:
            self.selector.close()

    def _watch(self, process: Process) -> None:
        self.selector.register(process.from_child, selectors.EVENT_READ, process)

    def _dispatch(self) -> None:
        """Give every worker that can take one its next calls."""
        for process in list(self.team):
            if process.loading or not process.ready:
                continue
            if self.address not in process.loaded:
                process.loading = (self.address, time.monotonic())
                process.post({"load": self.address})
                self.pool.warm_spare(self.address)
                continue
            self._fill(process)
        idle = not self.waiting and not any(process.sent for process in self.team)
        if self.again and idle and all(process.used for process in self.team):
            # Nobody unused is left for a repeat: make somebody.
            self._swap(self.team[0])

    def _fill(self, process: Process) -> None:
        if self.again and not process.used and not process.sent:
            self._send(process, self.again.popleft())
            return
        ahead = sum(sent.job.size for sent in process.sent)
        while self.waiting and len(process.sent) < _AHEAD and not any(sent.job.alone for sent in process.sent):
            if process.sent and ahead + self.waiting[0].size > _LARGEST_AHEAD:
                return
            job = self.waiting.popleft()
            ahead += job.size
            self._send(process, job)

    def _send(self, process: Process, job: Job) -> None:
        now = time.monotonic()
        process.sent.append(Sent(job, None if process.sent else now))
        process.used = True
        rows = [[item.prompt, item.completion, item.columns] for item in job.rows]
        try:
            process.post({"call": job.index, "address": self.address, "rows": rows})
            process.sent[-1].end = process.posted
        except (TypeError, ValueError, RecursionError) as error:
            process.sent.pop()
            raise RewardError(_unsendable(job.rows, error)) from error

    def _wait(self) -> None:
        """Until something comes, a deadline passes, or memory has to be looked at."""
        now = time.monotonic()
        until = [sent.since + self._limit(sent.job) for p in self.team for sent in p.sent if sent.since is not None]
        pause = min([*until, now + _WATCH_MEMORY, self.ends]) - now
        for process in self.team:
            process.flush()
        for key, _ in self.selector.select(max(0.0, min(pause, 0.002 if self._writing() else pause))):
            process = key.data
            messages = process.receive()
            if messages is None:
                self._ended(process)
                continue
            for message in messages:
                self._read(process, message)

    def _limit(self, job: Job) -> float:
        """Seconds that a call may take: the deadline, once for each of its rows."""
        return self.pool.deadline * max(1, len(job.rows))

    def _writing(self) -> bool:
        return any(process.wants_to_write for process in self.team)

    def _read(self, process: Process, message: dict[str, Any]) -> None:
        if "ready" in message:
            process.ready = True
        elif "loaded" in message:
            process.loaded.add(message["loaded"])
            process.loading = None
        elif "failed" in message:
            process.loading = None
            # A spare may have been told to load the reward of an earlier run.
            if message["failed"] == self.address:
                raise RewardError(str(message["error"]).replace(self.address, shown(self.address)))
        elif process.sent and message["done"] == process.sent[0].job.index:
            self._done(process, message)

    def _done(self, process: Process, message: dict[str, Any]) -> None:
        now = time.monotonic()
        sent = process.sent.popleft()
        if process.sent:
            process.sent[0].since = now
        assert sent.since is not None
        outcomes = [
            Outcome(value, Status(status), detail, now - sent.since, 1, process.number, tuple(message["effects"]))
            for value, status, detail in message["rows"]
        ]
        if outcomes and outcomes[0].status is Status.CRASHED:
            # sys.exit ends a reward, not the worker that keeps it from doing so; it is repeated like a crash.
            self._failed(sent.job, outcomes)
        elif any(outcome.status is Status.RAISED for outcome in outcomes):
            self._failed(sent.job, outcomes)
        else:
            self._settle(sent.job, outcomes)

    def _ended(self, process: Process) -> None:
        """A worker closed its end: it crashed, exited, was killed, or a reward closed what is not its own."""
        try:
            how = f"ended (exit code {process.popen.wait(timeout=_SETTLE)})"
        except subprocess.TimeoutExpired:
            how = "closed its connection"
        if not process.ready or process.loading:
            what = f"load {shown(self.address)}" if process.loading else "start"
            process.kill()
            raise WorkerError(f"a worker {how} before it could {what}")
        self._overstepped(process, Status.CRASHED, f"the worker process {how}")

    def _enforce(self) -> None:
        now = time.monotonic()
        if now > self.ends:
            self._out_of_budget()
        look = now - self.watched >= _WATCH_MEMORY
        if look:
            self.watched = now
        for process in list(self.team):
            if process.sent and process.sent[0].since is not None:
                if process.written < process.sent[0].end:
                    process.sent[0].since = now
                running = now - process.sent[0].since
                limit = self._limit(process.sent[0].job)
                if running >= limit:
                    self._overstepped(process, Status.TIMED_OUT, f"no result within {limit:g} s")
                elif look and running > _WATCH_MEMORY / 2 and process.resident_mb() > self.pool.memory_mb:
                    detail = f"more than {self.pool.memory_mb:g} MiB of resident memory"
                    self._overstepped(process, Status.OUT_OF_MEMORY, detail)
            since = process.loading[1] if process.loading else None if process.ready else process.started
            if since is not None and now - since > self.pool.start_limit:
                what = f"load {shown(self.address)}" if process.loading else "start"
                process.kill()
                raise WorkerError(f"a worker did not {what} within {self.pool.start_limit:g} s")

    def _overstepped(self, process: Process, status: Status, detail: str) -> None:
        """Replace a worker; blame the call that it was scoring, and send the others back."""
        sent = list(process.sent)
        process.sent.clear()
        number = process.number
        self._swap(process)
        self.waiting.extendleft(entry.job for entry in reversed(sent[1:]))
        if sent:
            seconds = time.monotonic() - (sent[0].since or time.monotonic())
            self._failed(sent[0].job, [Outcome(None, status, detail, seconds, 1, number)] * len(sent[0].job.rows))

    def _swap(self, process: Process) -> None:
        self.selector.unregister(process.from_child)
        other = self.pool.replace(process)
        self.team[self.team.index(process)] = other
        self._watch(other)
        self.pool.warm_spare(self.address)

    def _failed(self, job: Job, outcomes: list[Outcome]) -> None:
        if job.first is not None:
            self._settle(job, [_joined(a, b) for a, b in zip(job.first, outcomes, strict=True)])
        elif not self.retry:
            self._settle(job, outcomes)
        else:
            fresh = any(outcome.status in _NEEDS_FRESH for outcome in outcomes)
            repeat = Job(job.index, job.rows, alone=fresh, first=outcomes)
            (self.again if fresh else self.waiting).append(repeat)

    def _settle(self, job: Job, outcomes: list[Outcome]) -> None:
        if job.first is not None and outcomes and outcomes[0].attempts == 1:
            outcomes = [replace(outcome, attempts=2) for outcome in outcomes]
        self.outcomes[job.index] = outcomes
        self.left -= 1
        if outcomes:
            self.pool.remember(outcomes[0].seconds, job.rows)

    def _tell(self) -> None:
        now = time.monotonic()
        if now - self.told >= _HEARTBEAT or not self.left:
            self.told = now
            self.pool.tell(len(self.outcomes) - self.left, len(self.outcomes))

    def _out_of_budget(self) -> None:
        done = len(self.outcomes) - self.left
        lost = Outcome(None, Status.UNAVAILABLE, "the budget of the call ended before its turn")
        sizes = {job.index: len(job.rows) for job in (*self.waiting, *self.again)}
        sizes |= {sent.job.index: len(sent.job.rows) for process in self.team for sent in process.sent}
        slow = ", ".join(f"{seconds:.2f} s for {text!r}" for seconds, text in self.pool.slowest[:3])
        error = WorkerError(
            f"the budget ended: {done} of {len(self.outcomes)} calls were scored, {self.left} were not. "
            f"Slowest: {slow or 'none finished'}. Raise the budget, lower the deadline, or add workers."
        )
        error.outcomes = [  # type: ignore[attr-defined]
            [lost] * sizes[index] if rows is None else rows for index, rows in enumerate(self.outcomes)
        ]
        raise error


def _joined(first: Outcome, second: Outcome) -> Outcome:
    """The outcome of two attempts that both failed."""
    if first.status is second.status:
        return replace(second, attempts=2)
    detail = f"first {first.status.value} ({first.detail}), then {second.status.value} ({second.detail})"
    return replace(second, value=None, status=Status.UNAVAILABLE, detail=detail, attempts=2)


def _unsendable(rows: Sequence[Item], error: Exception) -> str:
    for item in rows:
        for name, value in {"prompt": item.prompt, "completion": item.completion, **item.columns}.items():
            try:
                json.dumps(value)
            except (TypeError, ValueError, RecursionError):
                return (
                    f"column {name!r} holds a {type(value).__name__}, which cannot be sent to a worker ({error}). Rows "
                    "must hold JSON values: numbers, text, lists, objects, null. Convert or drop the column."
                )
    return f"a row cannot be sent to a worker process: {error}"
