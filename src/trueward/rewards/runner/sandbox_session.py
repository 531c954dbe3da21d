"""One process in a sandbox, from its start to the death of everything in it."""

from __future__ import annotations

import contextlib
import functools
import marshal
import os
import select
import signal
import subprocess
import tempfile
import time
from collections import deque
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from trueward.errors import Unavailable
from trueward.rewards.runner.sandbox_back_ends import command, own_user, shown
from trueward.rewards.runner.sandbox_filter import seccomp_filter
from trueward.rewards.runner.sandbox_processes import death_descriptors, descendants, used_by

if TYPE_CHECKING:
    from trueward.rewards.runner.sandbox import Sandbox

_START_LIMIT = 20.0  # seconds for an interpreter to start, on the busiest of machines
_END_LIMIT = 5.0  # seconds for killed processes to be gone
_LOOK = 0.05  # seconds between two looks at memory
_BOOT = (
    "import os,marshal\n"
    "n=int.from_bytes(os.read(0,4),'big');b=b''\n"
    "while len(b)<n:b+=os.read(0,n-len(b)) or os._exit(1)\n"
    "for c in marshal.loads(b):exec(c)\n"
)
# Fixed hashes: a program that prints a set must print the same every time.
_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "HOME": "/tmp", "LANG": "C.UTF-8", "PYTHONHASHSEED": "0"}


@functools.cache
def _code() -> bytes:
    """What the sandbox's interpreter runs first, compiled once."""
    parts = [
        compile(Path(__file__).with_name(f"{name}.py").read_text(encoding="utf-8"), f"<{name}>", "exec")
        for name in ("sandbox_inside", "sandbox_harness")
    ]
    start = "settings = receive(0)\nbegin(settings)\nserve(settings['isolated'])"
    return _frame(marshal.dumps((*parts, compile(start, "<sandbox>", "exec"))))


def _frame(body: bytes) -> bytes:
    return len(body).to_bytes(4, "big") + body


class Session:
    """One process in a sandbox, from its start to the death of everything in it.

    Attributes:
        ended: why there are no more replies ("time limit", "memory", "ended"); empty while there may be some.
    """

    def __init__(self, box: Sandbox) -> None:
        """Starts it, and waits until it is isolated; raises `Unavailable` when it is not."""
        self.box, self.ended = box, ""
        self._received = bytearray()
        self._outgoing: deque[memoryview] = deque()
        self._started, self._looked = False, time.monotonic()
        self._deadline = self._looked + _START_LIMIT
        # One input may print as much as it likes within its own limit; a reply with all the rest is not much longer.
        self._largest = box.limits.output_kb * 1024 + 4096
        settings = self._settings()
        child_in, self._to = os.pipe()
        self._from, child_out = os.pipe()
        self._said = tempfile.TemporaryFile()  # noqa: SIM115
        filtered = _filter_file(settings["filter"]) if box.back_end.name == "bubblewrap" else None
        try:
            self._process = subprocess.Popen(
                command(box.back_end, settings, filtered, _BOOT),
                stdin=child_in,
                stdout=child_out,
                stderr=self._said,
                env=_ENVIRONMENT,
                cwd="/tmp",
                pass_fds=() if filtered is None else (filtered,),
                start_new_session=True,
            )
        except OSError as error:
            for descriptor in (self._to, self._from):
                os.close(descriptor)
            raise Unavailable(f"the sandbox cannot be started: {error}") from error
        finally:
            for descriptor in (child_in, child_out, *([] if filtered is None else [filtered])):
                os.close(descriptor)
        os.set_blocking(self._to, False)
        os.set_blocking(self._from, False)
        try:
            self._outgoing.append(memoryview(_code() + _frame(marshal.dumps(settings))))
            if self.reply() != b"ready":
                raise Unavailable(f"the sandbox ({box.back_end.title}) did not start: {self._trouble()}")
        except BaseException:
            self.close()
            raise
        self._started, self._deadline = True, time.monotonic() + box.limits.seconds

    def __enter__(self) -> Session:
        """Returns itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ends it."""
        self.close()

    def _settings(self) -> dict[str, Any]:
        box = self.box
        return {
            "back_end": box.back_end.name if box.back_end.isolates else "none",
            "privileged": box.back_end.privileged,
            "isolated": box.back_end.isolates,
            "user": own_user() if box.back_end.privileged else None,
            "parent": os.getpid(),
            "shown": shown(box.folders),
            "folders": box.folders,
            "disk": box.limits.disk_mb << 20,
            "filter": seccomp_filter() if box.back_end.isolates else None,
            "limits": box.limits.of_a_process(box.back_end.counts_processes),
        }

    def ask(self, request: dict[str, Any]) -> None:
        """Queue a request; it is sent while replies are waited for.

        Args:
            request: see `sandbox_harness`; plain values only. Never anything that would help a program to look right.
        """
        self._outgoing.append(memoryview(_frame(marshal.dumps(request))))

    def reply(self) -> bytes | None:
        """The next reply; None when there is none, and never will be: `ended` says why. Nothing in it is trusted."""
        while True:
            if len(self._received) >= 4:
                size = int.from_bytes(self._received[:4], "big")
                if size > self._largest:
                    self.ended = self.ended or "too long a reply"
                    return None
                if len(self._received) >= 4 + size:
                    body = bytes(self._received[4 : 4 + size])
                    del self._received[: 4 + size]
                    return body
            if self.ended:
                return None
            self._exchange()

    def _exchange(self) -> None:
        """Write what the pipe takes, read what there is, and look at the limits."""
        now = time.monotonic()
        if now >= self._deadline:
            self.ended = "time limit"
            return
        poll = select.poll()
        poll.register(self._from, select.POLLIN)
        if self._outgoing:
            poll.register(self._to, select.POLLOUT)
        events = poll.poll(1000 * max(0.001, min(_LOOK, self._deadline - now)))
        for descriptor, _ in events:
            if descriptor == self._to:
                self._write()
            elif data := os.read(self._from, 1 << 18):
                self._received += data
            else:
                self.ended = "ended"
        if self._started and time.monotonic() - self._looked >= _LOOK:
            self._looked = time.monotonic()
            self.ended = self.ended or self._overstepped()

    def _write(self) -> None:
        try:
            written = os.write(self._to, self._outgoing[0][: 1 << 18])
        except BlockingIOError:
            return
        except OSError:  # it has ended, which is seen when reading
            self._outgoing.clear()
            return
        rest = self._outgoing[0][written:]
        if rest:
            self._outgoing[0] = rest
        else:
            self._outgoing.popleft()

    def _overstepped(self) -> str:
        resident, processes = used_by(self._process.pid)
        if resident > self.box.limits.memory_mb << 20:
            return "memory"
        # Three of them are the sandbox's own.
        return "processes" if processes > self.box.limits.processes + 3 else ""

    def _trouble(self) -> str:
        with contextlib.suppress(OSError):
            self._process.wait(timeout=1) if self.ended == "ended" else None
        self._said.seek(0)
        lines = self._said.read(10_000).decode("utf-8", "replace").strip().splitlines()
        return lines[-1] if lines else f"it said nothing ({self.ended}, exit code {self._process.poll()})"

    def close(self) -> None:
        """Kill everything in it; returns when that is done."""
        if self._to < 0:
            return
        below = descendants(self._process.pid)
        watched = death_descriptors(below)
        if not self.box.back_end.isolates:
            for group in (*below, self._process.pid):
                with contextlib.suppress(OSError):
                    os.kill(group, signal.SIGKILL)
                with contextlib.suppress(OSError):
                    os.killpg(group, signal.SIGKILL)
        self._process.kill()
        self._process.wait()
        # The first process of a namespace is dead only when every other one is.
        waited = time.monotonic() + _END_LIMIT
        for descriptor in watched:
            poll = select.poll()
            poll.register(descriptor, select.POLLIN)
            poll.poll(1000 * max(0.0, waited - time.monotonic()))
            os.close(descriptor)
        for descriptor in (self._to, self._from):
            os.close(descriptor)
        self._said.close()
        self._to = -1


def _filter_file(program: bytes | None) -> int | None:
    """A pipe from which bubblewrap reads the filter; it is shorter than any pipe."""
    if program is None:
        return None
    end, write = os.pipe()
    os.write(write, program)
    os.close(write)
    return end
