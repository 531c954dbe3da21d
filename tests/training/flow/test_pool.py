"""Learning from a pool: what is drawn, what a step is by hand, where it goes, and that it goes on after a kill."""

from __future__ import annotations

import copy
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from trueward.batch import Context, Part, Rollouts, Scores
from trueward.errors import TrainingError
from trueward.objectives.flow.preference import diffusion_preference
from trueward.policies.flow.base import draw_times
from trueward.policies.flow.kernels import time_grid
from trueward.policies.flow.network import FlowMLP
from trueward.rewards.base import Reward
from trueward.status import Status
from trueward.training.flow.loop import train_flow
from trueward.training.flow.pool import Pool, PoolSettings, PoolUpdate, draw_pool
from trueward.training.flow.settings import FlowSettings


class Constant(nn.Module):
    """One velocity per class, whatever the sample and the noise level."""

    def __init__(self, values: list[float]) -> None:
        super().__init__()
        self.values = nn.Parameter(torch.tensor(values))

    def forward(self, x: Tensor, t: Tensor, condition: Tensor) -> Tensor:
        return self.values[condition].view(-1, *[1] * (x.ndim - 1)).expand(x.shape)


class FirstEntry(Reward):
    """Pays the first entry of an image; images whose first entry is over a limit cannot be scored."""

    def __init__(self, limit: float = math.inf, status: Status = Status.UNAVAILABLE) -> None:
        self.limit, self.status = limit, status

    @property
    def name(self) -> str:
        return "first entry"

    def use(self, runner: Any) -> bool:
        return False

    def score(self, rollouts: Rollouts, context: Context) -> Scores:
        values = np.asarray(rollouts.content.final, dtype=np.float64).reshape(len(rollouts), -1)[:, 0]
        status = [self.status if value > self.limit else Status.OK for value in values]
        values = np.array([value if one.ok else math.nan for value, one in zip(values, status, strict=True)])
        return Scores({self.name: Part(values, status)})


def stream(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def pool_of(rewards: list[list[float]], **more: Any) -> Pool:
    """Prompt p has as many samples as rewards; sample m is an image full of m."""
    flat = np.array([value for row in rewards for value in row])
    prompt = np.repeat(np.arange(len(rewards)), [len(row) for row in rewards])
    samples = torch.arange(len(flat), dtype=torch.float32).view(-1, 1, 1, 1).expand(-1, 1, 2, 2).clone()
    prompts = [str(number) for number in range(len(rewards))]
    return Pool(prompts, torch.arange(len(rewards)), samples, flat, prompt, **more)


def test_a_pool_by_hand() -> None:
    pool = pool_of([[1.0, 3.0], [2.0, 5.0, 4.0]])
    assert pool.table.tolist() == [[0, 1, -1], [2, 3, 4]]
    assert pool.scaled.tolist() == [0.0, 0.5, 0.25, 1.0, 0.75]
    assert replace(pool, low=-5.0, high=5.0).scaled.tolist() == pytest.approx([0.6, 0.8, 0.7, 1.0, 0.9])
    assert pool.best_of_n == 4.0
    places, condition = pool.best(2)
    assert places.tolist() == [1, 0, 3, 4] and condition.tolist() == [0, 0, 1, 1]
    assert pool_of([[2.0, 2.0]]).scaled.tolist() == [0.0, 0.0]
    mixed = replace(pool, prompt=np.array([1, 0, 1, 0, 1]))
    assert mixed.table.tolist() == [[1, 3, -1], [0, 2, 4]]


def test_what_a_pool_refuses() -> None:
    pool = pool_of([[1.0, 3.0], [2.0, 5.0]])
    for change, message in (
        ({"rewards": np.array([1.0, 2.0])}, "4 samples, 2 rewards"),
        ({"rewards": np.array([1.0, 2.0, 3.0, math.nan])}, "not finite"),
        ({"prompts": ["0"]}, "2 rows for 1 prompts"),
        ({"prompt": np.array([0, 0, 1, 2])}, "outside 0 … 1"),
    ):
        with pytest.raises(TrainingError, match=message):
            replace(pool, **change)


def test_a_drawn_pool_holds_what_the_policy_samples() -> None:
    """A constant velocity v moves every sample by −v: image = noise − v, whatever the number of steps."""
    policy = Constant([0.5, -1.0])
    drawn = [
        draw_pool(policy, ["a", "b"], torch.arange(2), FirstEntry(), images=3, shape=(1, 2, 2), times=time_grid(steps),
                  generator=stream(1), batch=2)
        for steps in (1, 4)
    ]  # fmt: skip
    pool = drawn[0]
    assert pool.prompt.tolist() == [0, 0, 0, 1, 1, 1] and pool.samples.shape == (6, 1, 2, 2)
    assert pool.rewards == pytest.approx(pool.samples[:, 0, 0, 0].numpy())
    assert torch.allclose(pool.samples, drawn[1].samples, atol=1e-5)
    still = draw_pool(Constant([0.0, 0.0]), ["a", "b"], torch.arange(2), FirstEntry(), images=3, shape=(1, 2, 2),
                      times=time_grid(2), generator=stream(1), batch=2)  # fmt: skip
    assert torch.allclose(pool.samples - still.samples, torch.tensor([-0.5, 1.0])[torch.from_numpy(pool.prompt)]
                          .view(-1, 1, 1, 1).expand(-1, 1, 2, 2), atol=1e-5)  # fmt: skip


def test_images_are_decoded_for_the_reward_alone() -> None:
    pool = draw_pool(Constant([0.0]), ["a"], torch.zeros(1, dtype=torch.long), FirstEntry(), images=4, shape=(1, 2, 2),
                     times=time_grid(1), generator=stream(), decode=lambda latents: 10.0 * latents)  # fmt: skip
    assert pool.rewards == pytest.approx(10 * pool.samples[:, 0, 0, 0].numpy(), rel=1e-5)


def test_images_without_a_score_are_left_out_and_broken_ones_earn_the_least() -> None:
    arguments: dict[str, Any] = {
        "images": 16, "shape": (1, 2, 2), "times": time_grid(1), "generator": stream(3)
    }  # fmt: skip
    kept = draw_pool(Constant([0.0]), ["a"], torch.zeros(1, dtype=torch.long), FirstEntry(0.5), **arguments)
    assert 0 < len(kept.rewards) < 16 and kept.rewards.max() <= 0.5
    blamed = draw_pool(Constant([0.0]), ["a"], torch.zeros(1, dtype=torch.long), FirstEntry(0.5, Status.RAISED),
                       **{**arguments, "generator": stream(3)})  # fmt: skip
    assert len(blamed.rewards) == 16 and (blamed.rewards == kept.rewards.min()).sum() == 17 - len(kept.rewards)
    with pytest.raises(TrainingError, match="scored none of 16 images: unavailable"):
        draw_pool(Constant([0.0]), ["a"], torch.zeros(1, dtype=torch.long), FirstEntry(-math.inf), **arguments)


def update_of(pool: Pool, reference: nn.Module, **settings: Any) -> PoolUpdate:
    return PoolUpdate(pool, reference, PoolSettings(**settings))


def test_groups_are_different_images_of_one_prompt_and_all_are_drawn_alike() -> None:
    pool = pool_of([[0.0] * 3, [0.0] * 2, [0.0] * 5])
    update, generator = update_of(pool, Constant([0.0] * 3), groups=4000, size=3), stream(2)
    groups = update.drawn(generator).numpy()
    assert (np.sort(groups, axis=1)[:, 1:] != np.sort(groups, axis=1)[:, :-1]).all()
    prompts = pool.prompt[groups]
    # The prompt with two images can make no group of three.
    assert (prompts == prompts[:, :1]).all() and set(prompts[:, 0]) == {0, 2}
    assert (prompts[:, 0] == 0).mean() == pytest.approx(0.5, abs=0.04)
    shares = np.bincount(groups[prompts[:, 0] == 2].ravel(), minlength=10)[5:] / (prompts[:, 0] == 2).sum()
    assert shares == pytest.approx(0.6, abs=0.05)


def test_one_step_by_hand() -> None:
    """Pairs of a constant velocity: the loss written out, with the noise that the update draws."""
    pool = pool_of([[0.0, 1.0]])
    policy, reference = Constant([0.3]), Constant([-0.2])
    update = update_of(pool, reference, groups=3, size=2, beta=4.0, kind="rank", stabiliser=0.25)
    loss, metrics = next(update.losses(policy, 1, stream(7)))
    generator = stream(7)
    update.drawn(generator)
    noise = torch.randn(3, 1, 1, 2, 2, generator=generator)
    draw_times(3, generator)
    errors = {}
    for name, velocity in (("own", 0.3), ("reference", -0.2)):
        for place in (0, 1):
            errors[name, place] = (noise - place - velocity).square().mean(dim=(1, 2, 3, 4))
    # Image 1 has the reward 1 and is the winner.
    pairs, _ = diffusion_preference(
        errors["own", 1], errors["own", 0], errors["reference", 1], errors["reference", 0], beta=4.0
    )
    assert loss.item() == pytest.approx((pairs + 0.25 * errors["own", 1].mean()).item(), rel=1e-5)
    assert metrics["pool_best"].item() == 1.0 and metrics["informative"].item() == 1.0
    summed = update_of(pool, reference, groups=3, size=2, beta=1.0, kind="rank", stabiliser=0.25, reduction="sum")
    assert next(summed.losses(policy, 1, stream(7)))[0].item() == pytest.approx(loss.item(), rel=1e-5)


class Recorder(nn.Module):
    """Notes what it is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))
        self.asked: list[tuple[Tensor, Tensor]] = []

    def forward(self, x: Tensor, t: Tensor, condition: Tensor) -> Tensor:
        self.asked.append((x.detach(), t))
        return self.weight * x


@pytest.mark.parametrize("share_noise", [True, False])
@pytest.mark.parametrize("share_time", [True, False])
def test_what_a_group_shares(share_noise: bool, share_time: bool) -> None:
    pool = pool_of([[0.0, 1.0, 2.0]])
    policy, reference = Recorder(), Recorder()
    update = update_of(pool, reference, groups=2, size=3, share_noise=share_noise, share_time=share_time)
    next(update.losses(policy, 1, stream(4)))
    (state, times), (same, _) = policy.asked[0], reference.asked[0]
    assert torch.equal(state, same)
    generator = stream(4)
    clean = pool.samples[update.drawn(generator).flatten()]
    noise = ((state - (1 - times.view(-1, 1, 1, 1)) * clean) / times.view(-1, 1, 1, 1)).view(2, 3, -1)
    apart = (noise - noise[:, :1]).abs().amax(dim=2)[:, 1:]
    assert (apart < 1e-4).all() if share_noise else (apart > 1e-2).all()
    levels = times.view(2, 3)
    assert len(set(levels.flatten().tolist())) == (2 if share_time else 6)
    assert (noise[0, 0] - noise[1, 0]).abs().max() > 1e-2


def test_equal_rewards_rank_nothing_and_hold_if_asked() -> None:
    pool = pool_of([[1.0, 1.0, 1.0]])
    for hold, moves in ((True, True), (False, False)):
        policy = Constant([0.3])
        loss, metrics = next(
            update_of(pool, Constant([0.0]), groups=2, size=3, hold_equal=hold).losses(policy, 1, stream())
        )
        loss.backward()
        assert bool(policy.values.grad.abs().sum() > 0) is moves
        assert metrics["informative"].item() == 0.0 and metrics["ranking"].item() == 0.0


def descend(update: PoolUpdate, policy: nn.Module, steps: range, rate: float = 0.05) -> list[dict[str, float]]:
    """Plain gradient descent, with a stream per step, as the loop has it."""
    optimizer, seen = torch.optim.SGD(policy.parameters(), rate), []
    for step in steps:
        for loss, metrics in update.losses(policy, step, stream(step)):
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            seen.append({name: value.item() for name, value in metrics.items()})
    return seen


def test_it_learns_which_images_are_wanted_and_not_from_shuffled_rewards() -> None:
    """Images of −1 pay 0 and images of 1 pay 1: the flow moves from their middle to 1, and stays without a signal."""
    samples = torch.tensor([-1.0, 1.0] * 8).view(-1, 1, 1, 1).expand(-1, 1, 2, 2).clone()
    right = np.tile([0.0, 1.0], 8)
    drift = {}
    for name, rewards in (("right", right), ("shuffled", np.random.default_rng(0).permutation(right))):
        pool = Pool(["a"], torch.zeros(1, dtype=torch.long), samples, rewards, np.zeros(16, dtype=int))
        policy = Constant([0.0])
        descend(update_of(pool, Constant([0.0]), groups=8, size=4, beta=1.0), policy, range(1, 61))
        drift[name] = -policy.values.item()
    assert drift["right"] > 0.5
    assert abs(drift["shuffled"]) < 0.5 * drift["right"]


def test_a_run_goes_on_with_the_pool_that_it_drew_last(tmp_path) -> None:
    first = FlowMLP((1, 2, 2), classes=2, width=8, blocks=1)
    reference = copy.deepcopy(first)

    def redraw(policy: nn.Module, generator: torch.Generator) -> Pool:
        return draw_pool(policy, ["a", "b"], torch.arange(2), FirstEntry(0.8), images=9, shape=(1, 2, 2),
                         times=time_grid(2), generator=generator)  # fmt: skip

    def trained(steps: int, directory: Path) -> tuple[nn.Module, PoolUpdate]:
        settings = PoolSettings(groups=4, size=3, refresh_every=2)
        update, policy = PoolUpdate(redraw(reference, stream(99)), reference, settings, redraw), copy.deepcopy(first)
        train_flow(policy, update, settings=FlowSettings(steps=steps), directory=directory)
        return policy, update

    whole, seen = trained(7, tmp_path / "whole")
    trained(3, tmp_path / "parts")
    parts, again = trained(7, tmp_path / "parts")
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), parts.parameters(), strict=True))
    assert torch.equal(seen.pool.samples, again.pool.samples)
    assert not torch.equal(seen.pool.samples[:5], redraw(reference, stream(99)).samples[:5])


def test_a_run_does_not_go_on_with_another_pool(tmp_path) -> None:
    for rewards, steps in (([0.0, 1.0], 1), ([0.0, 1.0], 2), ([0.0, 2.0], 3)):
        update, policy = update_of(pool_of([rewards]), Constant([0.0]), size=2), Constant([0.0])
        if rewards[1] == 2.0:
            with pytest.raises(TrainingError, match="holds a run that is not this one: of the update"):
                train_flow(policy, update, settings=FlowSettings(steps=steps), directory=tmp_path)
        else:
            train_flow(policy, update, settings=FlowSettings(steps=steps), directory=tmp_path)


def test_what_is_refused() -> None:
    pool = pool_of([[0.0, 1.0]])
    with pytest.raises(TrainingError, match="groups of 6 images are wanted, and no prompt of the pool has more than 2"):
        update_of(pool, Constant([0.0]))
    with pytest.raises(TrainingError, match="needs both"):
        update_of(pool, Constant([0.0]), size=2, refresh_every=5)
    for wrong in ({"size": 1}, {"beta": 0.0}, {"groups": 0}, {"reduction": "max"}, {"refresh_every": 0}):
        with pytest.raises(TrainingError):
            PoolSettings(**wrong)
