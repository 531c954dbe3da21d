"""Changes of images: numbers by hand, and what holds of all of them."""

from __future__ import annotations

import numpy as np
import pytest

from trueward.audit.images import changes
from trueward.audit.images.folder import Picture
from trueward.audit.images.perturbations import CATALOGUE, FAMILIES, apply, same_pixels

RAMP = np.array([[[[0.0], [0.2]], [[0.6], [1.0]]]], dtype=np.float32)  # [1, 2, 2, 1], mean .45


def random_picture(seed: int, side: int = 8, channels: int = 3) -> Picture:
    generator = np.random.default_rng(seed)
    return Picture(f"{seed}.png", generator.integers(256, size=(side, side, channels), dtype=np.uint8))


def test_point_changes_by_hand() -> None:
    assert changes.brightness(0.3)(RAMP, ()).ravel() == pytest.approx([0.3, 0.5, 0.9, 1.0])
    assert changes.contrast(0.5)(RAMP, ()).ravel() == pytest.approx([0.225, 0.325, 0.525, 0.725])
    assert changes.inversion(RAMP, ()).ravel() == pytest.approx([1.0, 0.8, 0.4, 0.0])
    assert changes.posterisation(2)(RAMP, ()).ravel() == pytest.approx([0, 0, 1, 1])
    assert changes.posterisation(3)(RAMP, ()).ravel() == pytest.approx([0, 0, 0.5, 1])
    assert changes.checkerboard(0.1)(RAMP, ()).ravel() == pytest.approx([0.0, 0.3, 0.7, 0.9])
    assert changes.ghost(0.5)(RAMP, ()).ravel() == pytest.approx([0.5, 0.4, 0.4, 0.5])


def test_saturation_moves_colours_and_leaves_grey() -> None:
    red = np.array([[[[1.0, 0.0, 0.0]]]], dtype=np.float32)
    assert changes.saturation(0.0)(red, ()).ravel() == pytest.approx([0.299] * 3)
    grey = np.full((1, 4, 4, 3), 0.4, dtype=np.float32)
    np.testing.assert_allclose(changes.saturation(4.0)(grey, ()), grey, atol=1e-6)


def test_spatial_changes_by_hand() -> None:
    image = np.arange(16, dtype=np.float32).reshape(1, 4, 4, 1) / 15
    halves = changes.tiles(1, 2)(image, ())
    np.testing.assert_array_equal(halves[:, :, :2], halves[:, :, 2:])
    framed = changes.border(0.25, 1.0)(image, ())
    assert (framed[0, 0] == 1).all() and (framed[0, 1:3, 1:3] == image[0, 1:3, 1:3]).all()
    assert changes.delivered(0.5)(image, ()).shape == (1, 2, 2, 1)
    assert changes.delivered(2.0)(image, ()).shape == (1, 8, 8, 1)
    # The mean of each block of four, rounded to 8 bits.
    assert changes.coarse(2)(image, ())[0, 0, 0, 0] == pytest.approx((0 + 1 + 4 + 5) / 60, abs=1 / 255)


def test_shuffling_keeps_every_value() -> None:
    picture = random_picture(0)
    for variant in ("pixels", "pieces of a quarter side"):
        [one] = [one for one in CATALOGUE if one.family == "shuffled" and one.variant == variant]
        [done] = apply([one], [picture], 0)
        assert not same_pixels(done, picture)
        np.testing.assert_array_equal(
            np.sort(done.pixels.reshape(-1, 3), axis=0), np.sort(picture.pixels.reshape(-1, 3), axis=0)
        )


@pytest.mark.parametrize("one", CATALOGUE, ids=lambda one: f"{one.family} {one.variant}")
def test_every_change_gives_an_image_and_does_not_depend_on_company(one: object) -> None:
    pictures = [random_picture(0), random_picture(1), random_picture(2, side=12, channels=1)]
    together = apply([one], pictures, 7)  # type: ignore[list-item]
    for before, after in zip(pictures, together, strict=True):
        assert np.isfinite(after.pixels).all() and after.pixels.min() >= 0 and after.pixels.max() <= 1
        assert after.pixels.shape[2] == before.pixels.shape[2]
        [alone] = apply([one], [before], 7)  # type: ignore[list-item]
        np.testing.assert_array_equal(alone.pixels, after.pixels)


def test_families_and_catalogue_name_the_same() -> None:
    assert {one.family for one in CATALOGUE} == set(FAMILIES)
    assert len({(one.family, one.variant) for one in CATALOGUE}) == len(CATALOGUE)


def test_what_is_drawn_depends_on_the_seed_and_the_image() -> None:
    [noise] = [one for one in CATALOGUE if one.variant == "every value at random"]
    a, b = apply([noise], [random_picture(0), random_picture(1)], 0)
    [again] = apply([noise], [random_picture(0)], 0)
    [other] = apply([noise], [random_picture(0)], 1)
    assert same_pixels(a, again) and not same_pixels(a, b) and not same_pixels(a, other)


def test_patterns_are_opposite_and_equal_on_every_image() -> None:
    grey = np.full((2, 8, 8, 1), 0.5, dtype=np.float32)
    up, down = changes.pattern(3, 0.1, 4)(grey, ()), changes.pattern(3, -0.1, 4)(grey, ())
    np.testing.assert_allclose(up + down, 1.0, atol=1e-6)
    np.testing.assert_array_equal(up[0], up[1])
    np.testing.assert_allclose(np.unique(up), [0.4, 0.6], atol=1e-6)
