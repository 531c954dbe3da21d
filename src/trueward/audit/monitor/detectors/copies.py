"""Different prompts get the same completion."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from jaxtyping import Int

from trueward.audit.monitor.detectors.detector import Detector
from trueward.audit.monitor.detectors.series import Series
from trueward.audit.monitor.detectors.texts import some_rows, texts_of
from trueward.audit.monitor.step import Step

RISE = 0.1
ROWS = 12


class CopiesAcrossPrompts(Detector):
    """Share of completions that another prompt got too, word for word, up by 0.1 and more.

    Of up to 12 completions per step. Equal completions to one prompt do not count: learning brings these about.
    """

    short = "copies"
    sides = ("up",)

    def measure(self, step: Step) -> Mapping[str, float]:
        """That share; nothing where all rows looked at have one prompt."""
        shared = shared_rows(step)
        return {} if shared is None else {"": len(shared[0]) / shared[1]}

    def judge(self, key: str, series: Series) -> str | None:
        """Many more are shared."""
        if series.recent < series.reference + RISE:
            return None
        share, first = series.recent, series.reference
        return f"{share:.0%} of the completions answer several prompts word for word, {first:.0%} at first"

    def telling(self, step: Step) -> Int[np.ndarray, " n"]:
        """Rows whose completion other prompts got too."""
        shared = shared_rows(step)
        return np.array(shared[0] if shared is not None else [], dtype=np.int64)


def shared_rows(step: Step) -> tuple[list[int], int] | None:
    """Of the rows looked at, those whose completion another prompt got too, and how many were looked at.

    Returns:
        None where the rows looked at have one prompt only.
    """
    rows = some_rows(step.number, len(step), ROWS)
    prompts, completions = texts_of(step.prompts, rows), texts_of(step.completions, rows)
    if len(set(prompts)) == 1:
        return None
    if len(set(completions)) == len(rows):
        return [], len(rows)
    first = dict(zip(reversed(completions), reversed(prompts), strict=True))
    shared = {one for prompt, one in zip(prompts, completions, strict=True) if first[one] != prompt}
    return [row for row, completion in zip(rows, completions, strict=True) if completion in shared], len(rows)
