"""Low-rank adapters: what is trained, the reference that they are left out of, and their files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from trueward.adapters.diffusers.policy import DiffusersPolicy
from trueward.errors import TrainingError
from trueward.policies.flow.base import Condition
from trueward.report.atomic import write_whole

ATTENTION = ("to_q", "to_k", "to_v", "to_out.0", "add_q_proj", "add_k_proj", "add_v_proj", "to_add_out")
"""Projections of attention, of images and of text, as diffusers names them."""


def add_lora(
    policy: DiffusersPolicy,
    rank: int = 32,
    *,
    alpha: int | None = None,
    targets: Sequence[str] = ATTENTION,
    seed: int = 0,
) -> DiffusersPolicy:
    """Freezes a policy and gives it adapters in single precision, which alone are trained.

        W + (alpha / rank) B A,   B = 0 at first

    so that the policy is at first what it was.

    Args:
        policy: changed in place.
        rank: of A and B.
        alpha: by default twice the rank, as Flow-GRPO has it.
        targets: ends of the names of the layers that get one.
        seed: of A.

    Returns:
        The policy.

    Raises:
        TrainingError: no layer has such a name, or the policy has adapters already.

    Reference: Hu et al. 2021, "LoRA".
    """
    from peft import LoraConfig

    if adapters_of(policy):
        raise TrainingError(
            "the policy has adapters already: build a new one, or give load_lora the file to go on from"
        )
    names = [name for name, _ in policy.model.named_modules()]
    found = [name for name in targets if any(_ends_with(module, name) for module in names)]
    if not found:
        raise TrainingError(f"no layer of {type(policy.model).__name__} is named {', '.join(targets)}: give targets=")
    policy.requires_grad_(False)
    config = LoraConfig(r=rank, lora_alpha=2 * rank if alpha is None else alpha, target_modules=found)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        policy.model.add_adapter(config)
    for weight in trained(policy):
        weight.data = weight.data.float()
    policy.hold()
    return policy


def trained(module: nn.Module) -> list[nn.Parameter]:
    """Weights that are trained: those of the adapters where there are some, else all."""
    return [weight for weight in module.parameters() if weight.requires_grad]


def adapters_of(module: nn.Module) -> list[Any]:
    """Layers with adapters."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    return [layer for layer in module.modules() if isinstance(layer, BaseTunerLayer)]


@contextmanager
def without_adapters(module: nn.Module) -> Iterator[None]:
    """Inside it the module is what it was before it got adapters.

    Raises:
        TrainingError: it has none.
    """
    layers = adapters_of(module)
    if not layers:
        raise TrainingError(
            "the policy has no adapters to leave out: add_lora(policy), or keep a copy as the reference"
        )
    learns = [(weight, weight.requires_grad) for layer in layers for weight in layer.parameters()]
    for layer in layers:
        layer.enable_adapters(False)
    try:
        yield
    finally:
        for layer in layers:
            layer.enable_adapters(True)
        # Switching adapters also switches what learns.
        for weight, before in learns:
            weight.requires_grad_(before)


class LoraReference(nn.Module):
    """The policy without its adapters, as a frozen reference that costs no memory.

    It is not part of any state: it is the base model.

    Args:
        policy: with adapters; also one that is wrapped, as in `ClassifierFree`.

    Raises:
        TrainingError: the policy has no adapters.
    """

    def __init__(self, policy: nn.Module) -> None:
        super().__init__()
        if not adapters_of(policy):
            raise TrainingError("the policy has no adapters: add_lora(policy) first")
        # Not a submodule: its weights would count as this one's.
        self._policy = (policy,)

    @torch.no_grad()
    def forward(
        self, x: Float[Tensor, "n c h w"], t: Float[Tensor, " n"], condition: Condition
    ) -> Float[Tensor, "n c h w"]:
        """Velocity of the base model, without a gradient."""
        with without_adapters(self._policy[0]):
            velocity: Tensor = self._policy[0](x, t, condition)
            return velocity


def save_lora(policy: nn.Module, directory: str | Path) -> Path:
    """Writes the adapters as safetensors that `pipeline.load_lora_weights(directory)` of diffusers takes.

    Args:
        policy: with adapters: a policy, or the average over time that training gives back.
        directory: made where there is none.

    Returns:
        The file.

    Raises:
        TrainingError: the policy has no adapters.
    """
    from safetensors.torch import save

    model = _model_of(policy)
    prefix = "unet" if type(model).__name__.startswith("UNet") else "transformer"
    folder = Path(directory)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "pytorch_lora_weights.safetensors"
    metadata = {"format": "pt", "lora_adapter_metadata": _configuration(model, prefix)}
    weights = {f"{prefix}.{name}": value.detach().cpu().contiguous() for name, value in _adapter_state(model).items()}
    write_whole(path, save(weights, metadata))
    return path


def load_lora(policy: nn.Module, directory: str | Path) -> None:
    """Reads adapters of `save_lora` into a policy with adapters of the same shape.

    Raises:
        TrainingError: there is no such file, or it is of another model or rank.
    """
    from safetensors.torch import load_file

    path = Path(directory) / "pytorch_lora_weights.safetensors"
    if not path.is_file():
        raise TrainingError(f"{path} does not exist: give the folder that save_lora wrote")
    model, given = _model_of(policy), load_file(path)
    own = _adapter_state(model)
    named = {name.split(".", 1)[1]: value for name, value in given.items()}
    wrong = [name for name, value in own.items() if name not in named or named[name].shape != value.shape]
    if wrong or len(named) != len(own):
        raise TrainingError(
            f"{path} has {len(named)} weights and the policy {len(own)}, of which {len(wrong)} differ"
            f"{f' ({wrong[0]})' if wrong else ''}: the same model, rank and targets are needed"
        )
    with torch.no_grad():
        for name, value in own.items():
            value.copy_(named[name])


def _model_of(policy: nn.Module) -> Any:
    for module in policy.modules():
        if isinstance(module, DiffusersPolicy) and adapters_of(module):
            return module.model
    raise TrainingError("the policy has no adapters: add_lora(policy) first")


def _adapter_state(model: Any) -> dict[str, Tensor]:
    """Weights of the adapters under the names that files have."""
    return {name.replace(".default.", "."): value for name, value in model.named_parameters() if ".lora_" in name}


def _configuration(model: Any, prefix: str) -> str:
    import json

    config = model.peft_config["default"].to_dict()
    plain = {key: sorted(value) if isinstance(value, set) else value for key, value in config.items()}
    return json.dumps({f"{prefix}.{key}": value for key, value in plain.items()}, default=str, sort_keys=True)


def _ends_with(module: str, name: str) -> bool:
    return module == name or module.endswith(f".{name}")
