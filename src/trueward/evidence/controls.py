"""What must not work: controls made of any reward, selection or set of preferences.

The first four are transforms, so that a control is the same reward with one thing broken:

    reward.transform(Shuffled(seed=run.seed_for("control")))

They keep no state. What they draw follows from seed, step and the scores themselves, so a run that is killed and goes
on draws the same again, and evaluation changes nothing. What is not ok keeps its status, and the failure rule holds:
an answer that breaks the reward is never better off than before.
"""

from __future__ import annotations

import dataclasses
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from trueward.batch import Context, Part, Preferences, Rollouts, Scores
from trueward.errors import EvidenceError, RewardError
from trueward.status import Status


@dataclass(frozen=True)
class Shuffled:
    """Every value goes to somebody else: what is learnt from the scores' spread stays, what they mean is gone.

    A random permutation of the values that are there, among rows of the batch or of the group. Parts of one level are
    permuted alike where the same rows are ok.

    Attributes:
        within: "group" keeps the scores of each prompt, "batch" does not.
        seed: of the permutations.
    """

    within: Literal["batch", "group"] = "group"
    seed: int = 0

    def __call__(self, scores: Scores, rollouts: Rollouts, context: Context) -> Scores:
        """The scores, permuted.

        Raises:
            RewardError: "group" is asked for and rollouts have no groups.
        """
        groups = np.zeros(len(scores), dtype=int)
        if self.within == "group":
            if rollouts.group is None:
                raise RewardError("scores are to be shuffled within groups, but the rollouts have none: give group")
            groups = np.asarray(rollouts.group)

        def shuffle(part: Part, generator: np.random.Generator) -> Part:
            keys, present = generator.random(part.values.shape), part.present
            row = np.broadcast_to(groups.reshape(-1, *[1] * (part.values.ndim - 1)), part.values.shape)[present]
            # Both orders visit the groups one after the other; within a group one is as it is, the other is random.
            stay, go = np.argsort(row, kind="stable"), np.lexsort((keys[present], row))
            old = part.values[present]
            new = np.empty_like(old)
            new[stay] = old[go]
            values = part.values.copy()
            values[present] = new
            return dataclasses.replace(part, values=values)

        return _each(scores, shuffle, self.seed, context)


@dataclass(frozen=True)
class RandomSignal:
    """Scores drawn at random from the batch's own, with replacement: the same distribution, about nothing.

    Attributes:
        seed: of the draws.
    """

    seed: int = 0

    def __call__(self, scores: Scores, rollouts: Rollouts, context: Context) -> Scores:
        """Scores that do not depend on the rollouts."""

        def redraw(part: Part, generator: np.random.Generator) -> Part:
            draws, present = generator.random(part.values.shape), part.present
            old = part.values[present]
            values = part.values.copy()
            values[present] = old[(draws[present] * len(old)).astype(int)]
            return dataclasses.replace(part, values=values)

        return _each(scores, redraw, self.seed, context)


@dataclass(frozen=True)
class LabelNoise:
    """A share of the scores is turned round within the range: r' = low + high − r with probability `share`.

    Attributes:
        share: in [0, 1]; at .5 a reward of 0 and 1 says nothing.
        seed: of the draws.
        low, high: the range, for parts that declare none.
    """

    share: float
    seed: int = 0
    low: float | None = None
    high: float | None = None

    def __post_init__(self) -> None:
        """Raises `EvidenceError` for a share outside [0, 1]."""
        _check_share(self.share)

    def __call__(self, scores: Scores, rollouts: Rollouts, context: Context) -> Scores:
        """The scores with noise.

        Raises:
            RewardError: a part has no range.
        """

        def turn(part: Part, generator: np.random.Generator) -> Part:
            low = self.low if part.low is None else part.low
            high = self.high if part.high is None else part.high
            if low is None or high is None:
                raise RewardError(
                    "label noise turns scores round within their range, and there is none: give low, high"
                )
            turned = (generator.random(part.values.shape) < self.share) & part.present
            return dataclasses.replace(part, values=np.where(turned, low + high - part.values, part.values))

        return _each(scores, turn, self.seed, context)


@dataclass(frozen=True)
class ConstantBonus:
    """A part that pays every row the same: nothing that compares rollouts may change by it.

    Attributes:
        amount: what it pays.
    """

    amount: float

    def __call__(self, scores: Scores, rollouts: Rollouts, context: Context) -> Scores:
        """The scores and the bonus."""
        values = np.full(len(scores), self.amount, dtype=np.float64)
        bonus = Part(values, [Status.OK] * len(scores), low=self.amount, high=self.amount)
        return Scores({**scores.parts, "constant bonus": bonus})


def flipped(preferences: Preferences, share: float, generator: np.random.Generator) -> Preferences:
    """Preferences with label noise: label' = 1 − label with probability `share`.

    Raises:
        EvidenceError: the share is outside [0, 1].
    """
    _check_share(share)
    label = np.asarray(preferences.label)
    return dataclasses.replace(preferences, label=np.where(generator.random(len(label)) < share, 1 - label, label))


def selected_at_random(
    selected: np.ndarray, generator: np.random.Generator, group: np.ndarray | None = None
) -> np.ndarray:
    """As many as were selected, but at random: the control of any selection.

    Args:
        selected: [N], True on what a method selected.
        generator: source of randomness.
        group: [N]; as many are taken from every group as were selected there. None: from all.

    Returns:
        [N], True on what is taken.
    """
    selected = np.asarray(selected, dtype=bool)
    row = np.zeros(len(selected), dtype=int) if group is None else np.asarray(group)
    stay, go = np.argsort(row, kind="stable"), np.lexsort((generator.random(len(selected)), row))
    taken = np.empty_like(selected)
    taken[go] = selected[stay]
    return taken


def _check_share(share: float) -> None:
    if not 0 <= share <= 1:
        raise EvidenceError(f"a share of flipped labels lies in [0, 1], not {share!r}")


def _each(scores: Scores, change: Callable[[Part, np.random.Generator], Part], seed: int, context: Context) -> Scores:
    """Change every part, each with the same stream of random numbers."""
    mark = 0
    for part in scores.parts.values():
        mark = zlib.crc32(np.nan_to_num(part.values).tobytes(), mark)
    return Scores(
        {name: change(part, np.random.default_rng([seed, context.step, mark])) for name, part in scores.parts.items()}
    )
