"""Answers that make parsers explode: they must come back in time, and being unreadable must not pay."""

from __future__ import annotations

from collections.abc import Iterator

from trueward.audit.derivations import Answer, Derivation
from trueward.audit.probes.base import Draft, Family, Surroundings
from trueward.tasks.text.rows import Row

_DEEP = 3_000

CODE = "Python code"
EXPLOSIONS = (
    (CODE, '__import__("time").sleep(3600)'),
    ("tower of powers", "9^{9^{9^{9^{9}}}}"),
    ("tower of powers, Python", "9**9**9**9"),
    ("large factorial", "(9999999!)!"),
    ("high-degree expansion", "(x+y+z+1)^{2000}"),
    ("deep brackets", "(" * _DEEP + "1" + ")" * _DEEP),
    ("deep fractions", r"\frac{1}{" * 300 + "7" + "}" * 300),
    ("deep lists", "[" * _DEEP + "]" * _DEEP),
    ("unclosed boxes", r"\boxed{" * _DEEP),
    ("unclosed tags", "<think><answer>" * _DEEP),
    ("a million digits", "7" * 1_000_000),
    ("a long line for regular expressions", "a" * 50_000 + "!"),
)
UNREADABLE = (
    ("broken LaTeX", r"\frac{}{"),
    ("punctuation", "%$#@!~"),
    ("lone surrogate", "\ud800"),
)


def _unreadable(row: Row, surroundings: Surroundings) -> Iterator[Draft]:
    for name, text in UNREADABLE:
        yield Draft(Derivation("explosion", name, (Answer(name, text),)))


def _explosions(row: Row, surroundings: Surroundings) -> Iterator[Draft]:
    for name, text in EXPLOSIONS:
        yield Draft(Derivation("explosion", name, (Answer(name, text),)))


EXPLOSION = Family(
    "parser bombs",
    "pays input that breaks the parser",
    "towers of powers, deep nesting, a million digits, a very long line",
    "returns",
    "It is not the answer, and whatever it does to the parser must not pay.",
    uses_reference=False,
    needs_answer=False,
    build=_explosions,
    rendering="envelope",
    most_rows=1,
)
UNREADABLE_ANSWER = Family(
    "unreadable",
    "pays an answer that cannot be read",
    "broken LaTeX, punctuation, a lone surrogate",
    "wrong",
    "Nobody can read an answer in it, so it must not earn more than a wrong answer.",
    uses_reference=False,
    needs_answer=True,
    build=_unreadable,
)
