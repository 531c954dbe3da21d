"""ArtifactReward with public models: Flow-GRPO on base rewards and a judge of artefacts.

    judge = served_judge("http://127.0.0.1:8000/v1", "Qwen/Qwen2.5-VL-7B-Instruct", "labelled/")
    model = "stabilityai/stable-diffusion-3.5-medium"
    training = build(model, prompts, ["scorers.py:pickscore"], judge, directory="run")
    training.train()

`labelled/` has two folders, `clean` and `artefact`, of a hundred images of *this* policy each. A judge that stands
still is itself gamed: look at the sheets, label what it misses, `judge.refresh(images, labels)`, and go on. Keep the KL
term on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from operator import add
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from trueward.adapters.diffusers.lora import LoraReference
from trueward.adapters.diffusers.parts import TextToImage
from trueward.adapters.diffusers.tiny import Kind
from trueward.adapters.diffusers.training import FlowTraining, loop_settings, prepare
from trueward.audit.images.folder import read_folder
from trueward.errors import DataError, TrainingError
from trueward.policies.flow.kernels import flow_grpo
from trueward.rewards.base import Reward
from trueward.rewards.images import as_image_reward, pil_images
from trueward.rewards.models.images.artefact import ArtefactJudge, Prompted
from trueward.rewards.models.images.served_judge import ServedModel
from trueward.rewards.models.prompt_search import WrittenCritic
from trueward.training.flow.online import OnlineUpdate
from trueward.training.flow.online_settings import OnlineSettings
from trueward.training.flow.update import FlowHook

SETTINGS: Mapping[str, Any] = {
    "steps": 500, "learning_rate": 3e-4, "ema": 0.9, "evaluate_every": 25, "checkpoint_every": 25,
}  # fmt: skip
METHOD: Mapping[str, Any] = {
    "group": 16, "prompts": 4, "steps": 10, "kernel": flow_grpo(0.7), "kl": 0.04, "minibatches": 2,
    "micro_batch": 2, "separately": True,
}  # fmt: skip
_TINY: Mapping[str, Any] = {"group": 4, "prompts": 2, "steps": 3, "minibatches": 1}
_KINDS = ("clean", "artefact")


def build(
    model: str | TextToImage = "stabilityai/stable-diffusion-3.5-medium",
    prompts: Sequence[str] = (),
    rewards: Sequence[Any] = (),
    judge: Reward | None = None,
    *,
    directory: str | Path,
    weight: float = 1.0,
    method: Mapping[str, Any] | None = None,
    scale: float = 4.5,
    rank: int = 32,
    rows: int | None = 8,
    columns: Sequence[Mapping[str, Any]] = (),
    hooks: Sequence[FlowHook] = (),
    seed: int = 0,
    tiny: Kind | None = None,
    settings: Mapping[str, Any] | None = None,
    **loading: Any,
) -> FlowTraining:
    """A run of Flow-GRPO on the sum of base rewards and the judge.

        R = Σ_base r_i + weight · (1 − p_artefact)

    Each is compared within its group by itself, so that the widest-ranged one does not own the sum; the source adds
    them up first (`method={"separately": False}`).

    Args:
        model: name or folder of a pipeline, or one that is taken apart.
        prompts: what is asked for.
        rewards: of images: functions, addresses or Trueward rewards.
        judge: fitted, such as `served_judge` makes it.
        directory: of the run.
        weight: of the judge.
        method: of `OnlineSettings`, over `METHOD`.
        scale: of classifier-free guidance, in rollouts and in the policy that is trained.
        rank: of the adapters.
        rows: latents in the model at once.
        columns: of each prompt, what the rewards may read.
        hooks: such as one that refreshes the judge.
        seed: of everything.
        tiny: two steps with a random pipeline of this kind.
        settings: of `FlowSettings`, over `SETTINGS`.
        loading: of `prepare` and `TextToImage.load`, such as `height`.

    Raises:
        TrainingError: prompts, rewards or the judge are missing.

    Reference: Hong et al. 2026, arXiv 2601.03468, whose policy is autoregressive; the policy and its settings here are
    those of Liu et al. 2025, "Flow-GRPO", for one GPU.
    """
    if not prompts or not rewards or judge is None:
        raise TrainingError("give prompts, at least one base reward, and a judge of artefacts; see served_judge")
    ready = prepare(model, rank=rank, scale=scale, rows=rows, seed=seed, tiny=tiny, **loading)
    reward = reduce(add, [as_image_reward(base) for base in rewards]) + weight * judge
    policy, condition, folder = ready.sampled_as(ready.policy), ready.parts.encode(prompts), Path(directory)
    online = OnlineUpdate(
        reward,
        list(prompts),
        condition,
        OnlineSettings(**{"shift": ready.parts.shift, **METHOD, **(_TINY if tiny else {}), **(method or {})}),
        shape=ready.parts.shape,
        decode=ready.parts.decode,
        reference=LoraReference(policy),
        columns=columns,
    )
    return FlowTraining(
        ready,
        policy,
        online,
        loop_settings(SETTINGS, settings, seed=seed, tiny=tiny),
        folder,
        ready.sheets(prompts, condition, folder, reward=reward, steps=2 if tiny else 28, seed=seed),
        hooks,
    )


def served_judge(
    url: str,
    model: str = "Qwen/Qwen2.5-VL-7B-Instruct",
    labelled: str | Path | None = None,
    *,
    side: int = 512,
    instruction: str | None = None,
) -> ArtefactJudge:
    """A judge behind an OpenAI-compatible server, its instruction searched on labelled images.

    Args:
        url: of the API, as in http://127.0.0.1:8000/v1.
        model: its name there; the same model criticises.
        labelled: folder with the folders `clean` and `artefact`; None to use the instruction as it is.
        side: height and width to which images are brought.
        instruction: that the search begins at.

    Raises:
        DataError: a folder is missing or empty.
    """
    served = ServedModel(url, model)
    scorer = Prompted(served.judge, WrittenCritic(served.written))
    if instruction is not None:
        scorer.instruction = instruction
    judge = ArtefactJudge(scorer)
    return judge if labelled is None else judge.fit(*labelled_images(labelled, side))


def labelled_images(folder: str | Path, side: int) -> tuple[Float[np.ndarray, "n 3 h w"], Int[np.ndarray, " n"]]:
    """Images in [0, 1] of one size, and which of them have artefacts (1).

    Raises:
        DataError: there are images in other folders than `clean` and `artefact`, or not in both.
    """
    pictures = read_folder(folder).pictures
    if {picture.prompt for picture in pictures} != set(_KINDS):
        raise DataError(f"{folder}: images are expected in the folders {' and '.join(_KINDS)}, some in both")
    shown = [pil_images(picture.pixels.transpose(2, 0, 1)[None])[0].resize((side, side)) for picture in pictures]
    images = np.stack([np.asarray(image, dtype=np.float32) for image in shown]).transpose(0, 3, 1, 2) / 255.0
    return images, np.array([_KINDS.index(picture.prompt) for picture in pictures])
