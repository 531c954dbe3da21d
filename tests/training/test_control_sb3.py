"""One update against Stable-Baselines3's PPO, from the same weights and the same steps."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from benchmarks.control_sb3 import COUNT, HORIZON, updated_by_both

from trueward.tasks.control.arrays import ArrayEnv, CartPole, Pendulum
from trueward.training.control import ControlSettings

torch.set_num_threads(1)
SETTINGS = ControlSettings(
    horizon=HORIZON, epochs=2, minibatches=1, learning_rate=1e-3, clip=0.1, entropy=0.01, trace=0.9,
    advantage_scale="minibatch",
)  # fmt: skip


@pytest.mark.parametrize(("made", "name"), [(CartPole, "CartPole-v1"), (Pendulum, "Pendulum-v1")])
def test_one_update_is_that_of_stable_baselines(made: type[ArrayEnv], name: str) -> None:
    ours, theirs, apart = updated_by_both(made(COUNT, horizon=50), name, SETTINGS)
    assert ours["policy_loss"] == pytest.approx(theirs["train/policy_gradient_loss"], abs=1e-6)
    assert 2 * ours["value_loss"] == pytest.approx(theirs["train/value_loss"], rel=1e-5)
    assert -ours["entropy"] == pytest.approx(theirs["train/entropy_loss"], rel=1e-5)
    # SB3 tells the last pass only; before the first one nothing has moved.
    assert ours["approx_kl"] == pytest.approx(theirs["train/approx_kl"] / 2, abs=1e-5)
    # Two steps of Adam, each about the learning rate: agreement to a thousandth of one.
    assert apart < 1e-6


@pytest.mark.parametrize("differs", [{"trace": 0.5}, {"discount": 0.9}, {"clip": 1e-4}])
def test_the_agreement_is_no_accident(differs: dict[str, float]) -> None:
    """With one other setting the weights differ by what a step moves them."""
    other = dataclasses.replace(SETTINGS, **differs)  # type: ignore[arg-type]
    _, _, apart = updated_by_both(CartPole(COUNT, horizon=50), "CartPole-v1", SETTINGS, other)
    assert apart > 1e-5
