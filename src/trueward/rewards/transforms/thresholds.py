"""How high the score of a step must be not to be punished: the η of `step_clip`.

A threshold that comes from the current batch follows the policy upwards, so a share of all steps is punished for ever;
a constant or frozen one stays where it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from trueward.errors import RewardError


@dataclass(frozen=True)
class QuestionMean:
    """η = mean score of all steps of all rollouts to the same question in this batch."""

    def __call__(
        self,
        values: Float[np.ndarray, "n s"],
        present: Bool[np.ndarray, "n s"],
        group: Int[np.ndarray, " n"],
        training: bool,
    ) -> Float[np.ndarray, " n"]:
        """One threshold per row."""
        groups = int(group.max(initial=-1)) + 1
        sums = np.bincount(group, weights=np.where(present, values, 0.0).sum(axis=1), minlength=groups)
        counts = np.bincount(group, weights=present.sum(axis=1), minlength=groups)
        thresholds: np.ndarray = (sums / np.maximum(counts, 1.0))[group]
        return thresholds


@dataclass(frozen=True)
class BatchQuantile:
    """η = quantile of the scores of all steps in this batch.

    Attributes:
        quantile: share of steps below it.
    """

    quantile: float = 0.2

    def __post_init__(self) -> None:
        """Raises `ValueError` when the quantile is not between 0 and 1."""
        if not 0.0 < self.quantile < 1.0:
            raise ValueError(f"BatchQuantile({self.quantile!r}): the quantile must be between 0 and 1")

    def __call__(
        self,
        values: Float[np.ndarray, "n s"],
        present: Bool[np.ndarray, "n s"],
        group: Int[np.ndarray, " n"],
        training: bool,
    ) -> Float[np.ndarray, " n"]:
        """One threshold per row, all the same."""
        return np.full(len(values), np.quantile(values[present], self.quantile) if present.any() else 0.0)


@dataclass
class Frozen:
    """η = the mean threshold of the first batches of training, kept from then on.

    Until then it is the mean of the batches so far, and, before there are any, that of the batch at hand.

    Attributes:
        of: what gives the threshold of a batch.
        batches: how many batches it learns from.
        learned: thresholds of the batches so far: mean over their rows.
    """

    of: QuestionMean | BatchQuantile
    batches: int = 1
    learned: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        """Raises `ValueError` when there is no batch to learn from."""
        if self.batches < 1:
            raise ValueError(f"Frozen(batches={self.batches!r}): at least one batch is needed")

    def __call__(
        self,
        values: Float[np.ndarray, "n s"],
        present: Bool[np.ndarray, "n s"],
        group: Int[np.ndarray, " n"],
        training: bool,
    ) -> Float[np.ndarray, " n"]:
        """One threshold per row, all the same."""
        rows = present.any(axis=1)
        learned = self.learned
        if rows.any() and (not learned or (training and len(learned) < self.batches)):
            learned = (*learned, float(self.of(values, present, group, training)[rows].mean()))
        if training:
            self.learned = learned
        return np.full(len(values), np.mean(learned) if learned else 0.0)

    def state_dict(self) -> dict[str, Any]:
        """What it has learned."""
        return {"learned": list(self.learned)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` gave.

        Raises:
            RewardError: it is the state of something else.
        """
        try:
            self.learned = tuple(float(threshold) for threshold in state["learned"])
        except (KeyError, TypeError, ValueError) as error:
            raise RewardError(f"the saved state is not that of a frozen threshold: {state!r:.100} ({error})") from error


Threshold = QuestionMean | BatchQuantile | Frozen
