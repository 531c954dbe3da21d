"""Group-level direct reward optimisation: updates on a pool of images that were drawn and scored once.

A pool is drawn with any sampler, by default the deterministic one, and nothing is sampled while it is learnt from.
What it lacks cannot be learnt: the best of each prompt's images (`Pool.best_of_n`) is an upper guide for the reward.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from trueward.batch import Context, Denoising, Rollouts
from trueward.credit.softmax_targets import RankingKind, softmax_targets
from trueward.errors import TrainingError
from trueward.objectives.flow.matching import denoising_error
from trueward.objectives.flow.ranking import direct_group_reward
from trueward.policies.flow.base import (
    Condition,
    TimeDistribution,
    condition_length,
    condition_repeat,
    condition_rows,
    draw_times,
    noised,
    velocity_target,
)
from trueward.policies.flow.kernels import Kernel, Reduction, ode
from trueward.policies.flow.sampling import sample
from trueward.rewards.base import Reward
from trueward.training.flow.update import FlowUpdate, Losses


@dataclass(frozen=True)
class Pool:
    """M scored images of P prompts.

    Attributes:
        prompts: P prompts.
        condition: what the policy is told for each prompt; P rows.
        samples: M clean samples, images or latents.
        rewards: of each sample, in units of the reward; finite.
        prompt: number of the prompt of each sample.
        low, high: range of the reward; where it is not known, None, and that of the pool is taken.
    """

    prompts: Sequence[str]
    condition: Condition
    samples: Float[Tensor, "m *sample"]
    rewards: Float[np.ndarray, " m"]
    prompt: Int[np.ndarray, " m"]
    low: float | None = None
    high: float | None = None

    def __post_init__(self) -> None:
        """Raises `TrainingError` when fields do not fit together, or a reward is not finite."""
        counts = len(self.samples), len(self.rewards), len(self.prompt)
        if not counts[0] or len(set(counts)) > 1:
            raise TrainingError(
                f"a pool of {counts[0]} samples, {counts[1]} rewards, {counts[2]} prompt numbers: one each"
            )
        if condition_length(self.condition) != len(self.prompts):
            raise TrainingError(
                f"the condition has {condition_length(self.condition)} rows for {len(self.prompts)} prompts: one each"
            )
        if not ((self.prompt >= 0) & (self.prompt < len(self.prompts))).all():
            raise TrainingError(f"a prompt number of the pool lies outside 0 … {len(self.prompts) - 1}")
        if not np.isfinite(self.rewards).all():
            raise TrainingError("a reward of the pool is not finite: leave samples without a reward out")

    @cached_property
    def scaled(self) -> Float[np.ndarray, " m"]:
        """Rewards in [0, 1], so that a temperature means the same for every reward; 0 where all are equal."""
        low = float(self.rewards.min()) if self.low is None else self.low
        high = float(self.rewards.max()) if self.high is None else self.high
        width = high - low
        return (self.rewards - low) / width if width > 0 else np.zeros_like(self.rewards)

    @cached_property
    def table(self) -> Int[np.ndarray, "p most"]:
        """Places of the samples of each prompt, one prompt per row; −1 beyond its last."""
        counts = np.bincount(self.prompt, minlength=len(self.prompts))
        order = np.argsort(self.prompt, kind="stable")
        place = np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts)
        table = np.full((len(self.prompts), int(counts.max())), -1)
        table[self.prompt[order], place] = order
        return table

    @cached_property
    def best_of_n(self) -> float:
        """Mean over the prompts of the reward of the best image: about what learning from this pool can reach."""
        return float(np.mean(self.rewards[self.best()[0]]))

    def best(self, count: int = 1) -> tuple[Int[np.ndarray, " b"], Condition]:
        """Places of the best samples of each prompt, and the condition of each: for fine-tuning on the best of n.

        Args:
            count: samples per prompt; all of a prompt that has fewer.
        """
        found = self.table
        ranked = np.where(found >= 0, self.rewards[found], -np.inf)
        order = np.argsort(-ranked, axis=1, kind="stable")[:, :count]
        places = np.take_along_axis(found, order, axis=1)
        chosen = places[places >= 0]
        return chosen, condition_rows(self.condition, torch.from_numpy(self.prompt[chosen]))


def draw_pool(
    policy: nn.Module,
    prompts: Sequence[str],
    condition: Condition,
    reward: Reward,
    *,
    images: int,
    shape: Sequence[int],
    times: Float[Tensor, " T1"],
    generator: torch.Generator,
    kernel: Kernel | None = None,
    decode: Callable[[Tensor], Tensor] | None = None,
    batch: int = 256,
    context: Context | None = None,
) -> Pool:
    """Sample images of every prompt and score them.

    Args:
        policy: what samples, as a rule the reference.
        prompts: P prompts.
        condition: of each.
        reward: scores all images at once; an image that it cannot score for no fault of the image is left out, and one
            that breaks it earns the lowest reward.
        images: N, per prompt.
        shape: of one sample.
        times: grid of the sampler, from 1 to 0.
        generator: of the noise.
        kernel: of the sampler, by default the ODE: only the images are needed, no densities.
        decode: from latents to images in [−1, 1]; None where samples are images.
        batch: samples at a time.
        context: for the reward.

    Raises:
        TrainingError: no image has a reward.
    """
    prompt = np.repeat(np.arange(len(prompts)), images)
    rows, made, decoded = condition_repeat(condition, images), [], []
    for start in range(0, len(prompt), batch):
        wanted = condition_rows(rows, torch.arange(start, min(start + batch, len(prompt))))
        final = sample(
            policy, wanted, shape=tuple(shape), times=times, kernel=kernel or ode(), generator=generator
        ).final
        made.append(final.cpu())
        if decode is not None:
            with torch.no_grad():
                decoded.append(decode(final).float().cpu())
    samples = torch.cat(made)
    content = Denoising(
        [one for one in prompts for _ in range(images)],
        samples[:, None].numpy(),
        decoded=torch.cat(decoded).numpy() if decoded else None,
    )
    scores = reward.score(Rollouts(content, group=prompt), context or Context())
    rewards = scores.total()
    kept = ~np.isnan(rewards)
    if not kept.any():
        raise TrainingError(f"{reward.name} scored none of {len(rewards)} images: {scores.status[0].value}")
    return Pool(prompts, condition, samples[torch.from_numpy(kept)], rewards[kept], prompt[kept])


@dataclass(frozen=True)
class PoolSettings:
    """How a pool is learnt from. The defaults are the source's where it gives any.

    Attributes:
        groups: G, groups per update, each of one prompt; prompts may repeat.
        size: k, images of a group, of those that the pool has of the prompt.
        temperature: τ of the targets, in units of the scaled reward.
        beta: β of the implied reward. Its scale depends on `reduction` and on the samples: see `beta_for_spread`.
        stabiliser: γ, weight of flow matching on the best image of a group.
        kind: which choices are learnt from; see `softmax_targets`. "rank" with k = 2 and γ = 0 is Diffusion-DPO.
        reduction: whether implied rewards are differences of mean or of summed squares.
        share_noise: one noise for all images of a group; else one each.
        share_time: one noise level for all images of a group; else one each.
        hold_equal: flow matching also on groups whose rewards are all equal; their ranking never counts.
        times: distribution of noise levels, the one of pre-training: at large t errors differ most.
        refresh_every: updates after which the pool is drawn anew; None for never (the source's setting).
    """

    groups: int = 16
    size: int = 6
    temperature: float = 0.05
    beta: float = 12.0
    stabiliser: float = 0.5
    kind: RankingKind = "pl"
    reduction: Reduction = "mean"
    share_noise: bool = True
    share_time: bool = True
    hold_equal: bool = True
    times: TimeDistribution = "logit_normal"
    refresh_every: int | None = None

    def __post_init__(self) -> None:
        """Raises `TrainingError` for settings outside their range."""
        if self.groups < 1 or self.size < 2 or not (self.beta > 0 and self.temperature >= 0 and self.stabiliser >= 0):
            raise TrainingError(
                f"{self}: groups must be at least 1, size at least 2, beta positive, temperature and stabiliser not "
                "negative"
            )
        if self.reduction not in ("mean", "sum"):
            raise TrainingError(f"reduction={self.reduction!r} is unknown; choose mean or sum")
        if self.refresh_every is not None and self.refresh_every < 1:
            raise TrainingError(f"refresh_every={self.refresh_every!r} updates; at least 1, or None for never")


class PoolUpdate(FlowUpdate):
    """GDRO as an update of `train_flow`: groups from a pool, ranked by the rewards that the policy implies.

        every update: draw prompts, k of each one's images, noise levels and noise
        s = −β (‖v − v_θ‖² − ‖v − v_ref‖²)
        L = Σ_i cross-entropy(q_i, softmax(s_i … s_k)) + γ ‖v − v_θ‖² of the best

    Args:
        pool: what is learnt from.
        reference: v_ref, which stays as it is: a frozen copy of the policy, or the policy without its adapters.
        settings: how.
        redraw: makes a new pool from the policy, for `refresh_every`; of the same prompts and size.

    Raises:
        TrainingError: no prompt has k images, or only one of `redraw` and `refresh_every` is given.

    Reference: Wang et al. 2026, "GDRO: Group-level reward post-training suitable for diffusion models", arXiv
    2601.02036.
    """

    def __init__(
        self,
        pool: Pool,
        reference: nn.Module,
        settings: PoolSettings,
        redraw: Callable[[nn.Module, torch.Generator], Pool] | None = None,
    ) -> None:
        if (redraw is None) != (settings.refresh_every is None):
            raise TrainingError(
                f"refresh_every={settings.refresh_every!r} and redraw={redraw!r}: a pool that is drawn anew needs both"
            )
        self.reference, self.settings, self.redraw = reference, settings, redraw
        self._stored, self._first = _Stored(pool), zlib.crc32(pool.rewards.tobytes())
        self._take(pool)

    def losses(self, policy: nn.Module, step: int, generator: torch.Generator) -> Losses:
        """One update on G groups; the pool is drawn anew afterwards where it is time."""
        pool, chosen = self.pool, self.settings
        places = self.drawn(generator)
        flat = places.flatten()
        rows = condition_rows(pool.condition, torch.from_numpy(pool.prompt)[flat])
        error, ref_error = self._errors(policy, pool.samples[flat], rows, generator)
        targets = softmax_targets(
            pool.scaled[places.numpy()],
            np.random.default_rng(int(torch.randint(2**62, (), generator=generator, device=generator.device))),
            temperature=chosen.temperature,
            kind=chosen.kind,
        )
        told = torch.from_numpy(targets.informative).to(error.device, error.dtype)
        entries = 1 if chosen.reduction == "mean" else pool.samples[0].numel()
        loss, metrics = direct_group_reward(
            error,
            ref_error,
            torch.from_numpy(targets.order).to(error.device),
            torch.from_numpy(targets.mass).to(error.device, error.dtype),
            targets.choices,
            beta=chosen.beta * entries,
            stabiliser=chosen.stabiliser,
            weight=told,
            stabilised=None if chosen.hold_equal else told,
        )
        yield loss, metrics | {"informative": told.mean(), "pool_best": torch.tensor(pool.best_of_n)}
        if self.redraw is not None and chosen.refresh_every is not None and step % chosen.refresh_every == 0:
            self._take(self.redraw(policy, generator))

    def drawn(self, generator: torch.Generator) -> Int[Tensor, "g k"]:
        """Places in the pool of the images of G groups: k different ones of a prompt each."""
        device, count = generator.device, len(self._table)
        prompts = torch.randint(count, (self.settings.groups,), generator=generator, device=device).cpu()
        of = self._table[prompts]
        keys = torch.rand(of.shape, generator=generator, device=device).cpu()
        first = torch.where(of >= 0, keys, 2.0).argsort(dim=1)[:, : self.settings.size]
        return of.gather(1, first)

    def _errors(
        self, policy: nn.Module, clean: Tensor, condition: Condition, generator: torch.Generator
    ) -> tuple[Float[Tensor, "g k"], Float[Tensor, "g k"]]:
        """E_θ and E_ref of G groups of k samples, as means over entries."""
        shape, device = (self.settings.groups, self.settings.size), generator.device
        first = next(iter(policy.parameters()), torch.zeros(0))
        drawn = (shape[0], 1 if self.settings.share_noise else shape[1], *clean.shape[1:])
        noise = torch.randn(drawn, generator=generator, device=device).to(first.device)
        noise = noise.expand(*shape, *clean.shape[1:]).reshape(clean.shape)
        if self.settings.share_time:
            times = draw_times(shape[0], generator, self.settings.times).repeat_interleave(shape[1])
        else:
            times = draw_times(shape[0] * shape[1], generator, self.settings.times)
        times, clean = times.to(first.device), clean.to(first.device, noise.dtype)
        state, target = noised(clean, noise, times), velocity_target(clean, noise)
        error = denoising_error(policy(state, times, condition), target)
        with torch.no_grad():
            ref_error = denoising_error(self.reference(state, times, condition), target)
        return error.view(shape), ref_error.view(shape)

    def modules(self) -> Mapping[str, nn.Module]:
        """The pool, where it changes."""
        return {} if self.redraw is None else {"pool": self._stored}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on with the pool that was drawn last."""
        if self.redraw is not None:
            self._take(self._stored.pool(self.pool))

    def identity(self) -> Mapping[str, Any]:
        """Settings, and a check sum of the rewards of the first pool."""
        return {"settings": asdict(self.settings), "pool": self._first}

    def _take(self, pool: Pool) -> None:
        table = pool.table
        usable = (table >= 0).sum(axis=1) >= self.settings.size
        if not usable.any():
            raise TrainingError(
                f"groups of {self.settings.size} images are wanted, and no prompt of the pool has more than "
                f"{table.shape[1]}; draw more images per prompt, or lower size"
            )
        self.pool, self._table = pool, torch.from_numpy(table[usable])
        if self.redraw is not None:
            self._stored.put(pool)


class _Stored(nn.Module):
    """What a checkpoint keeps of a pool that changes: everything but prompts and conditions."""

    samples: Tensor
    rewards: Tensor
    prompt: Tensor

    def __init__(self, pool: Pool) -> None:
        super().__init__()
        self.put(pool)

    def put(self, pool: Pool) -> None:
        """Keep a pool."""
        self.register_buffer("samples", pool.samples)
        self.register_buffer("rewards", torch.from_numpy(pool.rewards))
        self.register_buffer("prompt", torch.from_numpy(pool.prompt))

    def pool(self, like: Pool) -> Pool:
        """The pool that is kept, with the prompts of another."""
        return replace(like, samples=self.samples, rewards=self.rewards.numpy(), prompt=self.prompt.numpy())

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """Take a pool back, however many samples it has."""
        for name in ("samples", "rewards", "prompt"):
            setattr(self, name, torch.empty_like(state_dict[name]))
        return super().load_state_dict(state_dict, strict, assign)
