"""GDRO with public models: a flow transformer of diffusers learns from a pool of scored images, without sampling.

    training = build("black-forest-labs/FLUX.1-dev", "pool.jsonl", directory="run")
    training.train()

`pool.jsonl` has one image per line (`prompt`, `image`, `score`), drawn from the same model with any sampler: some 16 of
each prompt. Without a file, give prompts and a reward, and the pool is drawn first. Watch `update/spread`, which should
come to about 1 (`beta_for_spread`), and the corrected score of the sheets (`measures.images`): the reward alone does
not tell when it is being gamed. `update/pool_best` is an upper guide.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from trueward.adapters.diffusers.lora import LoraReference
from trueward.adapters.diffusers.parts import TextToImage
from trueward.adapters.diffusers.tiny import Kind
from trueward.adapters.diffusers.training import FlowTraining, loop_settings, prepare
from trueward.training.flow.pool import Pool, PoolSettings, PoolUpdate

SETTINGS: Mapping[str, Any] = {
    "steps": 300, "learning_rate": 3e-4, "ema": 0.99, "evaluate_every": 50, "checkpoint_every": 50,
}  # fmt: skip
METHOD = PoolSettings(groups=8, size=6, temperature=0.05, beta=12.0, stabiliser=0.5)


def build(
    model: str | TextToImage = "black-forest-labs/FLUX.1-dev",
    pool: str | Path | Pool | None = None,
    *,
    prompts: Sequence[str] = (),
    reward: Any = None,
    images: int = 16,
    directory: str | Path,
    method: PoolSettings = METHOD,
    scale: float = 1.0,
    sampling_steps: int = 28,
    rank: int = 32,
    rows: int | None = 6,
    seed: int = 0,
    tiny: Kind | None = None,
    settings: Mapping[str, Any] | None = None,
    **loading: Any,
) -> FlowTraining:
    """A training run on a pool of scored images.

    Args:
        model: name or folder of a pipeline, or one that is taken apart.
        pool: file of scored images; or a pool; None to draw one.
        prompts, reward, images: of a pool that is drawn, with so many images per prompt.
        directory: of the run.
        method: k, τ, β, γ. β = 12 with γ = 0.5 for OCR and 6 with 1 for GenEval, if errors are means.
        scale: of classifier-free guidance when images are sampled; guidance-distilled models have 1.
        sampling_steps: of the pool and of evaluations.
        rank: of the adapters.
        rows: latents in the model at once.
        seed: of everything.
        tiny: two steps with a random pipeline of this kind.
        settings: of `FlowSettings`, over `SETTINGS`.
        loading: of `prepare` and `TextToImage.load`, such as `height`.

    Raises:
        TrainingError: there is neither a pool nor prompts and a reward.

    Reference: Wang et al. 2026, "GDRO", arXiv 2601.02036: FLUX.1-dev, rank 32, k = 6 of N = 16, lr 3e-4, 300 steps
    (OCR) or 700 (GenEval). How many groups an update has is not told there.
    """
    ready = prepare(model, rank=rank, scale=scale, rows=rows, seed=seed, tiny=tiny, **loading)
    sampling_steps, images = (2, 4) if tiny else (sampling_steps, images)
    scored = ready.pool(pool, directory, prompts, reward, images=images, steps=sampling_steps, seed=seed)
    if tiny:
        method = replace(method, groups=2, size=2)
    folder = Path(directory)
    return FlowTraining(
        ready,
        ready.policy,
        PoolUpdate(scored, LoraReference(ready.policy), method),
        loop_settings(SETTINGS, settings, seed=seed, tiny=tiny),
        folder,
        ready.sheets(scored.prompts, scored.condition, folder, reward=reward, steps=sampling_steps, seed=seed),
    )
