"""SePPO with public models: a diffusion model learns from good images alone, against samples of its own past.

    training = build("stable-diffusion-v1-5/stable-diffusion-v1-5", "images.jsonl", directory="run")
    training.train()

`images.jsonl` has one image per line (`prompt`, `image`, `score`); the best image of each prompt is a winner, and the
others are not used. Past policies are adapters of a few megabytes, which the one model puts on in turn. Sampling them
costs most of the time: few steps are enough. Watch `update/other_delta`: where it runs away, images are being
unlearnt; and `update/losers`: the share of past samples that count as losers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from trueward.adapters.diffusers.parts import TextToImage
from trueward.adapters.diffusers.tiny import Kind
from trueward.adapters.diffusers.training import FlowTraining, loop_settings, prepare
from trueward.training.flow.pool import Pool
from trueward.training.flow.preference import PreferenceSettings
from trueward.training.flow.self_sampling import SelfSamplingSettings, SelfSamplingUpdate

SETTINGS: Mapping[str, Any] = {
    "steps": 210, "learning_rate": 1e-5, "ema": None, "evaluate_every": 30, "checkpoint_every": 30,
}  # fmt: skip
METHOD = SelfSamplingSettings(
    PreferenceSettings(batch=256, beta=2000.0, flip="sign", times="uniform", error="noise"),
    reference="uniform",
    save_every=30,
    window=7,
    sampling_steps=8,
)


def build(
    model: str | TextToImage = "stable-diffusion-v1-5/stable-diffusion-v1-5",
    images: str | Path | Pool = "images.jsonl",
    *,
    winners: int = 1,
    directory: str | Path,
    method: SelfSamplingSettings = METHOD,
    scale: float = 7.5,
    rank: int = 32,
    rows: int | None = 8,
    seed: int = 0,
    tiny: Kind | None = None,
    settings: Mapping[str, Any] | None = None,
    **loading: Any,
) -> FlowTraining:
    """A training run on winning images.

    Args:
        model: name or folder of a pipeline, or one that is taken apart. For a flow model compare velocities at
            logit-normal levels: replace `method.preference` by one with these defaults.
        images: file of scored images, or a pool of them.
        winners: images of each prompt that count as winners, from the best down.
        directory: of the run.
        method: β, flipper, checkpoints; the shift of the noise levels is the pipeline's.
        scale: of classifier-free guidance when past policies are sampled: that of use.
        rank: of the adapters.
        rows: latents in the model at once.
        seed: of everything.
        tiny: two steps with a random pipeline of this kind.
        settings: of `FlowSettings`, over `SETTINGS`.
        loading: of `prepare` and `TextToImage.load`, such as `height`.

    Reference: Zhang, Lan et al. 2024 (SePPO), arXiv 2410.05255: Stable Diffusion 1.5 on the winners of Pick-a-Pic,
    batch 2048, a checkpoint every 30 updates, 7 of them. β and learning rate are not told there; these are of the size
    that Diffusion-DPO is used with.
    """
    ready = prepare(model, rank=rank, scale=scale, rows=rows, seed=seed, tiny=tiny, **loading)
    method = replace(method, shift=ready.parts.shift)
    if tiny:
        short = replace(method.preference, batch=4)
        method = replace(method, preference=short, save_every=1, sampling_steps=2)
    pool = ready.pool(images, directory)
    places, condition = pool.best(winners)
    folder = Path(directory)
    return FlowTraining(
        ready,
        ready.policy,
        SelfSamplingUpdate(pool.samples[torch.from_numpy(places)], condition, method, ready.sampled_as),
        loop_settings(SETTINGS, settings, seed=seed, tiny=tiny),
        folder,
        ready.sheets(pool.prompts, pool.condition, folder, steps=2 if tiny else 28, seed=seed),
    )
