"""Programs against tests, in a sandbox: the share of tests that a completion's program passes, or all or nothing.

A program is the last fenced block of a completion, or the whole completion where there is none. It runs in a sandbox
that never holds an expected value: inputs go in, outputs and plain values come out, and they are compared outside.
Leaving early, an `__eq__` that is always true, patched built-ins, and forged verdicts therefore gain nothing.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from trueward.errors import RewardError
from trueward.rewards.references import text_of
from trueward.rewards.rules.code_run import Verdict, grade
from trueward.rewards.rules.code_tests import read_tests
from trueward.rewards.runner.sandbox import Limits, Sandbox, sandbox
from trueward.rewards.runner.types import Item

_FENCE = re.compile(r"^[ \t]*```[ \t]*([\w+-]*)[^\n`]*\n(.*?)^[ \t]*```", re.DOTALL | re.MULTILINE)
_PYTHON = ("python", "python3", "py", "py3")
MOST_CHARACTERS = 200_000


@dataclass(frozen=True)
class Code:
    r"""Scores programs in Python by the tests of their row.

    Attributes:
        partial: pay the share of tests that pass; by default a program must pass them all, because a program that
            prints a constant passes some.
        seconds: wall time of a program, for all its tests together. A worker's deadline must be longer.
        memory_mb: memory of a program and everything it starts, in MiB.
        column: the column that holds the tests; by default the first known one (see `code_tests`).
        tolerance: difference that a decimal fraction in the output may have, absolute or relative.
        folders: further folders that programs may import from, such as one with NumPy.
        parallel: how many programs of one batch run at the same time.
        sandbox: "auto", "bubblewrap", "namespaces", or "none: runs untrusted code bare".

    Raises:
        RewardError: no sandbox works here; the message says what to install.

    Example:
        >>> reward = Code(partial=True)  # doctest: +SKIP
        >>> tests = {"inputs": ["1", "5"], "outputs": ["1", "25"]}
        >>> reward.score_rows([Item("Square.", "```python\nprint(int(input()) ** 2)\n```", {"tests": tests})])
        ... # doctest: +SKIP
        [1.0]
    """

    partial: bool = False
    seconds: float = 4.0
    memory_mb: int = 512
    column: str = ""
    tolerance: float = 1e-6
    folders: tuple[str, ...] = ()
    parallel: int = 1
    sandbox: str = "auto"

    def __post_init__(self) -> None:
        """Finds out whether there is a sandbox."""
        if self.parallel < 1 or not self.tolerance >= 0:
            raise RewardError(
                f"Code: parallel is {self.parallel!r} and tolerance {self.tolerance!r}; expected 1, 0 or more"
            )
        self.box()

    @property
    def name(self) -> str:
        """Under which it is logged."""
        return "code"

    @property
    def __name__(self) -> str:
        """The same, for engines that ask functions for their name."""
        return self.name

    @property
    def containers(self) -> tuple[str, ...]:
        """Text and chat messages."""
        return ("text", "chat")

    @property
    def notices(self) -> tuple[str, ...]:
        """What a reader of its scores should know: the limits that this machine cannot enforce."""
        missing = self.box().unenforced
        return (
            (f"the sandbox ({self.box().back_end.title}) cannot enforce here: {', '.join(missing)}",) if missing else ()
        )

    def box(self) -> Sandbox:
        """The sandbox that programs run in."""
        return _box(self.sandbox, self.seconds, self.memory_mb, self.folders)

    def verdicts(self, completion: Any, columns: Mapping[str, Any]) -> tuple[Verdict, ...]:
        """What became of each test of one row; () for a completion without a program.

        Raises:
            RewardError: the row has no tests that can be read.
            Unavailable: the sandbox does not start.
        """
        tests = read_tests(columns, self.column)
        program = program_of(text_of(completion))
        return grade(program, tests, self.box(), self.tolerance) if program else ()

    def score_rows(self, rows: Sequence[Item]) -> list[float]:
        """One score in [0, 1] per row.

        A program that fails, hangs, or uses too much has not passed, whatever the reason; a sandbox that does not start
        is nobody's score.

        Raises:
            RewardError, Unavailable: as `verdicts`.
        """
        if self.parallel == 1 or len(rows) < 2:
            return [self._score_row(row) for row in rows]
        # Threads, because all that they do is wait. Each stays until its sandbox has ended, as its processes require.
        with ThreadPoolExecutor(min(self.parallel, len(rows))) as threads:
            return list(threads.map(self._score_row, rows))

    def _score_row(self, row: Item) -> float:
        return self._score(self.verdicts(row.completion, row.columns))

    def _score(self, verdicts: Sequence[Verdict]) -> float:
        passed = sum(verdict.passed for verdict in verdicts)
        if self.partial:
            return passed / len(verdicts) if verdicts else 0.0
        return float(bool(verdicts) and passed == len(verdicts))


@functools.lru_cache(maxsize=64)
def _box(name: str, seconds: float, memory_mb: int, folders: tuple[str, ...]) -> Sandbox:
    return sandbox(name, Limits(seconds=seconds, memory_mb=memory_mb), folders)


def program_of(completion: str) -> str:
    r"""The program of a completion: its last fenced block of Python (or, without one, of no named language), or all of
    it where nothing is fenced; "" where there is none.

    Example:
        >>> program_of("First:\n```python\nprint(1)\n```\nBetter:\n```python\nprint(2)\n```\n")
        'print(2)\n'
    """
    if len(completion) > MOST_CHARACTERS:
        return ""
    blocks = [(tag.casefold(), body) for tag, body in _FENCE.findall(completion)]
    for tags in (_PYTHON, ("",)):
        fitting = [body for tag, body in blocks if tag in tags]
        if fitting:
            return str(fitting[-1])
    return "" if "```" in completion or not completion.strip() else completion


def code(completions: Sequence[Any], **columns: Any) -> list[float]:
    """`Code()` as a plain function in the convention of TRL.

    Args:
        completions: N completions, text or chat messages.
        columns: data columns with N entries each; one of them holds the tests.

    Raises:
        RewardError: no sandbox works here, or a row has no tests.
    """
    n = len(completions)
    usable = {name: values for name, values in columns.items() if isinstance(values, list | tuple) and len(values) == n}
    if n and not usable:
        raise RewardError("code() was given no data columns, and the tests are in one of them")
    rows = [Item(None, completions[i], {name: values[i] for name, values in usable.items()}) for i in range(n)]
    return Code().score_rows(rows)
