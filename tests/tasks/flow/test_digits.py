"""The splits of the digits."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from trueward.tasks.flow.digits import CLASSES, SIZES, Digits, digits, noisy_labels

SPLITS = digits()
PARTS = {name: getattr(SPLITS, name) for name in SIZES}


def test_every_image_of_the_source_is_in_exactly_one_split():
    from sklearn.datasets import load_digits

    assert {name: len(part) for name, part in PARTS.items()} == SIZES
    found = sorted(
        (label, image.tobytes())
        for part in PARTS.values()
        for image, label in zip(part.images, part.labels, strict=True)
    )
    source = load_digits()
    wanted = sorted(
        (label, (image / 8 - 1).astype(np.float32).tobytes())
        for image, label in zip(source.images, source.target, strict=True)
    )
    assert found == wanted


def test_no_two_splits_share_an_image():
    for a, b in itertools.combinations(PARTS.values(), 2):
        assert not {image.tobytes() for image in a.images} & {image.tobytes() for image in b.images}


def test_images_fill_the_range_and_every_split_has_every_digit():
    for part in PARTS.values():
        assert part.images.dtype == np.float32 and part.images.shape[1:] == (1, 8, 8)
        assert part.images.min() == -1.0 and part.images.max() == 1.0
        assert set(part.labels.tolist()) == set(range(CLASSES))


def test_the_splits_are_the_same_every_time():
    """What a proxy was fitted to in one run is not what gold is fitted to in another."""
    again = digits()
    assert all((getattr(again, name).images == part.images).all() for name, part in PARTS.items())


def test_a_zero_looks_like_one():
    """Hollow: the mean zero has paper in its middle and ink around it; the mean one the other way round."""
    mean = {one: SPLITS.generator.images[SPLITS.generator.labels == one].mean(axis=0)[0] for one in (0, 1)}
    assert mean[0][3:5, 3:5].mean() < -0.5 < 0.2 < mean[1][3:5, 3:5].mean()


def test_a_share_of_labels_is_drawn_anew():
    labels = np.repeat(np.arange(10), 5000)
    drawn = noisy_labels(labels, 0.3, np.random.default_rng(0))
    # One in ten of those drawn anew is right again: .27 differ, with a deviation of .002.
    assert np.mean(drawn != labels) == pytest.approx(0.27, abs=0.01)
    assert np.bincount(drawn[drawn != labels], minlength=10).min() > 1000


def test_no_noise_and_nothing_but_noise():
    labels = np.arange(10).repeat(100)
    assert (noisy_labels(labels, 0.0, np.random.default_rng(0)) == labels).all()
    assert np.mean(noisy_labels(labels, 1.0, np.random.default_rng(0)) == labels) == pytest.approx(0.1, abs=0.05)
    with pytest.raises(ValueError, match="share"):
        noisy_labels(labels, 1.1, np.random.default_rng(0))


def test_images_need_labels():
    with pytest.raises(ValueError, match="n labels"):
        Digits(np.zeros((3, 1, 8, 8), np.float32), np.zeros(2, np.int64))


def test_rows_keep_images_and_labels_together():
    part = SPLITS.proxy.rows(np.array([5, 2]))
    assert (part.images == SPLITS.proxy.images[[5, 2]]).all() and (part.labels == SPLITS.proxy.labels[[5, 2]]).all()
