r"""The probability of "yes" out of the first token's top log-probabilities: a judge as a number, without sampling.

With p_yes and p_no the probabilities of all spellings of the two words,

    p = p_yes / (p_yes + p_no).

A server lists only the most probable tokens, so a word may be missing, and then nothing says what p is. What is known
is a bound: a token that is not listed is no more probable than the least probable one that is, nor than what the listed
ones leave. p is taken where the bound leaves no doubt, and is NaN elsewhere: never 0, which as "no artefact" would be
the best reward of all, paid for making the judge say anything else.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float

# What tokenizers put in place of a leading space or a line break.
_MARKS = "\u0120\u2581\u010a"


@dataclass(frozen=True)
class YesNo:
    """How p is read.

    Attributes:
        yes, no: the words; every spelling by case, with spaces or punctuation around it, counts as the word.
        least_mass: below this probability of both words together the answer was another one, and p is NaN.
        doubt: the widest bound, when a word is missing, that is still taken as known (by its middle).
    """

    yes: tuple[str, ...] = ("yes",)
    no: tuple[str, ...] = ("no",)
    least_mass: float = 0.5
    doubt: float = 0.05

    def __post_init__(self) -> None:
        """Raises `ValueError` for words that are empty or in both lists, or numbers outside of [0, 1]."""
        yes, no = ({folded(word) for word in words} for words in (self.yes, self.no))
        if not yes or not no or "" in yes | no or yes & no:
            raise ValueError(f"yes={self.yes}, no={self.no}: expected words on both sides, none of them on both")
        if not 0 <= self.least_mass <= 1 or not 0 <= self.doubt <= 1:
            raise ValueError(f"least_mass={self.least_mass}, doubt={self.doubt}: expected numbers in [0, 1]")

    def probability(self, tokens: Mapping[str, float]) -> float:
        """p of one answer; NaN where it cannot be told.

        Args:
            tokens: the most probable first tokens, each with its log-probability. Numbers that are not finite count as
                absent.
        """
        listed = {token: math.exp(min(value, 0.0)) for token, value in tokens.items() if math.isfinite(value)}
        yes, no = (self._mass(listed, words) for words in (self.yes, self.no))
        if yes + no < self.least_mass or yes + no <= 0:
            return math.nan
        if yes and no:
            return yes / (yes + no)
        hidden = min(min(listed.values()), max(0.0, 1.0 - sum(listed.values())))
        known = yes or no
        # The missing word takes at most `hidden` of what both have.
        width = hidden / (known + hidden)
        if width > self.doubt:
            return math.nan
        return 1.0 - width / 2 if yes else width / 2

    @staticmethod
    def _mass(listed: Mapping[str, float], words: Sequence[str]) -> float:
        wanted = {folded(word) for word in words}
        return math.fsum(value for token, value in listed.items() if folded(token) in wanted)


@dataclass(frozen=True)
class Answers:
    """What a judge said of N items.

    Attributes:
        probability: of "yes"; NaN where it cannot be told.
        details: one line per item on why it cannot; "" where it can.
    """

    probability: Float[np.ndarray, " n"]
    details: Sequence[str] = field(default=())

    @property
    def abstained(self) -> int:
        """How many cannot be told."""
        return int(np.isnan(self.probability).sum())


def folded(token: str) -> str:
    """A token as a plain word: without marks of tokenizers, spaces and punctuation around it, and without case.

    Example:
        >>> [folded(token) for token in (" Yes", "\u2581NO.", "**yes**", "not", "\u0120")]
        ['yes', 'no', 'yes', 'not', '']
    """
    text = unicodedata.normalize("NFKC", token.translate(dict.fromkeys(map(ord, _MARKS), " ")))
    start, end = 0, len(text)
    while start < end and _around(text[start]):
        start += 1
    while end > start and _around(text[end - 1]):
        end -= 1
    return text[start:end].casefold()


def _around(character: str) -> bool:
    return unicodedata.category(character)[0] in "ZPCS"


def first_tokens(response: Any) -> dict[str, float]:
    """Tokens with log-probabilities at the first place of an answer in the format of OpenAI's servers.

    Chat (`choices[0].logprobs.content[0].top_logprobs`) and completions (`choices[0].logprobs.top_logprobs[0]`). The
    token that was answered counts too, where it is not among those listed.

    Raises:
        ValueError: there are none in it; the message says what to ask the server for.
    """
    try:
        logprobs = response["choices"][0]["logprobs"]
        if "content" in logprobs:
            first = logprobs["content"][0]
            pairs = [(one["token"], one["logprob"]) for one in (*first["top_logprobs"], first)]
        else:
            pairs = list(logprobs["top_logprobs"][0].items())
            pairs += zip(logprobs.get("tokens", [])[:1], logprobs.get("token_logprobs", [])[:1], strict=False)
        found = {str(token): float(value) for token, value in pairs if value is not None}
    except (KeyError, IndexError, TypeError, ValueError, AttributeError):
        found = {}
    if not found:
        raise ValueError(
            "the answer has no log-probabilities of its first token; ask for them with logprobs=true, top_logprobs=10 "
            "(chat) or logprobs=10 (completions), and look whether the server allows them"
        )
    return found
