"""Tabular environments: Gymnasium's checks, ends of episodes, and frequencies against the MDP."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from gymnasium.wrappers.vector import DictInfoToList, RecordEpisodeStatistics
from scipy import stats

from trueward.errors import RewardError, TrainingError
from trueward.measures.tabular import TabularMDP, expected_return, uniform_policy
from trueward.tasks.control.stepping import Stepper
from trueward.tasks.control.tabular import (
    TabularEnv,
    TabularTask,
    TabularVectorEnv,
    gridworld,
    one_hot,
    random_mdp,
    random_reward,
    tomato,
)


def corridor(horizon: int | None = None) -> TabularTask:
    """0 → 1 → 2, the end; each step pays the number of the state it leads to."""
    transitions = np.array([[[0, 1.0, 0]], [[0, 0, 1.0]], [[0, 0, 1.0]]])
    mdp = TabularMDP(transitions, np.array([1.0, 0, 0]), 0.9, np.array([False, False, True]))
    reward = np.broadcast_to(np.array([0.0, 1.0, 2.0]), (3, 1, 3))
    return TabularTask(mdp, {"proxy": reward}, one_hot(3), "corridor", horizon)


def chance(seed: int = 0) -> TabularTask:
    generator = np.random.default_rng(seed)
    transitions = generator.dirichlet(np.full(5, 0.5), size=(5, 2))
    mdp = TabularMDP(transitions, generator.dirichlet(np.ones(5)), 0.9)
    return TabularTask(mdp, {"proxy": generator.normal(size=(5, 2, 5))}, one_hot(5), "chance", 20)


@pytest.mark.parametrize("task", [corridor(), chance(), tomato(2)], ids=lambda task: task.name)
def test_one_copy_passes_the_checks_of_gymnasium(task: TabularTask) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # It was made without gymnasium.make and cannot be drawn: both are said, neither is wrong.
        warnings.filterwarnings("ignore", message=".*(spec|render).*")
        check_env(TabularEnv(task), skip_render_check=True)


def test_spaces_of_vectors() -> None:
    env = TabularVectorEnv(chance(), 7, seed=1)
    observation, info = env.reset(seed=3)
    assert observation in env.observation_space
    assert info == {}
    for _ in range(30):
        observation, reward, terminated, truncated, info = env.step(env.action_space.sample())
        assert observation in env.observation_space
        assert [reward.shape, reward.dtype] == [(7,), np.dtype(np.float64)]
        assert [terminated.dtype, truncated.dtype] == [np.dtype(bool)] * 2
    assert env.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
    env.close()


def test_termination_by_hand() -> None:
    env = TabularVectorEnv(corridor(), 2)
    assert env.reset(seed=0)[0].tolist() == [[1, 0, 0]] * 2
    go = np.zeros(2, dtype=np.int64)
    observation, reward, terminated, truncated, info = env.step(go)
    assert observation.tolist() == [[0, 1, 0]] * 2
    assert (reward.tolist(), terminated.any(), truncated.any()) == ([1.0, 1.0], False, False)
    assert (info["state"].tolist(), info["next_state"].tolist()) == ([0, 0], [1, 1])
    assert "final_obs" not in info
    observation, reward, terminated, truncated, info = env.step(go)
    # The next episode is already there; the last state of this one stands in info.
    assert observation.tolist() == [[1, 0, 0]] * 2
    assert info["final_obs"].tolist() == [[0, 0, 1]] * 2
    assert info["final_info"]["next_state"].tolist() == info["next_state"].tolist() == [2, 2]
    assert (reward.tolist(), terminated.tolist(), truncated.any()) == ([2.0, 2.0], [True, True], False)
    assert env.states.tolist() == [0, 0]


def test_truncation_is_no_termination() -> None:
    go = np.zeros(1, dtype=np.int64)
    env = TabularVectorEnv(corridor(horizon=1), 1)
    env.reset(seed=0)
    for _ in range(3):
        _, reward, terminated, truncated, info = env.step(go)
        assert (reward[0], terminated[0], truncated[0]) == (1.0, False, True)
        assert info["final_obs"].tolist() == [[0, 1, 0]]
    # At the horizon and in a terminal state at once: the episode is over, not cut off.
    env = TabularVectorEnv(corridor(), 1, horizon=2)
    env.reset(seed=0)
    env.step(go)
    assert [end[0] for end in env.step(go)[2:4]] == [True, False]
    # An episode's clock begins anew.
    env = TabularVectorEnv(chance(), 1, horizon=3)
    env.reset(seed=0)
    assert [bool(env.step(go)[3][0]) for _ in range(9)] == [False, False, True] * 3


def test_transitions_read_the_exact_states() -> None:
    task = gridworld(("A.G", "..."), slip=0.3)
    env = TabularVectorEnv(TabularTask(task.mdp, {"proxy": np.zeros(6)}, one_hot(6), "grid", 5), 16)
    stepper = Stepper(env, features=("state", "next_state"))
    stepper.reset(seed=0)
    ends = 0
    for _ in range(40):
        transitions = stepper.step(env.action_space.sample())
        assert np.array_equal(transitions.observation.argmax(axis=1), transitions.features["state"])
        assert np.array_equal(transitions.next_observation.argmax(axis=1), transitions.features["next_state"])
        assert np.array_equal(transitions.terminated, transitions.features["next_state"] == 2)
        ends += int((transitions.terminated | transitions.truncated).sum())
    assert ends > 20


def test_frequencies_are_those_of_the_mdp() -> None:
    task = chance()
    env = TabularVectorEnv(task, 500, horizon=20)
    env.reset(seed=11)
    counts, starts = np.zeros((5, 2, 5)), np.bincount(env.states, minlength=5)
    generator = np.random.default_rng(5)
    for t in range(200):
        action = generator.integers(0, 2, size=500)
        _, _, _, truncated, info = env.step(action)
        np.add.at(counts, (info["state"], action, info["next_state"]), 1)
        if truncated.any():
            starts += np.bincount(env.states, minlength=5)
        assert truncated.all() == ((t + 1) % 20 == 0)
    tests = [
        (counts[state, action], task.mdp.transitions[state, action]) for state in range(5) for action in range(2)
    ] + [(starts, task.mdp.start)]
    for seen, probability in tests:
        often = probability * seen.sum() >= 5
        # What is too rare for the test counts as one kind.
        observed = np.append(seen[often], seen[~often].sum())
        expected = np.append(probability[often], probability[~often].sum()) * seen.sum()
        assert stats.chisquare(observed[expected > 0], expected[expected > 0]).pvalue > 1e-4
    # And a wrong model is seen: the same counts against those of another action.
    wrong = np.maximum(task.mdp.transitions[0, 1], 1e-6)
    assert stats.chisquare(counts[0, 0], wrong / wrong.sum() * counts[0, 0].sum()).pvalue < 1e-6


def test_discounted_returns_are_those_of_the_exact_solution() -> None:
    generator = np.random.default_rng(0)
    mdp = random_mdp(12, 3, generator, discount=0.8)
    task = TabularTask(mdp, {"proxy": random_reward(mdp, generator, scaled=0.0)}, one_hot(12), "random", None)
    env = TabularVectorEnv(task, 4000)
    env.reset(seed=2)
    returns = np.zeros(4000)
    for t in range(50):
        returns += 0.8**t * env.step(generator.integers(0, 3, size=4000))[1]
    standard_error = returns.std() / np.sqrt(4000)
    exact = expected_return(mdp, task.reward("proxy"), uniform_policy(mdp))
    assert returns.mean() == pytest.approx(exact, abs=4 * standard_error)


def test_sparse_and_dense_worlds_step_alike() -> None:
    from scipy import sparse

    task = chance()
    thin = TabularMDP(sparse.csr_matrix(task.mdp.flat), task.mdp.start, task.mdp.discount)
    rewards = {"proxy": sparse.csr_matrix(task.reward("proxy").reshape(10, 5))}
    one, two = TabularVectorEnv(task, 9), TabularVectorEnv(TabularTask(thin, rewards, one_hot(5), "thin", 20), 9)
    one.reset(seed=4)
    two.reset(seed=4)
    for action in np.random.default_rng(0).integers(0, 2, size=(60, 9)):
        for mine, other in zip(one.step(action)[:4], two.step(action)[:4], strict=True):
            assert np.array_equal(mine, other)


def test_a_vector_steps_as_copies_do() -> None:
    # A world without chance: N at once are N alone, rewards and ends included.
    task = tomato(0)
    together = TabularVectorEnv(task, 3, horizon=7)
    alone = SyncVectorEnv([lambda: TabularEnv(task, horizon=7)] * 3, autoreset_mode=AutoresetMode.SAME_STEP)
    together.reset(seed=0)
    alone.reset(seed=0)
    for action in np.random.default_rng(0).integers(0, 4, size=(40, 3)):
        for mine, theirs in zip(together.step(action)[:4], alone.step(action)[:4], strict=True):
            assert np.array_equal(mine, theirs)


def test_wrappers_of_gymnasium_read_the_info() -> None:
    env = DictInfoToList(RecordEpisodeStatistics(TabularVectorEnv(corridor(), 3)))
    env.reset(seed=0)
    go = np.zeros(3, dtype=np.int64)
    assert "final_obs" not in env.step(go)[4][0]
    info = env.step(go)[4][1]
    assert info["final_obs"].tolist() == [0, 0, 1]
    assert (info["final_info"]["state"], info["episode"]["r"], info["episode"]["l"]) == (1, 3.0, 2)


def test_seeds_decide() -> None:
    def run(reset_seed: int | None, seed: int | None) -> list[list[int]]:
        env = TabularVectorEnv(chance(), 8, seed=seed)
        env.reset(seed=reset_seed)
        return [env.step(np.zeros(8, dtype=np.int64))[4]["next_state"].tolist() for _ in range(5)]

    assert run(1, None) == run(1, None) == run(1, 2)
    assert run(None, 2) == run(None, 2)
    assert run(1, None) != run(2, None)


def test_a_step_leaves_what_it_returned_before() -> None:
    env = TabularVectorEnv(chance(), 4)
    first, _ = env.reset(seed=0)
    kept = first.copy()
    info = env.step(np.zeros(4, dtype=np.int64))[4]
    states = info["next_state"].copy()
    for _ in range(25):
        env.step(np.ones(4, dtype=np.int64))
    assert np.array_equal(first, kept)
    assert np.array_equal(info["next_state"], states)


def test_wrong_use_is_refused() -> None:
    with pytest.raises(RewardError, match="no reward 'gold'"):
        TabularVectorEnv(corridor(), 1, reward="gold")
    for count, horizon in ((0, None), (1, 0)):
        with pytest.raises(TrainingError, match="at least one copy"):
            TabularVectorEnv(corridor(), count, horizon=horizon)
    env = TabularVectorEnv(corridor(), 2)
    with pytest.raises(TrainingError, match="call reset first"):
        env.step(np.zeros(2, dtype=np.int64))
    env.reset()
    for action, message in (
        (np.zeros(3, dtype=np.int64), "expected 2 integers"),
        (np.zeros(2), "expected 2 integers"),
        (np.array([0, 1]), "must lie in 0…0"),
        (np.array([-1, 0]), "must lie in 0…0"),
    ):
        with pytest.raises(TrainingError, match=message):
            env.step(action)
