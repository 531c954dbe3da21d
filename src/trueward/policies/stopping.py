"""When a completion ends: at the end of text, or at a stop text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Int
from torch import Tensor


@dataclass(frozen=True)
class Stopping:
    """Looks whether the last token of a row ends it.

    Attributes:
        ids: tokens that end a row by themselves: the ends of text, and stop texts that are exactly one token.
        texts: stop texts that may lie across tokens; looked for in the end of the decoded row.
        window: how many of the last tokens may hold such a text.
        special: tokens without text.
        tokenizer: decodes the others.
    """

    ids: Int[Tensor, " k"]
    texts: tuple[str, ...]
    window: int
    special: frozenset[int]
    tokenizer: Any

    def __call__(
        self, last: Int[Tensor, " n"], sampled: Int[Tensor, "n t"], going: Bool[Tensor, " n"]
    ) -> Bool[Tensor, " n"]:
        """True on rows that end with this token.

        Args:
            last: the token just drawn.
            sampled: all tokens drawn so far, `last` included.
            going: rows that have not ended before; the others are not looked at.
        """
        ended = torch.isin(last, self.ids)
        if self.texts:
            open_rows = torch.nonzero(going & ~ended).flatten().tolist()
            # Special tokens have no text, so that any number of them may lie inside a stop text.
            tails = [
                [number for number in row if number not in self.special][-self.window :]
                for row in sampled[open_rows].tolist()
            ]
            for row, tail in zip(open_rows, self.tokenizer.batch_decode(tails), strict=True):
                ended[row] = any(text in tail for text in self.texts)
        return ended


def stopping_of(model: Any, tokenizer: Any, stop: Sequence[str], device: torch.device) -> Stopping:
    """What ends a completion of this model.

    The ends of text are those of the tokenizer and of the model's generation settings. Where the tokenizer is a list of
    whole words or characters, a stop text that is one of them is a token id; anywhere else text is compared, because
    the same text can be cut into tokens in several ways.
    """
    configured = getattr(getattr(model, "generation_config", None), "eos_token_id", None)
    ends = {tokenizer.eos_token_id, *(configured if isinstance(configured, list | tuple) else [configured])} - {None}
    words = _whole_words(tokenizer)
    ends |= {words[text] for text in stop if text in words}
    texts = tuple(text for text in stop if text not in words)
    # Every token with a text adds a byte at least.
    window = max((len(text.encode()) for text in texts), default=0) + 1
    ids = torch.tensor(sorted(ends), dtype=torch.long, device=device)
    return Stopping(ids, texts, window, frozenset(tokenizer.all_special_ids), tokenizer)


def _whole_words(tokenizer: Any) -> dict[str, int]:
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None or type(backend.model).__name__ != "WordLevel":
        return {}
    return dict(tokenizer.get_vocab())
