r"""Comparing two answers with math-verify, under limits that are checked on the text before anything is evaluated.

A computer algebra system evaluates what it is given, and `9^{9^{9^9}}` is nine characters. The limits bound the text:
its length, digits, nesting, operations, exponents, powers of powers, factorials, sums and matrices. What exceeds them
is refused and never evaluated. A hard deadline for everything else is the runner's work, so that no signal is used
here, which would not arrive in a thread.
"""

from __future__ import annotations

import importlib
import re
from typing import Any

from trueward.errors import MissingExtra

_LONGEST = 400  # characters
_MOST_DIGITS = 40  # of one number
_DEEPEST = 16  # brackets and braces
_MOST_OPERATIONS = 60
_LARGEST_EXPONENT = 1_000  # of a number
_LARGEST_POWER = 12  # of what stands in brackets
_LARGEST_FACTORIAL = 170
_MOST_CELLS = 36  # of a matrix

# An exponent is looked at without being consumed, because it may be the base of the next power.
_POWER = re.compile(
    r"(?P<base>[)\]}]|\d|[a-zA-Z])\s*(?:\^|\*\*)\s*(?=(?P<exponent>\{[^{}]*\}|[-+]?\d+|\(|\\?[a-zA-Z]+|\{))"
)
_OPERATION = re.compile(r"[-+*/^!=<>]|\\[a-zA-Z]+")
_FACTORIAL = re.compile(r"(\d+|.)\s*!(?!=)", re.DOTALL)
_BEYOND = re.compile(r"\\(?:i?i?int|oint|sum|prod|lim|d?binom|partial|zeta|Gamma)(?![a-zA-Z])")
_BINOMIAL = re.compile(r"\\d?binom\{(\d{1,3})\}\{(\d{1,3})\}")


def refusal(text: str) -> str:
    """Why an answer is not evaluated, or "" when it is within the limits."""
    text = text.replace(r"\!", "")
    if len(text) > _LONGEST:
        return f"{len(text):,} characters; up to {_LONGEST} are evaluated"
    longest = max((len(run) for run in re.findall(r"\d+", text)), default=0)
    if longest > _MOST_DIGITS:
        return f"a number of {longest} digits; up to {_MOST_DIGITS} are evaluated"
    if (depth := _nesting(text)) > _DEEPEST:
        return f"nested {depth} levels deep; up to {_DEEPEST} are evaluated"
    if (operations := len(_OPERATION.findall(text))) > _MOST_OPERATIONS:
        return f"{operations} operations; up to {_MOST_OPERATIONS} are evaluated"
    if text.count("&") + text.count(r"\\") > _MOST_CELLS:
        return f"a matrix of more than {_MOST_CELLS} cells"
    return _refused_powers(text) or _refused_functions(text)


def _nesting(text: str) -> int:
    depth = deepest = 0
    for char in text:
        if char in "([{":
            depth += 1
            deepest = max(deepest, depth)
        elif char in ")]}":
            depth -= 1
    return deepest


def _refused_powers(text: str) -> str:
    top = -1
    for power in _POWER.finditer(text):
        exponent = power["exponent"].strip("{}() ")
        if power["exponent"] in ("{", "(") or "^" in exponent or "**" in exponent or power.start() == top:
            return "a power of a power, or an exponent in nested brackets"
        top = power.end("exponent") - 1
        numbers = [int(run) for run in re.findall(r"\d+", exponent)]
        largest = _LARGEST_POWER if power["base"] in ")]}" else _LARGEST_EXPONENT
        if numbers and max(numbers) > largest:
            return f"an exponent of {max(numbers)}; up to {largest} is evaluated here"
    return ""


def _refused_functions(text: str) -> str:
    for found in _FACTORIAL.finditer(text):
        if not found[1].isdigit() or int(found[1]) > _LARGEST_FACTORIAL or text[found.end() : found.end() + 1] == "!":
            return f"a factorial of something else than a number up to {_LARGEST_FACTORIAL}"
    beyond = _BEYOND.search(_BINOMIAL.sub("", text))
    return f"{beyond.group()} is not evaluated" if beyond else ""


def prepare() -> None:
    """Import math-verify.

    Raises:
        MissingExtra: it is not installed.
    """
    _math_verify()


def same_symbolically(reference: str, given: str) -> bool:
    """Whether math-verify calls two answers the same. Both must be within the limits.

    Raises:
        MissingExtra: math-verify is not installed.
    """
    parser, grader, targets = _math_verify()
    # Only the whole of it: otherwise it looks for a fraction in what it cannot read.
    first, second = (
        parser.parse(rf"\boxed{{{text}}}", targets, extraction_mode="first_match", parsing_timeout=None)
        for text in (reference, given)
    )
    return bool(grader.verify(first, second, timeout_seconds=None))


def _math_verify() -> tuple[Any, Any, Any]:
    try:
        parser: Any = importlib.import_module("math_verify.parser")
        grader: Any = importlib.import_module("math_verify.grader")
    except ModuleNotFoundError as error:
        raise MissingExtra("math-verify is not installed: pip install 'trueward[audit]'") from error
    # Read as LaTeX or not at all: its other reader picks a number out of what it cannot read.
    # Otherwise it logs that no time limit is set, which is meant: see above.
    parser.TIMEOUT_WARNING_SHOWN = grader.TIMEOUT_WARNING_SHOWN = True
    return parser, grader, (parser.LatexExtractionConfig(),)
