"""Multiple choice: 1.0 where the completion commits to the right option, by its letter or by its text."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from trueward.rewards.references import text_of, with_aliases
from trueward.rewards.rules.commitment import committed_answer, visible_text
from trueward.rewards.rules.rows import rows_of
from trueward.rewards.rules.spoken import without_question
from trueward.rewards.runner.types import Item

_LETTER = re.compile(r"(?:option |choice )?[(\[]?([A-Za-z])[)\].:]?", re.IGNORECASE)
_LETTER_AND_TEXT = re.compile(
    r"(?:option |choice )?(?:[(\[]([A-Za-z])[)\]]|([A-Za-z])[).:])\s*(\S.*)", re.DOTALL | re.IGNORECASE
)
_OPTION_LINE = re.compile(r"^\s{0,8}(?:[-*]\s)?[(\[]?([A-Z])[)\].:]\s{1,4}(\S[^\n]{0,400})$", re.MULTILINE)
_COMMAND = re.compile(r"\\(?:text|mathrm|textbf|mathbf)\{([^{}]*)\}")


@dataclass(frozen=True)
class Choice:
    r"""Rewards the one option that the completion commits to.

    A row needs a reference (`answer`): a letter or the text of an option. The options are read from the column
    `choices` (texts, letters, or objects with `label` and `text`), else from lines such as "B) blue" in the prompt.
    Several options, a denied one, and a letter beside the text of another option earn nothing.

    Example:
        >>> Choice()(["Which?\nA) red\nB) blue"] * 3, ["B", "It is A or B.", "(B) blue"], answer=["B"] * 3)
        [1.0, 0.0, 1.0]
    """

    kind: ClassVar[str] = "trueward"
    needs: ClassVar[tuple[str, ...]] = ("answer",)
    containers: ClassVar[tuple[str, ...]] = ("text", "chat")

    @property
    def __name__(self) -> str:
        """The name under which engines log it."""
        return "choice"

    def __call__(self, prompts: Sequence[Any], completions: Sequence[Any], **columns: Any) -> list[float | None]:
        """The convention of TRL: 1.0, 0.0, or None without a reference."""
        return self.score_rows(rows_of(prompts, completions, columns))

    def score_rows(self, rows: Sequence[Item]) -> list[float | None]:
        """One score per row: 1.0, 0.0, or None without a reference.

        Raises:
            RewardError: a row has no column that could be the reference.
        """
        return [_score(row) for row in rows]


def _score(row: Item) -> float | None:
    columns = with_aliases(("answer",), row.columns, {})
    reference = columns["answer"]
    if reference is None or not str(reference).strip():
        return None
    prompt = text_of(row.prompt)
    options = _options(columns.get("choices"), prompt)
    expected = _chosen(str(reference), options)
    commitment = committed_answer(without_question(text_of(row.completion), prompt), words=True)
    if commitment.kind == "several" and _letters(" or ".join(commitment.answers)) == _letters(str(reference)):
        return 1.0
    if commitment.kind not in ("one", "several"):
        return 0.0
    return float(all(_chosen(answer, options) == expected for answer in commitment.answers))


def _options(choices: Any, prompt: str) -> dict[str, str]:
    """Letter → text, both folded; {} where the options are not known."""
    if (
        isinstance(choices, Mapping)
        and isinstance(choices.get("label"), list)
        and isinstance(choices.get("text"), list)
    ):
        choices = [
            {"label": label, "text": text} for label, text in zip(choices["label"], choices["text"], strict=False)
        ]
    found: dict[str, str] = {}
    for index, option in enumerate(choices if isinstance(choices, list | tuple) else ()):
        if isinstance(option, Mapping):
            found[_letters(str(option.get("label", "")))] = _letters(str(option.get("text", "")))
        elif not _LETTER.fullmatch(str(option).strip()) and index < 26:
            found[chr(ord("a") + index)] = _letters(str(option))
    return found or {letter.casefold(): _letters(text) for letter, text in _OPTION_LINE.findall(prompt)}


def _chosen(answer: str, options: Mapping[str, str]) -> str:
    """The letter of the option that is meant, or the letters of the answer where no option is."""
    answer = _COMMAND.sub(r"\1", answer).strip(" $.*")
    if letter := _LETTER.fullmatch(answer):
        return letter[1].casefold()
    texts = {text: letter for letter, text in options.items()}
    if _letters(answer) in texts:
        return texts[_letters(answer)]
    both = _LETTER_AND_TEXT.fullmatch(answer)
    if both is None:
        return _letters(answer)
    letter_given, text = (both[1] or both[2]).casefold(), _letters(both[3])
    contradicts = letter_given in options and options[letter_given] != text
    return _letters(answer) if contradicts else letter_given


def _letters(text: str) -> str:
    """What counts when words are compared: letters, digits and signs, in one case."""
    folded = unicodedata.normalize("NFKC", visible_text(text)).casefold()
    return "".join(char for char in folded if char.isalnum() or char in "+-*/^=<>%") or folded.strip()


choice = Choice()
"""`Choice` with its defaults."""
