"""`certify`: the label of a whole completion, by what it commits to.

The forms, and why each is wrong when it is:

- nothing: no answer is given at all (empty, refusal, format without content).
- single: one answer is given; `certify_answer` decides.
- hidden: an answer stands where none is given (thinking, a comment), and another one is given; that one counts.
- hedge: two or more different answers are offered and none is chosen; wrong as soon as one of them is.
- retracted: one answer is given, called wrong, and replaced; the last one counts.
- negated: an answer is named and denied.
- echo: the question is given back instead of an answer.
- restated: a part of the question that has the answer's value ("6+6"): "unearned", a class of its own.
- explosion: an expression whose value is far beyond anything that a reference of this size could mean.
- program: a program that ignores its input; wrong where the row's tests ask for something else.
"""

from __future__ import annotations

import re
from typing import Literal

from trueward.audit.certificates.answers import Checker, Label, certify_answer, possible_types
from trueward.audit.certificates.programs import certify_program
from trueward.audit.derivations import Derivation
from trueward.tasks.text.expressions import differ
from trueward.tasks.text.numbers import read_number, strip_wrappers
from trueward.tasks.text.rows import Row

CompletionLabel = Literal["wrong", "right", "unearned", "unknown"]

_REFUSAL_LIKE = re.compile(
    r"\b(cannot|can't|unable|unknown|undefined|none|nothing|impossible|not enough|no (answer|solution)|n/?a)\b", re.I
)


def certify(row: Row, derivation: Derivation, checker: Checker | None = None) -> CompletionLabel:
    """Label a completion by its derivation.

    Returns:
        "wrong", "right" or "unearned" where the row's contract leaves no doubt, else "unknown".
    """
    if _told_by_edits(row, derivation):
        return "unknown"
    match derivation.form:
        case "nothing":
            return _certify_nothing(row, derivation)
        case "single":
            return certify_answer(row, derivation.answers[0].text, checker)
        case "hedge":
            return _certify_hedge(row, derivation, checker)
        case "retracted" | "hidden":
            label = certify_answer(row, derivation.answers[-1].text, checker)
            return "wrong" if label == "wrong" else "unknown"
        case "negated":
            return _certify_negated(row)
        case "echo":
            return _certify_echo(row, checker)
        case "restated":
            return _certify_restated(row, derivation)
        case "explosion":
            return _certify_explosion(row)
        case "program":
            return certify_program(row, derivation)


def _told_by_edits(row: Row, derivation: Derivation) -> bool:
    """Whether text that was put around the answers happens to say the reference."""
    return row.answer is not None and any(
        kind != "times" and _occurs(row.answer, text) for kind, text in derivation.edits
    )


def _occurs(reference: str, text: str) -> bool:
    """Whether the words of the reference stand in the text, in their order and beside one another."""
    words, said = (" ".join(re.findall(r"\w+", part.casefold())) for part in (reference, text))
    return bool(words) and f" {words} " in f" {said} "


def _certify_nothing(row: Row, derivation: Derivation) -> Label:
    """No answer: wrong unless the reference itself is empty, a refusal, or occurs in what is said."""
    if row.answer is None:
        # Rows that store no answer still ask for one.
        return "wrong"
    reference = row.answer.strip()
    if not reference or _REFUSAL_LIKE.search(reference):
        return "unknown"
    said = " ".join(part for block in derivation.blocks for part in block if isinstance(part, str))
    return "unknown" if _occurs(reference, said) else "wrong"


def _certify_hedge(row: Row, derivation: Derivation, checker: Checker | None) -> Label:
    """Several answers and no choice: wrong when they differ and at least one of them is wrong."""
    if row.answer is None or not row.contract.unique or row.contract.type in ("free", "code"):
        return "unknown"
    if re.search(r"\b(or|and)\b", row.answer, re.IGNORECASE):
        return "unknown"
    labels = [certify_answer(row, answer.text, checker) for answer in derivation.answers]
    listed = "".join(part for block in derivation.blocks for part in block if isinstance(part, str))
    if "or" not in listed and {"list", "set", "grid"} & set(possible_types(row)):
        # Answers one beside the other are themselves a list.
        return "unknown"
    return "wrong" if "wrong" in labels and "unknown" not in labels else "unknown"


def _certify_negated(row: Row) -> Label:
    if row.answer is None or not row.contract.unique:
        return "unknown"
    denied = bool(re.match(r"\s*(not|no|none|never)\b", row.answer, re.IGNORECASE)) and len(row.answer.split()) > 1
    decidable = set(possible_types(row)) <= {"int", "number", "expression", "choice", "word"}
    return "wrong" if decidable and not denied else "unknown"


def _certify_echo(row: Row, checker: Checker | None) -> Label:
    """The whole question given back is no answer, unless the question itself reads as the answer."""
    if row.answer is None:
        return "wrong"
    prompt = row.prompt_text
    if row.contract.type in ("free", "code") or len(row.answer.strip()) * 2 > len(prompt.strip()):
        return "unknown"
    return "unknown" if certify_answer(row, prompt, checker) == "right" else "wrong"


def _certify_restated(row: Row, derivation: Derivation) -> CompletionLabel:
    """Equal in value, a contiguous copy from the question, where the task asks for a value."""
    copied = derivation.answers[0].text
    if row.answer is None or row.contract.form == "verbatim" or copied not in row.prompt_text:
        return "unknown"
    if not set(possible_types(row)) <= {"int", "number", "expression"} or read_number(copied) is not None:
        return "unknown"
    if read_number(row.answer) is None:
        # "Simplify", "factor", "expand": the form is what is asked for, and only the author knows which forms count.
        return "unknown"
    return "unearned" if differ(strip_wrappers(row.answer), copied) is False else "unknown"


def _certify_explosion(row: Row) -> Label:
    if row.answer is None or not row.contract.unique or row.contract.type in ("free", "code"):
        return "unknown"
    return "wrong" if len(row.answer) <= 60 and not re.search(r"\^|\*\*|!", row.answer) else "unknown"
