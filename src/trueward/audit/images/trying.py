"""Every change of the catalogue on every image, and every image under other prompts: what the reward pays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool

from trueward.audit.images.comparing import Scores
from trueward.audit.images.folder import Picture
from trueward.audit.images.perturbations import Perturbation, apply, same_pixels
from trueward.audit.images.scoring import Asked, Scoring

Told = Callable[[int, int], None]

_CANDIDATES = 5  # of images that are tried under every prompt
_SAME = 1e-5  # relative: a model adds its numbers in another order beside other images


@dataclass(frozen=True)
class Trial:
    """One change on all images.

    Attributes:
        perturbation: the change.
        scores: of the changed images [n]; NaN where the change does nothing, or there is no score.
        changed: which images it changes [n].
        asked: what came back for those, in their order.
        holdout: what the other scorer says of them [n]; None where there is none.
    """

    perturbation: Perturbation
    scores: Scores
    changed: Bool[np.ndarray, " n"]
    asked: Asked
    holdout: Scores | None = None


def try_changes(
    catalogue: Sequence[Perturbation],
    pictures: Sequence[Picture],
    scoring: Scoring,
    holdout: Scoring | None,
    seed: int,
    told: Told,
) -> list[Trial]:
    """Score every image after every change that changes it.

    Args:
        catalogue: the changes.
        pictures: N images.
        scoring: the reward.
        holdout: another scorer of the same images; None for none.
        seed: of what is drawn.
        told: called with how many changes are done, of how many.
    """
    trials = []
    for done, one in enumerate(catalogue):
        told(done, len(catalogue))
        after = apply([one], pictures, seed)
        changed = np.array([not same_pixels(a, b) for a, b in zip(after, pictures, strict=True)])
        asked_about = [picture for picture, differs in zip(after, changed, strict=True) if differs]
        asked = scoring.score(asked_about)
        other = None if holdout is None else spread_out(holdout.score(asked_about).values, changed)
        trials.append(Trial(one, spread_out(asked.values, changed), changed, asked, other))
    told(len(catalogue), len(catalogue))
    return trials


def spread_out(values: Scores, where: Bool[np.ndarray, " n"]) -> Scores:
    """K values at their places among n, NaN elsewhere."""
    every = np.full(len(where), np.nan)
    every[where] = values
    return every


@dataclass(frozen=True)
class Prompted:
    """What prompts change.

    Attributes:
        reads: False where no image earns anything else under another prompt.
        elsewhere: scores of the images under another prompt than their own [n]; NaN where there is none.
        others: those prompts.
        winner: place of the image that is paid best under the prompts of half of the others; None where the reward
            does not read prompts, or there are too few.
        everywhere: its scores under the prompt of each image of the other half [n]; NaN elsewhere.
    """

    reads: bool
    elsewhere: Scores
    others: tuple[str, ...]
    winner: int | None = None
    everywhere: Scores | None = None


def try_prompts(pictures: Sequence[Picture], own: Scores, scoring: Scoring, seed: int) -> Prompted | None:
    """Score images under prompts that they were not made for; None where there are fewer than two prompts.

    Args:
        pictures: N images.
        own: their scores under their own prompts.
        scoring: the reward.
        seed: of the prompts that are given to others.
    """
    prompts = [picture.prompt for picture in pictures]
    distinct = list(dict.fromkeys(prompts))
    if len(distinct) < 2:
        return None
    generator = np.random.default_rng([seed, 1])
    others = [
        distinct[(distinct.index(one) + 1 + generator.integers(len(distinct) - 1)) % len(distinct)] for one in prompts
    ]
    elsewhere = scoring.score(pictures, others).values
    known = np.isfinite(own) & np.isfinite(elsewhere)
    near = _SAME * max(1e-12, float(np.abs(own[known]).max(initial=0.0)))
    reads = bool(known.any() and (np.abs(elsewhere - own)[known] > near).any())
    if not reads:
        return Prompted(False, elsewhere, tuple(others))
    winner, everywhere = _everywhere(pictures, own, distinct, scoring)
    return Prompted(True, elsewhere, tuple(others), winner, everywhere)


def _everywhere(
    pictures: Sequence[Picture], own: Scores, distinct: Sequence[str], scoring: Scoring
) -> tuple[int | None, Scores | None]:
    """The image that earns most under the prompts of every second image, and what it earns under those of the rest."""
    known = np.flatnonzero(np.isfinite(own))
    candidates = [int(place) for place in known[np.argsort(-own[known], kind="stable")][:_CANDIDATES]]
    table = np.stack([scoring.score([pictures[place]] * len(distinct), distinct).values for place in candidates])
    column = np.array([distinct.index(picture.prompt) for picture in pictures])
    earned = table[:, column]
    # Under a prompt that it was made for it may well be paid.
    for row, place in enumerate(candidates):
        earned[row, column == column[place]] = np.nan
    gained = earned - own
    chosen_on, told_on = np.arange(len(own)) % 2 == 0, np.arange(len(own)) % 2 == 1
    means = [float(np.nanmean(row[chosen_on])) if np.isfinite(row[chosen_on]).any() else -np.inf for row in gained]
    best = int(np.argmax(means))
    if not np.isfinite(means[best]):
        return None, None
    return candidates[best], np.where(told_on, earned[best], np.nan)


@dataclass(frozen=True)
class Unstable:
    """A reward that scores the same image differently.

    Attributes:
        random: whether the very same calls gave other scores; else other company did.
        place: of the image whose score changed most.
        first, again: its scores.
        images: whose scores changed.
        asked: images that were asked about twice.
    """

    random: bool
    place: int
    first: float
    again: float
    images: int
    asked: int


def ask_again(pictures: Sequence[Picture], own: Scores, scoring: Scoring, tolerance: float) -> Unstable | None:
    """Score the same images in the same calls once more, then one by one and in another order.

    Args:
        pictures: N images.
        own: what they earned.
        scoring: the reward.
        tolerance: difference in reward that does not count.
    """
    alone = range(0, len(pictures), max(1, len(pictures) // 8))
    order = np.random.default_rng(0).permutation(len(pictures))
    shuffled = np.empty(len(pictures))
    again = scoring.score(pictures).values
    shuffled[order] = scoring.score([pictures[place] for place in order]).values
    single = np.full(len(pictures), np.nan)
    single[list(alone)] = scoring.score([pictures[place] for place in alone], rows=1).values
    for random, scores in ((True, again), (False, shuffled), (False, single)):
        off = np.abs(scores - own)
        changed = np.isfinite(off) & (off > np.maximum(tolerance, _SAME * np.abs(own)))
        if changed.any():
            place = int(np.nanargmax(np.where(changed, off, np.nan)))
            asked = int(np.isfinite(off).sum())
            return Unstable(random, place, float(own[place]), float(scores[place]), int(changed.sum()), asked)
    return None
