"""Early stopping: the error in closed form, which policy is kept, when a run ends, and that it goes on after a kill."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from trueward.batch import Context
from trueward.errors import TrainingError
from trueward.policies.flow import FlowMLP
from trueward.training.flow import FlowMatchingUpdate, FlowSettings, train_flow
from trueward.training.flow.early_stopping import EarlyStopping
from trueward.training.hooks import StopRun


class Constant(nn.Module):
    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = nn.Parameter(torch.tensor([value]))

    def forward(self, x: Tensor, t: Tensor, condition: Any) -> Tensor:
        return self.value.expand_as(x)


def looked(hook: EarlyStopping, values: list[float]) -> list[float]:
    """The hook after updates to these values; the errors that it told."""
    told = []
    for step, value in enumerate(values, 1):
        found = hook.after_update(None, None, Context(step=step, policy=Constant(value)))
        told.append(found["held_out_error"])
    return told


def test_the_error_in_closed_form() -> None:
    """E‖ε − x₀ − v‖² = 1 + (x₀ + v)² for images of one grey; the same noise at every look."""
    hook = EarlyStopping(Constant(0.0), torch.full((4, 1, 2, 2), 0.5), torch.zeros(4), draws=3000)
    for value in (0.0, -0.5, 0.3):
        assert hook.error(Constant(value)) == pytest.approx(1 + (0.5 + value) ** 2, abs=0.03)
    assert hook.error(Constant(0.3)) == hook.error(Constant(0.3))


def test_the_best_is_kept_and_the_run_ends() -> None:
    """The best value is about −0.5: it comes closer, passes, and goes away."""
    images = torch.full((4, 1, 2, 2), 0.5)
    hook = EarlyStopping(Constant(0.0), images, torch.zeros(4), draws=500, every=1, patience=2, ema=None)
    told = looked(hook, [-0.3, -0.5, -0.8])
    assert told[0] > told[1] < told[2] and hook.best.value.item() == -0.5
    with pytest.raises(StopRun, match="not fallen for 2 looks"):
        looked(hook, [-0.9])
    assert hook.best.value.item() == -0.5


def test_a_policy_that_only_becomes_worse_is_not_kept() -> None:
    hook = EarlyStopping(
        Constant(-0.5), torch.full((4, 1, 2, 2), 0.5), torch.zeros(4), draws=500, every=1, patience=9, ema=None
    )
    looked(hook, [-0.1, 0.3, 0.9])
    assert hook.best.value.item() == -0.5


def test_the_average_is_judged() -> None:
    hook = EarlyStopping(Constant(0.0), torch.ones(4, 1), torch.zeros(4), draws=500, every=1, patience=9, ema=0.5)
    looked(hook, [-1.0, -1.0])
    assert hook.best.value.item() == pytest.approx(-0.75)


def run(directory: Any, steps: int) -> EarlyStopping:
    policy = FlowMLP((1, 2, 2), 2, width=8, blocks=1)
    images = 0.5 + 0.1 * torch.randn(8, 1, 2, 2, generator=torch.Generator().manual_seed(0))
    hook = EarlyStopping(policy, images[6:], torch.tensor([0, 1]), every=2, patience=50, ema=0.9)
    update = FlowMatchingUpdate(images[:6], torch.arange(6) % 2, batch=8)
    train_flow(
        policy, update, settings=FlowSettings(steps=steps, checkpoint_every=2), directory=directory, hooks=[hook]
    )
    return hook


def test_a_run_that_was_killed_keeps_the_same_best(tmp_path) -> None:
    whole = run(tmp_path / "whole", 10)
    run(tmp_path / "cut", 4)
    cut = run(tmp_path / "cut", 10)
    assert cut.state_dict() == whole.state_dict()
    assert all(
        torch.equal(one, other) for one, other in zip(cut.best.parameters(), whole.best.parameters(), strict=True)
    )
    assert whole.state_dict()["smallest"] < whole.error(FlowMLP((1, 2, 2), 2, width=8, blocks=1))


def test_refusals() -> None:
    with pytest.raises(TrainingError, match="0 held-out samples"):
        EarlyStopping(Constant(0.0), torch.zeros(0, 1), torch.zeros(0))
    with pytest.raises(TrainingError, match="3 held-out samples and 2 conditions"):
        EarlyStopping(Constant(0.0), torch.zeros(3, 1), torch.zeros(2))
