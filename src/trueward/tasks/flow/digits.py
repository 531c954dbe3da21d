"""Handwritten digits of 8×8 pixels, split so that generator, proxy, gold and measuring never share an image.

A proxy that is fitted to few images is a reward that can be hacked; gold that never saw them, and a generator that saw
neither, are what makes the hack visible.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from trueward.errors import MissingExtra

CLASSES = 10
"""The prompts: digits 0 to 9."""

SIZES = {"generator": 800, "proxy": 200, "judge": 500, "heldout": 297}
"""Images in each split; all 1797 there are."""

_PERMUTATION = 5  # seed: the splits are the same in every run, so that gold is


@dataclass(frozen=True)
class Digits:
    """Images and what they show.

    Attributes:
        images: [n, 1, 8, 8] in [−1, 1], float32; −1 is paper and 1 is ink.
        labels: 0 to 9.
    """

    images: Float[np.ndarray, "n 1 8 8"]
    labels: Int[np.ndarray, " n"]

    def __post_init__(self) -> None:
        """Raises `ValueError` when there is not one label per image."""
        if self.images.ndim != 4 or self.labels.shape != self.images.shape[:1]:
            raise ValueError(
                f"digits need images [n, channels, height, width] and n labels; got {self.images.shape} and "
                f"{self.labels.shape}"
            )

    def __len__(self) -> int:
        """Number of images."""
        return len(self.labels)

    def rows(self, chosen: np.ndarray) -> Digits:
        """Some of them: a mask, or their places."""
        return Digits(self.images[chosen], self.labels[chosen])


@dataclass(frozen=True)
class DigitSplits:
    """Four disjoint sets of digits.

    Attributes:
        generator: what the generator is trained on.
        proxy: what the rewards that are optimised are fitted to.
        judge: what gold is fitted to.
        heldout: what neither has seen; measures are compared with it.
    """

    generator: Digits
    proxy: Digits
    judge: Digits
    heldout: Digits


def digits() -> DigitSplits:
    """The digits of scikit-learn, x = value / 8 − 1, in one fixed permutation.

    Raises:
        MissingExtra: scikit-learn is not installed.
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise MissingExtra(f"the digits come with scikit-learn: pip install 'trueward[flow]' ({error})") from error
    found = load_digits()
    order = np.random.default_rng(_PERMUTATION).permutation(len(found.target))
    images = (found.images[order, None] / 8.0 - 1.0).astype(np.float32)
    labels = found.target[order].astype(np.int64)
    ends = np.cumsum(list(SIZES.values()))[:-1]
    parts = zip(np.split(images, ends), np.split(labels, ends), strict=True)
    return DigitSplits(*(Digits(*part) for part in parts))


def noisy_labels(labels: Int[np.ndarray, " n"], share: float, generator: np.random.Generator) -> Int[np.ndarray, " n"]:
    """Labels of which a share is drawn anew among all classes.

    A generator that learns from these shows the wrong digit often enough that rewards can honestly improve it, before
    there is anything to hack. One in ten of the labels that are drawn anew is right again.

    Raises:
        ValueError: the share lies outside [0, 1].
    """
    if not 0 <= share <= 1:
        raise ValueError(f"a share of labels lies in [0, 1]; got {share!r}")
    changed = generator.random(len(labels)) < share
    drawn: np.ndarray = np.where(changed, generator.integers(0, CLASSES, len(labels)), labels)
    return drawn
