"""Running: what is wanted differs from speed where it should."""

from __future__ import annotations

import numpy as np
import pytest

from trueward.errors import TrainingError
from trueward.rewards.control import as_control_reward
from trueward.tasks.control.running import Running
from trueward.tasks.control.stepping import Stepper


def test_by_hand() -> None:
    task = Running("HalfCheetah-v5", control_cost=0.5, height_cost=2.0)
    action = np.array([[1.0, -1.0], [3.0, 0.0]])
    seen = np.array([[0.25, 9.0], [-0.5, 9.0]])
    # 2 − .5 · 2 − 2 · .25; an action beyond its bounds counts as the bound: 1 − .5 − 1
    assert task.true(np.array([2.0, 1.0]), action, seen).tolist() == [0.5, -0.5]
    assert Running.proxy(np.array([2.0, 1.0])).tolist() == [2.0, 1.0]


def test_both_are_paid_on_the_robot() -> None:
    task = Running()
    env = task.make(2)
    stepper = Stepper(env, task.features)
    stepper.reset(seed=0)
    transitions = stepper.step(np.full((2, 6), 0.5, dtype=np.float32))
    proxy, true = (as_control_reward(reward).score(transitions) for reward in (task.proxy, task.true))
    effort = task.control_cost * 6 * 0.25
    away = task.height_cost * np.abs(transitions.next_observation[:, 0])
    assert true.value == pytest.approx(proxy.value - effort - away)
    env.close()


def test_refuses_other_robots() -> None:
    with pytest.raises(TrainingError, match="expected one of HalfCheetah-v5"):
        Running("Ant-v5").make(1)
