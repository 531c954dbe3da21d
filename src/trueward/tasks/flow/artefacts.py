"""Artefacts made on purpose: what a judge of artefacts is taught, and what rewards are tested with.

Each spoils an image while it keeps what the image shows, so that a clean image and its spoilt one are a pair of the
same prompt. The four kinds stand for over-saturation, noise, overlapping outlines and fragmented objects.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from jaxtyping import Float, Int

_PAPER, _INK = -1.0, 1.0


def contrasted(
    images: Float[np.ndarray, "n c h w"], generator: np.random.Generator, factor: float = 3.0
) -> Float[np.ndarray, "n c h w"]:
    """Three times the contrast about middle grey, clipped: every grey turns into black or white."""
    return np.clip(factor * images, _PAPER, _INK)


def speckled(
    images: Float[np.ndarray, "n c h w"], generator: np.random.Generator, share: float = 0.15
) -> Float[np.ndarray, "n c h w"]:
    """A share of the pixels takes any grey instead of its own."""
    shape = (len(images), 1, *images.shape[2:])
    struck = generator.random(shape) < share
    # One pixel at least, or a small image would now and then be none of this kind.
    first = generator.integers(0, shape[2] * shape[3], len(images))
    struck.reshape(len(images), -1)[np.arange(len(images)), first] = True
    return np.where(struck, generator.uniform(_PAPER, _INK, shape), images)


def doubled(
    images: Float[np.ndarray, "n c h w"], generator: np.random.Generator, distance: float = 0.25
) -> Float[np.ndarray, "n c h w"]:
    """A second outline over the first, shifted by a share of the width in one of eight directions."""
    height, width = images.shape[2:]
    steps = max(1, round(distance * height)), max(1, round(distance * width))
    directions = [(down, right) for down in (-1, 0, 1) for right in (-1, 0, 1) if (down, right) != (0, 0)]
    chosen = generator.integers(0, len(directions), len(images))
    found = images.copy()
    for number, (down, right) in enumerate(directions):
        rows = chosen == number
        moved = shifted(images[rows], down * steps[0], right * steps[1])
        found[rows] = np.maximum(images[rows], moved)
    return found


def cut(
    images: Float[np.ndarray, "n c h w"], generator: np.random.Generator, width: float = 0.25
) -> Float[np.ndarray, "n c h w"]:
    """Strokes cut by a band of paper, at any angle, through a place near the middle of the ink."""
    n, _, height, across = images.shape
    down, right = np.meshgrid(np.arange(height), np.arange(across), indexing="ij")
    ink = (images.mean(axis=1) - _PAPER).clip(min=0) + 1e-6
    mass = ink.sum(axis=(1, 2))
    sizes = np.array([[height], [across]])
    centres = np.stack([(ink * grid).sum(axis=(1, 2)) / mass for grid in (down, right)])
    around = (centres + generator.uniform(-0.125, 0.125, (2, n)) * sizes)[:, :, None, None]
    angle = generator.uniform(0, np.pi, (n, 1, 1))
    away = (down - around[0]) * np.cos(angle) + (right - around[1]) * np.sin(angle)
    band = np.abs(away) <= max(0.5, width * min(height, across) / 2)
    return np.where(band[:, None], _PAPER, images)


def shifted(images: Float[np.ndarray, "n c h w"], down: int, right: int) -> Float[np.ndarray, "n c h w"]:
    """Images moved by so many pixels; what comes in from outside is paper."""
    moved = np.full_like(images, _PAPER)
    height, width = images.shape[2:]
    if abs(down) >= height or abs(right) >= width:
        return moved
    to = (slice(max(down, 0), height + min(down, 0)), slice(max(right, 0), width + min(right, 0)))
    start = (slice(max(-down, 0), height + min(-down, 0)), slice(max(-right, 0), width + min(-right, 0)))
    moved[:, :, *to] = images[:, :, *start]
    return moved


KINDS: Mapping[str, Callable[..., np.ndarray]] = {
    "contrast": contrasted,
    "speckle": speckled,
    "double outline": doubled,
    "cut strokes": cut,
}
"""Name to function (images, generator) → spoilt images."""


def spoilt(
    images: Float[np.ndarray, "n c h w"], generator: np.random.Generator, kinds: Sequence[str] = tuple(KINDS)
) -> tuple[Float[np.ndarray, "n c h w"], Int[np.ndarray, " n"]]:
    """Every image with one artefact, kinds in turn.

    Args:
        images: clean, in [−1, 1]; −1 is paper.
        generator: source of randomness.
        kinds: names in `KINDS`.

    Returns:
        The spoilt images, and the place in `kinds` of what each got.

    Raises:
        ValueError: no kinds, or an unknown one.
    """
    if not kinds or not set(kinds) <= KINDS.keys():
        raise ValueError(f"kinds={tuple(kinds)}; expected some of {', '.join(KINDS)}")
    which = np.arange(len(images)) % len(kinds)
    found = np.empty_like(images)
    for place, name in enumerate(kinds):
        found[which == place] = KINDS[name](images[which == place], generator)
    return found, which
