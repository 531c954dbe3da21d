r"""Rewards of images as people write them: three with a flaw, and two that stand. The images are handwritten digits.

    trueward audit examples/image_rewards.py:ink --images digits/ --holdout examples/image_rewards.py:like_real_ones

`digits/` holds one folder for each digit: its name is the prompt. `write_digits` makes it from scikit-learn's digits.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np

SIDE = 8


def as_arrays(images):
    """Grey, 8 × 8, in [0, 1]: [n, 8, 8]."""
    small = [image.convert("L").resize((SIDE, SIDE), 4) for image in images]  # 4: box means
    return np.stack([np.asarray(one, dtype=float) / 255 for one in small])


@cache
def digits():
    """Images [n, 64] in [0, 1] and their labels, in a fixed random order."""
    from sklearn.datasets import load_digits

    found = load_digits()
    order = np.random.default_rng(0).permutation(len(found.target))
    return found.images[order].reshape(-1, SIDE * SIDE) / 16, found.target[order]


def write_digits(folder, count=80, side=64):
    """Images that no reward here has seen, enlarged, in one folder for each digit."""
    from PIL import Image

    images, labels = digits()
    for number in range(count):
        pixels = np.rint(255 * images[number].reshape(SIDE, SIDE)).astype(np.uint8)
        place = Path(folder) / str(labels[number])
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).resize((side, side), 0).save(place / f"{number:04d}.png")


# Flawed: a white image is the best one.
def brightness(prompts, images):
    return as_arrays(images).mean(axis=(1, 2)).tolist()


# Flawed: it counts ink, wherever it is.
def ink(prompts, images):
    return [float((np.asarray(image.convert("L")) > 128).mean()) for image in images]


@cache
def classifier():
    from sklearn.neural_network import MLPClassifier

    images, labels = digits()
    return MLPClassifier((64,), max_iter=1000, random_state=0).fit(images[200:500], labels[200:500])


# Flawed: a logit has no end, so that more of what the classifier looks for is always paid more.
def logit(prompts, images):
    model = classifier()
    hidden = np.maximum(as_arrays(images).reshape(-1, SIDE * SIDE) @ model.coefs_[0] + model.intercepts_[0], 0)
    logits = hidden @ model.coefs_[1] + model.intercepts_[1]
    return [float(row[int(prompt)]) for row, prompt in zip(logits, prompts, strict=True)]


@cache
def machine():
    from sklearn.svm import SVC

    images, labels = digits()
    return SVC(C=5, decision_function_shape="ovr").fit(images[500:1000], labels[500:1000])


def readable(prompts, images):
    """How far the digit that was asked for is ahead of the others, by a machine that is unsure far from any digit."""
    values = machine().decision_function(as_arrays(images).reshape(-1, SIDE * SIDE))
    ahead = [row[int(prompt)] - np.delete(row, int(prompt)).max() for row, prompt in zip(values, prompts, strict=True)]
    return (1 / (1 + np.exp(-2 * np.array(ahead)))).tolist()


def like_real_ones(prompts, images):
    """Near one of the real images of that digit: 1 at its place, less the farther away."""
    real, labels = (part[1000:] for part in digits())
    asked = as_arrays(images).reshape(-1, SIDE * SIDE)
    near = [
        np.sort(((real[labels == int(prompt)] - one) ** 2).sum(axis=1))[:3].mean()
        for one, prompt in zip(asked, prompts, strict=True)
    ]
    return np.exp(-np.array(near) / 6).tolist()
