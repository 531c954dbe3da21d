r"""Mathematical answers: 1.0 where the completion commits to the reference answer, 0.0 where it does not.

A cascade, cheapest first: the same letters; the same number, in exact fractions; the same set, interval, equation or
value (`math_structure`); and last math-verify, under static limits (`math_symbolic`). What a completion commits to is
read as a person reads it (`commitment`): "12 or 13" and "not 12" are not 12.

docs/verifiers.md names the classes in which the verdict differs from math-verify's, and why.
"""

from __future__ import annotations

import contextlib
import functools
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from trueward.errors import DataError, MissingExtra
from trueward.rewards.references import text_of, with_aliases
from trueward.rewards.rules.commitment import Commitment, committed_answer
from trueward.rewards.rules.math_intervals import union_of
from trueward.rewards.rules.math_structure import same
from trueward.rewards.rules.math_symbolic import prepare, refusal, same_symbolically
from trueward.rewards.rules.math_text import plain, split
from trueward.rewards.rules.math_values import PLAIN, Terms
from trueward.rewards.rules.rows import rows_of
from trueward.rewards.rules.spoken import without_question
from trueward.rewards.runner.types import Item
from trueward.status import Status
from trueward.tasks.text.declared import declared
from trueward.tasks.text.numbers import read_number, strip_wrappers
from trueward.tasks.text.reference import reference_of
from trueward.tasks.text.visible import visible_text

Score = float | None | tuple[Status, str]
Stage = Literal["structure", "symbolic", "refused", "reference refused"]

_PER_CENT = re.compile(r"per\s?cent|%", re.IGNORECASE)
_OPERATOR = re.compile(r"[\w)}]\s*[-+*/^×·÷(]|\\(?:frac|times|cdot|sqrt)")
_WORDS_WITHIN = re.compile(r"[\d}]\s*\\(?:text|textrm|mathrm|mbox)\s*\{[^{}]*[a-zA-Z]{2}[^{}]*\}\s*[-+\d\\(a-zA-Z]")
_OR = re.compile(r"(?<=[\d})$])\s*(?:\bor\b|\\text\{\s*or\s*\})\s*(?=[-\d\\$(a-z])")


@dataclass(frozen=True)
class Verdict:
    """Whether an answer is the reference.

    Attributes:
        right: True, False, or None when one of the two was refused.
        stage: what decided, or which of the two was refused.
        why: for a refusal, the limit that it exceeds.
    """

    right: bool | None
    stage: Stage
    why: str = ""


def verdict(reference: str, answer: str, terms: Terms = PLAIN) -> Verdict:
    """Compare one committed answer with the reference.

    Args:
        reference: the reference answer.
        answer: the answer, without its envelope.
        terms: on what terms.

    Raises:
        MissingExtra: the symbolic comparison is needed and math-verify is not installed.
    """
    known = same(reference, answer, terms)
    if known is not None:
        return Verdict(known, "structure")
    if why := refusal(reference):
        return Verdict(None, "reference refused", why)
    if why := refusal(answer):
        return Verdict(None, "refused", why)
    # It reads no further than to words: "5 \\text{ maybe } 6".
    if not re.search(r"\w", answer) or (_WORDS_WITHIN.search(answer) and not _WORDS_WITHIN.search(reference)):
        return Verdict(False, "structure")
    return Verdict(same_symbolically(strip_wrappers(reference), strip_wrappers(answer)), "symbolic")


@dataclass(frozen=True)
class Math:
    r"""Rewards the committed answer when it is the reference, written in whatever way.

    A row needs a reference (`answer`, or another column that stands for it) and may declare its contract
    (`answer_type`, `answer_tolerance`, `answer_form`…): a list then counts in order, numbers up to the tolerance, and
    "verbatim" by their letters alone.

    Attributes:
        cache: how many comparisons are remembered; 0 for none.
        deduplicate: whether the same answer to the same reference is compared once per batch.

    Example:
        >>> Math()(["1 + 1?"] * 2, [r"So \boxed{2}", "It is 2 or 3."], answer=["2", "2"])
        [1.0, 0.0]
    """

    cache: int = 10_000
    deduplicate: bool = True
    kind: ClassVar[str] = "trueward"
    needs: ClassVar[tuple[str, ...]] = ("answer",)
    containers: ClassVar[tuple[str, ...]] = ("text", "chat")
    _compare: Callable[[str, str, Terms], Verdict] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        compare = functools.lru_cache(maxsize=self.cache)(verdict) if self.cache > 0 else verdict
        object.__setattr__(self, "_compare", compare)

    def __reduce__(self) -> tuple[type[Math], tuple[int, bool]]:
        """A copy in another process has a memory of its own."""
        return Math, (self.cache, self.deduplicate)

    @property
    def __name__(self) -> str:
        """The name under which engines log it."""
        return "math"

    def prepare(self) -> None:
        """Import math-verify, which takes longer than a comparison; without it, what needs it has no score."""
        with contextlib.suppress(MissingExtra):
            prepare()

    def __call__(self, prompts: Sequence[Any], completions: Sequence[Any], **columns: Any) -> list[float | None]:
        """The convention of TRL: 1.0, 0.0, also for an answer that is refused, or None without a reference."""
        rows = rows_of(prompts, completions, columns)
        return [0.0 if isinstance(score, tuple) else score for score in self.score_rows(rows)]

    def score_rows(self, rows: Sequence[Item]) -> list[Score]:
        """One score per row.

        Returns:
            1.0 or 0.0; None without a reference that can be compared; `Status.UNPARSABLE`, with the limit that it
            exceeds, for an answer that is refused.

        Raises:
            RewardError: a row has no column that could be the reference.
        """
        seen: dict[tuple[str, str, Terms], Verdict] = {}

        def compare(reference: str, answer: str, terms: Terms) -> Verdict:
            key = (reference, answer, terms)
            if key not in seen:
                seen[key] = self._compare(*key)
            return seen[key]

        return [_score(row, compare if self.deduplicate else self._compare) for row in rows]


def _score(row: Item, compare: Callable[[str, str, Terms], Verdict]) -> Score:
    columns = with_aliases(("answer",), row.columns, {})
    reference = _reference(columns["answer"])
    if reference is None:
        return None
    prompt = text_of(row.prompt)
    commitment = committed_answer(without_question(text_of(row.completion), prompt))
    if commitment.kind == "none":
        return 0.0
    terms, verbatim = _terms(columns, prompt)
    if commitment.kind != "one":
        return float(_same_letters(reference, _as_written(commitment)) or _each(reference, commitment, terms, compare))
    answer = commitment.answers[0]
    if verbatim:
        return float(_same_letters(reference, answer))
    if _is_copied(answer, reference, prompt):
        return 0.0
    try:
        found = compare(reference, answer, terms)
    except MissingExtra as error:
        return Status.UNAVAILABLE, str(error)
    if found.right is not None:
        return float(found.right)
    return (Status.UNPARSABLE, found.why) if found.stage == "refused" else None


def _reference(value: Any) -> str | None:
    if isinstance(value, list | tuple) and all(isinstance(one, str | int | float) for one in value):
        return ", ".join(map(str, value)) or None
    text = reference_of(value).text
    return None if text is None else _OR.sub(", ", visible_text(text))


def _terms(columns: Mapping[str, Any], prompt: str) -> tuple[Terms, bool]:
    """On what terms this row is compared, and whether only the letters count."""
    said: Mapping[str, Any] = {}
    if "contract" in columns or any(name.startswith("answer_") for name in columns):
        try:
            said = declared(columns, "row").fields
        except DataError:
            # Whoever reads the data for an audit is told; a reward in the midst of a run goes on without it.
            said = {}
    terms = Terms(said.get("type") == "list", said.get("tolerance"), bool(_PER_CENT.search(prompt)))
    return terms, said.get("form") == "verbatim"


def _as_written(commitment: Commitment) -> str:
    """Several answers, or a denied one, as they stood in the text: the reference itself may be "now or never"."""
    return "not " + commitment.answers[-1] if commitment.kind == "denied" else " or ".join(commitment.answers)


def _each(reference: str, commitment: Commitment, terms: Terms, compare: Callable[[str, str, Terms], Verdict]) -> bool:
    """Several answers are right when each is, or when together they are the set that is asked for (x = 1 or x = 2)."""
    if commitment.kind != "several":
        return False
    listed = ", ".join(commitment.answers)
    asked = union_of(plain(reference)[0])
    single = asked is not None and len(asked) == 1 and len(asked[0].elements) == len(split(listed, ","))
    # In prose it cannot be told how far the first alternative reaches: "3, 33 or 3".
    single = single and (commitment.envelope != "prose" or all("=" in answer for answer in commitment.answers))
    single = single and len(split(listed, ",")) == len(commitment.answers)
    return bool(single and compare(reference, listed, terms).right) or all(
        compare(reference, answer, terms).right for answer in commitment.answers
    )


def _same_letters(reference: str, answer: str) -> bool:
    return "".join(reference.split()).casefold() == "".join(answer.split()).casefold()


def _is_copied(answer: str, reference: str, prompt: str) -> bool:
    """True for an expression that stands in the question, where a number is asked for: the work is left undone."""
    answer = strip_wrappers(answer)
    if not _OPERATOR.search(answer) or read_number(answer) is not None or read_number(reference) is None:
        return False
    copied = "".join(answer.replace("$", "").split()).strip("()")
    return bool(copied) and copied in "".join(visible_text(prompt).replace("$", "").split())


math = Math()
"""`Math` with its defaults."""
