"""Carries out many runs: in this process, or in worker processes that may die.

An engine takes directories of prepared runs and yields an `Event` whenever one starts or ends. Each local worker is a
process of its own behind a pipe, and not a member of a pool such as joblib's, because such a pool ends all its members
when one is killed: here a killed worker is replaced and its run tried again, and no other run notices.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from trueward.evidence.perform import perform
from trueward.evidence.recipe import Recipe

Engine = Literal["processes", "ray", "in process"]

ATTEMPTS = 3
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


@dataclass(frozen=True)
class Event:
    """A run started, or ended.

    Attributes:
        directory: of the run.
        kind: "started", "finished" or "failed".
        error: what it failed of.
    """

    directory: Path
    kind: Literal["started", "finished", "failed"]
    error: str = ""


def ended(directory: Path, error: str | None) -> Event:
    """The event of a run that is done, or failed."""
    return Event(directory, "finished") if error is None else Event(directory, "failed", error)


def in_process(directories: Sequence[Path], recipe: Recipe) -> Generator[Event, None, None]:
    """One after the other, here. Nothing of this process is changed but its global random generators."""
    for directory in directories:
        yield Event(directory, "started")
        yield ended(directory, perform(directory, recipe))


def in_processes(directories: Sequence[Path], jobs: int) -> Generator[Event, None, None]:
    """In `jobs` worker processes of one thread each.

    A run whose worker is killed is tried again by a new worker, `ATTEMPTS` times in all. When the caller stops
    listening, the workers are killed: runs go on later from what they saved.
    """
    waiting: queue.SimpleQueue[Path] = queue.SimpleQueue()
    for directory in directories:
        waiting.put(directory)
    events: queue.SimpleQueue[Event | BaseException] = queue.SimpleQueue()
    slots = [_Slot(waiting, events) for _ in range(min(jobs, len(directories)))]
    try:
        for slot in slots:
            slot.start()
        left = len(directories)
        while left:
            event = events.get()
            if isinstance(event, BaseException):
                raise event
            left -= event.kind != "started"
            yield event
    finally:
        for slot in slots:
            slot.stop()


def environment() -> dict[str, str]:
    """Variables for a worker: this process's own, one thread, and the same modules within reach.

    One thread, because runs fill the processor side by side, and because sums must not depend on how many cores there
    are.
    """
    paths = os.pathsep.join(path or os.getcwd() for path in sys.path)
    return {**os.environ, **dict.fromkeys(_THREADS, "1"), "PYTHONPATH": paths}


class _Slot:
    """A thread that keeps one worker process and hands it run after run."""

    def __init__(self, waiting: queue.SimpleQueue[Path], events: queue.SimpleQueue[Event | BaseException]) -> None:
        self._waiting, self._events = waiting, events
        self._worker: subprocess.Popen[str] | None = None
        self._stopped = False
        self._guard = threading.Lock()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Kill the worker and end the thread."""
        with self._guard:
            self._stopped = True
            if self._worker is not None:
                self._worker.kill()
        self._thread.join()

    def _serve(self) -> None:
        try:
            while not self._stopped:
                try:
                    directory = self._waiting.get_nowait()
                except queue.Empty:
                    break
                self._events.put(Event(directory, "started"))
                self._events.put(self._run(directory))
        except BaseException as error:  # or the listener would wait for ever
            self._events.put(error)
        finally:
            self._end_worker()

    def _run(self, directory: Path) -> Event:
        died = ""
        for _ in range(ATTEMPTS):
            worker = self._living_worker()
            if worker is None:
                break
            answer = _ask(worker, directory)
            if answer.endswith("\n"):
                return ended(directory, json.loads(answer))
            died = f"its worker process ended with code {worker.wait()}"
            self._end_worker()
        return Event(directory, "failed", f"{died}, {ATTEMPTS} times")

    def _living_worker(self) -> subprocess.Popen[str] | None:
        with self._guard:
            if self._stopped:
                return None
            if self._worker is None:
                self._worker = subprocess.Popen(
                    [sys.executable, "-m", "trueward.evidence.worker"],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                    env=environment(),
                )
            return self._worker

    def _end_worker(self) -> None:
        with self._guard:
            worker, self._worker = self._worker, None
        if worker is not None:
            worker.kill()
            worker.wait()
            # Not communicate(): a child that the run left behind may still hold the other end.
            for pipe in (worker.stdin, worker.stdout):
                if pipe is not None:
                    with contextlib.suppress(OSError):
                        pipe.close()


def _ask(worker: subprocess.Popen[str], directory: Path) -> str:
    """The answer of a worker; no whole line when it died."""
    assert worker.stdin is not None and worker.stdout is not None
    try:
        worker.stdin.write(json.dumps(str(directory)) + "\n")
        worker.stdin.flush()
    except OSError:
        return ""
    return worker.stdout.readline()
