"""Programs against tests: `Code` in its sandbox, and a bare subprocess with the same limits and nothing else.

    python benchmarks/bench_code.py

Equality first: both must pass and fail the same tests. The bare subprocess runs all tests of a program in one process,
with standard input and output replaced in Python, and its interpreter starts as lean as the sandbox's (no site
packages). The sandbox gives every input a process of its own, so that runs share no state; assertions share one. Both
are timed in turns, so that a busy machine is busy for both.
"""

from __future__ import annotations

import json
import resource
import subprocess
import time
from collections.abc import Callable
from statistics import median
from typing import Any

from trueward.rewards.rules.code import Code
from trueward.rewards.rules.code_run import grade
from trueward.rewards.rules.code_tests import Checks, Runs, Tests, read_tests
from trueward.rewards.rules.code_values import same_output
from trueward.rewards.runner.sandbox import Limits, Sandbox, working
from trueward.rewards.runner.sandbox_back_ends import interpreter

ROUNDS = 10
TARGET = 1.5
LIMITS = Limits()

BARE_RUNS = """
import contextlib, io, json, sys
job = json.loads(sys.stdin.read())
results = []
code = compile(job["program"], "<program>", "exec")
for text in job["inputs"]:
    output, sys.stdin = io.StringIO(), io.StringIO(text)
    try:
        with contextlib.redirect_stdout(output):
            exec(code, {"__name__": "__main__"})
        results.append(output.getvalue())
    except BaseException:
        results.append(None)
print(json.dumps(results))
"""
BARE_CHECKS = """
import json, sys
job = json.loads(sys.stdin.read())
results, space = [], {}
try:
    exec(compile(job["program"], "<program>", "exec"), space)
    for test in job["tests"]:
        try:
            exec(test, space)
            results.append(True)
        except BaseException:
            results.append(False)
except BaseException:
    results = [False] * len(job["tests"])
print(json.dumps(results))
"""


def limit() -> None:
    """What a careful author sets before the program starts."""
    memory = LIMITS.memory_mb << 20
    for kind, amount in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_CPU, 5),
        (resource.RLIMIT_FSIZE, LIMITS.disk_mb << 20),
        (resource.RLIMIT_NOFILE, LIMITS.open_files),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(kind, (amount, amount))


def bare(program: str, tests: Tests, asserts: list[str]) -> list[bool]:
    """The verdicts of a bare subprocess."""
    job = {"program": program, "tests": asserts, "inputs": list(tests.inputs) if isinstance(tests, Runs) else []}
    run = subprocess.run(
        [interpreter(), "-I", "-S", "-B", "-c", BARE_RUNS if isinstance(tests, Runs) else BARE_CHECKS],
        input=json.dumps(job),
        capture_output=True,
        text=True,
        timeout=LIMITS.seconds,
        preexec_fn=limit,
        start_new_session=True,
    )
    results = json.loads(run.stdout)
    if isinstance(tests, Checks):
        return [bool(result) for result in results]
    return [r is not None and same_output(r, e, 1e-6) for r, e in zip(results, tests.outputs, strict=True)]


def cases() -> dict[str, tuple[dict[str, Any], list[str]]]:
    """Name → columns with tests, and programs: right ones, wrong ones, ones that raise, ones that do not compile."""
    prints = [
        "a, b = map(int, input().split())\nprint(a * b)",
        "a, b = map(int, input().split())\nprint(a * b if a != 3 else 0)",
        "import sys\nfor line in sys.stdin:\n    a, b = map(int, line.split())\n    print(a * b)",
        "print(1 / 0)",
    ]
    defines = [
        "def f(a, b):\n    return a * b",
        "def f(a, b):\n    return a * b if a != 3 else 0",
        "from collections import Counter\ndef f(a, b):\n    return sum(Counter(range(b)).values()) * a",
        "def f(a, b):\n    raise ValueError(a)",
    ]
    pairs = [(n, n + 1) for n in range(20)]

    def runs(k: int) -> dict[str, Any]:
        return {
            "tests": {"inputs": [f"{a} {b}\n" for a, b in pairs[:k]], "outputs": [f"{a * b}\n" for a, b in pairs[:k]]}
        }

    def asserts(k: int) -> dict[str, Any]:
        return {"test_list": [f"assert f({a}, {b}) == {a * b}" for a, b in pairs[:k]]}

    return {
        "1 input": (runs(1), prints),
        "5 inputs": (runs(5), prints),
        "20 inputs": (runs(20), prints),
        "1 assertion": (asserts(1), defines),
        "5 assertions": (asserts(5), defines),
        "20 assertions": (asserts(20), defines),
    }


def seconds(function: Callable[[], Any]) -> float:
    """Of one call."""
    started = time.perf_counter()
    function()
    return time.perf_counter() - started


def compare(box: Sandbox, name: str, columns: dict[str, Any], programs: list[str]) -> None:
    """One line of the table."""
    tests, asserts = read_tests(columns), columns.get("test_list", [])
    for program in programs:
        ours = [verdict.passed for verdict in grade(program, tests, box)]
        if ours != bare(program, tests, asserts):
            raise SystemExit(f"{name}: the verdicts on {program!r} differ: {ours}")
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(ROUNDS):
        for program in programs:
            times[0].append(seconds(lambda: grade(program, tests, box)))  # noqa: B023
            times[1].append(seconds(lambda: bare(program, tests, asserts)))  # noqa: B023
    sandboxed, plain = (1000 * median(one) for one in times)
    ratio = sandboxed / plain
    print(
        f"  {name:<16} {sandboxed:7.1f} ms   bare {plain:7.1f} ms   {ratio:5.2f} x   target <= {TARGET} x   "
        f"{'ok' if ratio <= TARGET else 'LOST'}"
    )


def main() -> None:
    """Print the table for every back end that works here."""
    chosen = Code().box().back_end
    for back_end in working():
        box = Sandbox(back_end, LIMITS)
        lacks = f"; not enforced: {', '.join(box.unenforced)}" if box.unenforced else ""
        print(f"{back_end.title}{' (the default here)' if back_end == chosen else ''}, median of a program{lacks}")
        for name, (columns, programs) in cases().items():
            compare(box, name, columns, programs)


if __name__ == "__main__":
    main()
