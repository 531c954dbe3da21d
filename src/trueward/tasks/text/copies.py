"""Expressions that stand in the question: a copy of one has the right value and none of the work."""

from __future__ import annotations

import re

from trueward.tasks.text.numbers import read_number

# A run of digits, letters standing alone, operators and brackets, with at least one operator inside.
_RUN = re.compile(r"[-+(\[]*(?:\d[\d.,]*|\b[a-zA-Z]\b|\\[a-zA-Z]+|[-+*/^×·÷(){}\[\] $])+")
_OPERATOR = re.compile(r"[\w)}\s][-+*/^×·÷]|\\frac|\\times|\\cdot|\\sqrt")
_SHORTEST, _LONGEST = 3, 200
_MOST = 3


def copied_expressions(prompt: str) -> list[str]:
    """Pieces of the question that look like something to be computed, longest first."""
    runs = (match.group().strip(" $,.") for match in _RUN.finditer(prompt))
    found = {run for run in runs if _is_work(run)}
    return sorted(found, key=lambda run: (-len(run), run))[:_MOST]


def is_copied(answer: str, prompt: str) -> bool:
    """True when an answer is something to be computed and stands in the question, blanks and dollar signs aside.

    A plain number is never a copy: "which is larger, 7 or 12?" has its answer in the question.

    Example:
        >>> is_copied("$6+6$", "What is 6 + 6?"), is_copied("5 + 7", "What is 6 + 6?"), is_copied("7", "Is it 7 or 12?")
        (True, False, False)
    """
    text = answer.strip(" $,.")
    if not _is_work(text) or read_number(text) is not None:
        return False
    return _squeezed(text) in _squeezed(prompt)


def _is_work(text: str) -> bool:
    return (
        _SHORTEST <= len(text) <= _LONGEST and re.search(r"\d", text) is not None and _OPERATOR.search(text) is not None
    )


def _squeezed(text: str) -> str:
    return "".join(text.replace("$", "").split())
