"""Euphonium on Stable Diffusion 3.5 Medium: rollouts guided by a process reward on latents, the guidance distilled.

A pool of images is drawn and scored (or read, `--pool`), a small network learns from it what noisy latents promise, and
the policy learns from rollouts that follow its gradient.

    python examples/diffusers_euphonium.py --prompts prompts.txt --reward my_scorers.py:score --directory runs/euphonium
    python examples/diffusers_euphonium.py --tiny

`--tiny` takes two steps with a random model of some ten thousand weights, without a download.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from trueward.recipes.real import euphonium

PROMPTS = ("a dancer in the rain", "a dog that catches a ball", "waves at night")


def contrast(prompts, images):
    """A reward that is easily gamed, for trying this script out."""
    return [float(np.asarray(image.convert("L"), dtype=float).std()) / 128 for image in images]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="stabilityai/stable-diffusion-3.5-medium")
    parser.add_argument("--prompts", type=Path, help="one per line")
    parser.add_argument("--reward", default=contrast, help="of images, as in my_scorers.py:score")
    parser.add_argument("--pool", type=Path, help="scored images for the process reward")
    parser.add_argument("--beta", type=float, default=1.0, help="of the guidance: the smaller, the stronger")
    parser.add_argument("--size", type=int, default=512, help="height and width of the images")
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--directory", type=Path, default=Path("runs/euphonium"))
    parser.add_argument("--tiny", action="store_true", help="two steps with a random model")
    given = parser.parse_args()
    training = euphonium.build(
        given.model,
        given.prompts.read_text().splitlines() if given.prompts else PROMPTS,
        given.reward,
        pool=given.pool,
        beta=given.beta,
        directory=given.directory,
        tiny="sd3" if given.tiny else None,
        settings=None if given.tiny else {"steps": given.steps},
        height=given.size,
        width=given.size,
    )
    for line in training.train().metrics:
        print(f"step {line['step']}: " + ", ".join(f"{name} {line[name]:.4g}" for name in line if name in TOLD))


TOLD = ("proxy", "update/loss", "update/process/reward", "update/distillation_error")

if __name__ == "__main__":
    main()
