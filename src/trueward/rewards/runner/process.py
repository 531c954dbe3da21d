"""One worker process, seen from its parent."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any

import psutil

from trueward.errors import WorkerError
from trueward.rewards.runner.wire import Reader, encode, read_some

_MEBIBYTE = 1 << 20


@dataclass
class Sent:
    """A call that a worker has been sent.

    Attributes:
        job: which one.
        since: when it reached the head of the worker's queue (monotonic seconds); None while others are before it.
        end: how many bytes the worker must have been sent to have all of it: what the pipe takes is not the answer's
            time.
    """

    job: Any
    since: float | None = None
    end: int = 0


@dataclass
class Process:
    """A worker process with its pipes.

    Attributes:
        number: counts the workers of a pool, from 0.
        loader: `module:function` that turns an address into a leaf reward.
        used: whether it has scored anything.
        ready: whether the interpreter is up.
        loaded: addresses that are loaded.
        loading: address being loaded, and since when.
        sent: calls it has been sent, the one being scored first.
    """

    number: int
    loader: str
    used: bool = False
    ready: bool = False
    loaded: set[str] = field(default_factory=set)
    loading: tuple[str, float] | None = None
    sent: deque[Sent] = field(default_factory=deque)

    def __post_init__(self) -> None:
        """Starts the process, in a session of its own so that whatever it leaves behind can be killed with it."""
        child_in, self.to_child = os.pipe()
        self.from_child, child_out = os.pipe()
        child_life, self._life = os.pipe()
        self.started = time.monotonic()
        self._reader = Reader()
        self._outgoing: deque[memoryview] = deque()
        self.posted = self.written = 0
        environment = dict(os.environ)
        environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
        environment.setdefault("OMP_NUM_THREADS", "1")
        # A model may ask for more threads; on a busy machine those that spin while they wait cost ten times the work.
        environment.setdefault("OMP_WAIT_POLICY", "passive")
        environment.setdefault("TOKENIZERS_PARALLELISM", "false")
        command = [sys.executable, "-m", "trueward.rewards.runner.worker"]
        try:
            self.popen = subprocess.Popen(
                [*command, str(child_in), str(child_out), str(child_life), self.loader],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=(child_in, child_out, child_life),
                start_new_session=True,
                env=environment,
            )
        except OSError as error:
            raise WorkerError(f"a worker process cannot be started: {error}") from error
        finally:
            for descriptor in (child_in, child_out, child_life):
                os.close(descriptor)
        os.set_blocking(self.to_child, False)
        os.set_blocking(self.from_child, False)
        self._memory: psutil.Process | None = None

    @property
    def alive(self) -> bool:
        """True while the process runs."""
        return self.popen.poll() is None

    @property
    def wants_to_write(self) -> bool:
        """True while there are bytes that the pipe has not taken yet."""
        return bool(self._outgoing)

    def post(self, message: Any) -> None:
        """Queue a frame; `flush` writes as much as the pipe takes."""
        frame = encode(message)
        self.posted += len(frame)
        self._outgoing.append(memoryview(frame))
        self.flush()

    def flush(self) -> None:
        """Write what the pipe takes without waiting."""
        while self._outgoing:
            try:
                written = os.write(self.to_child, self._outgoing[0][:_MEBIBYTE])
            except BlockingIOError:
                return
            except BrokenPipeError:
                # Its end is seen when reading.
                self._outgoing.clear()
                return
            self.written += written
            rest = self._outgoing[0][written:]
            if rest:
                self._outgoing[0] = rest
            else:
                self._outgoing.popleft()

    def receive(self) -> list[Any] | None:
        """Messages that have come; None when the process has closed its end."""
        try:
            data = read_some(self.from_child)
        except BlockingIOError:
            return []
        return self._reader.feed(data) if data else None

    def resident_mb(self) -> float:
        """Resident memory of the process and its children, in MiB; 0 when it has ended."""
        try:
            self._memory = self._memory or psutil.Process(self.popen.pid)
            total = float(self._memory.memory_info().rss)
            for child in self._memory.children(recursive=True):
                with contextlib.suppress(psutil.Error):
                    total += child.memory_info().rss
            return total / _MEBIBYTE
        except psutil.Error:
            return 0.0

    def kill(self) -> None:
        """End it and everything it started in its session."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.popen.pid, signal.SIGKILL)
        self.popen.kill()
        self.popen.wait()
        for descriptor in (self.to_child, self.from_child, self._life):
            with contextlib.suppress(OSError):
                os.close(descriptor)
