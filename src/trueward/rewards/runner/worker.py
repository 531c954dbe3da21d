"""The worker process: loads leaf rewards by address and scores what it is sent.

Started as `python -m trueward.rewards.runner.worker IN OUT LIFE LOADER` with three inherited descriptors: frames come
in on IN and go out on OUT; LIFE is a pipe whose other end only the parent holds, so that reading its end means that the
parent has gone. Standard output and error go to an unlinked file: what a reward prints is seen there and can never be
taken for a frame.
"""

from __future__ import annotations

import gc
import importlib
import math
import os
import sys
import tempfile
import threading
import time
from typing import Any

from trueward.errors import RewardError, TruewardError, Unavailable
from trueward.rewards.runner.types import Item
from trueward.rewards.runner.wire import Reader, encode, read_some, write_all
from trueward.status import Status

_DETAIL = 300
_forks = 0


def classify(returned: Any, rows: int) -> list[tuple[float | None, Status, str]]:
    """What a reward returned for some rows, as value, status and detail of each."""
    if hasattr(returned, "tolist") and not isinstance(returned, list | tuple):
        returned = returned.tolist()
    if not isinstance(returned, list | tuple):
        detail = f"returned {_shown(returned)} instead of a list of {rows} scores"
        return [(None, Status.WRONG_COUNT, detail)] * rows
    if len(returned) != rows:
        return [(None, Status.WRONG_COUNT, f"returned {len(returned)} scores for {rows} rows")] * rows
    return [_classify_one(value) for value in returned]


def _classify_one(value: Any) -> tuple[float | None, Status, str]:
    if value is None:
        return None, Status.ABSTAINED, "returned None"
    said = _said(value)
    if said is not None:
        return said
    if not isinstance(value, int | float):
        item = getattr(value, "item", None)
        try:
            value = item() if callable(item) else value
        except Exception:
            return None, Status.WRONG_TYPE, f"returned {_shown(value)} instead of a number"
    if not isinstance(value, int | float):
        return None, Status.WRONG_TYPE, f"returned {_shown(value)} instead of a number"
    try:
        number = float(value)
    except OverflowError:
        return None, Status.NOT_FINITE, "returned a whole number too large for a float"
    if not math.isfinite(number):
        return None, Status.NOT_FINITE, f"returned {number}"
    return number, Status.OK, ""


def _said(value: Any) -> tuple[None, Status, str] | None:
    """What a leaf says about a row that it does not score: a status, alone or with a reason."""
    status, why = value if isinstance(value, tuple) and len(value) == 2 else (value, "")
    if not isinstance(status, Status) or status.ok or not isinstance(why, str):
        return None
    return None, status, why[:_DETAIL]


def score(leaf: Any, items: list[Item]) -> list[tuple[float | None, Status, str]]:
    """Call a leaf reward on some rows; whatever it does becomes a status."""
    try:
        return classify(leaf.score_rows(items), len(items))
    except RewardError as error:
        return [(None, Status.MISSING_REFERENCE, str(error)[:_DETAIL])] * len(items)
    except Unavailable as error:
        return [(None, Status.UNAVAILABLE, str(error)[:_DETAIL])] * len(items)
    except SystemExit as error:
        detail = f"called sys.exit({error.code!r})"
        return [(None, Status.CRASHED, detail[:_DETAIL])] * len(items)
    except BaseException as error:
        text = " ".join(f"{type(error).__name__}: {error}".split())
        return [(None, Status.RAISED, text[:_DETAIL])] * len(items)


def _shown(value: Any) -> str:
    try:
        text = repr(value)
    except Exception:
        text = "…"
    return f"{type(value).__name__} {text[:80]}"


def _count_fork() -> None:
    global _forks
    _forks += 1


def _die_with_parent(life: int) -> None:
    os.read(life, 1)
    os._exit(0)


def _has_children() -> bool:
    """Whether processes that were started by a reward still run. One that has ended and was not waited for does not."""
    try:
        with open(f"/proc/self/task/{threading.get_native_id()}/children") as file:
            children = file.read().split()
        return any(_runs(child) for child in children)
    except OSError:
        return False


def _runs(child: str) -> bool:
    try:
        with open(f"/proc/{child}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()[0] != b"Z"
    except OSError:
        return False


class _Worker:
    def __init__(self, out: int, load: Any) -> None:
        self.out, self.load = out, load
        self.leaves: dict[str, Any] = {}
        self.pid = os.getpid()
        self.output = tempfile.TemporaryFile()  # noqa: SIM115
        for descriptor in (1, 2):
            os.dup2(self.output.fileno(), descriptor)
        self.had_children = False

    def send(self, message: Any) -> None:
        write_all(self.out, encode(message))

    def answer(self, message: dict[str, Any]) -> None:
        if "load" in message:
            self._load(message["load"])
            return
        global _forks
        _forks = 0
        items = [Item(*row) for row in message["rows"]]
        started = time.perf_counter()
        results = score(self.leaves[message["address"]], items)
        if os.getpid() != self.pid:
            # A child that the reward forked has come back from it. It must never speak for this worker.
            os._exit(0)
        seconds = time.perf_counter() - started
        rows = [(value, status.value, detail) for value, status, detail in results]
        self.send({"done": message["call"], "rows": rows, "seconds": seconds, "effects": self._effects()})

    def _load(self, address: str) -> None:
        try:
            if address not in self.leaves:
                leaf = self.load(address)
                # What takes long to load is loaded now, because no call's deadline runs yet.
                prepare = getattr(leaf, "prepare", None)
                if callable(prepare):
                    prepare()
                self.leaves[address] = leaf
            message = {"loaded": address}
        except TruewardError as error:
            message = {"failed": address, "error": str(error)}
        except BaseException as error:
            message = {"failed": address, "error": f"{address}: {type(error).__name__}: {error}"}
        if os.getpid() != self.pid:
            os._exit(0)
        self._effects()
        self.send(message)

    def _effects(self) -> list[str]:
        effects = []
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except (OSError, ValueError, AttributeError):
                continue
        if os.fstat(self.output.fileno()).st_size:
            effects.append("printed")
            os.ftruncate(self.output.fileno(), 0)
            os.lseek(self.output.fileno(), 0, os.SEEK_SET)
        if _forks:
            effects.append("forked")
        children = _has_children()
        if children and not self.had_children:
            effects.append("left processes")
        self.had_children = children
        return sorted(effects)


def main(arguments: list[str]) -> None:
    """Serve until the parent closes its end."""
    incoming, out, life = (int(argument) for argument in arguments[:3])
    module, _, function = arguments[3].partition(":")

    def load(address: str) -> Any:
        return getattr(importlib.import_module(module), function)(address)

    threading.Thread(target=_die_with_parent, args=(life,), daemon=True).start()
    os.register_at_fork(before=_count_fork)
    worker = _Worker(out, load)
    worker.send({"ready": worker.pid})
    reader = Reader()
    gc.freeze()
    while data := read_some(incoming):
        for message in reader.feed(data):
            worker.answer(message)


if __name__ == "__main__":
    main(sys.argv[1:])
