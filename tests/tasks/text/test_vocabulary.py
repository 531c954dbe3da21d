"""Vocabularies: what is refused, because a text written in it could not be read back."""

from __future__ import annotations

from typing import Any

import pytest

from trueward.tasks.text.vocabulary import Vocabulary


def test_a_line_break_is_a_word() -> None:
    vocabulary = Vocabulary("words", ("1", "\n", "="))
    assert len(vocabulary) == 3
    assert vocabulary.joint == " "
    assert Vocabulary("characters", (" ", "\n")).joint == ""


@pytest.mark.parametrize(
    ("kind", "tokens", "words"),
    [
        ("letters", ("a",), "of kind 'letters'"),
        ("words", (), "at least one token"),
        ("words", ("a", "b", "a"), r"more than once: \['a'\]"),
        ("words", ("a", "<eos>"), r"\['<eos>'\] are added by the tokenizer"),
        ("words", ("a b",), "words without white space"),
        ("words", ("",), "words without white space"),
        ("words", ("a\n",), "words without white space"),
        ("characters", ("ab",), "one character each"),
    ],
)
def test_what_is_refused(kind: Any, tokens: tuple[str, ...], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Vocabulary(kind, tokens)
