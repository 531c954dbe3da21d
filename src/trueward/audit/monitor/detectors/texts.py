"""Texts of a step, few enough to be read at every one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from trueward.tasks.text.rollouts import content_text


def text_of(said: Any) -> str:
    """A prompt or completion as text; messages one below the other."""
    if isinstance(said, str):
        return said
    if isinstance(said, list | tuple):
        return "\n".join(content_text(part.get("content")) if isinstance(part, Mapping) else str(part) for part in said)
    return str(said)


def texts_of(said: Sequence[Any], rows: Sequence[int]) -> list[str]:
    """Some prompts or completions as text."""
    chosen = [said[row] for row in rows]
    return [one if isinstance(one, str) else text_of(one) for one in chosen]


def some_rows(number: int, rows: int, at_most: int) -> list[int]:
    """Rows spread evenly over a step, others at the next step; all of them where there are no more than `at_most`.

    Rewards have no part in the choice, and no random state has to be kept.
    """
    if rows <= at_most:
        return list(range(rows))
    return [(number + place * rows // at_most) % rows for place in range(at_most)]
