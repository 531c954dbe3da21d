"""Best-of-n as a way to optimise: one pool of samples, scored by any number of rewards, and what the picks are worth.

Nothing is trained, so it is the cheapest pressure that a reward can be put under, and its divergence is known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from trueward.batch import Context, Rollouts
from trueward.measures.best_of_n import Curve, curve
from trueward.policies.language import LanguagePolicy
from trueward.policies.sampling import Sampling
from trueward.rewards.base import Reward
from trueward.tasks.gold import Gold
from trueward.tasks.text.rows import Row
from trueward.training.record import GoldMeasure, texts_of
from trueward.training.rollouts import Segmenter, gather
from trueward.training.seeds import torch_stream


@dataclass(frozen=True)
class Pool:
    """Samples of several prompts, equally many of each, with what they are really worth.

    Attributes:
        rows: P prompts.
        rollouts: P · S rollouts, those of one prompt together.
        gold: of every rollout.
    """

    rows: Sequence[Row]
    rollouts: Rollouts
    gold: Gold

    @property
    def samples(self) -> int:
        """S, samples per prompt."""
        return len(self.rollouts) // len(self.rows)

    def scored(self, reward: Reward) -> Float[np.ndarray, "p s"]:
        """What a reward says of every sample; the lowest number of the pool where it says nothing.

        A sample without a score must not be picked, whatever the reason.
        """
        total = reward.score(self.rollouts, Context()).total()
        lost = np.isnan(total)
        if lost.all():
            raise ValueError(f"{reward.name} scored none of {len(total)} samples")
        return np.where(lost, np.nanmin(total), total).reshape(len(self.rows), -1)

    def measured(self, name: str | None = None) -> Float[np.ndarray, "p s"]:
        """Gold, or one of its measures, of every sample."""
        values = self.gold.values if name is None else self.gold.measures[name]
        return np.asarray(values, dtype=np.float64).reshape(len(self.rows), -1)


def sample_pool(
    policy: LanguagePolicy,
    rows: Sequence[Row],
    gold: GoldMeasure,
    *,
    samples: int,
    sampling: Sampling,
    seed: int,
    segment: Segmenter | None = None,
) -> Pool:
    """Draw samples of every prompt.

    Args:
        policy: what samples.
        rows: P prompts.
        gold: what is really wanted.
        samples: S, per prompt.
        sampling: how.
        seed: of the draws.
        segment: cuts them into steps, for rewards that judge steps.
    """
    generator = torch_stream(seed, "pool")
    rollouts = gather(policy, rows, sampling, generator, group=samples, segment=segment)
    repeated = [row for row in rows for _ in range(samples)]
    return Pool(rows, rollouts, gold(repeated, texts_of(rollouts)))


def pressure(pool: Pool, reward: Reward, n: Sequence[int]) -> Curve:
    """The over-optimisation curve of a reward on a pool: proxy and gold of the best of n, exactly.

    Raises:
        ValueError: an n beyond the samples of a prompt.
    """
    return curve(pool.scored(reward), pool.measured(), n)
