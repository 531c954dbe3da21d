"""Artefacts made on purpose: what each does to a small image, by hand, and what all of them keep."""

from __future__ import annotations

import numpy as np
import pytest

from trueward.tasks.flow.artefacts import KINDS, contrasted, cut, doubled, shifted, speckled, spoilt
from trueward.tasks.flow.digits import digits


def image(rows):
    return np.array(rows, dtype=np.float32)[None, None]


def test_contrast_by_hand():
    found = contrasted(image([[-1.0, -0.2], [0.25, 0.5]]), np.random.default_rng(0))
    assert found[0, 0] == pytest.approx(np.array([[-1.0, -0.6], [0.75, 1.0]]))


def test_a_shift_brings_in_paper():
    rows = [[0.1, 0.2, 0.3], [0.4, 0.5, 0.6], [0.7, 0.8, 0.9]]
    assert shifted(image(rows), 1, -1)[0, 0] == pytest.approx(
        np.array([[-1.0, -1.0, -1.0], [0.2, 0.3, -1.0], [0.5, 0.6, -1.0]])
    )
    assert (shifted(image(rows), 3, 0) == -1).all() and (shifted(image(rows), 0, -5) == -1).all()


def test_a_doubled_dot_is_two_dots():
    dot = np.full((64, 1, 8, 8), -1.0, dtype=np.float32)
    dot[:, :, 4, 4] = 1.0
    found = doubled(dot, np.random.default_rng(0))
    assert ((found == 1).sum(axis=(1, 2, 3)) == 2).all() and (found[:, 0, 4, 4] == 1).all()
    # Two pixels away, in every direction.
    others = {tuple(place) for one in found for place in np.argwhere(one[0] == 1).tolist()} - {(4, 4)}
    assert others == {(4 + a, 4 + b) for a in (-2, 0, 2) for b in (-2, 0, 2)} - {(4, 4)}


def test_a_cut_goes_through_the_ink_and_adds_none():
    bar = np.full((50, 1, 8, 8), -1.0, dtype=np.float32)
    bar[:, :, 3:5, 1:7] = 1.0
    found = cut(bar, np.random.default_rng(0))
    assert (found <= bar).all()
    gone = (found < bar).sum(axis=(1, 2, 3))
    assert (gone >= 2).all() and gone.mean() < 8 and set(np.unique(found)) == {-1.0, 1.0}


def test_speckle_strikes_its_share_and_at_least_one_pixel():
    grey = np.zeros((400, 1, 8, 8), dtype=np.float32)
    struck = (speckled(grey, np.random.default_rng(0)) != 0).mean(axis=(1, 2, 3))
    assert struck.mean() == pytest.approx(0.15, abs=0.015)
    assert ((speckled(grey, np.random.default_rng(0), share=0.0) != 0).sum(axis=(1, 2, 3)) == 1).all()


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("channels", [1, 3])
def test_every_kind_keeps_shape_range_and_input_and_changes_every_digit(name, channels):
    clean = np.repeat(digits().heldout.images[:60], channels, axis=1)
    before = clean.copy()
    found = KINDS[name](clean, np.random.default_rng(1))
    assert found.shape == clean.shape and found.min() >= -1 and found.max() <= 1
    assert (clean == before).all() and (np.abs(found - clean).max(axis=(1, 2, 3)) > 0.1).all()
    assert (found == found[:, :1]).all()
    assert (KINDS[name](clean, np.random.default_rng(1)) == found).all()


def test_kinds_take_turns():
    clean = digits().heldout.images[:7]
    found, which = spoilt(clean, np.random.default_rng(0), ["contrast", "cut strokes"])
    assert which.tolist() == [0, 1, 0, 1, 0, 1, 0] and found.dtype == clean.dtype
    assert found[::2] == pytest.approx(np.clip(3 * clean[::2], -1, 1))
    with pytest.raises(ValueError, match="expected some of contrast, speckle"):
        spoilt(clean, np.random.default_rng(0), ["blur"])
    with pytest.raises(ValueError, match=r"kinds=\(\)"):
        spoilt(clean, np.random.default_rng(0), [])


def test_a_spoilt_digit_is_further_from_other_digits_than_a_clean_one():
    """What makes them artefacts: no clean digit looks like them. Measured on digits that were not spoilt."""
    splits = digits()
    known = splits.generator.images.reshape(-1, 64)
    clean = splits.heldout.images

    def nearest(images):
        return np.sqrt(((images.reshape(-1, 1, 64) - known[None]) ** 2).sum(axis=2)).min(axis=1)

    base = np.median(nearest(clean))
    for name, spoil in KINDS.items():
        assert np.median(nearest(spoil(clean, np.random.default_rng(0)))) > 1.15 * base, name
