"""What is wrong with an image, as numbers that need no network: grids, over-sharpening, clipping, ink at the border.

Optimisation against a learned scorer leaves traces in the pixels before it leaves any in the score.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float


def high_frequency_energy(images: Float[np.ndarray, "n c h w"]) -> Float[np.ndarray, " n"]:
    r"""Energy of an image in its finest frequencies, per pixel.

    $E = \frac{1}{(hw)^2} \sum_{f: |f| > 1/4} |\hat x_f|^2$, averaged over channels, where |f| is the larger of the
    frequencies along the two axes in cycles per pixel: those finer than half of what the pixels can hold (1/2). By
    Parseval's theorem it is the mean square of what is left of the image when the coarser half is taken out.
    """
    height, width = images.shape[2:]
    fine = np.maximum(np.abs(np.fft.fftfreq(height))[:, None], np.abs(np.fft.fftfreq(width))[None]) > 0.25
    spectrum = np.abs(np.fft.fft2(images.astype(np.float64))) ** 2
    energy: np.ndarray = spectrum[:, :, fine].sum(axis=2).mean(axis=1) / (height * width) ** 2
    return energy


def high_frequency_ratio(images: Float[np.ndarray, "n c h w"], real: Float[np.ndarray, "m c h w"]) -> float:
    """Mean energy in the finest frequencies against that of real images: 1 is as real, above 1 grids and sharpening.

    Args:
        images: those that are measured.
        real: real ones, in the same range of values.

    Raises:
        ValueError: the real images hold nothing fine at all, so that there is nothing to compare with.
    """
    reference = float(high_frequency_energy(real).mean())
    if not reference > 0:
        raise ValueError("the real images have no energy in high frequencies; a ratio to them does not exist")
    return float(high_frequency_energy(images).mean()) / reference


def outside_mass(raw: Float[np.ndarray, "n *sample"], low: float = -1.0, high: float = 1.0) -> Float[np.ndarray, " n"]:
    """By how much the pixels leave the range, mean over the pixels of an image, before they are clamped to it."""
    beyond = np.maximum(low - raw, 0.0) + np.maximum(raw - high, 0.0)
    mass: np.ndarray = beyond.reshape(len(raw), -1).mean(axis=1)
    return mass


def border_ink(images: Float[np.ndarray, "n c h w"]) -> Float[np.ndarray, " n"]:
    """Mean of the outermost ring of pixels.

    Args:
        images: in [0, 1], where 1 is ink.
    """
    ring = np.ones(images.shape[2:], dtype=bool)
    ring[1:-1, 1:-1] = False
    ink: np.ndarray = images[:, :, ring].mean(axis=(1, 2))
    return ink
