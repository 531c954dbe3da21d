"""What `info` says of a step: the raw reward, its parts, and the sums of an episode at its end.

| key | is |
|---|---|
| `trueward/raw` | what the reward says before shaping, scaling and bonuses |
| `trueward/environment` | what the environment itself paid |
| `trueward/parts` | addends of what is optimised, by name |
| `trueward/return`, `trueward/raw_return`, `trueward/length` | undiscounted sums and steps of an episode that ended |

For vector environments each is an array with Gymnasium's mask `_key`, True where it holds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from trueward.batch import Transitions
from trueward.rewards.control.base import StepScores

RAW = "trueward/raw"
ENVIRONMENT = "trueward/environment"
PARTS = "trueward/parts"
RETURN = "trueward/return"
RAW_RETURN = "trueward/raw_return"
LENGTH = "trueward/length"


@dataclass(frozen=True)
class EndedEpisodes:
    """Sums of episodes that ended with a step.

    Attributes:
        where: True in environments whose episode ended; the rest is 0 elsewhere.
        value: sum of what was optimised.
        raw: sum of what the reward says by itself.
        length: number of steps.
    """

    where: Bool[np.ndarray, " n"]
    value: Float[np.ndarray, " n"]
    raw: Float[np.ndarray, " n"]
    length: Int[np.ndarray, " n"]

    def named(self) -> dict[str, np.ndarray]:
        """The sums by the names that they have in `info`."""
        return {RETURN: self.value, RAW_RETURN: self.raw, LENGTH: self.length}


class EpisodeSums:
    """Adds up the episodes of N environments."""

    def __init__(self, count: int) -> None:
        """All episodes begin.

        Args:
            count: N.
        """
        self.value = np.zeros(count)
        self.raw = np.zeros(count)
        self.length = np.zeros(count, dtype=np.int64)

    def restarted(self, rows: Bool[np.ndarray, " n"]) -> None:
        """Some episodes begin."""
        self.value[rows], self.raw[rows], self.length[rows] = 0.0, 0.0, 0

    def add(self, scores: StepScores, transitions: Transitions) -> EndedEpisodes | None:
        """Take one step in; the sums of what ended with it, None where nothing did."""
        self.value += scores.value
        self.raw += scores.raw
        self.length += 1 if transitions.exists is None else transitions.exists
        ended = transitions.terminated | transitions.truncated
        if not np.count_nonzero(ended):
            return None
        sums = (np.where(ended, sums, 0) for sums in (self.value, self.raw, self.length))
        episodes = EndedEpisodes(ended, *sums)
        self.restarted(ended)
        return episodes


def told(scores: StepScores, transitions: Transitions, episodes: EndedEpisodes | None) -> dict[str, Any]:
    """Entries of a vector environment's `info`, with their masks."""
    exists = transitions.exists
    if exists is None:
        exists = np.ones(len(scores.value), dtype=bool)
    entries: dict[str, Any] = {
        RAW: scores.raw,
        f"_{RAW}": exists,
        ENVIRONMENT: transitions.reward,
        f"_{ENVIRONMENT}": exists,
        PARTS: _masked(scores.parts, exists),
        f"_{PARTS}": exists,
    }
    if episodes is not None:
        entries.update(_masked(episodes.named(), episodes.where))
    return entries


def _masked(values: Any, where: Bool[np.ndarray, " n"]) -> dict[str, Any]:
    entries: dict[str, Any] = {}
    for name, array in values.items():
        entries[name], entries[f"_{name}"] = array, where
    return entries


def told_each(
    infos: Sequence[Mapping[str, Any]],
    scores: StepScores,
    transitions: Transitions,
    episodes: EndedEpisodes | None,
) -> list[dict[str, Any]]:
    """The `info` of each environment with its entries as plain numbers; as it was where it was reset instead."""
    # Column by column: a call for each environment costs more than all the arithmetic of the reward.
    parts: list[dict[str, float]] = [{} for _ in infos]
    for name, values in scores.parts.items():
        for of_one, value in zip(parts, values.tolist(), strict=True):
            of_one[name] = value
    columns = zip(infos, scores.raw.tolist(), transitions.reward.tolist(), parts, strict=True)
    told = [{**info, RAW: raw, ENVIRONMENT: paid, PARTS: of_one} for info, raw, paid, of_one in columns]
    if episodes is not None:
        for row in np.flatnonzero(episodes.where).tolist():
            told[row].update({name: values[row].item() for name, values in episodes.named().items()})
    if transitions.exists is not None:
        for row in np.flatnonzero(~transitions.exists).tolist():
            told[row] = dict(infos[row])
    return told
