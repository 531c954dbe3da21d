"""The gold probe in runs of control: it alarms where the reward is hacked, and not where it is true."""

from __future__ import annotations

import json

import numpy as np
import pytest

from trueward.audit.monitor.control import ControlMonitor
from trueward.audit.monitor.episodes import episode_steps
from trueward.errors import AuditError
from trueward.measures.tabular import TabularMDP
from trueward.policies.control import ActorCritic
from trueward.tasks.control.tabular import TabularTask, TabularVectorEnv
from trueward.training.control import ControlSettings, train_policy

LENGTH = 10


def _first(action):
    return (action == 0).astype(float)


def _second(action):
    return (action == 1).astype(float)


def _trained(reward, monitor, seed=0, gold=_first, directory=None):
    """One state, two actions: the true reward pays the first one."""
    task = TabularTask(
        TabularMDP(np.ones((1, 2, 1)), np.ones(1), 0.9), {"nothing": np.zeros((1, 2))}, np.ones((1, 1)), "two", LENGTH
    )
    env = TabularVectorEnv(task, 16, "nothing")
    policy = ActorCritic.for_spaces(env, hidden=(8,), seed=seed)
    settings = ControlSettings(steps=60, horizon=2 * LENGTH, learning_rate=3e-3, discount=0.9, seed=seed)
    return train_policy(env, reward, policy=policy, settings=settings, gold=gold, hooks=[monitor], directory=directory)


def test_alarm_where_reward_is_hacked_and_silence_where_it_is_true():
    hacked, true = ControlMonitor(0.0, LENGTH), ControlMonitor(0.0, LENGTH)
    _trained(_second, hacked)
    _trained(_first, true)
    alarms = [notice for notice in hacked.notices if notice.kind == "alarm"]
    assert len(alarms) == 1 and "mean gold has fallen" in alarms[0].message
    assert "gold" in alarms[0].examples[0].completion
    assert not [notice for notice in true.notices if notice.kind == "alarm"]


def test_alarm_ends_the_run_where_it_is_to(tmp_path):
    monitor = ControlMonitor(0.0, LENGTH, stop_on_alarm=True, directory=tmp_path)
    trained = _trained(_second, monitor)
    assert trained.stopped.startswith("alarm of the gold probe")
    lines = [json.loads(line) for line in (tmp_path / "monitor.jsonl").read_text().splitlines()]
    assert lines[-1]["notices"] and len(lines) < 60


def test_run_without_gold_is_refused():
    with pytest.raises(AuditError, match="gold=true_reward"):
        _trained(_second, ControlMonitor(0.0, LENGTH), gold=None)


def test_range_must_be_one():
    with pytest.raises(AuditError, match=r"low=1\.0 is not below high=1\.0"):
        ControlMonitor(1.0, 1.0)


def test_episodes_of_drivers_and_cut_ones_are_left_out():
    episodes = {
        "step": np.array([7, 7, 7, 7]),
        "row": np.arange(4),
        "source": np.array([0, 1, 0, 0]),
        "end": np.array(["terminated", "terminated", "cut", "truncated"], dtype=object),
        "length": np.array([3, 4, 5, 6]),
        "proxy": np.array([1.0, 2.0, 3.0, 4.0]),
        "gold": np.array([0.0, 1.0, 1.0, 15.0]),
    }
    (step,) = episode_steps(episodes, low=-10.0, high=10.0)
    assert step.number == 7
    assert step.reward.tolist() == [1.0, 4.0]
    # (0 + 10) / 20, and 15 lies above the highest.
    assert [row["gold"] for row in step.columns] == [0.5, 1.0]
    assert step.finished.tolist() == [True, False]
