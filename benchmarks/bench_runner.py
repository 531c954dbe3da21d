"""The worker pool: start, overhead, tail latency with hostile answers, capacity after hangs.

    python benchmarks/bench_runner.py

Equality first: every honest answer must get its own score while hostile ones are mixed in.
"""

from __future__ import annotations

import select
import tempfile
import time
from pathlib import Path
from statistics import median

from trueward.rewards.runner import Item, WorkerPool
from trueward.rewards.runner.process import Process

REWARD = """
import time

def reward(completion):
    if completion == "hang":
        time.sleep(3600)
    return float(completion)
"""
DEADLINE = 0.5


def row(name: str, value: str, target: str, kept: bool) -> None:
    """One line of the table."""
    print(f"{name:<58} {value:>12}   target {target:<14} {'ok' if kept else 'LOST'}")


def start_seconds() -> list[float]:
    """Seconds from the start of a worker to its first frame, ten times."""
    seconds = []
    for number in range(10):
        started = time.perf_counter()
        process = Process(number, "trueward.rewards.address:load")
        select.select([process.from_child], [], [])
        seconds.append(time.perf_counter() - started)
        process.kill()
    return seconds


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "reward.py")
        path.write_text(REWARD)
        address = f"{path}:reward"
        texts = ["hang" if i % 100 == 50 else str(i) for i in range(3000)]
        calls = [[Item("p", text)] for text in texts]
        with WorkerPool(workers=2, deadline=DEADLINE) as pool:
            pool.run(address, calls[:10])
            started = time.perf_counter()
            outcomes = [one[0] for one in pool.run(address, calls, retry=False)]
            taken = time.perf_counter() - started
            lost = [t for t, o in zip(texts, outcomes, strict=True) if t != "hang" and o.value != float(t)]
            if lost or pool.size != 2:
                raise SystemExit(f"{len(lost)} honest answers lost their score, {pool.size} workers are left")
            print(
                f"{len(texts) - texts.count('hang'):,} honest answers among {texts.count('hang')} that hang: all scored"
            )
            starts = start_seconds()
            row(
                "start of a bare worker, median of 10",
                f"{1000 * median(starts):.0f} ms",
                "<= 150 ms",
                median(starts) <= 0.15,
            )
            row("start of a bare worker, worst of 10", f"{1000 * max(starts):.0f} ms", "<= 150 ms", max(starts) <= 0.15)
            ordered = sorted(outcome.seconds for outcome in outcomes)
            tail = ordered[int(0.999 * len(ordered))]
            limit = DEADLINE + 0.05
            row(
                f"p99.9 latency of an attempt, 1 % hang, deadline {DEADLINE} s",
                f"{tail:.3f} s",
                f"<= {limit:.2f} s",
                tail <= limit,
            )
            row("worst latency of an attempt", f"{ordered[-1]:.3f} s", f"<= {limit:.2f} s", ordered[-1] <= limit)
            ideal = texts.count("hang") * DEADLINE / 2
            row(
                "time of the whole batch over hangs · deadline / workers",
                f"{taken / ideal:.2f}",
                "<= 1.25",
                taken <= 1.25 * ideal,
            )
            honest = [[Item("p", str(i))] for i in range(20_000)]
            started = time.perf_counter()
            pool.run(address, honest)
            each = (time.perf_counter() - started) / len(honest)
            row("overhead of a call", f"{1e6 * each:.0f} us", "<= 300 us", each <= 3e-4)
            row("live workers after 30 hangs", str(pool.size), "2", pool.size == 2)


if __name__ == "__main__":
    main()
