"""A tabular policy answers by the state that it sees."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from trueward.errors import TrainingError
from trueward.measures.tabular import uniform_policy
from trueward.policies.control.tabular import TabularPolicy
from trueward.tasks.control.tabular.tomato import tomato


def test_every_state_is_found_in_any_order() -> None:
    task = tomato(2)
    generator = np.random.default_rng(0)
    probabilities = generator.dirichlet(np.ones(4), size=task.mdp.states)
    policy = TabularPolicy(task.observations, probabilities)
    order = generator.permutation(task.mdp.states)
    assert (policy.states(task.observations[order]) == order).all()
    found = policy(torch.from_numpy(task.observations[order])).log_probabilities.exp().numpy()
    assert found == pytest.approx(probabilities[order], abs=1e-6)


def test_refuses_what_it_cannot_tell() -> None:
    task = tomato(0)
    with pytest.raises(TrainingError, match="same observation"):
        TabularPolicy(np.zeros((3, 2), dtype=np.float32), np.full((3, 2), 0.5))
    policy = TabularPolicy(task.observations, uniform_policy(task.mdp))
    with pytest.raises(TrainingError, match="none of the states"):
        policy.states(np.full((1, task.observations.shape[1]), 0.5, dtype=np.float32))
