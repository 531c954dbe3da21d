"""Static limits: what an answer may hold before anybody evaluates it.

A parser of mathematics takes hours for ten characters. Everything here is read off the text, in time in proportion to
its length; nothing is computed that could be large.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

LONGEST_COMPLETION = 1_000_000
MOST_TAGS = 64

# For texts whose blanks have been joined: one at most, so that no run of them is tried in every way.
_POWER = r"(?:\^|\*\*) ?[{(]? ?"
_EXPONENT = re.compile(rf"(?:{_POWER}[-+]? ?|\d[eE][-+]?)(\d+)")
_EXPANSION = re.compile(rf"[)\]] ?{_POWER}(\d+)")
_TOWER = re.compile(rf"\d ?{_POWER}(\d+) ?{_POWER}(\d+)")
_STEP = re.compile(r"\*\*|\^|[{}()]|[^{}()^*]+|\*")
_BARE_EXPONENT = re.compile(r"[-+]?(?:\d+(?:\.\d+)?|[A-Za-z]|\\[A-Za-z]+)")
_FACTORIAL = re.compile(r"(?<!\d)(\d+) ?!")
_NESTED_FACTORIAL = re.compile(r"! ?[)}]+ ?!")
_SPECIAL_NAME = re.compile(r"__[A-Za-z]\w*__|[A-Za-z]__ ?\(")
_LARGE = 10**9


@dataclass(frozen=True)
class Limit:
    """One limit.

    Attributes:
        name: what is limited, as it ends "more than 400 …".
        most: how much an answer may have where the row's own reference has no more.
        measure: how much a text has.
    """

    name: str
    most: int
    measure: Callable[[str], int]


def excess(answer: str, references: Sequence[str] = ()) -> str | None:
    r"""Which limit an answer exceeds, in words; None when it keeps all of them.

    Args:
        answer: the answer alone.
        references: what the row itself holds. An answer may always have twice as much as these.

    Example:
        >>> excess(r"\frac{11}{12}"), excess("9^{9^{9^9}}")
        (None, 'powers of powers: 3, allowed 2')
    """
    answer = _joined(answer)
    for limit in LIMITS:
        found = limit.measure(answer)
        if found <= limit.most:
            continue
        allowed = max([limit.most, *(2 * limit.measure(_joined(reference)) for reference in references)])
        if found > allowed:
            return f"{limit.name}: {_shown(found)}, allowed {_shown(allowed)}"
    return None


def _joined(text: str) -> str:
    """`text` with one blank for every run of them; blank lines cost a parser nothing."""
    return " ".join(text.split())


def _shown(number: int) -> str:
    return f"{number:,}" if number < _LARGE else "more than can be said"


def _number(digits: str) -> int:
    return int(digits) if len(digits) < len(str(_LARGE)) else _LARGE


def _largest(pattern: re.Pattern[str], text: str) -> int:
    return max((_number(found.group(1)) for found in pattern.finditer(text)), default=0)


def _longest_number(text: str) -> int:
    return max((len(run) for run in re.findall(r"\d+", text)), default=0)


def _depth(text: str) -> int:
    deepest = depth = 0
    for bracket in re.findall(r"[\[({\])}]", text):
        depth = depth + 1 if bracket in "[({" else max(0, depth - 1)
        deepest = max(deepest, depth)
    return deepest


def _height(text: str) -> int:
    """How many powers stand in one another's exponents: 1 for x^2, 2 for e^{x^2}, 3 for 9^9^9^9."""
    highest = chain = base = 0
    in_exponent = False
    outer: list[tuple[int, int]] = []
    for token in _STEP.findall(text):
        if token in ("^", "**"):
            chain += 1
            highest = max(highest, base + chain)
            in_exponent = True
        elif token in "({":
            outer.append((base, chain))
            base, chain, in_exponent = base + chain if in_exponent else base, 0, False
        elif token in ")}":
            base, chain = outer.pop() if outer else (0, 0)
            in_exponent = False
        elif token.strip():
            # Only a sign and one number, letter or command belong to an exponent without braces; anything else ends it.
            if not in_exponent or not _BARE_EXPONENT.fullmatch(token.strip()):
                chain = 0
            in_exponent = False
    return highest


def _tower(text: str) -> int:
    """The largest exponent that is itself a power of whole numbers: 16 for 2^{4^2}."""
    largest = 0
    for found in _TOWER.finditer(text):
        base, exponent = (_number(digits) for digits in found.groups())
        # Beyond 30 every power of 2 or more is over the largest number that is told apart.
        largest = max(largest, min(_LARGE, base ** min(exponent, 30)))
    return largest


def _expansion(text: str) -> int:
    """The largest power of a bracket where there are letters: it may have to be expanded."""
    return _largest(_EXPANSION, text) if re.search(r"[A-Za-z]", text) else 0


def _factorial(text: str) -> int:
    return _LARGE if _NESTED_FACTORIAL.search(text) else _largest(_FACTORIAL, text)


LIMITS = (
    Limit("characters", 2_000, len),
    Limit("numbers", 20, lambda text: len(re.findall(r"\d+", text))),  # a list of guesses is no answer
    Limit("digits of one number", 400, _longest_number),
    Limit("brackets in brackets", 40, _depth),
    Limit("powers of powers", 2, _height),
    Limit("exponent", 10_000, lambda text: _largest(_EXPONENT, text)),
    Limit("exponent that is a power", 1_000, _tower),
    Limit("power of a bracket with letters", 60, _expansion),
    Limit("factorial", 1_000, _factorial),
    Limit("special names of Python", 0, lambda text: len(_SPECIAL_NAME.findall(text))),
)
