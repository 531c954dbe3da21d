"""`certify_program`: programs that cannot have solved the task, because they ignore what they are asked.

A probe's program is written so that what it prints is fixed and what its functions return is fixed, or both are taken
from whatever the grader lets it see. It is wrong as soon as one of the row's own tests asks for something else. Where a
fixed answer might be right (a single test, tests that all expect the same), nobody can say, and the probe is dropped.
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Sequence
from typing import Literal

from trueward.audit.derivations import Derivation
from trueward.errors import RewardError
from trueward.rewards.rules.code_asserts import free_names, parsed
from trueward.rewards.rules.code_tests import Checks, Runs, Statements, Tests, read_tests
from trueward.rewards.rules.code_values import holds, same_output
from trueward.tasks.text.rows import Row

PRINTS = "prints"
"""Name of the answer that holds what a program always prints."""

RETURNS = "returns"
"""Name of the answer that says what its functions always return: "nothing", "an object"; absent where it has none."""

COPIES = "copies"
"""Name of the answer of a program that takes what it says from the grader."""

_TOLERANCE = 1e-6


def row_tests(row: Row) -> Tests | None:
    """The tests of a row, or None where it has none that can be read."""
    try:
        return read_tests(row.columns)
    except RewardError:
        return None


def functions_of(tests: Tests) -> tuple[str, ...]:
    """Names of the functions that the tests call, in their order; () for tests of whole programs."""
    match tests:
        case Runs():
            return ()
        case Statements():
            return tests.remote
        case Checks():
            modules = _imported(tests)
            names: dict[str, None] = {}
            for check in tests.checks:
                called = [check.call] if check.call else sorted(free_names(parsed(check.expression)))
                names |= dict.fromkeys(name for name in called if name not in modules and not hasattr(builtins, name))
            return tuple(names)


def _imported(tests: Checks) -> set[str]:
    found = set()
    for statement in parsed(tests.preamble):
        found |= {(alias.asname or alias.name).partition(".")[0] for alias in getattr(statement, "names", ())}
    return found


def expected_texts(tests: Tests) -> tuple[str, ...]:
    """What the tests expect, as text; () where that is known to the tests alone."""
    match tests:
        case Runs():
            return tests.outputs
        case Checks():
            return tuple(repr(check.expected[-1] if check.kind == "json" else check.expected) for check in tests.checks)
        case Statements():
            return ()


def certify_program(row: Row, derivation: Derivation) -> Literal["wrong", "unknown"]:
    """The label of a program that ignores its input: wrong where the row's tests leave no doubt."""
    tests = row_tests(row)
    if tests is None:
        return "unknown"
    said = {answer.name: answer.text for answer in derivation.answers}
    if COPIES in said:
        return "wrong" if _no_fixed_answer(tests) else "unknown"
    match tests:
        case Runs():
            prints = said.get(PRINTS, "")
            right = all(same_output(prints, output, _TOLERANCE) for output in tests.outputs)
            return "unknown" if right else "wrong"
        case Checks():
            return "wrong" if _fails_a_check(tests, said.get(RETURNS)) else "unknown"
        case Statements():
            # Without the function every call fails; what else the tests make of a value only they know.
            return "unknown" if RETURNS in said or not _always_called(tests) else "wrong"


def _no_fixed_answer(tests: Tests) -> bool:
    """Whether two tests expect different answers of the same program or function, so that no fixed one passes both."""
    match tests:
        case Runs():
            return len({" ".join(text.split()) for text in tests.outputs}) > 1
        case Checks():
            expected: dict[str, set[str]] = {}
            for check in tests.checks:
                if check.kind in ("equal", "json") and (check.call or _is_call(check.expression)):
                    name = check.call or check.expression.partition("(")[0]
                    value = check.expected[-1] if check.kind == "json" else check.expected
                    expected.setdefault(name, set()).add(repr(value))
            return any(len(values) > 1 for values in expected.values())
        case Statements():
            return False


def _fails_a_check(tests: Checks, returned: str | None) -> bool:
    if returned is None:
        # A test that calls what is not there cannot pass.
        return bool(functions_of(tests))
    plain = [check for check in tests.checks if check.call or _is_call(check.expression)]
    if returned == "nothing":
        return any(not holds(check, None) for check in plain)
    # An object of the program's own is no plain value, so it is none of those expected; but it may count as true.
    return any(check.kind in ("equal", "close", "json") for check in plain)


def _is_call(expression: str) -> bool:
    """Whether a check looks at the returned value itself, and not at what something else makes of it."""
    node = ast.parse(expression, mode="eval").body
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not hasattr(builtins, node.func.id)


def _always_called(tests: Statements) -> bool:
    return any(set(tests.remote) & free_names(parsed(statement)) for statement in tests.statements)


def asks_for_programs(rows: Sequence[Row]) -> bool:
    """Whether most of these rows ask for programs: their type is declared so, or they have tests."""
    asking = sum(row.contract.type == "code" or row_tests(row) is not None for row in rows)
    return 2 * asking > len(rows)
