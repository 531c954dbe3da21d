"""GDRO on FLUX.1-dev: rank the images of each prompt by their scores, without sampling while training.

Scored images stand in a file, one per line: {"prompt": "a sign that says OPEN", "image": "0001.png", "score": 0.83}.
Draw some 16 of each prompt from the same model. Without a file they are drawn first, and scored by `--reward`.

    python examples/diffusers_gdro.py --pool pool.jsonl --directory runs/gdro
    python examples/diffusers_gdro.py --tiny

`--tiny` takes two steps with a random model of some ten thousand weights, without a download.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from trueward.recipes.real import gdro

PROMPTS = ("a sign that says OPEN", "a cup with the word TEA on it", "a book named WAVES")


def contrast(prompts, images):
    """A reward that is easily gamed, for trying this script out."""
    return [float(np.asarray(image.convert("L"), dtype=float).std()) / 128 for image in images]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="black-forest-labs/FLUX.1-dev")
    parser.add_argument("--pool", type=Path, help="scored images; drawn and scored first where it is left out")
    parser.add_argument("--prompts", type=Path, help="one per line, for a pool that is drawn")
    parser.add_argument("--reward", default=contrast, help="of images, as in my_scorers.py:score")
    parser.add_argument("--size", type=int, default=512, help="height and width of the images")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--directory", type=Path, default=Path("runs/gdro"))
    parser.add_argument("--tiny", action="store_true", help="two steps with a random model")
    given = parser.parse_args()
    training = gdro.build(
        given.model,
        given.pool,
        prompts=given.prompts.read_text().splitlines() if given.prompts else PROMPTS,
        reward=given.reward,
        directory=given.directory,
        tiny="flux" if given.tiny else None,
        settings=None if given.tiny else {"steps": given.steps},
        height=given.size,
        width=given.size,
    )
    for line in training.train().metrics:
        print(f"step {line['step']}: " + ", ".join(f"{name} {line[name]:.4g}" for name in line if name in TOLD))


TOLD = ("proxy", "update/loss", "update/spread", "update/pool_best")

if __name__ == "__main__":
    main()
