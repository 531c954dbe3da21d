"""Texts of a step, few enough to be read at every one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from trueward.rewards.references import text_of


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
