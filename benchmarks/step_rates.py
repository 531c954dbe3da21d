"""Steps per second of several tasks in turn."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping


def rates(tasks: Mapping[str, Callable[[], int]], rounds: int) -> dict[str, float]:
    """Best steps per second of processor time of each task, which says how many steps it made; all of them in turn."""
    best = dict.fromkeys(tasks, 0.0)
    for _ in range(rounds):
        for name, task in tasks.items():
            started = time.process_time()
            steps = task()
            best[name] = max(best[name], steps / (time.process_time() - started))
    return best
