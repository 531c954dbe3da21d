"""Distances to real images and within classes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trueward.measures.images import diversity_ratio, nearest_distance, realism_rank, within_class_distance


def points(*rows: tuple[float, float]) -> np.ndarray:
    """Images of two pixels."""
    return np.array(rows, dtype=float).reshape(-1, 1, 1, 2)


def test_the_nearest_is_found():
    among = points((0, 0), (10, 0))
    assert nearest_distance(points((3, 4), (10, 1), (0, 0)), among).tolist() == [5.0, 1.0, 0.0]
    with pytest.raises(ValueError, match="no images"):
        nearest_distance(among, among[:0])


@given(st.integers(0, 2**31))
def test_distances_agree_with_differences_taken_one_by_one(seed):
    generator = np.random.default_rng(seed)
    images, among = generator.standard_normal((5, 1, 3, 3)), generator.standard_normal((7, 1, 3, 3))
    expected = [min(np.linalg.norm(image - other) for other in among) for image in images]
    assert nearest_distance(images, among) == pytest.approx(np.array(expected))


def test_a_copy_lies_at_no_distance_in_single_precision_too():
    images = np.random.default_rng(0).uniform(-1, 1, (50, 1, 8, 8)).astype(np.float32)
    assert (nearest_distance(images, images) == 0).all()


def test_the_rank_among_real_distances():
    """Of 1, 2, 3, 4: below all, between, equal to the second (one half of it counts), above all."""
    ranks = realism_rank(np.array([0.5, 2.5, 2.0, 9.0]), np.array([3.0, 1.0, 4.0, 2.0]))
    assert ranks.tolist() == [1.0, 0.5, 0.625, 0.0]


@given(st.lists(st.integers(0, 5), min_size=1, max_size=30))
def test_real_images_among_themselves_rank_one_half_on_average(distances):
    real = np.array(distances, dtype=float)
    assert realism_rank(real, real).mean() == pytest.approx(0.5)


def test_there_is_no_rank_among_none():
    with pytest.raises(ValueError, match="no real images"):
        realism_rank(np.array([1.0]), np.array([]))


def test_distance_within_classes_by_hand():
    """Class 0: three on a line at 0, 3, 9: (3 + 6 + 9) / 3 = 6. Class 1: two at distance 2. Class 2 has one image."""
    images = points((0, 0), (3, 0), (9, 0), (0, 0), (0, 2), (100, 100))
    labels = np.array([0, 0, 0, 1, 1, 2])
    assert within_class_distance(images, labels) == pytest.approx(4.0)
    with pytest.raises(ValueError, match="at least two images"):
        within_class_distance(images[[0, 3, 5]], labels[[0, 3, 5]])


def test_diversity_is_relative_and_is_zero_for_one_picture_per_class():
    real, labels = points((0, 0), (3, 0), (9, 0), (0, 0), (0, 2)), np.array([0, 0, 0, 1, 1])
    assert diversity_ratio(real, labels, real, labels) == pytest.approx(1.0)
    assert diversity_ratio(0.5 * real, labels, real, labels) == pytest.approx(0.5)
    collapsed = points((0, 0), (0, 0), (7, 7), (7, 7))
    assert diversity_ratio(collapsed, np.array([0, 0, 1, 1]), real, labels) == 0.0
    with pytest.raises(ValueError, match="all alike"):
        diversity_ratio(real, labels, collapsed, np.array([0, 0, 1, 1]))


def test_a_distance_between_classes_is_no_diversity():
    """Two pictures far apart, each drawn again and again, are two classes and no variety."""
    near = points((0, 0), (1, 0), (50, 0), (51, 0))
    far = points((0, 0), (1, 0), (5000, 0), (5001, 0))
    labels = np.array([0, 0, 1, 1])
    assert diversity_ratio(far, labels, near, labels) == pytest.approx(1.0)
