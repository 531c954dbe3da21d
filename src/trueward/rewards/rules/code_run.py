"""Grading a program: it runs in a sandbox that holds no expected value, and what comes out is compared here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from trueward.errors import RewardError
from trueward.rewards.rules.code_asserts import Check
from trueward.rewards.rules.code_tests import Checks, Runs, Statements, Tests
from trueward.rewards.rules.code_values import decode, holds, same_output
from trueward.rewards.runner.sandbox import Limits, Sandbox, Session

PROGRAM, TESTS = "program", "tests"


@dataclass(frozen=True)
class Verdict:
    """What became of one test.

    Attributes:
        passed: whether it counts.
        status: "passed", "wrong output", "exit code 1", "time limit", … in words.
    """

    passed: bool
    status: str


_PASSED = Verdict(True, "passed")


def grade(program: str, tests: Tests, box: Sandbox, tolerance: float = 1e-6) -> tuple[Verdict, ...]:
    """One verdict per test, in their order.

    Args:
        program: Python source, not trusted.
        tests: see `code_tests`.
        box: the sandbox; its time limit holds for all tests of the program together.
        tolerance: for decimal fractions in what is printed.

    Raises:
        Unavailable: the sandbox does not start.
        RewardError: the tests cannot be run by value.
    """
    match tests:
        case Runs():
            return _by_output(program, tests, box, tolerance)
        case Checks():
            return _by_value(program, tests, box)
        case Statements():
            return _by_conversation(program, tests, box)


def _by_output(program: str, tests: Runs, box: Sandbox, tolerance: float) -> tuple[Verdict, ...]:
    box = _roomy(box, tests)
    verdicts: list[Verdict] = []
    with box.start() as session:
        most = box.limits.output_kb * 1024
        session.ask({"kind": "inputs", "program": program, "inputs": list(tests.inputs), "output": most})
        for expected in tests.outputs:
            reply = session.reply()
            if reply is None:
                break
            verdicts.append(_output_verdict(reply, expected, tolerance))
        return _filled(verdicts, len(tests), session)


def _roomy(box: Sandbox, tests: Runs) -> Sandbox:
    """With room for the longest expected output, in powers of two so that its length is not told to the program."""
    longest = 2 * max(map(len, tests.outputs)) // 1024
    if longest <= box.limits.output_kb:
        return box
    limits: Limits = replace(box.limits, output_kb=1 << longest.bit_length())
    return replace(box, limits=limits)


def _output_verdict(reply: bytes, expected: str, tolerance: float) -> Verdict:
    status, _, output = reply.partition(b"\n")
    if status != b"ok":
        return Verdict(False, status.decode("ascii", "replace")[:100])
    same = same_output(output.decode("utf-8", "replace"), expected, tolerance)
    return _PASSED if same else Verdict(False, "wrong output")


def _filled(verdicts: Sequence[Verdict], count: int, session: Session) -> tuple[Verdict, ...]:
    """The verdicts, and for tests that no reply came to, why."""
    return (*verdicts, *[Verdict(False, session.ended or "ended")] * (count - len(verdicts)))


def _by_value(program: str, tests: Checks, box: Sandbox) -> tuple[Verdict, ...]:
    source = f"{tests.preamble}\n{program}" if tests.preamble else program
    verdicts: list[Verdict] = []
    with box.start() as session:
        session.ask({"kind": "calls", "program": source, "name": PROGRAM})
        for check in tests.checks:
            session.ask(_request(check))
        loaded = session.reply()
        if loaded is not None and loaded[:1] == b"E":
            return (Verdict(False, _raised(loaded)),) * len(tests)
        for check in tests.checks if loaded is not None else ():
            reply = session.reply()
            if reply is None:
                break
            verdicts.append(_value_verdict(reply, check))
        return _filled(verdicts, len(tests), session)


def _request(check: Check) -> dict[str, Any]:
    if check.call:
        return {"call": check.call, "arguments": list(check.arguments)}
    return {"expression": check.expression}


def _raised(reply: bytes) -> str:
    name = reply[1:].decode("ascii", "replace")[:100]
    return "returned something that is no plain value" if name == "NotPlain" else f"raised {name}"


def _value_verdict(reply: bytes, check: Check) -> Verdict:
    if reply[:1] != b"R":
        return Verdict(False, _raised(reply))
    try:
        value = decode(reply[1:])
        if check.call:
            value = value[0]
    except (ValueError, TypeError, IndexError, KeyError):
        return Verdict(False, "returned something that is no plain value")
    return _PASSED if holds(check, value) else Verdict(False, "wrong value")


def _by_conversation(program: str, tests: Statements, box: Sandbox) -> tuple[Verdict, ...]:
    """The tests run in a sandbox of their own; every call they make is carried to the program's, by value."""
    verdicts: list[Verdict] = []
    with box.start() as grader, box.start() as session:
        session.ask({"kind": "calls", "program": program, "name": PROGRAM})
        grader.ask({"kind": "grader", "program": tests.setup, "name": TESTS, "remote": list(tests.remote)})
        ready = grader.reply()
        if ready is None or ready[:1] == b"E":
            raise RewardError(f"the tests cannot be loaded: {_raised(ready) if ready else grader.ended}")
        loaded = session.reply()
        if loaded is None or loaded[:1] == b"E":
            return (Verdict(False, _raised(loaded) if loaded else session.ended),) * len(tests)
        for statement in tests.statements:
            grader.ask({"statement": statement})
            verdict = _one_statement(grader, session)
            if verdict is None:
                break
            verdicts.append(verdict)
        return _filled(verdicts, len(tests), session if session.ended else grader)


def _one_statement(grader: Session, session: Session) -> Verdict | None:
    """The verdict on one statement of the tests; None when one of the two has ended."""
    while True:
        asked = grader.reply()
        if asked is None:
            return None
        if asked[:1] == b"R":
            return _PASSED
        if asked[:1] == b"E":
            if asked[1:] == b"NotPlain":
                raise RewardError("the tests hand the program something that is no plain value, such as a function")
            return Verdict(False, "failed" if asked[1:] == b"AssertionError" else f"failed: {_raised(asked)}")
        name, arguments, named = decode(asked[1:])
        session.ask({"call": name, "arguments": arguments, "named": named})
        reply = session.reply()
        if reply is None:
            return None
        grader.ask(_carried(reply))


def _carried(reply: bytes) -> dict[str, Any]:
    """What the program said, for the tests: a value built here, or the name of an exception."""
    if reply[:1] == b"R":
        try:
            result, after = decode(reply[1:])
            return {"result": (result, list(after))}
        except (ValueError, TypeError):
            return {"error": "NotPlainReply"}
    name = reply[1:].decode("ascii", "replace")[:100]
    # The grader takes "NotPlain" for a fault of the tests; here it is one of the program.
    return {"error": name if name != "NotPlain" else "NotPlainReply"}
