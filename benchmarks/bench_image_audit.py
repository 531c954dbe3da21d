"""How often the audit of images is wrong, and how long it takes.

    python benchmarks/bench_image_audit.py [seeds]

For every seed the digits of scikit-learn are split anew: images to audit with, images that classifiers learn from.
Three rewards are flawed (mean brightness, ink, a logit without an end): one that comes out clean is a miss. Three are
sound (a support vector machine squashed into [0, 1], the distance to real images of the digit, a classifier that was
trained on noised and shifted images, as a probability): whatever is found is a false alarm.
"""

from __future__ import annotations

import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.neural_network import MLPClassifier
from sklearn.svm import SVC

from trueward.audit.images import audit_images, folder_of
from trueward.measures.intervals import wilson

SIDE = 8
IMAGES = 64

Reward = Callable[[list[str], list[Image.Image]], list[float]]


def arrays(images: list[Image.Image]) -> np.ndarray:
    """Grey pixels [n, 64]."""
    small = [image.convert("L").resize((SIDE, SIDE), Image.Resampling.BOX) for image in images]
    return np.stack([np.asarray(one, dtype=float).ravel() / 255 for one in small])


def moved(images: np.ndarray, labels: np.ndarray, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Images with noise, shifts and other contrast, and as many of pure noise and of one value, with equal labels."""
    grown = [images]
    for _ in range(3):
        shift = generator.integers(-1, 2, size=2)
        once = np.roll(images.reshape(-1, SIDE, SIDE), tuple(shift), axis=(1, 2)).reshape(len(images), -1)
        grown.append(np.clip(once * generator.uniform(0.6, 1.4) + generator.normal(0, 0.15, images.shape), 0, 1))
    nothing = np.concatenate([generator.random(images.shape), generator.random((len(images), 1)) + 0 * images])
    every = np.concatenate([*grown, nothing])
    return every, np.concatenate([labels] * 4 + [generator.integers(10, size=len(nothing))])


def sound(pixels: np.ndarray, labels: np.ndarray, generator: np.random.Generator) -> dict[str, Reward]:
    """The sound rewards."""
    half = len(pixels) // 2
    machine = SVC(C=5, decision_function_shape="ovr").fit(pixels[:half], labels[:half])
    network = MLPClassifier((64,), max_iter=120, random_state=0).fit(*moved(pixels[:half], labels[:half], generator))
    real, real_labels = pixels[half:], labels[half:]

    def readable(prompts: list[str], images: list[Image.Image]) -> list[float]:
        values = machine.decision_function(arrays(images))
        ahead = [row[int(p)] - np.delete(row, int(p)).max() for p, row in zip(prompts, values, strict=True)]
        return (1 / (1 + np.exp(-2 * np.array(ahead)))).tolist()

    def like_real_ones(prompts: list[str], images: list[Image.Image]) -> list[float]:
        near = [
            np.sort(((real[real_labels == int(p)] - one) ** 2).sum(axis=1))[:3].mean()
            for p, one in zip(prompts, arrays(images), strict=True)
        ]
        return np.exp(-np.array(near) / 6).tolist()

    def probability(prompts: list[str], images: list[Image.Image]) -> list[float]:
        rows = network.predict_proba(arrays(images))
        return [float(row[int(p)]) for p, row in zip(prompts, rows, strict=True)]

    return {"support vector machine": readable, "like real ones": like_real_ones, "trained on noise": probability}


def flawed(pixels: np.ndarray, labels: np.ndarray) -> dict[str, Reward]:
    """The flawed ones."""
    network = MLPClassifier((64,), max_iter=300, random_state=0).fit(pixels[:300], labels[:300])

    def brightness(prompts: list[str], images: list[Image.Image]) -> list[float]:
        return arrays(images).mean(axis=1).tolist()

    def ink(prompts: list[str], images: list[Image.Image]) -> list[float]:
        return (arrays(images) > 0.5).mean(axis=1).tolist()

    def logit(prompts: list[str], images: list[Image.Image]) -> list[float]:
        hidden = np.maximum(arrays(images) @ network.coefs_[0] + network.intercepts_[0], 0)
        rows = hidden @ network.coefs_[1] + network.intercepts_[1]
        return [float(row[int(p)]) for p, row in zip(prompts, rows, strict=True)]

    return {"mean brightness": brightness, "ink count": ink, "classifier logit": logit}


def main() -> None:
    """Print what was counted."""
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    warnings.simplefilter("ignore")
    found = load_digits()
    counts: Counter[tuple[str, str, bool]] = Counter()
    told: dict[str, Counter[str]] = {}
    seconds = []
    for seed in range(seeds):
        generator = np.random.default_rng(seed)
        order = generator.permutation(len(found.target))
        images, labels = found.images[order].reshape(-1, SIDE * SIDE) / 16, found.target[order]
        shown = [Image.fromarray(np.rint(255 * one.reshape(SIDE, SIDE)).astype(np.uint8)) for one in images[:IMAGES]]
        folder = folder_of(shown, [str(label) for label in labels[:IMAGES]])
        rest, rest_labels = images[IMAGES:], labels[IMAGES:]
        kinds = {"sound": sound(rest, rest_labels, generator), "flawed": flawed(rest, rest_labels)}
        for kind, rewards in kinds.items():
            for name, reward in rewards.items():
                started = time.perf_counter()
                report = audit_images(reward, folder, seed=seed)
                seconds.append(time.perf_counter() - started)
                counts[kind, name, report.clean] += 1
                told.setdefault(name, Counter()).update(one["family"] for one in report.audit["findings"])
    for kind, wrong, word in (("sound", False, "false alarms"), ("flawed", True, "misses")):
        for name in kinds[kind]:
            bad = counts[kind, name, wrong]
            low, high = wilson(bad, seeds)
            verdict = "ok" if not bad else "LOST"
            print(f"{name + ': ' + word:<40} {bad:>3} of {seeds:<4} 95 % interval {low:.1%} to {high:.1%}   {verdict}")
            if kind == "sound" and told[name]:
                print(f"    {dict(told[name])}")
    print(f"{f'an audit with {IMAGES} images of 8 × 8':<40} {np.median(seconds):.1f} s")


if __name__ == "__main__":
    main()
