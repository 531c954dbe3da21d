"""What training on one reward does to all others: the matrix of training reward by reward.

Every reward has a taste of its own, and a policy that is trained on it shows it. So the samples of each policy are
scored by all rewards, also by those that nobody trained on. A row whose own entry is high and whose others fell has
bought its reward with something that the others see; what all columns praise and gold does not is a blind spot that
they share (see `blind_spots`).

Reference: Hong et al. 2026, arXiv 2601.03468, the analysis of single rewards and ensembles.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from trueward.batch import Context, Rollouts
from trueward.errors import AuditError
from trueward.rewards.base import Reward


@dataclass(frozen=True)
class CrossRewards:
    """Scores of policies under rewards: rows are policies, columns are rewards.

    Attributes:
        policies: names of the rows; the first is what all started from.
        rewards: names of the columns.
        mean: mean score of the rows that have one; NaN where none has.
        spread: standard deviation of each column among the samples of the first policy; 0 where they do not differ.
        scored: how many samples have a score.
    """

    policies: Sequence[str]
    rewards: Sequence[str]
    mean: Float[np.ndarray, "p r"]
    spread: Float[np.ndarray, " r"]
    scored: Int[np.ndarray, "p r"]

    @property
    def shift(self) -> Float[np.ndarray, "p r"]:
        """How far each policy moved each reward, in units of its spread: (mean − mean of the first) / spread.

        Rewards of any scale stand side by side in it. NaN in a column without spread.
        """
        unit = np.where(self.spread > 0, self.spread, np.nan)
        return np.asarray((self.mean - self.mean[:1]) / unit)

    def of(self, policy: str, reward: str) -> float:
        """One entry of `shift`.

        Raises:
            AuditError: there is no such row or column.
        """
        if policy not in self.policies or reward not in self.rewards:
            raise AuditError(
                f"there is no entry for policy {policy!r} and reward {reward!r}; policies: {', '.join(self.policies)}; "
                f"rewards: {', '.join(self.rewards)}"
            )
        return float(self.shift[list(self.policies).index(policy), list(self.rewards).index(reward)])

    def paid_for(self, policy: str, by: float = 1.0) -> list[str]:
        """Rewards that a policy lowered by more than so many spreads, the most lowered first."""
        row = self.shift[list(self.policies).index(policy)]
        lowered = [place for place in np.argsort(row).tolist() if row[place] < -by]
        return [self.rewards[place] for place in lowered]


def cross_rewards(scores: Mapping[str, Mapping[str, Float[np.ndarray, " n"]]]) -> CrossRewards:
    """The matrix out of scores that are there.

    Args:
        scores: policy → reward → scores of the policy's samples, NaN where there is none. The first policy is what all
            started from; every policy has the same rewards.

    Raises:
        AuditError: no policies or rewards, policies with different rewards, or a first policy without any score.
    """
    if not scores or not next(iter(scores.values())):
        raise AuditError("a matrix of rewards needs at least one policy that is scored by at least one reward")
    first = next(iter(scores.values()))
    for policy, row in scores.items():
        if set(row) != set(first):
            raise AuditError(
                f"policy {policy!r} is scored by {', '.join(row)}, the first one by {', '.join(first)}; score all by "
                "the same rewards"
            )
    cells = [[np.asarray(row[name], dtype=np.float64) for name in first] for row in scores.values()]
    scored = np.array([[int(np.isfinite(cell).sum()) for cell in row] for row in cells])
    unscored = [name for name, count in zip(first, scored[0], strict=True) if not count]
    if unscored:
        raise AuditError(f"no sample of the first policy has a score by {', '.join(unscored)}: there is no unit for it")
    mean = np.array([[cell[np.isfinite(cell)].mean() if np.isfinite(cell).any() else np.nan for cell in row]
                     for row in cells])  # fmt: skip
    spread = np.array([cell[np.isfinite(cell)].std() for cell in cells[0]])
    # Equal scores leave a spread of rounding, which must not become the unit.
    spread = np.where(spread > 1e-9 * np.maximum(1.0, np.abs(mean[0])), spread, 0.0)
    return CrossRewards(tuple(scores), tuple(first), mean, spread, scored)


def scored_by(samples: Mapping[str, Rollouts], rewards: Mapping[str, Reward]) -> CrossRewards:
    """The matrix of policies' samples under rewards.

    Args:
        samples: policy → its samples; the first policy is what all started from.
        rewards: name → reward; of each its total counts.

    Raises:
        AuditError: as in `cross_rewards`.
        RewardError: a reward cannot be called with these samples.
    """
    context = Context()
    return cross_rewards(
        {
            policy: {name: reward.score(rollouts, context).total() for name, reward in rewards.items()}
            for policy, rollouts in samples.items()
        }
    )
