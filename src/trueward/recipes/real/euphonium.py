"""Euphonium with public models: rollouts guided by a process reward on latents, and the guidance distilled.

    training = build("stabilityai/stable-diffusion-3.5-medium", prompts, "scorers.py:pickscore", directory="run")
    training.train()

First a pool of images is drawn and scored, and a small network learns from it what noisy latents promise; then rollouts
follow its gradient, and the policy learns to do without. What is sampled in the end needs no process reward. Look at
`hook/process_agreement_0` and so on: whether it still tells of states at each step what becomes of them.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save

from trueward.adapters.diffusers.latent_scorer import LatentScorer, conditions_of, fit_latent_scorer
from trueward.adapters.diffusers.parts import TextToImage
from trueward.adapters.diffusers.tiny import Kind
from trueward.adapters.diffusers.training import FlowTraining, Prepared, loop_settings, prepare
from trueward.errors import TrainingError
from trueward.policies.flow.guided import Guidance
from trueward.policies.flow.kernels import dance_grpo
from trueward.report.atomic import write_whole
from trueward.rewards.images import as_image_reward
from trueward.rewards.models.images.process import LatentProcessReward, StateValue
from trueward.training.flow.online import OnlineUpdate
from trueward.training.flow.online_settings import OnlineSettings
from trueward.training.flow.pool import Pool
from trueward.training.flow.process_watch import ProcessWatch
from trueward.training.seeds import torch_stream

SETTINGS: Mapping[str, Any] = {
    "steps": 500, "learning_rate": 1e-4, "ema": 0.9, "evaluate_every": 25, "checkpoint_every": 25,
}  # fmt: skip
METHOD: Mapping[str, Any] = {
    "group": 8, "prompts": 8, "steps": 16, "kernel": dance_grpo(0.25), "step_share": 0.6,
    "share_noise": True, "distill": "explicit", "process_weight": 1.0, "micro_batch": 2,
}  # fmt: skip
_TINY: Mapping[str, Any] = {"group": 4, "prompts": 2, "steps": 3, "micro_batch": None}


def build(
    model: str | TextToImage = "stabilityai/stable-diffusion-3.5-medium",
    prompts: Sequence[str] = (),
    reward: Any = None,
    *,
    directory: str | Path,
    process: StateValue | None = None,
    pool: str | Path | Pool | None = None,
    images: int = 16,
    scorer_steps: int = 5000,
    beta: float = 1.0,
    clip_norm: float | None = 10.0,
    window: tuple[int, int] | None = None,
    method: Mapping[str, Any] | None = None,
    scale: float = 1.0,
    rank: int = 32,
    rows: int | None = 8,
    columns: Sequence[Mapping[str, Any]] = (),
    seed: int = 0,
    tiny: Kind | None = None,
    settings: Mapping[str, Any] | None = None,
    **loading: Any,
) -> FlowTraining:
    """A run with guided rollouts, process advantages and distillation.

    Args:
        model: name or folder of a pipeline, or one that is taken apart.
        prompts: what is asked for.
        reward: of finished images: a function, an address or a Trueward reward.
        directory: of the run.
        process: r_φ(x_t, t, condition), differentiable; None to learn one.
        pool: scored images to learn it from: a file or a pool; None to draw `images` per prompt.
        images, scorer_steps: see `pool`; how long it learns.
        beta: β of the guidance, in deviations of the reward: the smaller, the stronger.
        clip_norm: longest gradient of a latent.
        window: first and last guided step; late ones cost least and know most.
        method: of `OnlineSettings`, over `METHOD`.
        scale: of classifier-free guidance, in rollouts and in the policy that is trained; the source has none.
        rank: of the adapters.
        rows: latents in the model at once.
        columns: of each prompt, what the reward may read.
        seed: of everything.
        tiny: two steps with a random pipeline of this kind.
        settings: of `FlowSettings`, over `SETTINGS`.
        loading: of `prepare` and `TextToImage.load`, such as `height`.

    Raises:
        TrainingError: prompts or the reward are missing.

    Reference: Zhong et al. 2026, "Euphonium", arXiv 2602.04928: HunyuanVideo, 16 steps, η = 0.25, 8 samples per prompt
    from one noise, 60 % of the steps, both advantages. Its release guides by g = 0.01 in the last four steps and has no
    explicit distillation.
    """
    if not prompts or reward is None:
        raise TrainingError("give prompts and a reward of finished images")
    ready = prepare(model, rank=rank, scale=scale, rows=rows, seed=seed, tiny=tiny, **loading)
    made, condition, folder = as_image_reward(reward), ready.parts.encode(prompts), Path(directory)
    if process is None:
        scored = ready.pool(
            pool, directory, prompts, made, images=4 if tiny else images, steps=2 if tiny else 28, seed=seed
        )
        process = _learnt(ready, scored, folder, 5 if tiny else scorer_steps, seed)
    dense = LatentProcessReward("process", process, conditions_of(prompts, condition), clip_norm=clip_norm)
    policy = ready.sampled_as(ready.policy)
    online = OnlineUpdate(
        made,
        list(prompts),
        condition,
        OnlineSettings(**{"shift": ready.parts.shift, **METHOD, **(_TINY if tiny else {}), **(method or {})}),
        shape=ready.parts.shape,
        decode=ready.parts.decode,
        guidance=Guidance(dense.gradient, beta=beta, window=window),
        process=dense,
        columns=columns,
    )
    return FlowTraining(
        ready,
        policy,
        online,
        loop_settings(SETTINGS, settings, seed=seed, tiny=tiny),
        folder,
        ready.sheets(prompts, condition, folder, reward=made, steps=2 if tiny else 28, seed=seed),
        [ProcessWatch(dense, every=1 if tiny else 10)],
    )


def _learnt(ready: Prepared, pool: Pool, folder: Path, steps: int, seed: int) -> LatentScorer:
    """A scorer that has learnt from the pool, or that of a run that goes on."""
    text = pool.condition["encoder_hidden_states"].shape[-1]  # type: ignore[index]
    width = 8 if steps < 10 else 64
    scorer = LatentScorer(ready.parts.shape[0], int(text), width=width, seed=seed).to(ready.parts.device)
    path = folder / f"process-{zlib.crc32(pool.rewards.tobytes()):08x}-{steps}.safetensors"
    if path.is_file():
        scorer.load_state_dict(load_file(path))
        return scorer.eval().requires_grad_(False)
    fit_latent_scorer(scorer, pool, steps=steps, batch=8 if steps < 10 else 64, generator=torch_stream(seed, "process"))
    weights = {name: value.cpu().contiguous() for name, value in scorer.state_dict().items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, save(weights))
    return scorer
