"""Group advantages of `Scores`: of the total, or of each part by itself.

Jointly, the parts are added and the sum is compared: a part that varies more counts for more. Separately, each part is
compared by itself and the advantages are added with the parts' weights: every part counts as its weight says, and one
that does not vary in a group counts for nothing there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from trueward.batch import Level, Part, Scores
from trueward.credit.group import Advantages, Deviation, Statistic, group_advantages
from trueward.status import Status


@dataclass(frozen=True)
class ScoredAdvantages:
    """Advantages of scores, and how each part fared.

    Attributes:
        values: advantages, [N] or, at a finer level, [N, S] or [N, T]; exactly 0 where `valid` is False.
        valid: entries that count. At a finer level this is what a return runs over.
        parts: the comparison of each part, or of the "total" alone: which groups were degenerate, and why.
        unscored_rows: rows without a reward that are not to blame for it; their advantage is 0.
    """

    values: Float[np.ndarray, "n *s"]
    valid: Bool[np.ndarray, "n *s"]
    parts: Mapping[str, Advantages]
    unscored_rows: int

    @property
    def informative(self) -> Bool[np.ndarray, " n"]:
        """True on rows with something to learn from: a part whose group tells its members apart."""
        told = [part.informative.reshape(len(part.informative), -1).any(axis=1) for part in self.parts.values()]
        rows: np.ndarray = np.any(told, axis=0)
        return rows


def score_advantages(
    scores: Scores,
    group: Int[Any, " n"],
    *,
    statistic: Statistic = "z_score",
    separately: bool = False,
    level: Level = "rollout",
    deviation: Deviation = "sample",
    epsilon: float = 1e-6,
) -> ScoredAdvantages:
    """Compare scores within their groups, jointly or part by part.

        jointly       A = compare(Σ_k w_k r_k)
        separately    A = Σ_k w_k compare(r_k)      GDPO without its normalisation over the batch (`weight.whiten`)

    Rows whose answer made a part fail have the lowest reward of the part's range (`Part.filled`) and are compared as
    any other. Rows in which any part failed for another reason leave the statistics of all parts, because half a sum
    would be compared with whole ones.

    At a finer level the entries of all segments of the group are compared with one another, and a rollout part counts
    at the row's last entry. Pooling segments is the convention of IGPO; it is biased wherever the policy decides how
    many segments there are (docs/credit.md).

    Args:
        scores: what the reward said.
        group: rollouts with the same number are compared.
        statistic, deviation, epsilon: as in `group_advantages`.
        separately: part by part.
        level: what is compared: rollouts, segments or tokens.

    Raises:
        ValueError: as `group_advantages`; or no part has the finer level, or parts cannot be joined there.

    Reference: Liu et al. 2026, "GDPO: group reward-decoupled normalization policy optimization"; Wang et al.
    2025, "Information gain-based policy optimization" (segments).
    """
    total = scores.total(level)
    scored = ~np.isnan(total.reshape(len(total), -1)).any(axis=1)
    entries = _entries(scores, total, level) & scored.reshape(-1, *[1] * (total.ndim - 1))

    def compare(rewards: np.ndarray) -> Advantages:
        valid = entries if rewards.ndim == entries.ndim else scored
        return group_advantages(rewards, group, statistic=statistic, valid=valid, deviation=deviation, epsilon=epsilon)

    if not separately:
        parts = {"total": compare(total)}
        values = parts["total"].values
    else:
        parts = {name: compare(_at(part, level)) for name, part in scores.paid.items()}
        # Joined as scores are, so that a rollout part comes to stand where the total has it.
        joined = {name: _part(compared.values, level, scores.parts[name], entries) for name, compared in parts.items()}
        values = Scores(joined).total(level)
    return ScoredAdvantages(values=values, valid=entries, parts=parts, unscored_rows=int((~scored).sum()))


def _at(part: Part, level: Level) -> np.ndarray:
    """A part's rewards as they enter the total of the level."""
    filled = part.filled()
    return filled.sum(axis=1) if level == "rollout" and part.level != "rollout" else filled


def _part(values: np.ndarray, level: Level, original: Part, entries: np.ndarray) -> Part:
    finer = values.ndim == 2
    return Part(
        values=values,
        status=[Status.OK] * len(values),
        level=level if finer else "rollout",
        weight=original.weight,
        exists=entries if finer else None,
    )


def _entries(scores: Scores, total: np.ndarray, level: Level) -> np.ndarray:
    """Entries that are compared: what exists in any part of the level, and wherever a reward came to stand."""
    if level == "rollout":
        return np.ones(len(total), dtype=bool)
    exists = [
        np.ones(total.shape, dtype=bool) if part.exists is None else part.exists
        for part in scores.paid.values()
        if part.level == level
    ]
    entries: np.ndarray = np.any(exists, axis=0) | (total != 0.0)
    # A row in which nothing could be told apart is one segment, its last, as in `Scores.total`.
    entries[~entries.any(axis=1), -1] = True
    return entries
