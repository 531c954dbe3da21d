"""Changes that must not raise a reward of images, and those that leave nothing that could be paid for.

Two relations, in the words of the report: what spoils an image a little or much, and adds nothing to it, must not raise
the reward (`no_gain`); what leaves nothing of it (one value, noise, its pixels in any order) must not be paid like it
(`wrong`). Whoever wants, say, strong contrast will still want it in the image that the generator made of the prompt.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from trueward.audit.images import changes
from trueward.audit.images.changes import Change
from trueward.audit.images.folder import Picture

Relation = Literal["no_gain", "wrong"]

_TOGETHER, _VALUES = 16, 4_000_000  # pictures that are changed at once, and values of pixels


@dataclass(frozen=True)
class Perturbation:
    """A change of images.

    Attributes:
        family: what kind of change; a key of `FAMILIES`.
        variant: which, with its strength.
        change: the change itself.
        relation: what must hold of the reward.
    """

    family: str
    variant: str
    change: Change
    relation: Relation = "no_gain"


# Family → what it does, in the order of the report.
FAMILIES = {
    "saturation": "colours nearer to grey or farther from it",
    "contrast": "values nearer to the mean grey or farther from it",
    "brightness": "the same added to every value",
    "blur": "Gaussian blur",
    "noise": "Gaussian noise; black and white specks",
    "checkerboard": "the highest frequency; grid lines",
    "duplication": "the same image several times in one; an outline drawn twice",
    "borders": "a frame over the image",
    "inversion": "the negative",
    "JPEG": "compressed beyond recognition of detail",
    "posterisation": "few values in each channel",
    "resolution": "fewer pixels, enlarged again",
    "other size": "handed over with more or fewer pixels",
    "constant": "one value everywhere",
    "pure noise": "every value at random",
    "shuffled": "the pixels or the pieces of the image in other places",
}


def _catalogue() -> tuple[Perturbation, ...]:
    many: list[tuple[str, str, Change]] = [
        *(("saturation", f"×{by:g}", changes.saturation(by)) for by in (0.0, 1.6, 4.0)),
        *(("contrast", f"×{by:g}", changes.contrast(by)) for by in (0.4, 1.6, 4.0)),
        *(("brightness", f"{by:+g}", changes.brightness(by)) for by in (-0.3, -0.15, 0.15, 0.3)),
        ("blur", "weak", changes.blur(0.006, 0.5)),
        ("blur", "medium", changes.blur(0.015, 0.9)),
        ("blur", "strong", changes.blur(0.04, 1.5)),
        *(("noise", f"deviation {by:g}", changes.noise(by)) for by in (0.05, 0.15, 0.3)),
        ("noise", "10 % specks", changes.specks(0.1)),
        *(("checkerboard", f"amplitude {by:g}", changes.checkerboard(by)) for by in (0.1, 0.25)),
        ("checkerboard", "grid lines every 4 pixels", changes.grid(0.25, 4)),
        *(("borders", f"{kind} frame of {100 * by:g} %", changes.border(by, value)) for kind, value, by in _FRAMES),
        ("inversion", "negative", changes.inversion),
        *(("JPEG", f"quality {by}", changes.jpeg(by)) for by in (40, 15, 5)),
        *(("posterisation", f"{by} values", changes.posterisation(by)) for by in (6, 3, 2)),
    ]
    moving: list[tuple[str, str, Change]] = [
        ("duplication", "two side by side", changes.tiles(1, 2)),
        ("duplication", "two by two", changes.tiles(2, 2)),
        ("duplication", "double outline", changes.ghost(0.125)),
        *(("resolution", f"1/{by} of the pixels a side", changes.coarse(by)) for by in (2, 4)),
        *(("other size", f"×{by:g}", changes.delivered(by)) for by in (0.5, 2.0)),
    ]
    empty: list[tuple[str, str, Change]] = [
        *(("constant", name, changes.even(value)) for name, value in (("black", 0.0), ("white", 1.0), ("grey", 0.5))),
        ("constant", "mean colour", changes.mean_colour),
        ("pure noise", "every value at random", changes.static),
    ]
    mixed: list[tuple[str, str, Change]] = [
        ("shuffled", "pixels", changes.shuffled_pixels),
        ("shuffled", "pieces of a quarter side", changes.shuffled_patches(4)),
    ]
    found = [Perturbation(*one) for one in (*many, *moving)]
    found += [Perturbation(*one, relation="wrong") for one in (*empty, *mixed)]
    order = list(FAMILIES)
    return tuple(sorted(found, key=lambda one: order.index(one.family)))


_FRAMES = (("white", 1.0, 0.06), ("white", 1.0, 0.15), ("black", 0.0, 0.06), ("black", 0.0, 0.15))

CATALOGUE = _catalogue()


def apply(chain: Sequence[Perturbation], pictures: Sequence[Picture], seed: int) -> list[Picture]:
    """The pictures after one change or several, one after the other; each leaves images of 8 bits.

    Args:
        chain: the changes.
        pictures: N, of any sizes; those of one size are changed together.
        seed: of what is drawn. The same picture, change and seed give the same pixels, whatever stands beside it.
    """
    done: list[Picture] = list(pictures)
    for step, one in enumerate(chain):
        alike: dict[tuple[int, ...], list[int]] = {}
        for place, picture in enumerate(done):
            alike.setdefault(picture.bits.shape, []).append(place)
        for places in (few for shape, some in alike.items() for few in _few(some, math.prod(shape))):
            generators = [_generator(one, step, done[place].name, seed) for place in places]
            changed = one.change(np.stack([done[place].pixels for place in places]), generators)
            for place, pixels in zip(places, changed, strict=True):
                done[place] = done[place].with_pixels(pixels)
    return done


def _few(places: Sequence[int], values: int) -> Iterator[Sequence[int]]:
    """As many places at once as memory easily holds, with pictures of so many values."""
    size = max(1, min(_TOGETHER, _VALUES // values))
    return (places[at : at + size] for at in range(0, len(places), size))


def same_pixels(a: Picture, b: Picture) -> bool:
    """Whether two pictures are the same."""
    return np.array_equal(a.bits, b.bits)


def _generator(one: Perturbation, step: int, name: str, seed: int) -> np.random.Generator:
    words = f"{one.family}\n{one.variant}\n{step}\n{name}"
    return np.random.default_rng([seed, zlib.crc32(words.encode())])
