"""Rewards of images for the tests: loaded by worker processes under their address."""

from __future__ import annotations

import os
import time

import numpy as np


def mean(prompts, images):
    return [float(np.asarray(image.convert("L"), dtype=float).mean() / 255) for image in images]


def without_prompts(images):
    return mean(None, images)


def by_column(prompts, images, bonus, factor=(2,)):
    return [own + extra * factor[0] for own, extra in zip(mean(prompts, images), bonus, strict=True)]


def with_everything(prompts, images, **columns):
    return [float(len(columns)) for _ in images]


async def later(prompts, images):
    return mean(prompts, images)


def widths(prompts, images):
    assert {image.mode for image in images} == {"RGB"}
    return [float(image.width) for image in images]


def one_by_one(image, prompt, bonus):
    return np.asarray(image, dtype=float).mean() / 255 + bonus


def as_diffusion_trainers_do(images, prompts, metadata):
    return [own + row["bonus"] for own, row in zip(mean(prompts, images), metadata, strict=True)], {}


def hangs_on_white(prompts, images):
    for value in mean(prompts, images):
        if value > 0.99:
            time.sleep(60)
    return mean(prompts, images)


def dies_on_white(prompts, images):
    if max(mean(prompts, images)) > 0.99:
        os._exit(3)
    return mean(prompts, images)


def nothing_on_black(prompts, images):
    return [value if value > 0.01 else float("nan") for value in mean(prompts, images)]


def of_eight_by_eight(prompts, images):
    stacked = np.stack([np.asarray(image.convert("L"), dtype=float).reshape(8, 8) for image in images])
    return stacked.mean(axis=(1, 2)).tolist()


def raises(prompts, images):
    raise ValueError("this model was not loaded")


def one_too_few(prompts, images):
    return mean(prompts, images)[1:]


def of_words(prompts, completions):
    return [0.0 for _ in prompts]


NO_FUNCTION = 3
