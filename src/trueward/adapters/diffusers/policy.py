"""What policies around models of diffusers share: precision, batches, and copies and files of what is trained."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from trueward.policies.flow.base import Condition, condition_rows


class DiffusersPolicy(nn.Module, ABC):
    """A model of diffusers as a flow policy: (x [N, C, H, W], t [N], condition) → v [N, C, H, W].

    Enters and leaves in single precision and on the device of x, wherever the model is and whatever it computes in,
    because means and log-probabilities of steps are made of it.

    Weights that are held, as those of the base model under LoRA, are shared by deep copies and left out of the
    state: an average over time, a checkpoint and a pool of past policies then cost what is trained and no more.

    Args:
        model: of diffusers.
        autocast: precision of the computation where it is not that of the weights; torch.bfloat16 for trained weights
            in single precision. None for that of the weights.
        checkpointing: True to compute the activations inside each block again in the backward pass, for memory.
        rows: the most rows that are in the model at once, in the backward pass too, where each of these parts is
            computed again: memory is then that of so many rows, however large a batch a loss asks for. None for all.
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        autocast: torch.dtype | None = None,
        checkpointing: bool = False,
        rows: int | None = None,
    ) -> None:
        super().__init__()
        self.model: Any = model
        self.autocast, self.rows = autocast, rows
        self.held: frozenset[str] = frozenset()
        if checkpointing:
            model.enable_gradient_checkpointing()  # type: ignore[operator]
        self.register_state_dict_post_hook(_without_held)  # type: ignore[no-untyped-call]
        self.register_load_state_dict_pre_hook(_with_held)  # type: ignore[no-untyped-call]

    @abstractmethod
    def velocity(self, x: Tensor, t: Tensor, condition: Mapping[str, Tensor]) -> Tensor:
        """Velocity of a batch that is on the model's device; the condition is in the model's precision."""

    def forward(
        self, x: Float[Tensor, "n c h w"], t: Float[Tensor, " n"], condition: Condition
    ) -> Float[Tensor, "n c h w"]:
        """Velocity, in single precision."""
        rows = self.rows or len(x)
        if len(x) <= rows:
            return self._batch(x, t, condition)
        return torch.cat([self._part(x, t, condition, at) for at in torch.split(torch.arange(len(x)), rows)])

    def _part(self, x: Tensor, t: Tensor, condition: Condition, at: Tensor) -> Tensor:
        told, where = condition_rows(condition, at), at.to(x.device)
        if not torch.is_grad_enabled():
            return self._batch(x[where], t[where], told)
        again: Tensor = checkpoint(self._batch, x[where], t[where], told, use_reentrant=False)
        return again

    def _batch(self, x: Tensor, t: Tensor, condition: Condition) -> Tensor:
        if isinstance(condition, Tensor):
            raise TypeError(
                "the condition is a tensor; a model of diffusers takes a mapping, as TextToImage.encode gives"
            )
        device, precision = self.device, self.precision
        told = {
            name: value.to(device, precision) if value.is_floating_point() else value.to(device)
            for name, value in condition.items()
        }
        mixed = torch.autocast(device.type, dtype=self.autocast) if self.autocast is not None else nullcontext()
        with mixed:
            return self.velocity(x.to(device).float(), t.to(device).float(), told).float().to(x.device)

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return next(self.model.parameters()).device  # type: ignore[no-any-return]

    @property
    def precision(self) -> torch.dtype:
        """What the model is given its inputs in: the type of its own weights, not that of adapters."""
        own = getattr(self.model, "dtype", None)
        return own if isinstance(own, torch.dtype) else next(self.model.parameters()).dtype

    def hold(self) -> None:
        """Weights that are frozen now, and buffers, stay so: shared between copies and left out of the state."""
        learnt = {name for name, weight in self.named_parameters() if weight.requires_grad}
        self.held = frozenset(self.state_dict().keys() - learnt)

    def _kept(self) -> dict[str, Tensor]:
        """What is held."""
        every: dict[str, Tensor] = {**dict(self.named_parameters()), **dict(self.named_buffers())}
        return {name: every[name] for name in self.held}

    def __deepcopy__(self, memo: dict[int, Any]) -> DiffusersPolicy:
        memo.update({id(value): value for value in self._kept().values()})
        twin = type(self).__new__(type(self))
        memo[id(self)] = twin
        twin.__dict__.update({name: copy.deepcopy(value, memo) for name, value in self.__dict__.items()})
        return twin


def _without_held(policy: Any, state: dict[str, Any], prefix: str, local: Any) -> None:
    for name in policy.held:
        state.pop(prefix + name, None)


def _with_held(policy: Any, state: dict[str, Any], prefix: str, *rest: Any) -> None:
    for name, value in policy._kept().items():
        state.setdefault(prefix + name, value.detach())
