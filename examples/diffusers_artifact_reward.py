"""ArtifactReward on Stable Diffusion 3.5 Medium: Flow-GRPO with a judge of artefacts beside the base reward.

The judge is a vision-language model behind an OpenAI-compatible server (`vllm serve Qwen/Qwen2.5-VL-7B-Instruct`). Its
instruction is searched on labelled images of your own model: a folder with the folders `clean` and `artefact`.

    python examples/diffusers_artifact_reward.py --prompts prompts.txt --reward my_scorers.py:score \
        --judge http://127.0.0.1:8000/v1 --labelled labelled/ --directory runs/artifact-reward
    python examples/diffusers_artifact_reward.py --tiny

`--tiny` takes two steps with a random model of some ten thousand weights and a small network as judge, without a
download or a server.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from trueward.recipes.real import artifact_reward
from trueward.rewards.models.images.artefact import ArtefactJudge, Classified
from trueward.rewards.models.images.classifier import ClassifierSettings

PROMPTS = ("a violin on a chair", "a man holding an umbrella", "three red apples")


def contrast(prompts, images):
    """A reward that is easily gamed, for trying this script out."""
    return [float(np.asarray(image.convert("L"), dtype=float).std()) / 128 for image in images]


def small_judge(side: int) -> ArtefactJudge:
    """A judge that tells smooth images from noise, for trying this script out."""
    rng = np.random.default_rng(0)
    smooth = np.broadcast_to(rng.random((8, 3, 1, 1)), (8, 3, side, side))
    noise = rng.random((8, 3, side, side))
    scorer = Classified(settings=ClassifierSettings(steps=30, batch=16))
    return ArtefactJudge(scorer).fit(np.concatenate([smooth, noise]), np.repeat([0, 1], 8))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="stabilityai/stable-diffusion-3.5-medium")
    parser.add_argument("--prompts", type=Path, help="one per line")
    parser.add_argument("--reward", default=contrast, help="of images, as in my_scorers.py:score")
    parser.add_argument("--judge", help="address of the server's API")
    parser.add_argument("--judge-model", default="Qwen/Qwen2.5-VL-7B-Instruct")
    parser.add_argument("--labelled", type=Path, help="folder with the folders clean and artefact")
    parser.add_argument("--weight", type=float, default=1.0, help="of the judge")
    parser.add_argument("--size", type=int, default=512, help="height and width of the images")
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--directory", type=Path, default=Path("runs/artifact-reward"))
    parser.add_argument("--tiny", action="store_true", help="two steps with a random model")
    given = parser.parse_args()
    if given.judge is None and not given.tiny:
        parser.error("--judge: the address of a served vision-language model is needed")
    judge = small_judge(16) if given.tiny else None
    training = artifact_reward.build(
        given.model,
        given.prompts.read_text().splitlines() if given.prompts else PROMPTS,
        [given.reward],
        judge or artifact_reward.served_judge(given.judge, given.judge_model, given.labelled),
        weight=given.weight,
        directory=given.directory,
        tiny="sd3" if given.tiny else None,
        settings=None if given.tiny else {"steps": given.steps},
        height=given.size,
        width=given.size,
    )
    for line in training.train().metrics:
        told = {name: value for name, value in line.items() if name.startswith("proxy") or name == "update/kl"}
        print(f"step {line['step']}: " + ", ".join(f"{name} {value:.4g}" for name, value in told.items()))


if __name__ == "__main__":
    main()
