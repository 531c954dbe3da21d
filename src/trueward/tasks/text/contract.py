"""What a right answer is, for one row: the answer contract.

Everything the audit calls *wrong* is wrong under this contract. Where nothing is declared, an answer is called wrong
only if it is wrong under every type that the reference string could have.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from trueward.errors import DataError

AnswerType = Literal[
    "int", "number", "expression", "choice", "word", "list", "set", "grid", "code", "free", "undeclared"
]
AnswerForm = Literal["value", "verbatim", "undeclared"]

ANSWER_TYPES: tuple[str, ...] = get_args(AnswerType)
ANSWER_FORMS: tuple[str, ...] = get_args(AnswerForm)


@dataclass(frozen=True)
class Contract:
    """How answers to one row compare with its reference.

    Attributes:
        type: what kind of thing the answer is; "undeclared" makes the certificate consider every kind it could be.
        unique: True when exactly one answer (up to equivalence) is right. False when others may be right too: then
            only an independent checker can call an answer wrong.
        form: "value" when every way to write the value must be paid; "verbatim" when the string itself is asked for.
        tolerance: absolute difference up to which two numbers are the same answer; None when not declared.
        choices: the options of a multiple-choice question, as they may be answered (letters or words).
        case_sensitive: True when the letters' case matters.
        declared: False when type and uniqueness were assumed rather than given.
    """

    type: AnswerType = "undeclared"
    unique: bool = True
    form: AnswerForm = "undeclared"
    tolerance: float | None = None
    choices: tuple[str, ...] = ()
    case_sensitive: bool = False
    declared: bool = False

    def __post_init__(self) -> None:
        """Raises `DataError` for a type, form or tolerance that does not exist."""
        if self.type not in ANSWER_TYPES:
            raise DataError(f"answer type {self.type!r} is not one of {', '.join(ANSWER_TYPES)}")
        if self.form not in ANSWER_FORMS:
            raise DataError(f"answer form {self.form!r} is not one of {', '.join(ANSWER_FORMS)}")
        if self.tolerance is not None and not self.tolerance >= 0:
            raise DataError(f"answer tolerance {self.tolerance!r} is not a number of at least 0")
