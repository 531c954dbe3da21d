"""SePPO's update: the pool, whom it draws, what it samples, and that a killed run goes on."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from trueward.errors import TrainingError
from trueward.policies.flow import FlowMLP
from trueward.training import checkpoint
from trueward.training.flow import train_flow
from trueward.training.flow.preference import PreferenceSettings
from trueward.training.flow.self_sampling import CheckpointPool, SelfSamplingSettings, SelfSamplingUpdate
from trueward.training.flow.settings import FlowSettings


class Constant(nn.Module):
    """v(x, t, c) = v everywhere, with a buffer, so that both kinds of state are kept."""

    def __init__(self, value: float = 0.0) -> None:
        super().__init__()
        self.inner = nn.ParameterDict({"value": nn.Parameter(torch.tensor([value]))})
        self.register_buffer("seen", torch.zeros((), dtype=torch.int64))

    def forward(self, x: Tensor, t: Tensor, condition: Any) -> Tensor:
        return self.inner["value"].expand_as(x)


def set_to(policy: Constant, value: float) -> Constant:
    with torch.no_grad():
        policy.inner["value"].fill_(value)
    return policy


def values(pool: CheckpointPool) -> list[float]:
    module, found = Constant(), []
    for place in range(len(pool)):
        pool.put(place, module)
        found.append(module.inner["value"].item())
    return found


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def updates(update: SelfSamplingUpdate, policy: Constant, steps: int) -> list[dict[str, float]]:
    """Steps 1 … `steps`; the policy becomes the number of each step after its update, as an optimiser would do it."""
    told = []
    for step in range(1, steps + 1):
        for _, metrics in update.losses(policy, step, generator(step)):
            told.append({name: float(value) for name, value in metrics.items()})
            set_to(policy, step)
    return told


def made(**settings: Any) -> SelfSamplingUpdate:
    preference = PreferenceSettings(batch=4, flip="sign")
    winners, labels = torch.full((6, 1, 2, 2), 0.5), torch.arange(6)
    return begun(SelfSamplingUpdate(winners, labels, SelfSamplingSettings(preference, **settings)))


def begun(update: SelfSamplingUpdate, value: float = 0.0) -> SelfSamplingUpdate:
    update.begin(Constant(value), FlowSettings())
    return update


def test_a_pool_keeps_the_newest() -> None:
    policy = Constant(0.0)
    everything, last = CheckpointPool(policy), CheckpointPool(policy, window=2)
    for value in (1.0, 2.0, 3.0):
        set_to(policy, value)
        everything.append(policy), last.append(policy)
    assert values(everything) == [0.0, 1.0, 2.0, 3.0] and values(last) == [2.0, 3.0]
    set_to(policy, 9.0)
    assert values(everything)[-1] == 3.0  # a copy, not a view of the policy


def test_a_pool_goes_through_a_checkpoint(tmp_path) -> None:
    policy = Constant(0.0)
    pool = CheckpointPool(policy)
    for value in (1.0, 2.0):
        pool.append(set_to(policy, value))
    saved = checkpoint.save(tmp_path, 5, checkpoint.Resumable({"pool": pool}, {}))
    again = CheckpointPool(Constant(7.0))
    assert checkpoint.restore(saved, checkpoint.Resumable({"pool": again}, {})) == 5
    assert values(again) == [0.0, 1.0, 2.0]
    again.append(set_to(policy, 3.0))
    assert values(again) == [0.0, 1.0, 2.0, 3.0]


def test_checkpoints_are_taken_after_the_update() -> None:
    update = made(save_every=2)
    updates(update, Constant(), 5)
    assert values(update.pool) == [0.0, 2.0, 4.0]


@pytest.mark.parametrize(("reference", "window", "held"), [("first", None, [0.0]), ("latest", 1, [4.0])])
def test_fixed_references(reference: Any, window: int | None, held: list[float]) -> None:
    update = made(save_every=2, reference=reference, window=window)
    told = updates(update, Constant(), 5)
    assert values(update.pool) == held and {metrics["reference_age"] for metrics in told} == {0.0}


def test_the_latest_is_the_one_that_is_drawn() -> None:
    update = made(save_every=1, reference="latest")
    updates(update, Constant(), 3)
    drawn, age = update.drawn(generator())
    assert (drawn.inner["value"].item(), age) == (3.0, 0)


def test_references_are_drawn_alike() -> None:
    update = made(save_every=1)
    updates(update, Constant(), 3)
    stream = generator()
    drawn = Counter(update.drawn(stream)[0].inner["value"].item() for _ in range(2000))
    assert set(drawn) == {0.0, 1.0, 2.0, 3.0}
    assert all(abs(count - 500) < 4 * (2000 * 0.25 * 0.75) ** 0.5 for count in drawn.values())


def test_others_are_samples_of_the_reference() -> None:
    """A constant velocity v carries noise ε to ε − v, whatever the number of steps."""
    update = made(save_every=1, sampling_steps=3)
    updates(update, Constant(), 2)
    update.pool.put(2, update.drawn(generator())[0])
    moved = update.sampled(torch.arange(5), generator(3))
    update.pool.put(0, update.drawn(generator())[0])
    still = update.sampled(torch.arange(5), generator(3))
    assert moved.shape == (5, 1, 2, 2) and torch.allclose(still - moved, torch.full((5, 1, 2, 2), 2.0), atol=1e-5)


def test_a_reference_is_sampled_as_told() -> None:
    class Doubled(nn.Module):
        def __init__(self, inner: nn.Module) -> None:
            super().__init__()
            self.inner = inner

        def forward(self, x: Tensor, t: Tensor, condition: Any) -> Tensor:
            return 2 * self.inner(x, t, condition)

    winners = torch.zeros(3, 1, 2, 2)
    plain = begun(SelfSamplingUpdate(winners, torch.arange(3)), 1.0)
    doubled = begun(SelfSamplingUpdate(winners, torch.arange(3), sampled_as=Doubled), 1.0)
    found = [update.sampled(torch.arange(3), generator()) for update in (plain, doubled)]
    assert torch.allclose(found[0] - found[1], torch.ones(3, 1, 2, 2), atol=1e-5)
    assert isinstance(doubled.drawn(generator())[0], Constant)  # errors are those of the checkpoint itself


def test_refusals() -> None:
    with pytest.raises(TrainingError, match="window=0"):
        made(window=0)
    with pytest.raises(TrainingError, match="choose uniform, latest or first"):
        made(reference="oldest")
    with pytest.raises(TrainingError, match="save_every=0"):
        made(save_every=0)
    with pytest.raises(TrainingError, match="3 winners and 2 conditions"):
        SelfSamplingUpdate(torch.zeros(3, 1), torch.arange(2))
    with pytest.raises(TrainingError, match="0 winners"):
        SelfSamplingUpdate(torch.zeros(0, 1), torch.arange(0))


def trained(directory: Any, steps: int) -> tuple[FlowMLP, SelfSamplingUpdate]:
    policy = FlowMLP((1, 2, 2), 3, width=8, blocks=1)
    winners = torch.randn(6, 1, 2, 2, generator=generator())
    settings = SelfSamplingSettings(
        PreferenceSettings(batch=4, flip="sign", sign_draws=2), save_every=2, window=2, sampling_steps=2
    )
    update = SelfSamplingUpdate(winners, torch.arange(6) % 3, settings)
    train_flow(policy, update, settings=FlowSettings(steps=steps, checkpoint_every=3), directory=directory)
    return policy, update


def test_a_killed_run_goes_on_with_its_pool_to_the_bit(tmp_path) -> None:
    whole, update = trained(tmp_path / "whole", 9)
    trained(tmp_path / "cut", 6)
    cut, update_again = trained(tmp_path / "cut", 9)
    assert all(torch.equal(one, other) for one, other in zip(whole.parameters(), cut.parameters(), strict=True))
    assert len(update.pool) == len(update_again.pool) == 2
    assert all(
        torch.equal(one, other) for one, other in zip(update.pool.buffers(), update_again.pool.buffers(), strict=True)
    )


def test_a_run_does_not_go_on_under_other_settings(tmp_path) -> None:
    trained(tmp_path, 3)
    policy = FlowMLP((1, 2, 2), 3, width=8, blocks=1)
    update = SelfSamplingUpdate(torch.zeros(6, 1, 2, 2), torch.arange(6) % 3)
    with pytest.raises(TrainingError, match="of the update was"):
        train_flow(policy, update, settings=FlowSettings(steps=4, checkpoint_every=3), directory=tmp_path)


def test_the_first_update_learns_from_winners_alone() -> None:
    """Policy and reference are one model then: every δ is 0, every sign 0, and the loss is log 2."""
    update = made()
    policy = Constant()
    ((loss, metrics),) = update.losses(policy, 1, generator())
    assert loss.item() == pytest.approx(math.log(2))
    assert metrics["losers"].item() == metrics["winners"].item() == 0.0
    loss.backward()
    # The winners are 0.5 everywhere, so that the mean velocity to them is −0.5: the gradient points away from it.
    assert policy.inner["value"].grad.item() > 0
