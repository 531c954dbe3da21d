"""SePPO on Stable Diffusion 1.5: learn from good images alone, against samples of the model's own past.

Good images stand in a file, one per line: {"prompt": "a cat", "image": "0001.jpg", "score": 1}. The best image of each
prompt is a winner; the score says nothing else.

    python examples/diffusers_seppo.py --images winners.jsonl --directory runs/seppo
    python examples/diffusers_seppo.py --tiny

`--tiny` takes two steps with a random model of some ten thousand weights, without a download.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from PIL import Image

from trueward.recipes.real import seppo


def patterns(folder: Path) -> Path:
    """A file of winners, for trying this script out."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = []
    for number, prompt in enumerate(("stripes", "dots")):
        pixels = (np.indices((16, 16)).sum(axis=0) % (number + 2) * 100).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{prompt}.png")
        lines.append(json.dumps({"prompt": prompt, "image": f"{prompt}.png", "score": 1.0}))
    (folder / "winners.jsonl").write_text("\n".join(lines))
    return folder / "winners.jsonl"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="stable-diffusion-v1-5/stable-diffusion-v1-5")
    parser.add_argument("--images", type=Path, help="winning images")
    parser.add_argument("--scale", type=float, default=7.5, help="of classifier-free guidance")
    parser.add_argument("--steps", type=int, default=210)
    parser.add_argument("--directory", type=Path, default=Path("runs/seppo"))
    parser.add_argument("--tiny", action="store_true", help="two steps with a random model")
    given = parser.parse_args()
    if given.images is None and not given.tiny:
        parser.error("--images: a file of winning images is needed")
    training = seppo.build(
        given.model,
        given.images or patterns(given.directory / "winners"),
        directory=given.directory,
        scale=given.scale,
        tiny="sd15" if given.tiny else None,
        settings=None if given.tiny else {"steps": given.steps},
    )
    for line in training.train().metrics:
        print(f"step {line['step']}: " + ", ".join(f"{name} {line[name]:.4g}" for name in line if name in TOLD))


TOLD = ("update/loss", "update/losers", "update/winner_delta", "update/other_delta", "update/reference_age")

if __name__ == "__main__":
    main()
