"""A process reward on latents: what a noisy latent promises, learnt from scored images at every noise level."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from trueward.errors import TrainingError
from trueward.policies.flow.base import Condition, condition_rows, draw_times, noised
from trueward.training.flow.pool import Pool

_FREQUENCIES = 32


class LatentScorer(nn.Module):
    """r_φ(x_t, t, condition) → [N] on latents: convolutions, modulated by noise level and prompt.

    It belongs to the latent space of one autoencoder. In the place of `StateValue` for `LatentProcessReward`; inputs go
    to where it is, and values come back to where x is.

    Args:
        channels: of the latents.
        text: width of the prompt embeddings (`encoder_hidden_states`), which are averaged over the tokens.
        width: of the first convolution; the second has twice as many channels, and so on.
        halvings: how often height and width are halved.
        seed: of the first weights.

    Reference: Zhong et al. 2026 (Euphonium), the latent process reward; the network is ours.
    """

    def __init__(self, channels: int, text: int, *, width: int = 64, halvings: int = 3, seed: int = 0) -> None:
        super().__init__()
        widths = [width * 2**level for level in range(halvings + 1)]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.told = nn.Sequential(nn.Linear(text + 2 * _FREQUENCIES, 4 * width), nn.SiLU())
            self.enter = nn.Conv2d(channels, width, 3, padding=1)
            self.blocks = nn.ModuleList(_Halving(before, after, 4 * width) for before, after in pairwise(widths))
            self.leave = nn.Linear(widths[-1], 1)

    def forward(self, x: Float[Tensor, "n c h w"], t: Float[Tensor, " n"], condition: Condition) -> Float[Tensor, " n"]:
        """Value of each state, differentiable in x."""
        if not isinstance(condition, Mapping):
            raise TypeError("the condition is no mapping: expected what TextToImage.encode gives")
        device = self.leave.weight.device
        angles = t.to(device).float()[:, None] * torch.logspace(0, 3, _FREQUENCIES, device=device)
        prompt = condition["encoder_hidden_states"].to(device).float().mean(dim=1)
        told = self.told(torch.cat([prompt, angles.sin(), angles.cos()], dim=1))
        hidden = self.enter(x.to(device).float())
        for block in self.blocks:
            hidden = block(hidden, told)
        value: Tensor = self.leave(hidden.mean(dim=(2, 3)))[:, 0]
        return value.to(x.device)


class _Halving(nn.Module):
    def __init__(self, before: int, after: int, told: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(math.gcd(8, before), before)
        self.film = nn.Linear(told, 2 * before)
        self.step = nn.Conv2d(before, after, 3, stride=2, padding=1)

    def forward(self, hidden: Tensor, told: Tensor) -> Tensor:
        scale, shift = self.film(told)[:, :, None, None].chunk(2, dim=1)
        moved: Tensor = self.step(functional.silu(self.norm(hidden) * (1 + scale) + shift))
        return moved


def fit_latent_scorer(
    scorer: nn.Module,
    pool: Pool,
    *,
    steps: int = 2000,
    batch: int = 64,
    learning_rate: float = 1e-4,
    generator: torch.Generator,
) -> list[float]:
    """Teach a scorer the reward of finished images at every noise level.

        minimise E over image, noise, t of   (r_φ((1 − t) x₀ + t ε, t, c) − (R − mean R) / std R)²

    Values are in deviations of the pool's rewards, so that β of a guidance means the same for every reward.

    Args:
        scorer: trained in place, and left in evaluation mode without gradients for its weights.
        pool: scored images, as `draw_pool` or `read_pool` gives them.
        steps, batch, learning_rate: of AdamW.
        generator: on the CPU, of images, noise and noise levels.

    Returns:
        Loss of each step. 1 is what a scorer without knowledge has.

    Raises:
        TrainingError: all rewards of the pool are equal.
    """
    rewards = torch.from_numpy(pool.rewards).float()
    if not float(rewards.std(correction=0)) > 0:
        raise TrainingError("all rewards of the pool are equal: a process reward has nothing to learn from them")
    wanted = (rewards - rewards.mean()) / rewards.std(correction=0)
    prompt = torch.from_numpy(pool.prompt)
    optimizer = torch.optim.AdamW(scorer.parameters(), lr=learning_rate)
    scorer.train()
    losses = []
    for _ in range(steps):
        rows = torch.randint(len(rewards), (batch,), generator=generator)
        clean = pool.samples[rows.to(pool.samples.device)].float()
        noise = torch.randn(clean.shape, generator=generator).to(clean.device)
        t = draw_times(batch, generator, "uniform").to(clean.device)
        value = scorer(noised(clean, noise, t), t, condition_rows(pool.condition, prompt[rows]))
        loss = functional.mse_loss(value, wanted[rows].to(value.device))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses.append(float(loss.detach()))
    scorer.eval().requires_grad_(False)
    return losses


def conditions_of(prompts: Sequence[str], condition: Condition) -> Callable[[Sequence[Any]], Condition]:
    """From prompts to the rows of a condition that was encoded before, for `LatentProcessReward`.

    Args:
        prompts: all that may be asked for.
        condition: one row for each.
    """
    places = {prompt: place for place, prompt in enumerate(prompts)}
    return lambda asked: condition_rows(condition, torch.tensor([places[prompt] for prompt in asked]))
