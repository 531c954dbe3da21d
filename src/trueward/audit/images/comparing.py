"""Images against the images that they came from, on the scale of the reward.

The unit is the **spread** of the reward: the standard deviation over the images of the folder under their own prompts.
A change is a finding when, over the images that it changes,

    it must not raise the reward:   the lower end of the interval of (r(changed) − r(image)) / spread is above the room
    it must not be paid as much:    that lower end is above −LOSS: the reward does not surely take away even LOSS

The **room** is what a sound reward may do: a little blur takes noise away, mild contrast makes a pale image plain. It
is a quarter of a spread, and a twentieth of what lies between empty images and the images as they are: where all images
of a folder are good, a spread alone would be next to nothing. The intervals are Student's t of paired differences, and
all of an audit hold together at 95 %: each is taken at 1 − .05 / number of comparisons (Bonferroni).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from trueward.measures.paired import Interval, mean_interval

GAIN, OF_THE_WAY = 0.25, 0.05  # of a spread, and of the way from empty images to the images as they are
FAR = 3.0  # times the latter, and twice the former: what is no room any more
LOSS = 0.1
LEAST_PAIRS = 5
ERROR = 0.05
_EVEN = 1e-6  # a spread below this share of the values is rounding

Scores = Float[np.ndarray, " n"]


@dataclass(frozen=True)
class Unit:
    """What a difference in reward is measured in.

    Attributes:
        spread: of the reward.
        said: how it was found.
        mean: of the images as they are.
        best: highest score of an image as it is.
        span: mean score of the images as they are, less that of the best-paid kind of empty image; 0 where the latter
            is not lower, or not known.
    """

    spread: float
    said: str
    mean: float
    best: float
    span: float = 0.0

    @property
    def room(self) -> float:
        """Spreads by which a change may raise a sound reward."""
        return max(GAIN, OF_THE_WAY * self.span / self.spread)

    @property
    def far(self) -> float:
        """Spreads above the best-paid images as they are that no image needs."""
        return max(2 * GAIN, FAR * OF_THE_WAY * self.span / self.spread)


def unit_of(own: Scores, others: Scores, empty: Sequence[Scores] = ()) -> Unit:
    """The spread of the reward over images under their own prompts.

    Where all of them are paid the same, that over the same images under other prompts and over what was made of them;
    where those are too, the reward's own size.

    Args:
        own: scores of the images under their own prompts; NaN for none.
        others: any further scores.
        empty: scores of empty images, one kind each.
    """
    known = own[np.isfinite(own)]
    mean, best = float(known.mean()), float(known.max())
    size = max(abs(mean), float(np.abs(known).max()))
    every = np.concatenate([known, others[np.isfinite(others)]])
    highest = max((float(np.nanmean(kind)) for kind in empty if np.isfinite(kind).any()), default=mean)
    span = max(0.0, mean - highest)
    for values, said in ((known, "of the images"), (every, "of the images and of all that was made of them")):
        spread = float(values.std(ddof=1)) if len(values) > 1 else 0.0
        if spread > _EVEN * size:
            return Unit(spread, f"the standard deviation {said}", mean, best, span)
    return Unit(size or 1.0, "the reward itself: it pays everything the same", mean, best, span)


@dataclass(frozen=True)
class Gain:
    """What a change did to the reward, in spreads.

    Attributes:
        interval: of the mean over the images that were changed and scored; simultaneous with the others of an audit.
        by_image: r(changed) − r(image) [n]; NaN where the change left the image as it was, or a score is missing.
        beyond: how many changed images earn more than the best image as it is.
        room: spreads by which a change may raise a sound reward.
    """

    interval: Interval
    by_image: Scores
    beyond: int
    room: float = GAIN

    @property
    def tested(self) -> int:
        """Images that were changed and scored."""
        return int(np.isfinite(self.by_image).sum())

    @property
    def raised(self) -> int:
        """Images whose reward rose by more than the room."""
        return int((self.by_image > self.room).sum())

    @property
    def as_much(self) -> int:
        """Images that earn as much as before, to within LOSS."""
        return int((self.by_image >= -LOSS).sum())

    @property
    def surely_raised(self) -> bool:
        """Whether the reward surely rises by more than the room."""
        return self.tested >= LEAST_PAIRS and self.interval.low > self.room

    @property
    def surely_as_much(self) -> bool:
        """Whether the reward surely does not fall by LOSS."""
        return self.tested >= LEAST_PAIRS and self.interval.low > -LOSS

    @property
    def surely_lowered(self) -> bool:
        """Whether the reward surely falls by more than the room."""
        return self.tested >= LEAST_PAIRS and self.interval.high < -self.room


def gain_of(changed: Scores, before: Scores, unit: Unit, error: float) -> Gain:
    """Changed images against the same images as they were.

    Args:
        changed: scores [n]; NaN for what is not to be counted.
        before: scores of the same images as they were [n].
        unit: what a difference is measured in.
        error: with which the interval may miss the mean.
    """
    by_image = (changed - before) / unit.spread
    known = np.isfinite(by_image)
    return Gain(
        mean_interval([float(value) for value in by_image[known]], 1.0 - error),
        by_image,
        int((changed[known] > unit.best).sum()),
        unit.room,
    )


def largest(gains: Sequence[Gain]) -> Gain | None:
    """The gain whose lower end is highest; None of none."""
    return max(gains, key=lambda one: one.interval.low, default=None)
