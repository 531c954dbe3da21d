"""Completions repeat themselves."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from jaxtyping import Int

from trueward.audit.monitor.detectors.detector import Detector
from trueward.audit.monitor.detectors.series import Series
from trueward.audit.monitor.detectors.texts import some_rows, texts_of
from trueward.audit.monitor.step import Step

RISE = 0.1
ROWS = 2
CHARACTERS = 160
"""Of the end of a completion, where it degenerates first."""


class Repetition(Detector):
    """Share of repeated three-word sequences within a completion, up by 0.1 and more.

    Of two completions per step, which take turns; their last 160 characters. Texts that are hardly parted by spaces
    are taken by sequences of eight characters.
    """

    short = "repetition"
    sides = ("up",)

    def measure(self, step: Step) -> Mapping[str, float]:
        """Mean share; nothing where all completions looked at are too short."""
        texts = texts_of(step.completions, some_rows(step.number, len(step), ROWS))
        shares = [share for share in map(repeated_share, texts) if share is not None]
        return {"": sum(shares) / len(shares)} if shares else {}

    def judge(self, key: str, series: Series) -> str | None:
        """Many more are repeated."""
        if series.recent < series.reference + RISE:
            return None
        share, first = series.recent, series.reference
        return f"{share:.0%} of the word sequences within a completion are repeated, {first:.0%} at first"

    def telling(self, step: Step) -> Int[np.ndarray, " n"]:
        """Those that repeat most, of the ones looked at."""
        rows = some_rows(step.number, len(step), ROWS)
        shares = [repeated_share(text) or 0.0 for text in texts_of(step.completions, rows)]
        return np.array(rows)[np.argsort(-np.array(shares), kind="stable")]


def repeated_share(text: str) -> float | None:
    """1 − distinct / all three-word sequences at the end of a text; None for fewer than three of them.

    Texts of fewer than five words and more than sixty characters: sequences of eight characters.
    """
    end = text[-CHARACTERS:]
    words = end.split()
    if len(words) >= 5:
        return 1.0 - len(set(zip(words, words[1:], words[2:], strict=False))) / (len(words) - 2)
    if len(end) > 60:
        return 1.0 - len({end[place : place + 8] for place in range(len(end) - 7)}) / (len(end) - 7)
    return None
