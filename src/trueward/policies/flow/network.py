"""A small network for flows over small samples, conditioned on a class."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

_FREQUENCIES = 32


class FlowMLP(nn.Module):
    """Residual multilayer perceptron over flattened samples, with FiLM on noise level and class.

    The last layer starts at 0, so that the first velocity is 0 everywhere.

    Args:
        sample_shape: of one sample.
        classes: class c is condition c; condition `classes` is "no class".
        width: of all layers.
        blocks: residual blocks.
        seed: of the first weights.

    Reference: Perez et al. 2018, "FiLM".
    """

    frequencies: Tensor

    def __init__(
        self,
        sample_shape: Sequence[int] = (1, 8, 8),
        classes: int = 10,
        width: int = 192,
        blocks: int = 3,
        *,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.sample_shape, self.classes = tuple(sample_shape), classes
        size = math.prod(self.sample_shape)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.label = nn.Embedding(classes + 1, width)
            self.time = nn.Sequential(nn.Linear(2 * _FREQUENCIES, width), nn.SiLU(), nn.Linear(width, width))
            self.enter = nn.Linear(size, width)
            self.blocks = nn.ModuleList(_Block(width) for _ in range(blocks))
            self.leave = nn.Linear(width, size)
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)
        self.register_buffer(
            "frequencies", torch.exp(torch.linspace(0.0, math.log(100.0), _FREQUENCIES)), persistent=False
        )

    def forward(
        self, x: Float[Tensor, "n *s"], t: Float[Tensor, " n"], condition: Int[Tensor, " n"]
    ) -> Float[Tensor, "n *s"]:
        """Velocity at samples, noise levels and classes."""
        angles = t.float().unsqueeze(1) * self.frequencies
        told = functional.silu(self.time(torch.cat([angles.sin(), angles.cos()], dim=1)) + self.label(condition))
        hidden = self.enter(x.flatten(1))
        for block in self.blocks:
            hidden = block(hidden, told)
        velocity: Tensor = self.leave(functional.silu(hidden))
        return velocity.reshape(x.shape)


class _Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.film = nn.Linear(width, 2 * width)
        self.first, self.second = nn.Linear(width, width), nn.Linear(width, width)

    def forward(self, hidden: Tensor, told: Tensor) -> Tensor:
        scale, shift = self.film(told).chunk(2, dim=1)
        inner: Tensor = self.second(functional.silu(self.first(self.norm(hidden) * (1 + scale) + shift)))
        return hidden + inner
