"""The words or characters that a text task is written in, from which a tokenizer is made."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Literal

Kind = Literal["words", "characters"]

PADDING, BEGIN, END = "<pad>", "<bos>", "<eos>"
SPECIAL = (PADDING, BEGIN, END)


@dataclass(frozen=True)
class Vocabulary:
    r"""Every token of a task's prompts and completions, except the special ones, which every tokenizer adds.

    Attributes:
        kind: "words": a text is its tokens joined by single spaces, and a token may be "\n". "characters": joined by
            nothing, every token one character.
        tokens: in the order of their ids.
    """

    kind: Kind
    tokens: tuple[str, ...]

    def __post_init__(self) -> None:
        """Raises `ValueError` for an unknown kind, and for tokens from which texts could not be read back."""
        if self.kind not in ("words", "characters"):
            raise ValueError(f"vocabulary of kind {self.kind!r}: expected 'words' or 'characters'")
        if not self.tokens:
            raise ValueError("a vocabulary needs at least one token")
        twice = sorted(token for token, count in Counter(self.tokens).items() if count > 1)
        if twice:
            raise ValueError(f"tokens given more than once: {twice}")
        special = sorted(set(SPECIAL) & set(self.tokens))
        if special:
            raise ValueError(f"{special} are added by the tokenizer; leave them out of the vocabulary")
        wrong = [token for token in self.tokens if not self._is_token(token)]
        if wrong:
            wanted = "one character each" if self.kind == "characters" else "words without white space, or '\\n'"
            raise ValueError(f"tokens of a vocabulary of {self.kind} are {wanted}; got {wrong[:5]}")

    def __len__(self) -> int:
        """Number of tokens, without the special ones."""
        return len(self.tokens)

    @property
    def joint(self) -> str:
        """What stands between two tokens of a text."""
        return " " if self.kind == "words" else ""

    def _is_token(self, token: str) -> bool:
        if self.kind == "characters":
            return len(token) == 1
        return token == "\n" or token.split() == [token]
