"""What the configurations in `recipes/real` give back: a policy and what it learns from, ready to train."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import nn

from trueward.adapters.diffusers.lora import add_lora, load_lora, save_lora
from trueward.adapters.diffusers.parts import TextToImage
from trueward.adapters.diffusers.policy import DiffusersPolicy
from trueward.adapters.diffusers.pool_kept import keep_pool, kept_pool
from trueward.adapters.diffusers.tiny import TINY_SIDE, TINY_TOKENS, Kind, tiny_pipeline
from trueward.batch import Context
from trueward.errors import TrainingError
from trueward.policies.flow.base import Condition, condition_length, condition_rows
from trueward.policies.flow.guidance import ClassifierFree
from trueward.policies.flow.sampling import sample
from trueward.report.atomic import write_whole
from trueward.report.contact_sheet import contact_sheet, png_bytes
from trueward.rewards.base import Reward
from trueward.rewards.images import as_image_reward, content_of, images_of
from trueward.training.flow.loop import FlowTrained, train_flow
from trueward.training.flow.pool import Pool, draw_pool
from trueward.training.flow.settings import FlowSettings
from trueward.training.flow.update import FlowHook, FlowUpdate
from trueward.training.seeds import torch_stream


@dataclass
class Prepared:
    """A pipeline whose model can be trained.

    Attributes:
        parts: of the pipeline.
        policy: its model, with adapters.
        scale: of classifier-free guidance, with which the model is sampled; 1 for none.
        null: the condition that says nothing; None without guidance.
        loaded: the pipeline belongs to this run alone.
    """

    parts: TextToImage
    policy: DiffusersPolicy
    scale: float = 1.0
    null: Callable[[Condition], Condition] | None = None
    loaded: bool = False

    def sampled_as(self, policy: nn.Module) -> nn.Module:
        """A state of the policy, as it is sampled: with guidance where there is any."""
        if self.null is None or isinstance(policy, ClassifierFree):
            return policy
        return ClassifierFree(policy, self.scale, self.null)

    def pool(
        self,
        given: str | Path | Pool | None,
        directory: str | Path,
        prompts: Sequence[str] = (),
        reward: Any = None,
        *,
        images: int = 16,
        steps: int = 28,
        seed: int = 0,
    ) -> Pool:
        """Scored images: as given, out of a file, or drawn from the model as it is now and kept in the run's folder.

        Args:
            given: a pool, or its file; None to draw one.
            directory: of the run.
            prompts: what is asked for.
            reward: of images.
            images: per prompt.
            steps: of the deterministic sampler.
            seed: of the noise.

        Raises:
            TrainingError: neither a pool nor prompts and a reward are given.
        """
        parts = self.parts
        if isinstance(given, Pool):
            return given
        if given is not None:
            return parts.read_pool(given)
        if not prompts or reward is None:
            raise TrainingError("give a pool of scored images, or prompts and a reward to draw one with")
        scorer, path = as_image_reward(reward), Path(directory) / "pool.safetensors"
        if (kept := kept_pool(path, prompts, scorer.name, parts.encode)) is not None:
            return kept
        drawn = draw_pool(
            self.sampled_as(self.policy),
            prompts,
            parts.encode(prompts),
            scorer,
            images=images,
            shape=parts.shape,
            times=parts.times(steps),
            generator=torch_stream(seed, "pool"),
            decode=parts.decode,
            batch=parts.rows,
        )
        keep_pool(path, drawn, scorer.name)
        return drawn

    def sheets(
        self,
        prompts: Sequence[str],
        condition: Condition,
        directory: Path,
        *,
        reward: Any = None,
        steps: int = 28,
        seed: int = 0,
        most: int = 16,
    ) -> Sheets:
        """Contact sheets of the first prompts, as the evaluation of a run; see `Sheets`."""
        told = None if reward is None else as_image_reward(reward)
        first = list(prompts)[:most]
        rows = condition_rows(condition, torch.arange(len(first)))
        return Sheets(self, first, rows, directory / "samples", told, steps=steps, seed=seed)


_TINY: Mapping[str, Any] = {"steps": 2, "evaluate_every": 2, "checkpoint_every": 2}


def loop_settings(
    defaults: Mapping[str, Any], given: Mapping[str, Any] | None, *, seed: int, tiny: Any
) -> FlowSettings:
    """Settings of the loop: what is given, over two steps where the model is tiny, over the defaults."""
    return FlowSettings(**{**defaults, **(_TINY if tiny else {}), "seed": seed, **(given or {})})


def prepare(
    model: str | TextToImage,
    *,
    rank: int = 32,
    scale: float = 1.0,
    guidance: float = 3.5,
    adapters: str | Path | None = None,
    checkpointing: bool = True,
    rows: int | None = None,
    seed: int = 0,
    tiny: Kind | None = None,
    **loading: Any,
) -> Prepared:
    """Load a pipeline, and give its model adapters.

    On a GPU weights are in bfloat16, the autoencoder and the adapters in single precision.

    Args:
        model: name or folder of a pipeline, or one that is taken apart already.
        rank: of the adapters.
        scale: of classifier-free guidance.
        guidance: told to guidance-distilled models.
        adapters: folder of `save_lora`, to go on from.
        checkpointing, rows: see `DiffusersPolicy`.
        seed: of the adapters.
        tiny: a random pipeline of this kind in the place of the model.
        loading: of `TextToImage.load`, such as `height`.
    """
    if tiny is not None:
        parts = TextToImage(tiny_pipeline(tiny, seed=seed), height=TINY_SIDE, width=TINY_SIDE, length=TINY_TOKENS)
    elif isinstance(model, TextToImage):
        parts = model
    else:
        loading.setdefault("torch_dtype", torch.bfloat16 if torch.cuda.is_available() else torch.float32)
        parts = TextToImage.load(model, **loading)
        parts.pipeline.vae.float()
    half = parts.model.dtype in (torch.bfloat16, torch.float16)
    policy = parts.policy(
        guidance=guidance, autocast=parts.model.dtype if half else None, checkpointing=checkpointing, rows=rows
    )
    add_lora(policy, min(rank, 4) if tiny else rank, seed=seed)
    if adapters is not None:
        load_lora(policy, adapters)
    null = None if scale == 1.0 else parts.empty()
    return Prepared(parts, policy, scale, null, loaded=isinstance(model, str) and tiny is None)


@dataclass
class FlowTraining:
    """A training run of a pipeline's model, ready to begin.

    Attributes:
        prepared: pipeline and policy.
        policy: what is trained: the policy, or the policy with guidance.
        update: what it learns from.
        settings: of the loop.
        directory: of the run; the adapters are written to its folder `lora`.
        evaluate: see `train_flow`.
        hooks: see `train_flow`.
    """

    prepared: Prepared
    policy: nn.Module
    update: FlowUpdate
    settings: FlowSettings
    directory: Path
    evaluate: Sheets | None = None
    hooks: Sequence[FlowHook] = ()

    def train(self) -> FlowTrained:
        """Trains, or goes on, and writes the adapters of the averaged policy for `pipeline.load_lora_weights`."""
        if self.prepared.loaded:
            # All prompts are encoded by now, and encoders are often larger than what is trained.
            self.prepared.parts.release_encoders()
        trained = train_flow(
            self.policy,
            self.update,
            settings=self.settings,
            directory=self.directory,
            evaluate=self.evaluate,
            hooks=self.hooks,
        )
        save_lora(trained.average, self.directory / "lora")
        return trained


@dataclass
class Sheets:
    """Evaluation by eye: images of some prompts on a contact sheet, and what a reward says of them.

    Noise is the same every time. The reward here is written down and teaches nothing; give one that is not trained on.

    Attributes:
        prepared: pipeline and guidance.
        prompts: one image for each.
        condition: of each prompt.
        directory: sheets are its files `step-000100.png`.
        reward: its mean is written as `proxy` and each part by its name; None for none.
        steps: of the deterministic sampler.
        seed: of the noise.
    """

    prepared: Prepared
    prompts: Sequence[str]
    condition: Condition
    directory: Path
    reward: Reward | None = None
    steps: int = 28
    seed: int = 0

    def __call__(self, policy: nn.Module, step: int) -> dict[str, float]:
        """Sample, draw, score."""
        parts = self.prepared.parts
        made = sample(
            self.prepared.sampled_as(policy),
            self.condition,
            shape=parts.shape,
            times=parts.times(self.steps),
            generator=torch.Generator().manual_seed(self.seed),
        )
        rollouts = made.rollouts(list(self.prompts), decoded=parts.decode(made.final).cpu())
        images = images_of(content_of(rollouts, "the contact sheet"))
        columns = max(1, int(np.ceil(np.sqrt(condition_length(self.condition)))))
        self.directory.mkdir(parents=True, exist_ok=True)
        write_whole(self.directory / f"step-{step:06d}.png", png_bytes(contact_sheet(images, columns)))
        if self.reward is None:
            return {}
        scores = self.reward.score(rollouts, Context(step))
        said = {f"proxy/{name}": _mean(part.filled()) for name, part in scores.parts.items()}
        return {"proxy": _mean(scores.total()), **said}


def _mean(values: Float[np.ndarray, " n"]) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")
