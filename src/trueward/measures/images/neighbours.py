"""How far images lie from real ones and from each other: realism, copying, diversity."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int


def nearest_distance(
    images: Float[np.ndarray, "n *sample"], among: Float[np.ndarray, "m *sample"]
) -> Float[np.ndarray, " n"]:
    """Euclidean distance of each image to the nearest of others: near 0 it is a copy.

    Raises:
        ValueError: there are no others.
    """
    if not len(among):
        raise ValueError("the nearest of no images does not exist")
    nearest: np.ndarray = np.sqrt(_squares(images, among).min(axis=1))
    return nearest


def realism_rank(
    distances: Float[np.ndarray, " n"], real_distances: Float[np.ndarray, " m"]
) -> Float[np.ndarray, " n"]:
    """Share of real images that lie farther from the real ones than each image does; ties count half.

    Distances are those to the nearest of a set of real images, for real images that are not in that set. Images drawn
    from what is real have .5 on average; 0 is farther off than any of them.

    Raises:
        ValueError: there are no real distances.
    """
    if not len(real_distances):
        raise ValueError("a rank among no real images does not exist")
    ordered = np.sort(real_distances)
    below, up_to = (np.searchsorted(ordered, distances, side=side) for side in ("left", "right"))
    rank: np.ndarray = 1.0 - (below + up_to) / (2 * len(ordered))
    return rank


def within_class_distance(images: Float[np.ndarray, "n *sample"], labels: Int[np.ndarray, " n"]) -> float:
    """Mean Euclidean distance between two images of one class, mean over the classes that have two.

    Raises:
        ValueError: no class has two images.
    """
    means = []
    for label in np.unique(labels):
        chosen = images[labels == label]
        count = len(chosen)
        if count > 1:
            means.append(np.sqrt(_squares(chosen, chosen)).sum() / (count * (count - 1)))
    if not means:
        raise ValueError("diversity within classes needs a class with at least two images")
    return float(np.mean(means))


def diversity_ratio(
    images: Float[np.ndarray, "n *sample"],
    labels: Int[np.ndarray, " n"],
    real: Float[np.ndarray, "m *sample"],
    real_labels: Int[np.ndarray, " m"],
) -> float:
    """Distance within the classes against that of real images: 1 is as varied, 0 is one picture per class.

    Args:
        images, labels: those that are measured, and what each was made for.
        real, real_labels: real ones, in the same range of values.

    Raises:
        ValueError: no class has two images, or the real images of each class are all alike.
    """
    reference = within_class_distance(real, real_labels)
    if not reference > 0:
        raise ValueError("the real images of each class are all alike; a ratio to their distance does not exist")
    return within_class_distance(images, labels) / reference


def _squares(a: np.ndarray, b: np.ndarray) -> Float[np.ndarray, "n m"]:
    """Squared distances. An image has exactly none to itself, where the three products would leave rounding."""
    left, right = (x.reshape(len(x), -1).astype(np.float64) for x in (a, b))
    squares: np.ndarray = (left**2).sum(axis=1)[:, None] + (right**2).sum(axis=1)[None] - 2 * left @ right.T
    scale = max(float((left**2).sum(axis=1).max(initial=0.0)), float((right**2).sum(axis=1).max(initial=0.0)))
    squares[squares < 1e-13 * scale] = 0.0
    return squares
