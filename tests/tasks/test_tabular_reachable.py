"""Leaving out states that nobody can come to changes nothing for anybody."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from trueward.measures.tabular import TabularMDP, expected_return, optimal, uniform_policy
from trueward.tasks.control.tabular.reachable import reachable, without_unreachable
from trueward.tasks.control.tabular.task import TabularTask
from trueward.tasks.control.tabular.tomato import tomato


def test_by_hand() -> None:
    # 0 → 1 → 1, and 2 → 0, which nobody comes to.
    transitions = np.zeros((3, 1, 3))
    transitions[0, 0, 1] = transitions[1, 0, 1] = transitions[2, 0, 0] = 1.0
    mdp = TabularMDP(transitions, np.array([1.0, 0.0, 0.0]), 0.5)
    assert reachable(mdp).tolist() == [True, True, False]
    rewards = {
        "states": np.array([1.0, 2.0, 9.0]),
        "full": np.arange(9.0).reshape(3, 1, 3),
        "sparse": sparse.csr_matrix(np.arange(9.0).reshape(3, 3)),
    }
    small = without_unreachable(TabularTask(mdp, rewards, np.eye(3, dtype=np.float32), "three"))
    assert small.mdp.states == 2
    assert small.rewards["states"].tolist() == [1, 2]
    assert small.rewards["full"].tolist() == [[[0, 1]], [[3, 4]]]
    assert small.rewards["sparse"].toarray().tolist() == [[0, 1], [3, 4]]
    for name in rewards:
        assert expected_return(small.mdp, small.rewards[name], uniform_policy(small.mdp)) == pytest.approx(
            expected_return(mdp, rewards[name], uniform_policy(mdp))
        )


@pytest.mark.parametrize("level", [2, 4])
def test_tomato(level: int) -> None:
    task = tomato(level)
    small = without_unreachable(task)
    assert small.mdp.states == {2: 218, 4: 463}[level]
    assert not small.mdp.is_sparse
    for name in ("true", "proxy"):
        assert expected_return(small.mdp, small.reward(name), uniform_policy(small.mdp)) == pytest.approx(
            expected_return(task.mdp, task.reward(name), uniform_policy(task.mdp))
        )
        best = float(small.mdp.start @ optimal(small.mdp, small.reward(name)).values)
        assert best == pytest.approx(float(task.mdp.start @ optimal(task.mdp, task.reward(name)).values))
