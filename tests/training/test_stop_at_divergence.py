"""Stopping at a divergence: it ends a run that leaves its reference, and no other."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from gymnasium.spaces import Discrete

from trueward.errors import TrainingError
from trueward.measures.tabular import uniform_policy
from trueward.policies.control import ActorCritic
from trueward.policies.control.tabular import TabularPolicy
from trueward.tasks.control.tabular.environment import TabularVectorEnv
from trueward.tasks.control.tabular.tomato import tomato
from trueward.training.control import ControlSettings, ControlTrained, train_policy
from trueward.training.control.stopping import StopAtDivergence

torch.set_num_threads(1)
TASK = tomato(0)


def _trained(budget: float) -> ControlTrained:
    policy = ActorCritic(TASK.observations.shape[1:], Discrete(4), (32,), seed=0)
    reference = TabularPolicy(TASK.observations, uniform_policy(TASK.mdp))
    settings = ControlSettings(steps=6, horizon=32, learning_rate=1e-2, epochs=4, evaluation_episodes=0)
    hook = StopAtDivergence(policy, reference, budget)
    return train_policy(TabularVectorEnv(TASK, 8), policy=policy, settings=settings, hooks=[hook])


def test_it_ends_where_the_budget_is_spent() -> None:
    free = _trained(math.inf)
    spent = [line["hook/divergence"] for line in free.metrics if "hook/divergence" in line]
    assert not free.stopped and len(spent) == 6
    # The first policy is nearly uniform, as the reference is.
    assert 0 < spent[0] < spent[-1]
    budget = (spent[2] + spent[3]) / 2 if spent[3] > spent[2] else spent[2]
    held = _trained(budget)
    assert "nats per step" in held.stopped
    last = max(int(line["step"]) for line in held.metrics)
    assert last == 1 + next(number for number, value in enumerate(spent) if value > budget)


def test_refuses_a_budget_of_nothing() -> None:
    policy = ActorCritic((2,), Discrete(2), (4,))
    with pytest.raises(TrainingError, match="positive"):
        StopAtDivergence(policy, policy.distribution, 0.0)
    assert np.isfinite(StopAtDivergence(policy, policy.distribution, 0.1).budget)
