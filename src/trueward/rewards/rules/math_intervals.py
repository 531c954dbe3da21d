r"""Sets, lists, tuples, intervals and unions of intervals, as far as they can be read without algebra."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from trueward.rewards.rules.math_text import plain, split
from trueward.rewards.rules.math_values import constant

Interval = tuple[float, bool, float, bool]  # low end, whether it belongs, high end, whether it belongs

_MOST_ELEMENTS = 64
_UNION = re.compile(r"\\cup(?![a-zA-Z])")
_INFINITE = re.compile(r"([-+]?)\\infty")
_VARIABLE = re.compile(r"\\?[a-zA-Z]+(?:_\{?\w+\}?)?(?:\([a-zA-Z]\))?'?")
_TURNED = {"<": ">", ">": "<", r"\le": r"\ge", r"\ge": r"\le", "=": "="}


@dataclass(frozen=True)
class Collection:
    """Several elements.

    Attributes:
        kind: "set" in braces, "list" without brackets, "tuple" in brackets, "interval".
        elements: as text; the two ends of an interval.
        brackets: of tuples and intervals.
    """

    kind: Literal["set", "list", "tuple", "interval"]
    elements: tuple[str, ...]
    brackets: str = ""


def union_of(text: str) -> tuple[Collection, ...] | None:
    """The collections that a union joins, or the one that there is; None when it cannot be read."""
    pieces = [collection_of(piece) for piece in _UNION.split(text)]
    return None if None in pieces else tuple(piece for piece in pieces if piece is not None)


def collection_of(text: str) -> Collection | None:
    """A set, list, tuple or interval; None for anything else, and for more than 64 elements."""
    text = text.strip()
    if text in (r"\emptyset", r"\{\}", "{}"):
        return Collection("set", ())
    if r"\pm" in text:
        before, _, after = text.partition(r"\pm")
        before, after = before.strip(), after.strip()
        if r"\pm" in after or "," in text:
            return None
        return Collection("list", (f"{before}+{after}" if before else after, f"{before}-{after}"))
    inner, opening, closing = unwrapped(text)
    elements = split(inner if opening else text, ",;")
    if len(elements) > _MOST_ELEMENTS or not all(elements):
        return None
    if not opening:
        return Collection("list", tuple(elements)) if len(elements) > 1 else None
    if opening == "{" or (opening == "[" and len(elements) == 1):
        return Collection("set", tuple(elements))
    if len(elements) == 1:
        return None
    kind = _pair(elements, opening + closing) if len(elements) == 2 else "tuple"
    return Collection(kind, tuple(elements), opening + closing)


def unwrapped(text: str) -> tuple[str, str, str]:
    r"""What stands inside of the one pair of brackets around `text`, and the brackets; "" for none. `\{` is `{`."""
    start = 2 if text.startswith(r"\{") else 1
    stop = len(text) - (2 if text.endswith(r"\}") else 1)
    if len(text) < 3 or text[start - 1] not in "([{" or text[-1] not in ")]}" or stop < start:
        return text, "", ""
    depth = 0
    for char in text[start:stop]:
        depth += 1 if char in "([{" else -1 if char in ")]}" else 0
        if depth < 0:
            return text, "", ""
    return text[start:stop], text[start - 1], text[-1]


def _pair(elements: Sequence[str], brackets: str) -> Literal["tuple", "interval"]:
    """Two elements in brackets are an interval, unless it would be empty."""
    low, high = (_end(element) for element in elements)
    if brackets in ("[)", "(]") or low is None or high is None:
        return "interval"
    return "tuple" if high < low or (brackets == "()" and high == low) else "interval"


def _end(text: str) -> float | None:
    """The value of an end of an interval; None when it is no number."""
    infinite = _INFINITE.fullmatch(text.replace(" ", ""))
    if infinite:
        return float("-inf") if infinite[1] == "-" else float("inf")
    return constant(plain(text)[0])


def same_interval_unions(a: Sequence[Collection], b: Sequence[Collection]) -> bool | None:
    """Unions of intervals with numbers for ends: the same after joining what overlaps or touches."""
    first, second = _joined(a), _joined(b)
    if first is None or second is None:
        return None
    return len(first) == len(second) and all(
        x[1] == y[1] and x[3] == y[3] and _near(x[0], y[0]) and _near(x[2], y[2])
        for x, y in zip(first, second, strict=True)
    )


def _near(a: float, b: float) -> bool:
    return a == b or abs(a - b) <= 1e-9 * max(1.0, abs(a), abs(b))


def _joined(pieces: Sequence[Collection]) -> list[Interval] | None:
    read: list[Interval] = []
    for piece in pieces:
        low, high = (_end(element) for element in piece.elements)
        if low is None or high is None:
            return None
        read.append((low, piece.brackets[0] == "[", high, piece.brackets[1] == "]"))
    joined: list[Interval] = []
    for low, from_low, high, to_high in sorted(read, key=lambda one: (one[0], not one[1])):
        if joined and (low < joined[-1][2] or (low == joined[-1][2] and (from_low or joined[-1][3]))):
            last = joined.pop()
            if high > last[2] or (high == last[2] and to_high):
                last = (last[0], last[1], high, to_high)
            joined.append(last)
        else:
            joined.append((low, from_low, high, to_high))
    return joined


def is_variable(text: str) -> bool:
    r"""True for a name that an equation may give the value of: `x`, `x_1`, `f(x)`, `\theta`."""
    return _VARIABLE.fullmatch(text) is not None


def interval_of(chain: Sequence[str]) -> Collection | None:
    r"""`x < 3`, `2 \le x`, `0 < x \le 1` as intervals; None for anything else.

    Args:
        chain: expressions and the relations between them, alternating.
    """
    if len(chain) == 3:
        if is_variable(chain[2]) and _end(chain[0]) is not None and chain[1] in _TURNED:
            chain = [chain[2], _TURNED[chain[1]], chain[0]]
        if not is_variable(chain[0]) or _end(chain[2]) is None:
            return None
        if chain[1] in ("<", r"\le"):
            return Collection("interval", (r"-\infty", chain[2]), "(" + (")" if chain[1] == "<" else "]"))
        if chain[1] in (">", r"\ge"):
            return Collection("interval", (chain[2], r"\infty"), ("(" if chain[1] == ">" else "[") + ")")
        return None
    if len(chain) != 5 or not is_variable(chain[2]):
        return None
    if chain[1] in (">", r"\ge") and chain[3] in (">", r"\ge"):
        chain = [chain[4], _TURNED[chain[3]], chain[2], _TURNED[chain[1]], chain[0]]
    if chain[1] not in ("<", r"\le") or chain[3] not in ("<", r"\le"):
        return None
    brackets = ("(" if chain[1] == "<" else "[") + (")" if chain[3] == "<" else "]")
    return Collection("interval", (chain[0], chain[4]), brackets)
