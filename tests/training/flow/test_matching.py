"""Flow matching learns the velocity of a known target, drops conditions, and weighs samples."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from trueward.errors import TrainingError
from trueward.policies.flow import FlowMLP, null_class, sample, time_grid
from trueward.training.flow import FlowMatchingUpdate, FlowSettings, train_flow


class Seen(nn.Module):
    """Keeps what it is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.asked: list[tuple[Tensor, Tensor, Tensor]] = []

    def forward(self, x: Tensor, t: Tensor, condition: Tensor) -> Tensor:
        self.asked.append((x, t, condition))
        return x * self.weight


def asked(update: FlowMatchingUpdate, step: int = 1) -> tuple[tuple[Tensor, Tensor, Tensor], Tensor]:
    policy = Seen()
    ((loss, _),) = list(update.losses(policy, step, torch.Generator().manual_seed(step)))
    return policy.asked[0], loss


def test_what_the_policy_is_asked_lies_on_the_path() -> None:
    samples = torch.tensor([[10.0], [20.0]])
    (x, t, condition), loss = asked(FlowMatchingUpdate(samples, torch.tensor([1, 2]), batch=4000))
    x0 = samples[condition - 1][:, 0]
    noise = (x[:, 0] - (1 - t) * x0) / t
    kept = t > 0.05
    assert abs(noise[kept].mean()) < 0.1 and abs(noise[kept].std() - 1) < 0.1
    # With v = 0 the loss is the mean of (ε − x₀)².
    assert loss.item() == pytest.approx((noise - x0).square().mean().item(), rel=1e-2)


def test_a_share_of_the_conditions_is_dropped() -> None:
    update = FlowMatchingUpdate(torch.zeros(10, 1), torch.arange(10), batch=4000, drop_label=0.3, null=null_class(10))
    (_, _, condition), _ = asked(update)
    assert abs((condition == 10).float().mean() - 0.3) < 4 * (0.21 / 4000) ** 0.5
    (_, _, condition), _ = asked(FlowMatchingUpdate(torch.zeros(10, 1), torch.arange(10), batch=4000))
    assert not (condition == 10).any()


def test_weights_are_those_of_the_samples_drawn() -> None:
    samples = torch.tensor([[0.0], [1000.0]])
    weighted = FlowMatchingUpdate(samples, torch.tensor([0, 1]), batch=64, weight=torch.tensor([1.0, 0.0]))
    assert asked(weighted)[1].item() < 10
    assert asked(FlowMatchingUpdate(samples, torch.tensor([0, 1]), batch=64))[1].item() > 1e5


def test_it_learns_a_target() -> None:
    # Class 0 is at −1, class 1 at 2: samples end there.
    samples = torch.tensor([[-1.0], [2.0]]).repeat(64, 1) + 0.1 * torch.randn(
        128, 1, generator=torch.Generator().manual_seed(0)
    )
    update = FlowMatchingUpdate(samples, torch.tensor([0, 1]).repeat(64), batch=128)
    policy = FlowMLP((1,), 2, width=32, blocks=1)
    settings = FlowSettings(steps=300, learning_rate=5e-3, ema=0.97, cosine=True, evaluate_every=300)
    trained = train_flow(policy, update, settings=settings)
    drawn = sample(
        trained.average,
        torch.tensor([0, 1]).repeat_interleave(200),
        shape=(1,),
        times=time_grid(20),
        generator=torch.Generator().manual_seed(1),
    )
    first, second = drawn.final[:200], drawn.final[200:]
    assert abs(first.mean() + 1) < 0.1 and abs(second.mean() - 2) < 0.1
    assert first.std() < 0.25 and second.std() < 0.25


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"condition": torch.zeros(3)}, "same number of rows"),
        ({"weight": torch.zeros(3)}, "same number of rows"),
        ({"drop_label": 0.1}, "needs null"),
        ({"drop_label": 2.0}, "0 to 1"),
        ({"batch": 0}, "at least 1"),
    ],
)
def test_says_what_is_wrong(given: dict[str, Any], message: str) -> None:
    with pytest.raises(TrainingError, match=message):
        FlowMatchingUpdate(**{"samples": torch.zeros(4, 1), "condition": torch.zeros(4), **given})
