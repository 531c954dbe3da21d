"""What a user waits for: importing the package, and the audit of a rule on 200 prompts.

    python benchmarks/bench_audit.py

Equality first: the audit of 40 prompts must find the same as an audit of the same prompts on one worker.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import trueward
from trueward.audit.report import Report

RULE = r"""
import re

def rule(completion, answer):
    boxes = re.findall(r"\\boxed\{([^{}]*)\}", completion)
    return float(bool(boxes) and boxes[0] == answer)
"""


def rows(n: int) -> list[dict[str, str]]:
    """n sums whose answers differ."""
    return [{"prompt": f"What is {i} + {7 * i + 3}?", "answer": str(8 * i + 3)} for i in range(n)]


def timed(address: str, n: int, workers: int = 2) -> tuple[float, Report]:
    """Seconds of one audit, and its report."""
    started = time.perf_counter()
    report = trueward.audit(address, rows(n), workers=workers)
    return time.perf_counter() - started, report


def import_seconds() -> float:
    """Median over 10 fresh interpreters, less the start of the interpreter itself."""

    def run(code: str) -> float:
        started = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True)
        return time.perf_counter() - started

    return median(run("import trueward") for _ in range(10)) - median(run("pass") for _ in range(10))


def row(name: str, value: str, target: str, kept: bool) -> None:
    """One line of the table."""
    print(f"{name:<52} {value:>14}   target {target:<14} {'ok' if kept else 'LOST'}")


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "rule.py")
        path.write_text(RULE)
        address = f"{path}:rule"
        one, two = timed(address, 40, workers=1)[1], timed(address, 40, workers=2)[1]
        ids = [
            [(f["kind"], f["family"], f["prompts"], [e["id"] for e in f["examples"]]) for f in r.audit["findings"]]
            for r in (one, two)
        ]
        if ids[0] != ids[1]:
            raise SystemExit(f"one worker and two workers disagree:\n{ids[0]}\n{ids[1]}")
        print("one worker and two workers find the same, example by example")
        seconds = import_seconds()
        row("import trueward", f"{1000 * seconds:.0f} ms", "<= 300 ms", seconds <= 0.3)
        times = {n: timed(address, n) for n in (50, 100, 200, 400)}
        row("audit of a rule, 200 prompts", f"{times[200][0]:.1f} s", "<= 60 s", times[200][0] <= 60)
        calls = times[200][1].audit["calls"] / 200
        row("reward calls a prompt", f"{calls:.0f}", "<= 150", calls <= 150)
        # From 100 to 400 prompts linear growth is a factor of 4 on what lies above the fixed costs.
        growth = (times[400][0] - times[200][0]) / (2 * (times[200][0] - times[100][0]))
        row("slope from 200 to 400 over slope from 100 to 200", f"{growth:.2f}", "<= 1.25", growth <= 1.25)
        for n, (taken, report) in times.items():
            calls = report.audit["calls"]
            print(f"    {n:>4} prompts  {taken:6.2f} s  {calls:>7,} calls  {1000 * taken / n:6.1f} ms a prompt")


if __name__ == "__main__":
    main()
