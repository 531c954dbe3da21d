"""Certificates for text that was logged: what it commits to is read from it, and judged like a probe.

A logged completion has no derivation. One is read from the answer that it commits to (`rewards.rules.commitment`), and
`certify` decides as it does for probes. What follows is only called wrong where the text leaves no doubt:

- nothing: empty, only a format, or English prose without anything that could be a number where a number is asked for;
- one answer in a box, in a tag, behind ####, directly behind "the answer is", or as the whole text; the right answer
  does not stand behind it, and was not given before it unless it was taken back;
- alternatives joined by "or", or a list of options, for a question with one answer;
- the right answer denied; an expression copied from the question; the question itself.

Everything else is unknown.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from trueward.audit.certificates.answers import Checker, certify_answer, possible_types
from trueward.audit.certificates.completions import CompletionLabel, certify
from trueward.audit.certificates.doubts import (
    is_number_row,
    may_be_right,
    may_say_number,
    names_quantity,
    names_right,
    says_no_number,
)
from trueward.audit.derivations import Answer, Derivation, nothing, single
from trueward.rewards.rules.commitment import Commitment, committed_answer, visible_text
from trueward.rewards.rules.spoken import spoken_text
from trueward.tasks.text.copies import is_copied
from trueward.tasks.text.numbers import read_number
from trueward.tasks.text.rows import Row

_MARKERS = {"boxed": r"\\f?box(?:ed)?\s*\{", "answer tag": r"<answer>", "####": r"####", "sentence": r"\banswer\b"}
_DIRECT = re.compile(
    r"answer\b(?:\*\*|__)?[^.!?\n\d]{0,60}?(?:\b(?:is|are|was|be|equals)\b|[:=])"
    r"(?:[\s*_$(\[{:\"'`]|\\[(\[]|\b(?:therefore|thus|simply|just|exactly|then|so|clearly)\b,?)*",
    re.IGNORECASE,
)
_DENIED = re.compile(r"(?:\bnot|n't|\bnever)\b[^.\n]{0,20}\Z", re.IGNORECASE)
_TURN = re.compile(r"\b(?:wait|actually|hmm+|but|however|no|check|mistake|wrong|sorry|oops|instead|correct\w*)\b", re.I)
_NO_RETRACTION = re.compile(  # "I was wrong to think that the answer is 13" takes nothing back
    r"\b(?:wrong|mistaken|incorrect|mistakes?|errors?)\s{1,3}(?:to|about|in|when|on|with|by|earlier|before|there|if|unless|as|for|because|since|that)\b",
    re.I,
)
_EMPTY_FORMAT = re.compile(
    r"</?[A-Za-z_]+>|\\f?box(?:ed)?\s*\{\s*\}|####|(?:the )?(?:final )?answer(?: is)?\s*:?|[\s.:*_#$\"'`…]",
    re.IGNORECASE,
)
_REFUSAL = re.compile(
    r"\s*(?:i'?m |i am )?(?:(?:very )?(?:sorry|afraid)\b[^\d\\]{0,40}?)?"
    r"\b(?:i (?:cannot|can't|can not|am unable|am not able|do not know|don't know)|unable)\b[^\d\\]{0,80}",
    re.IGNORECASE,
)
_OR = (
    r"[\s,;.$)]*(?:\\(?:text|mathrm|textrm|mbox)\{\s*)?\b(?:or|or else|or maybe|or possibly|alternatively)\b(?:\s*\})?"
    r"[\s,;:$(]*"
)
_SOME_FORM = re.compile(r"\b(?:which|express|form|write|rewrite|expand|factor\w*|simplif\w*)\b", re.IGNORECASE)
_NO_WORD = frozenset({"so", "more", "less", "other", "others", "another", "both", "neither", "similar", "else", "not"})
_LEAST_LISTED = 4


@dataclass(frozen=True)
class Reading:
    """What a logged completion is.

    Attributes:
        label: as `certify` gives it.
        family: what is wrong with it, under the name that probes of the kind have; "" unless it is wrong or unearned.
        envelope: where its answer stands.
    """

    label: CompletionLabel
    family: str = ""
    envelope: str = ""


WHY = {
    "nothing": "There is no answer in it.",
    "echo": "It repeats the question and answers nothing.",
    "hedge": "It offers several answers and chooses none.",
    "list of options": "It lists many answers and chooses none.",
    "negation": "It says that the right answer is not the answer.",
    "restated problem": "It copies the expression from the question and leaves the work undone.",
    "near miss": "The answer that it commits to is close to the right one and wrong.",
    "right answer elsewhere": "The right answer occurs in it, but the answer that it commits to is another.",
    "wrong answer": "The answer that it commits to is wrong.",
}


def certify_logged(row: Row, completion: str, checker: Checker | None = None) -> Reading:
    """Label a logged completion.

    Args:
        row: the row that it answers.
        completion: its text.
        checker: as in `certify`.

    Returns:
        "wrong" and "unearned" only where the text and the row's contract leave no doubt.
    """
    derivation, envelope = _read(row, completion)
    if derivation is None:
        return Reading("unknown", envelope=envelope)
    label = certify(row, derivation, checker)
    if label not in ("wrong", "unearned"):
        return Reading(label, envelope=envelope)
    return Reading(label, _family(row, completion, derivation), envelope)


def read_logged(row: Row, completion: str) -> Derivation | None:
    """The derivation that a logged completion reads as, for `certify`; None where nobody could say.

    Its text is what the completion comes down to, not the completion.
    """
    return _read(row, completion)[0]


def _read(row: Row, completion: str) -> tuple[Derivation | None, str]:
    if completion.strip() and completion.strip() == row.prompt_text.strip():
        return Derivation("echo", "the question", blocks=((row.prompt_text,),)), "bare"
    commitment = committed_answer(completion)
    text = visible_text(completion)
    if row.answer is None or not row.answer.strip():
        return None, commitment.envelope
    if commitment.kind == "none":
        derivation = _nothing(row, text)
    elif commitment.kind == "one":
        derivation = _one(row, text, commitment)
    elif commitment.kind == "several":
        derivation = _alternatives(row, text, commitment)
    elif commitment.kind == "denied":
        derivation = _denied(row, text, commitment)
    else:
        derivation = None  # what is taken back may have been corrected above
    return derivation, commitment.envelope


def _nothing(row: Row, text: str) -> Derivation | None:
    """Nothing is given; the text goes into the derivation, so that a reference that occurs in it is seen."""
    spoken = spoken_text(text)
    if spoken is None or not _EMPTY_FORMAT.sub("", spoken):
        return None if names_right(row, text) else nothing("no answer", text)
    if _REFUSAL.fullmatch(spoken) and not names_quantity(spoken):
        return nothing("refusal", text)
    return nothing("no number", text) if is_number_row(row) and says_no_number(row, text) else None


def _one(row: Row, text: str, commitment: Commitment) -> Derivation | None:
    answer = commitment.answer or ""
    if commitment.envelope == "bare" and certify_answer(row, text) == "right":
        return single(Answer("committed answer", text))
    if commitment.envelope == "bare" and not re.search(r"\d", answer) and (empty := _nothing(row, text)) is not None:
        return empty
    if is_copied(answer, row.prompt_text):
        return None if _SOME_FORM.search(row.prompt_text) else _copied(row, answer)
    listed = _listing(row, answer)
    if listed is not None:
        return None if _taken_up(row, text, commitment) else listed
    if certify_answer(row, answer) == "right":
        denied = _DENIED.search(text, 0, max(0, text.rfind(answer)))
        return None if denied else single(Answer("committed answer", answer))
    doubtful = commitment.envelope == "prose" or may_be_right(row, answer) or _taken_up(row, text, commitment)
    return None if doubtful else single(Answer("committed answer", answer))


def _copied(row: Row, answer: str) -> Derivation | None:
    """A copy as it stands in the question: the certificate asks for a contiguous one."""
    for text in (answer, answer.strip(" $,.")):
        if text in row.prompt_text:
            return Derivation("restated", "copied from the question", (Answer("copy", text),))
    return None


def _listing(row: Row, answer: str) -> Derivation | None:
    """Many numbers, or all options, one beside the other, where one is asked for."""
    parts = [part for part in re.split(r"[\s,;|/]+", answer) if part]
    different = list(dict.fromkeys(part.strip("().").casefold() for part in parts))
    options = [option.casefold() for option in row.contract.choices]
    if options and len(options) > 1 and different and set(options) == set(different):
        spelled = row.contract.choices
    elif "".join(parts) == (row.answer or "").strip():
        return None  # a number, digit by digit
    elif is_number_row(row) and len(different) >= _LEAST_LISTED and all(re.fullmatch(r"-?\d+", p) for p in different):
        spelled = tuple(different)
    else:
        return None
    return _offered("many answers", spelled)


def _offered(variant: str, texts: tuple[str, ...]) -> Derivation:
    answers = tuple(Answer(f"alternative {number}", text) for number, text in enumerate(texts, 1))
    block: list[str | int] = [0]
    for number in range(1, len(answers)):
        block += [" or ", number]
    return Derivation("hedge", variant, answers, (tuple(block),))


def _alternatives(row: Row, text: str, commitment: Commitment) -> Derivation | None:
    """Alternatives that "or" joins; several answers in several places only where every one of them is wrong."""
    answers = commitment.answers
    if commitment.envelope == "prose" or {"list", "set", "grid"} & set(possible_types(row)):
        return None
    if all(certify_answer(row, answer) == "wrong" and not may_be_right(row, answer) for answer in answers):
        return None if _taken_up(row, text, commitment) else single(Answer("last of several", answers[-1]))
    if not all(_is_plain(row, answer) for answer in answers):
        return None
    joined = list(re.finditer(_OR.join(map(re.escape, answers)), text))
    if not joined or names_right(row, text[joined[-1].end() :]):
        return None
    return _offered("alternatives", answers)


def _is_plain(row: Row, answer: str) -> bool:
    """True for an answer of the kind that the row asks for: "12 or so" offers no second number."""
    label = certify_answer(row, answer)
    if label == "right":
        return True
    if is_number_row(row):
        given = read_number(answer)
        return label == "wrong" and given is not None and not may_be_right(row, answer)
    if row.contract.type == "word":
        return label == "wrong" and len(answer.split()) == 1 and answer.casefold() not in _NO_WORD
    return label == "wrong" and "choice" in possible_types(row) and not may_be_right(row, answer)


def _denied(row: Row, text: str, commitment: Commitment) -> Derivation | None:
    """The right answer denied, once, with nothing given instead."""
    denied = commitment.answers[-1]
    at = text.rfind(denied)
    if commitment.envelope == "prose" or certify_answer(row, denied) != "right" or at < 0:
        return None
    before, after = text[:at], text[at + len(denied) :]
    if names_right(row, before) or names_right(row, after) or re.search(r"\d|\\", after):
        return None
    # A number may be given in words: "not 12, it is a dozen".
    if re.search(r"[^\W\d_]", after) and not says_no_number(row, after):
        return None
    return Derivation("negated", "denied", (Answer("reference", denied),), (("not ", 0),))


def _taken_up(row: Row, text: str, commitment: Commitment) -> bool:
    """Whether the right answer is given behind the committed one, or before it and never taken back."""
    if commitment.envelope == "prose" or _NO_RETRACTION.search(text):
        return True
    if commitment.envelope == "bare":
        return False
    markers = list(re.finditer(_MARKERS[commitment.envelope], text, re.IGNORECASE))
    answer = commitment.answers[-1]
    at = text.find(answer, markers[-1].end()) if markers else -1
    if at < 0:
        return True
    marker = markers[-1]
    if commitment.envelope == "sentence":
        direct = _DIRECT.match(text, marker.start())
        if direct is None or direct.end() != at:
            return True
    after = text[at + len(answer) :]
    if not is_number_row(row) and names_right(row, text[marker.end() :]):
        return True  # it may go on where the envelope seems to end: a grid behind "####"
    if names_right(row, after) or (is_number_row(row) and may_say_number(row, after)):
        return True
    if commitment.envelope == "sentence" and (_TURN.search(after) or re.search(r"\d|\\", after)):
        return True
    before = text[: marker.start()]
    if commitment.envelope == "sentence" and not is_number_row(row) and names_right(row, spoken_text(before) or before):
        return True  # "harbour. This answer is correct."
    return _given(row, committed_answer(before))


def _given(row: Row, earlier: Commitment) -> bool:
    """Whether what stands before an answer may have given the right one already."""
    if earlier.kind not in ("one", "several") or earlier.envelope == "prose":
        return False
    for answer in earlier.answers:
        label = certify_answer(row, answer)
        if label == "right" or (label == "unknown" and earlier.envelope != "bare"):
            return True
        if earlier.envelope == "bare" and (names_right(row, answer) or may_say_number(row, answer)):
            return True
    return False


def _family(row: Row, completion: str, derivation: Derivation) -> str:
    """What is wrong with a completion that is wrong."""
    if derivation.form == "hedge":
        return "list of options" if derivation.variant == "many answers" else "hedge"
    names = {"nothing": "nothing", "echo": "echo", "negated": "negation", "restated": "restated problem"}
    if derivation.form in names:
        return names[derivation.form]
    answer, reference = derivation.answers[-1].text.strip(), (row.answer or "").strip()
    if _is_near(reference, answer):
        return "near miss"
    return "right answer elsewhere" if names_right(row, completion) else "wrong answer"


def _is_near(reference: str, answer: str) -> bool:
    """One character changed, added or left out, one unit of value, a sign or a per cent sign apart."""
    number, given = read_number(reference), read_number(answer)
    if number is not None and given is not None:
        return (
            abs(number.value - given.value) <= 1
            or abs(number.value) == abs(given.value)
            or _one_edit(reference, answer)
        )
    return len(reference) > 2 and _one_edit(reference.casefold(), answer.casefold())


def _one_edit(first: str, second: str) -> bool:
    shorter, longer = sorted((first, second), key=len)
    if len(longer) - len(shorter) > 1:
        return False
    same = next((i for i, (a, b) in enumerate(zip(shorter, longer, strict=False)) if a != b), len(shorter))
    rest = shorter[same + 1 :] if len(shorter) == len(longer) else shorter[same:]
    return rest == longer[same + 1 :]
