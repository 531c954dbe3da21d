"""Whether a reward has an end: the best-paid images, changed step by step, keeping whatever raises the reward.

A reward that is full where images are good stays about what it pays the best images of the folder. One that has no
such end, a logit or a sum over pixels, goes on rising on images that no longer get better, which is what a generator
trained on it will find first. Every step spoils an image a little: a pattern of light and dark fields, a little more or
less contrast or light; a step that was paid is taken again, one that was not is tried the other way round.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from trueward.audit.images import changes
from trueward.audit.images.changes import Change
from trueward.audit.images.comparing import Scores
from trueward.audit.images.folder import Picture
from trueward.audit.images.scoring import Scoring

GROWTH = "growth"
LEAST_SCORED = 640  # images that are scored even where nobody asked for a search

_SHARE, _FEWEST, _POOL = 8, 4, 8  # every eighth image, the best-paid ones, within these numbers
_CHECKPOINTS = 9
_FINEST = 64  # fields of a pattern to a side

Told = Callable[[int, int], None]


@dataclass(frozen=True)
class Growth:
    """How far the reward of the best-paid images was raised.

    Attributes:
        places: of the images, the best-paid one first.
        scored: images that were scored on the way.
        rounds: at which the rest was noted; 0 first.
        scores: at each of them [k, m].
        holdout: the same by the other scorer; None where there is none.
        grown: the images at the end.
    """

    places: tuple[int, ...]
    scored: int
    rounds: tuple[int, ...]
    scores: Float[np.ndarray, "k m"]
    holdout: Float[np.ndarray, "k m"] | None
    grown: tuple[Picture, ...]

    @property
    def start(self) -> float:
        """Mean score of the images as they are. The best of them alone may be an outlier that nothing comes near."""
        return float(self.scores[0].mean())


Step = tuple[Change, Change | None]  # what is tried, and what is tried if that is not paid


@dataclass
class _Image:
    """One image on its way."""

    picture: Picture
    score: float
    pending: Step | None = None

    def proposed(self, generator: np.random.Generator) -> Picture:
        """The image after the next step."""
        if self.pending is None:
            self.pending = _drawn(generator, min(self.picture.size))
        return self.picture.with_pixels(self.pending[0](self.picture.pixels[None], ())[0])

    def learn(self, picture: Picture, score: float) -> None:
        """Keep what was paid, and go on in the same direction; else turn round."""
        assert self.pending is not None
        step, other = self.pending
        if score > self.score:
            self.picture, self.score, self.pending = picture, score, (step, None)
        else:
            self.pending = None if other is None else (other, None)


def grow(
    pictures: Sequence[Picture],
    own: Scores,
    scoring: Scoring,
    holdout: Scoring | None,
    budget: int,
    seed: int,
    told: Told,
) -> Growth:
    """Change the best-paid images step by step.

    Args:
        pictures: N images.
        own: their scores.
        scoring: the reward.
        holdout: another scorer, which is only asked what it thinks; None for none.
        budget: images that may be scored.
        seed: of the steps.
        told: called with images scored, and the budget.
    """
    known = np.flatnonzero(np.isfinite(own))
    count = max(_FEWEST, min(_POOL, len(known) // _SHARE))
    places = [int(place) for place in known[np.argsort(-own[known], kind="stable")][:count]]
    images = [_Image(pictures[place], float(own[place])) for place in places]
    generator = np.random.default_rng([seed, 4])
    rounds = max(1, budget // len(images))
    noted = sorted({round(at) for at in np.linspace(0, rounds, _CHECKPOINTS)})
    scores, other = [], []
    for number in range(rounds + 1):
        if number:
            told(number * len(images), budget)
            proposed = [image.proposed(generator) for image in images]
            for image, picture, score in zip(images, proposed, scoring.score(proposed).values, strict=True):
                image.learn(picture, float(score))
        if number in noted:
            scores.append([image.score for image in images])
            if holdout is not None:
                other.append(holdout.score([image.picture for image in images]).values)
    return Growth(
        tuple(places),
        rounds * len(images),
        tuple(noted),
        np.array(scores),
        np.array(other) if holdout is not None else None,
        tuple(image.picture for image in images),
    )


def _drawn(generator: np.random.Generator, side: int) -> Step:
    """A step at random, and the one in the other direction."""
    kind = int(generator.integers(8))
    if kind == 0:
        return changes.contrast(1.25), changes.contrast(0.8)
    if kind == 1:
        return changes.brightness(0.1), changes.brightness(-0.1)
    cells = int(generator.choice([one for one in (2, 4, 8, 16, 32, _FINEST) if one <= side]))
    number, height = int(generator.integers(1 << 30)), float(generator.choice([0.05, 0.1, 0.2]))
    return changes.pattern(number, height, cells), changes.pattern(number, -height, cells)
