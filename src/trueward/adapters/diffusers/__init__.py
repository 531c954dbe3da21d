"""diffusers with Trueward's losses, credit and rewards.

    parts = TextToImage.load("stabilityai/stable-diffusion-3.5-medium", torch_dtype=torch.bfloat16)
    policy = parts.policy(checkpointing=True)
    add_lora(policy, rank=32)
    update = OnlineUpdate(reward, prompts, parts.encode(prompts), settings, decode=parts.decode, …)
    train_flow(policy, update, settings=FlowSettings(…))

Enters: a pipeline of diffusers. Leaves: a flow policy (x, t, condition) → v, which every loss, sampler and update of
Trueward takes as it takes its own networks, and images for rewards.

- `flow`, `denoiser`: `DiffusersFlow`, `DiffusersDenoiser`; `architectures`: how each transformer is called.
- `parts`: `TextToImage`, a pipeline taken apart; `latents`: its autoencoder.
- `latent_scorer`: a process reward on latents, learnt from scored images.
- `lora`: `add_lora`, `LoraReference`, files of adapters. `policy`: precision, batches, what is copied and saved.
- `scheduler`: `StochasticFlowMatchScheduler`, for loops and pipelines of diffusers.
- `reward_functions`: a reward in the form that flow_grpo and DanceGRPO call.
- `tiny`: random pipelines without a download. `training`: what the configurations in `recipes/real` give back;
  `pool_kept`: a pool of images beside its run.

What was checked and what to beware of: docs/generators.md.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

try:
    import diffusers as _diffusers  # noqa: F401
    import peft as _peft  # noqa: F401
except ImportError as error:
    from trueward.errors import MissingExtra

    raise MissingExtra(f"diffusers cannot be imported ({error}): pip install 'trueward[flow]'") from error

if TYPE_CHECKING:
    from trueward.adapters.diffusers.architectures import Architecture, architecture_of
    from trueward.adapters.diffusers.denoiser import DiffusersDenoiser
    from trueward.adapters.diffusers.flow import DiffusersFlow
    from trueward.adapters.diffusers.latent_scorer import LatentScorer, conditions_of, fit_latent_scorer
    from trueward.adapters.diffusers.latents import decode_latents, encode_images
    from trueward.adapters.diffusers.lora import LoraReference, add_lora, load_lora, save_lora, without_adapters
    from trueward.adapters.diffusers.parts import TextToImage
    from trueward.adapters.diffusers.policy import DiffusersPolicy
    from trueward.adapters.diffusers.reward_functions import reward_function
    from trueward.adapters.diffusers.scheduler import StochasticFlowMatchScheduler
    from trueward.adapters.diffusers.tiny import tiny_pipeline
    from trueward.adapters.diffusers.training import FlowTraining, prepare

_WHERE = {
    "Architecture": "architectures",
    "DiffusersDenoiser": "denoiser",
    "DiffusersFlow": "flow",
    "DiffusersPolicy": "policy",
    "FlowTraining": "training",
    "LatentScorer": "latent_scorer",
    "LoraReference": "lora",
    "StochasticFlowMatchScheduler": "scheduler",
    "TextToImage": "parts",
    "add_lora": "lora",
    "architecture_of": "architectures",
    "conditions_of": "latent_scorer",
    "decode_latents": "latents",
    "encode_images": "latents",
    "fit_latent_scorer": "latent_scorer",
    "load_lora": "lora",
    "prepare": "training",
    "reward_function": "reward_functions",
    "save_lora": "lora",
    "tiny_pipeline": "tiny",
    "without_adapters": "lora",
}

__all__ = [
    "Architecture",
    "DiffusersDenoiser",
    "DiffusersFlow",
    "DiffusersPolicy",
    "FlowTraining",
    "LatentScorer",
    "LoraReference",
    "StochasticFlowMatchScheduler",
    "TextToImage",
    "add_lora",
    "architecture_of",
    "conditions_of",
    "decode_latents",
    "encode_images",
    "fit_latent_scorer",
    "load_lora",
    "prepare",
    "reward_function",
    "save_lora",
    "tiny_pipeline",
    "without_adapters",
]


def __getattr__(name: str) -> Any:
    """Loads what is asked for."""
    if name in _WHERE:
        return getattr(importlib.import_module(f"trueward.adapters.diffusers.{_WHERE[name]}"), name)
    raise AttributeError(f"module 'trueward.adapters.diffusers' has no attribute {name!r}")
