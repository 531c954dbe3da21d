"""Transforms that compare rewards within a group."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trueward.batch import Context, Part, Rollouts, Scores
from trueward.rewards.transforms.guarantees import Guarantee
from trueward.rewards.transforms.parts import Transform, each_paid, group_index, replaced


@dataclass(frozen=True)
class Centre:
    """Rollout parts minus the mean of their group; see `centre`."""

    name: str = "centre"
    guarantees: frozenset[Guarantee] = frozenset({Guarantee.POLICY_INVARIANT, Guarantee.ORDER_PRESERVING})

    def __call__(self, scores: Scores, rollouts: Rollouts, context: Context) -> Scores:
        """Every paid rollout part, centred."""
        index, groups = group_index(rollouts)

        def centred(name: str, part: Part) -> Part:
            if part.level != "rollout" or not part.ok.any():
                return part
            ok = part.ok
            first = np.zeros(groups)
            first[index[ok]] = part.values[ok]
            # Differences to one member are exact where rewards are nearly equal and large.
            differences = part.values - first[index]
            sums = np.bincount(index[ok], weights=differences[ok], minlength=groups)
            counts = np.bincount(index[ok], minlength=groups)
            offsets = sums / np.maximum(counts, 1)
            means = (first + offsets)[counts > 0]
            low = None if part.low is None else part.low - float(means.max())
            high = None if part.high is None else part.high - float(means.min())
            return replaced(part, differences - offsets[index], low, high)

        return each_paid(scores, centred)


def centre() -> Transform:
    """Rollout parts minus the mean of the usable values of the same group.

    r'_i = r_i − mean{r_j : group_j = group_i, status_j ok}. Without groups the batch is one group. Rows that are not
    ok keep their status, so they do not move the mean. A declared range becomes the one that holds for all groups of
    the batch, [low − largest mean, high − smallest mean]: a row that failed never earns more than low − mean.
    """
    return Centre()
