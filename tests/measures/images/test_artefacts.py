"""Traces of optimisation in pixels: numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trueward.measures.images import border_ink, high_frequency_energy, high_frequency_ratio, outside_mass

_ROWS, _COLUMNS = np.indices((8, 8))
CHECKERS = (-1.0) ** (_ROWS + _COLUMNS)


def image(pixels: np.ndarray) -> np.ndarray:
    return np.asarray(pixels, dtype=float)[None, None]


def wave(cycles: int, amplitude: float = 1.0) -> np.ndarray:
    """So many periods across eight pixels."""
    return image(amplitude * np.cos(2 * np.pi * cycles * _COLUMNS / 8))


def test_a_checkerboard_is_all_fine_and_a_flat_image_not_at_all():
    assert high_frequency_energy(image(3 * CHECKERS)).tolist() == [pytest.approx(9.0)]
    assert high_frequency_energy(image(np.full((8, 8), 5.0))).tolist() == [pytest.approx(0.0)]


@pytest.mark.parametrize(("cycles", "energy"), [(1, 0.0), (2, 0.0), (3, 0.5), (4, 1.0)])
def test_waves_finer_than_four_pixels_count(cycles, energy):
    """The mean square of a cosine is 1/2, and 1 where every pixel is at a peak."""
    assert high_frequency_energy(wave(cycles))[0] == pytest.approx(energy, abs=1e-12)


def test_energy_of_several_waves_adds_and_the_coarse_one_stays_out():
    assert high_frequency_energy(wave(1, 7.0) + wave(3, 2.0) + wave(4))[0] == pytest.approx(0.5 * 4 + 1)


def test_channels_are_averaged_and_images_are_not():
    two = np.concatenate([image(CHECKERS), image(0 * CHECKERS)], axis=1)
    assert high_frequency_energy(np.concatenate([two, 2 * two])).tolist() == [pytest.approx(0.5), pytest.approx(2.0)]


@given(st.integers(0, 2**31))
def test_energy_is_what_taking_out_the_coarse_half_leaves(seed):
    """Against a projection on sampled cosines and sines, which knows nothing of the fast transform."""
    pixels = np.random.default_rng(seed).standard_normal((6, 5))
    coarse = []
    for down in range(-3, 4):
        for right in range(-2, 3):
            if abs(down) / 6 <= 0.25 and abs(right) / 5 <= 0.25:
                phase = 2 * np.pi * (down * np.arange(6)[:, None] / 6 + right * np.arange(5)[None] / 5)
                coarse += [np.cos(phase).ravel(), np.sin(phase).ravel()]
    basis = np.array(coarse).T
    rest = pixels.ravel() - basis @ np.linalg.lstsq(basis, pixels.ravel(), rcond=None)[0]
    assert high_frequency_energy(image(pixels))[0] == pytest.approx(np.mean(rest**2))


def test_the_ratio_is_one_for_the_real_ones_and_grows_with_the_square_of_contrast():
    real = np.random.default_rng(0).standard_normal((20, 1, 8, 8))
    assert high_frequency_ratio(real, real) == pytest.approx(1.0)
    assert high_frequency_ratio(3 * real, real) == pytest.approx(9.0)
    assert high_frequency_ratio(np.zeros((1, 1, 8, 8)), real) == 0.0


def test_there_is_no_ratio_to_flat_images():
    with pytest.raises(ValueError, match="no energy in high frequencies"):
        high_frequency_ratio(image(CHECKERS), np.zeros((2, 1, 8, 8)))


def test_mass_outside_counts_both_ends_and_nothing_inside():
    raw = np.array([[-1.0, 0.3, 1.0, 0.0], [-1.5, 0.0, 1.0, 3.0]])
    assert outside_mass(raw).tolist() == [0.0, pytest.approx((0.5 + 2.0) / 4)]
    assert outside_mass(raw, low=0.0, high=1.0).tolist() == [pytest.approx(0.25), pytest.approx((1.5 + 2.0) / 4)]


def test_ink_on_the_border_is_that_of_the_ring():
    """The ring of a 3×4 image has ten pixels; the two in the middle do not count."""
    pixels = np.zeros((3, 4))
    pixels[1, 1:3] = 1.0
    assert border_ink(image(pixels)).tolist() == [0.0]
    pixels[0, 0] = pixels[2, 1] = 0.5
    assert border_ink(image(pixels)).tolist() == [pytest.approx(0.1)]
