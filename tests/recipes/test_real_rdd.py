"""RDD on Stable-Baselines3: two collections with a small network."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from trueward.adapters.sb3 import RewardCallback
from trueward.recipes.real.rdd import build

# Threads that wait for each other cost more than such small networks.
torch.set_num_threads(1)


@pytest.fixture(scope="module")
def model():
    return build("MiniGrid-DoorKey-5x5-v0", environments=2, tiny=True)


def test_two_collections_train_policy_and_bonus(model):
    novelty = model.get_env().bonus.novelty
    before = {name: weight.detach().clone() for name, weight in model.policy.named_parameters()}
    predictor = [weight.detach().clone() for weight in novelty.predictor.net.parameters()]
    model.learn(16, callback=RewardCallback())
    assert model.num_timesteps == 16
    moved = [name for name, weight in model.policy.named_parameters() if not torch.equal(weight, before[name])]
    assert any("value_net" in name for name in moved) and any("action_net" in name for name in moved)
    after = list(novelty.predictor.net.parameters())
    assert any(not torch.equal(one, other) for one, other in zip(predictor, after, strict=True))
    assert novelty.predictor.steps == 2
    assert model.get_env().bonus.normaliser.seen.count == 16


def test_the_whole_grid_is_seen_in_the_unit_interval(model):
    observation = model.get_env().reset()
    assert observation.shape == (2, 5 * 5 * 3) and observation.min() >= 0.0 and observation.max() == 1.0
    agents = (np.round(observation.reshape(2, 5, 5, 3)[..., 0] * 10) == 10).sum(axis=(1, 2))
    assert agents.tolist() == [1, 1]
