"""What a monitor costs per training step, without the check that the gold probe asks.

    python benchmarks/bench_monitor.py

Equality first: the e-value that the probe logs against the plain formulas of `measures.sequential`, one cell and one
bettor at a time. Then the time of `Monitor.observe` per step after the window, each step's best of 7 rounds, mean over
100 steps, for 64 and 128 rollouts with texts; the check itself reads a number. Target: at most 0.2 ms with everything.
"""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from trueward.audit.monitor import GoldCheck, Monitor, Step
from trueward.audit.monitor.gold_check import Checked
from trueward.measures.sequential import FallTest, Reference, fall_below
from trueward.status import Status

TARGET = 200e-6
ROUNDS, STEPS, WINDOW = 7, 100, 10
WORDS = [f"word{number}" for number in range(500)]
SHAPES = {
    "64 rollouts, 30 words": (64, 30),
    "128 rollouts, 30 words": (128, 30),
    "64 rollouts, 300 words": (64, 300),
}


def steps_of(rollouts: int, words: int, first: int = 1, count: int = WINDOW + STEPS) -> list[Step]:
    """Steps of a run in which nothing changes, 8 rollouts to a prompt."""
    rng = np.random.default_rng(rollouts)
    found = []
    for number in range(first, first + count):
        right, format_ = rng.random(rollouts) < 0.6, rng.random(rollouts)
        found.append(
            Step(
                number=number,
                prompts=[f"prompt {row // 8}" for row in range(rollouts)],
                completions=[" ".join(rng.choice(WORDS, words)) for _ in range(rollouts)],
                reward=right + format_,
                parts={"right": right.astype(float), "format": format_},
                status=[Status.OK] * rollouts,
                length=np.full(rollouts, float(words)),
                group=np.arange(rollouts) // 8,
                finished=np.ones(rollouts, dtype=bool),
                logprobs=-rng.random(rollouts),
                columns=[{"gold": float(value)} for value in right],
            )
        )
    return found


def told(rows: Sequence[Any], completions: Sequence[str]) -> np.ndarray:
    """A check that costs nothing."""
    return np.array([row.columns["gold"] for row in rows])


def plain_log_e_value(test: FallTest, steps: Sequence[Sequence[float]]) -> float:
    """The e-value of `measures.sequential`, one cell and bettor at a time; 5 levels below the line and 4 above."""
    least = math.inf
    for cell, line in enumerate(test.lines):
        belief, factors = [0.2 / 5] * 5 + [0.8 / 4] * 4, []
        safe = max(line, 0.01)
        bets = [(1 - u) / (1 - safe) if line > 0 else 0.0 for u in (0.15, 0.35, 0.55, 0.75, 0.9)]
        bets += [-v / safe for v in (0.1, 0.37, 0.63, 0.9)]
        for number, values in enumerate(steps):
            if number:
                rate = 0.3 / (number + 50)
                drifted = [0.995 * q for q in belief]
                for level, q in enumerate(belief):
                    for other in (max(0, level - 1), min(8, level + 1)):
                        drifted[other] += 0.0025 * q
                jump = [0.7 / 5] * 5 + [0.3 / 4] * 4
                belief = [(1 - rate) * q + rate * j for q, j in zip(drifted, jump, strict=True)]
            products = [math.prod(1 + bet * (line - x) for x in values) for bet in bets]
            weighed = [q * product for q, product in zip(belief, products, strict=True)]
            factors.append(sum(weighed[:5]) + sum(belief[5:]))
            belief = [one / sum(weighed) for one in weighed]
        kept = [1 / math.log(number + math.e) for number in range(len(steps))]
        stakes = [0.65] + [0.25 * (kept[n - 1] - kept[n]) for n in range(1, len(steps))]
        wealth = 1 - sum(stakes) + sum(stake * math.prod(factors[n:]) for n, stake in enumerate(stakes))
        least = min(least, float(test.window[cell]) + math.log(wealth))
    return least


def compare() -> tuple[float, float]:
    """Hold the test against the plain loop; seconds per step of both."""
    rng = np.random.default_rng(0)
    reference = Reference(160)
    for _ in range(WINDOW):
        reference = reference.seen((rng.random(16) < 0.6).astype(float))
    start = fall_below(reference)
    values = (rng.random((STEPS, 8)) < 0.45).astype(float)
    begun = time.perf_counter()
    test = start
    for one in values:
        test = test.seen(one)
    middle = time.perf_counter()
    expected = plain_log_e_value(start, values.tolist())
    ended = time.perf_counter()
    gap = abs(float(test.log_e_value) - expected)
    if gap > 1e-9:
        raise SystemExit(f"the test differs from the plain loop by {gap:.1e}")
    print(f"equal to the plain loop to {gap:.1e}: log e-value after {STEPS} steps of 8 checks")
    return (middle - begun) / STEPS, (ended - middle) / STEPS


class Checks:
    """Seconds that the probe's check took: what the target leaves out, measured where it is called."""

    seconds = 0.0

    @classmethod
    def count(cls) -> None:
        """From now on, add up what checks take."""
        check = GoldCheck.__call__

        def timed(self: GoldCheck, step: Step, places: Sequence[int]) -> Checked:
            begun = time.perf_counter()
            found = check(self, step, places)
            cls.seconds += time.perf_counter() - begun
            return found

        GoldCheck.__call__ = timed  # type: ignore[method-assign]


def best_of(make: Callable[[], Monitor], rollouts: int, words: int) -> float:
    """Seconds per step after the window: the best of the rounds for each step, so that other work does not count."""
    steps = steps_of(rollouts, words)
    best = np.full(STEPS, math.inf)
    for _ in range(ROUNDS):
        monitor = make()
        for one in steps[:WINDOW]:
            monitor.observe(one)
        for place, one in enumerate(steps[WINDOW:]):
            begun, checked = time.perf_counter(), Checks.seconds
            monitor.observe(one)
            best[place] = min(best[place], time.perf_counter() - begun - (Checks.seconds - checked))
    return float(best.mean())


def main() -> None:
    """Print the table."""
    ours, loop = compare()
    print(f"the test alone {1e6 * ours:.0f} µs a step, the plain loop {1e6 * loop:.0f} µs: {loop / ours:.0f} x\n")
    Checks.count()
    with tempfile.TemporaryDirectory() as folder:
        kinds: dict[str, Callable[[], Monitor]] = {
            "means and statuses alone": lambda: Monitor(detectors=[]),
            "gold probe, no detectors": lambda: Monitor(told, detectors=[]),
            "detectors, no gold probe": lambda: Monitor(),
            "everything": lambda: Monitor(told),
            "everything, with monitor.jsonl": lambda: Monitor(told, directory=folder),
        }
        print(f"{'Monitor.observe, less the check':<34}" + "".join(f"{shape:>26}" for shape in SHAPES))
        for name, make in kinds.items():
            cells = []
            for shape in SHAPES.values():
                seconds = best_of(make, *shape)
                verdict = "" if "everything" not in name else "ok" if seconds <= TARGET else "LOST"
                cells.append(f"{1e6 * seconds:14.0f} µs {verdict:>8}")
            print(f"{name:<34}" + "".join(cells).rstrip())
        print(f"target: everything in at most {1e6 * TARGET:.0f} µs a step, without the check")


if __name__ == "__main__":
    main()
