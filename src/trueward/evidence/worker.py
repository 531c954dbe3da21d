"""A process that does one run after the other: `python -m trueward.evidence.worker`.

It reads directories of runs from standard input, one JSON text a line, and answers each with one JSON line: null when
the run is done, else its error. What runs print goes to `output.txt` in their directory.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import sys
import threading
from pathlib import Path

from trueward.evidence.perform import perform


def main() -> None:
    """Serve until standard input ends; then stop at once, even within a run: whoever asked for it is gone."""
    # Ctrl-C reaches every process of the terminal; the parent decides what becomes of its workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    wanted: queue.Queue[str] = queue.Queue()
    threading.Thread(target=_listen, args=(wanted,), daemon=True).start()
    while True:
        directory = Path(wanted.get())
        _print_to(directory / "output.txt")
        print(json.dumps(perform(directory)), file=answers, flush=True)


def _listen(wanted: queue.Queue[str]) -> None:
    for line in sys.stdin:
        wanted.put(json.loads(line))
    os._exit(0)


def _print_to(path: Path) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)


if __name__ == "__main__":
    main()
