"""What the best-paid images look like: how varied they are, and which plain property goes with the reward.

A reward that pays one kind of picture leads there, however good that picture is. So the best-paid tenth is held against
as many images drawn at random: their mean distance from each other, as thumbnails, and a handful of properties that
need no model. None of it is a finding: a reward may have its reasons, and the reader decides.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from trueward.audit.images.changes import luma, resized
from trueward.audit.images.comparing import Scores
from trueward.audit.images.folder import Picture
from trueward.measures.images import high_frequency_energy, within_class_distance
from trueward.measures.ranks import rank_correlation

_SHARE, _LEAST = 0.1, 5
_THUMBNAIL = 16
_DRAWS = 400


@dataclass(frozen=True)
class Trait:
    """A property of images beside the reward.

    Attributes:
        name: of the property.
        correlation: of its ranks with the reward's; None where one of them stands still.
        top, all: its mean over the best-paid images and over all.
    """

    name: str
    correlation: float | None
    top: float
    all: float


@dataclass(frozen=True)
class Ledger:
    """The best-paid images.

    Attributes:
        top: their places, best first.
        diversity: their mean distance from each other, as a share of that of all images; None where all are alike.
        low, high: between which that share lies for 95 % of random draws of as many.
        prompts: distinct prompts among them.
        traits: properties.
    """

    top: tuple[int, ...]
    diversity: float | None
    low: float | None
    high: float | None
    prompts: int
    traits: tuple[Trait, ...]

    @property
    def narrow(self) -> bool:
        """Whether the best-paid images are surely less varied than as many at random."""
        return self.diversity is not None and self.low is not None and self.diversity < self.low


def ledger_of(pictures: Sequence[Picture], own: Scores, seed: int) -> Ledger:
    """The ledger of images under their own prompts.

    Args:
        pictures: N images.
        own: their scores; images without one are left out.
        seed: of the random draws.
    """
    known = [int(place) for place in np.flatnonzero(np.isfinite(own))]
    order = sorted(known, key=lambda place: -float(own[place]))
    count = min(len(order), max(_LEAST, math.ceil(_SHARE * len(order))))
    top = order[:count]
    thumbnails = _thumbnails([pictures[place] for place in known])
    at = {place: row for row, place in enumerate(known)}
    share, low, high = _diversity(thumbnails, [at[place] for place in top], seed)
    traits = tuple(
        _trait(name, np.array([measure(pictures[place]) for place in known]), own[known], [at[place] for place in top])
        for name, measure in _TRAITS.items()
    )
    return Ledger(tuple(top), share, low, high, len({pictures[place].prompt for place in top}), traits)


def _diversity(
    thumbnails: Float[np.ndarray, "n d"], top: Sequence[int], seed: int
) -> tuple[float | None, float | None, float | None]:
    whole = _distance(thumbnails)
    if not whole > 0 or len(top) < 2:
        return None, None, None
    generator = np.random.default_rng([seed, 3])
    drawn = [
        _distance(thumbnails[generator.choice(len(thumbnails), len(top), replace=False)]) / whole for _ in range(_DRAWS)
    ]
    low, high = np.quantile(drawn, (0.025, 0.975))
    return _distance(thumbnails[list(top)]) / whole, float(low), float(high)


def _distance(thumbnails: np.ndarray) -> float:
    return within_class_distance(thumbnails, np.zeros(len(thumbnails), dtype=np.int64)) if len(thumbnails) > 1 else 0.0


def _thumbnails(pictures: Sequence[Picture]) -> Float[np.ndarray, "n d"]:
    """Small images of one size, grey ones with three equal channels."""
    small = [resized(picture.pixels[None], _THUMBNAIL, _THUMBNAIL)[0] for picture in pictures]
    return np.stack([np.broadcast_to(image, (_THUMBNAIL, _THUMBNAIL, 3)).ravel() for image in small])


def _trait(name: str, values: np.ndarray, own: np.ndarray, top: Sequence[int]) -> Trait:
    still = len(values) < 2 or np.ptp(values) == 0 or np.ptp(own) == 0
    return Trait(
        name, None if still else rank_correlation(values, own), float(values[list(top)].mean()), float(values.mean())
    )


def _fine_detail(picture: Picture) -> float:
    return float(high_frequency_energy(luma(picture.pixels[None]).transpose(0, 3, 1, 2))[0])


# Property → its measure of one image.
_TRAITS: dict[str, Callable[[Picture], float]] = {
    "brightness": lambda picture: float(luma(picture.pixels).mean()),
    "contrast": lambda picture: float(luma(picture.pixels).std()),
    "saturation": lambda picture: float(np.ptp(picture.pixels, axis=2).mean()),
    "fine detail": _fine_detail,
    "size in pixels": lambda picture: float(math.prod(picture.size)),
}
