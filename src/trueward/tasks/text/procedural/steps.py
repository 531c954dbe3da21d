"""Cuts completions into steps: the text at its line breaks, token ids at a delimiter token.

Cutting is an attack surface: a policy may avoid the delimiter, so that everything is one step, or write nothing else.
`undelimited` counts the first; `most` bounds the second.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from jaxtyping import Bool, Int

LINE_BREAK = "\n"


def lines_of(text: str) -> list[str]:
    """The lines of a text without blanks at their ends: line i is what step i of `segments_of` says.

    Empty lines are steps that say nothing; only behind a last line break there is none.
    """
    lines = [line.strip() for line in text.split(LINE_BREAK)]
    return lines if lines[-1] else lines[:-1]


def words_of(text: str) -> list[str]:
    """The tokens of a text in a vocabulary of words; a line break is one."""
    return [word for word in text.replace(LINE_BREAK, f" {LINE_BREAK} ").split(" ") if word]


def segments_of(
    token_ids: Int[np.ndarray, "n t"],
    mask: Bool[np.ndarray, "n t"],
    delimiter: int,
    *,
    closing: Collection[int] = (),
    most: int | None = None,
) -> Int[np.ndarray, "n t"]:
    """The step that each decision belongs to; a step ends with its delimiter.

    Args:
        token_ids: of the decisions (the last T columns of a rollout's tokens).
        mask: True on decisions.
        delimiter: id of the token that ends a step.
        closing: ids that never begin a step of their own, such as the end of text behind a last delimiter.
        most: how many steps a completion may have; what follows belongs to the last one. None for any number.

    Returns:
        0, 1, … from each row's first decision on; −1 outside the mask.

    Raises:
        ValueError: the shapes differ, or most < 1.
    """
    if token_ids.shape != mask.shape or token_ids.ndim != 2:
        raise ValueError(f"token ids {token_ids.shape} and mask {mask.shape} need one shape [n, t]")
    if most is not None and most < 1:
        raise ValueError(f"a completion has at least one step; got most = {most}")
    ends = mask & (token_ids == delimiter)
    numbers = np.cumsum(ends, axis=1) - ends
    if closing and mask.size:
        numbers = numbers - _closes(token_ids, mask, numbers, closing)
    if most is not None:
        numbers = np.minimum(numbers, most - 1)
    return np.where(mask, numbers, -1)


def _closes(
    token_ids: np.ndarray, mask: np.ndarray, numbers: np.ndarray, closing: Collection[int]
) -> Bool[np.ndarray, "n t"]:
    """True on the last decision of a row where it is a closing id that stands behind a delimiter."""
    rows = np.arange(len(mask))
    last = mask.shape[1] - 1 - mask[:, ::-1].argmax(axis=1)
    own = numbers[rows, last]
    alone = ((numbers == own[:, None]) & mask).sum(axis=1) == 1
    found = np.zeros(mask.shape, dtype=bool)
    found[rows, last] = alone & (own > 0) & np.isin(token_ids[rows, last], list(closing))
    return found


def segment_ends(segments: Int[np.ndarray, "n t"]) -> tuple[Int[np.ndarray, "n s"], Bool[np.ndarray, "n s"]]:
    """The column of the last decision of each step, and which steps exist; S is the largest number of steps.

    Columns of steps that do not exist are 0.
    """
    count = int(segments.max(initial=-1)) + 1
    found = segments[:, None, :] == np.arange(count)[None, :, None]
    exists = found.any(axis=2)
    width = segments.shape[1]
    columns = np.where(exists, width - 1 - found[:, :, ::-1].argmax(axis=2), 0) if width else exists.astype(int)
    return columns, exists


def undelimited(
    token_ids: Int[np.ndarray, "n t"], mask: Bool[np.ndarray, "n t"], delimiter: int
) -> Bool[np.ndarray, " n"]:
    """True on completions of at least one decision that hold no delimiter."""
    without: np.ndarray = mask.any(axis=1) & ~(mask & (token_ids == delimiter)).any(axis=1)
    return without
