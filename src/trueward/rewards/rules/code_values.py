"""Values and outputs of programs: read as data, compared outside the sandbox.

What a program returns comes out as text and is built anew from plain types, so an overridden `__eq__`, a patched
`print` or a forged verdict never reaches the comparison.
"""

from __future__ import annotations

import json
import math
from typing import Any

from trueward.rewards.rules.code_asserts import Check

_DEEPEST = 100


def decode(text: bytes) -> Any:
    """The plain value that `sandbox_harness.encode` wrote; the text is not trusted.

    Raises:
        ValueError: it is not such a text.
    """
    try:
        return _built(json.loads(text), 0)
    except (ValueError, TypeError, RecursionError, MemoryError, IndexError) as error:
        raise ValueError(f"no plain value: {type(error).__name__}") from error


def _built(value: Any, depth: int) -> Any:
    if not isinstance(value, list):
        if isinstance(value, dict):
            raise ValueError("objects are written as arrays")
        return value
    if depth > _DEEPEST or not value:
        raise ValueError("nested too deeply, or an array without a name")
    mark = value[0]
    if mark == "b":
        return bytes.fromhex(value[1])
    items = [_built(item, depth + 1) for item in value[1:]]
    match mark:
        case "l":
            return items
        case "t":
            return tuple(items)
        case "s":
            return set(items)
        case "f":
            return frozenset(items)
        case "d":
            return dict(zip(items[::2], items[1::2], strict=True))
        case "c":
            return complex(*items)
    raise ValueError("an array without a name")


def as_json(value: Any) -> Any:
    """The value as data sets in JSON store it: tuples are lists, keys are text."""
    if isinstance(value, list | tuple):
        return [as_json(item) for item in value]
    if isinstance(value, dict):
        return {str(key): as_json(item) for key, item in value.items()}
    return value


def equal(first: Any, second: Any) -> bool:
    """`first == second` for plain values; False where Python itself gives up."""
    try:
        return bool(first == second)
    except (RecursionError, MemoryError):
        return False


def close(first: Any, second: Any, absolute: float, relative: float) -> bool:
    """Two real numbers within |a − b| ≤ max(absolute, relative · max(|a|, |b|))."""
    numbers = all(isinstance(one, int | float) for one in (first, second))
    try:
        return numbers and math.isclose(first, second, rel_tol=relative, abs_tol=absolute)
    except OverflowError:
        return False


def holds(check: Check, value: Any) -> bool:
    """Whether a plain value passes a check."""
    match check.kind:
        case "equal":
            return equal(value, check.expected)
        case "identical":
            return value is check.expected
        case "close":
            return close(value, check.expected, check.absolute, check.relative)
        case "in":
            try:
                return value in check.expected
            except (TypeError, RecursionError):
                return False
        case "true":
            return bool(value)
        case "false":
            return not value
        case "json":
            return any(_same_json(as_json(value), wanted, check.relative) for wanted in check.expected)


def _same_json(value: Any, wanted: Any, tolerance: float) -> bool:
    """Equal, but for decimal fractions that differ by the tolerance."""
    if isinstance(value, float) and isinstance(wanted, int | float):
        return close(value, wanted, tolerance, tolerance)
    if isinstance(value, list) and isinstance(wanted, list) and len(value) == len(wanted):
        return all(_same_json(one, other, tolerance) for one, other in zip(value, wanted, strict=True))
    return equal(value, wanted)


def same_output(observed: str, expected: str, tolerance: float) -> bool:
    r"""Whether a program printed what was expected.

    Lines are compared without trailing white space, and empty lines at the end do not count. Where that fails, words
    are compared one by one, and a word that is written as a decimal fraction in the expected output may differ by
    `tolerance`, absolutely or relatively.

    Example:
        >>> same_output("0.3333333\n", "0.33333333", 1e-6), same_output("7", "8", 1e-6)
        (True, False)
    """
    if _lines(observed) == _lines(expected):
        return True
    given, wanted = observed.split(), expected.split()
    if len(given) != len(wanted):
        return False
    return all(_same_word(one, other, tolerance) for one, other in zip(given, wanted, strict=True))


def _lines(text: str) -> list[str]:
    lines = [line.rstrip() for line in text.splitlines()]
    while lines and not lines[-1]:
        lines.pop()
    return lines


def _same_word(given: str, wanted: str, tolerance: float) -> bool:
    if given == wanted:
        return True
    if not any(mark in wanted for mark in ".eE") or len(given) > 400 or "_" in given:
        return False
    try:
        first, second = float(given), float(wanted)
    except ValueError:
        return False
    return math.isfinite(second) and math.isclose(first, second, rel_tol=tolerance, abs_tol=tolerance)
