"""Array environments: step by step what Gymnasium's are, with resets in the step that ends an episode."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest

from trueward.tasks.control.arrays import ArrayEnv, CartPole, MountainCar, Pendulum
from trueward.tasks.control.stepping import Stepper

PAIRS = [(CartPole, "CartPole-v1"), (Pendulum, "Pendulum-v1"), (MountainCar, "MountainCar-v0")]


def state_of(env: Any) -> np.ndarray:
    return np.array(env.unwrapped.state, dtype=np.float64)


@pytest.mark.parametrize(("made", "name"), PAIRS)
def test_they_step_as_gymnasium_does(made: type[ArrayEnv], name: str) -> None:
    """Five hundred steps from the same states with the same actions: single precision, rewards and ends alike."""
    count = 4
    ours = made(count)
    rng = np.random.default_rng(0)
    theirs = [gymnasium.make(name) for _ in range(count)]
    observation, _ = ours.reset(seed=1)
    assert ours.state is not None
    for place, env in enumerate(theirs):
        env.reset(seed=place)
        env.unwrapped.state = ours.state[place].copy()  # type: ignore[attr-defined]
    np.testing.assert_allclose(observation, ours.observe(ours.state))
    ended = 0
    for _ in range(500):
        action = np.stack([env.action_space.sample() for env in theirs])
        if isinstance(theirs[0].action_space, gymnasium.spaces.Box):
            action = rng.uniform(-3.0, 3.0, size=action.shape).astype(np.float32)
        observation, reward, terminated, truncated, info = ours.step(action)
        for place, env in enumerate(theirs):
            seen, paid, dead, cut, _ = env.step(action[place])
            assert (dead, cut) == (terminated[place], truncated[place])
            assert reward[place] == pytest.approx(paid, rel=1e-9, abs=1e-12)
            over = dead or cut
            got = info["final_obs"][place] if over else observation[place]
            np.testing.assert_allclose(got, seen, rtol=1e-6, atol=1e-6)
            if over:
                ended += 1
                env.reset()
                env.unwrapped.state = ours.state[place].copy()  # type: ignore[attr-defined]
    assert ended >= 2 * count


@pytest.mark.parametrize(("made", "name"), PAIRS)
def test_spaces_first_states_and_time_limits_are_those_of_gymnasium(made: type[ArrayEnv], name: str) -> None:
    ours, theirs = made(3), gymnasium.make(name)
    assert ours.single_action_space == theirs.action_space
    assert ours.single_observation_space == theirs.observation_space
    assert theirs.spec is not None and ours.horizon == theirs.spec.max_episode_steps
    observation, _ = made(2000).reset(seed=0)
    many = np.stack([theirs.reset(seed=place)[0] for place in range(400)])
    assert np.allclose(observation.min(axis=0), many.min(axis=0), atol=0.15)
    assert np.allclose(observation.max(axis=0), many.max(axis=0), atol=0.15)
    assert ours.observation_space.contains(ours.reset(seed=0)[0])


def test_an_episode_that_is_cut_off_is_not_one_that_ended() -> None:
    env = MountainCar(2, horizon=3)
    stepper = Stepper(env)
    stepper.reset(0)
    first = stepper.observation.copy()
    for step in range(1, 7):
        found = stepper.step(np.array([1, 1]))
        assert found.truncated.tolist() == [step % 3 == 0] * 2
        assert not found.terminated.any() and found.exists is None
        np.testing.assert_array_equal(found.observation, first)
        first = stepper.observation.copy()
        if step % 3 == 0:
            # The last observation of the old episode, not the first of the next, which is at rest.
            assert (found.next_observation[:, 1] != 0).all() and (first[:, 1] == 0).all()


def test_only_rows_that_ended_are_reset() -> None:
    env = CartPole(2)
    env.reset(seed=0)
    assert env.state is not None
    env.state = np.array([[2.395, 3.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]])
    observation, reward, terminated, _, info = env.step(np.array([1, 1]))
    assert terminated.tolist() == [True, False] and reward.tolist() == [1.0, 1.0]
    assert info["final_obs"][0, 0] == pytest.approx(2.455)
    assert np.abs(observation[0]).max() <= 0.05
    np.testing.assert_array_equal(observation[1], info["final_obs"][1])
    assert env.elapsed.tolist() == [0, 1]


def test_the_same_seed_gives_the_same_episodes() -> None:
    def run(seed: int) -> np.ndarray:
        env = CartPole(3)
        seen = [env.reset(seed=seed)[0]]
        rng = np.random.default_rng(0)
        for _ in range(60):
            seen.append(env.step(rng.integers(2, size=3))[0])
        return np.stack(seen)

    np.testing.assert_array_equal(run(5), run(5))
    assert not np.array_equal(run(5), run(6))


class Counting(ArrayEnv):
    """Counts its steps; says so in `info`."""

    def __init__(self, count: int) -> None:
        box = gymnasium.spaces.Box(0.0, np.inf, (1,))
        super().__init__(count, box, gymnasium.spaces.Discrete(2), horizon=None)

    def begin(self, generator: np.random.Generator, count: int) -> np.ndarray:
        return np.zeros((count, 1))

    def advance(self, state: np.ndarray, action: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return state + 1, state[:, 0], state[:, 0] + 1 >= 3 + action

    def observe(self, state: np.ndarray) -> np.ndarray:
        return state.astype(np.float32)

    def features(self, state: np.ndarray) -> dict[str, np.ndarray]:
        return {"counted": state[:, 0]}


def test_features_are_those_of_the_step_and_not_of_the_reset() -> None:
    stepper = Stepper(Counting(2), ("counted",))
    stepper.reset(0)
    seen = [stepper.step(np.array([0, 1])).features["counted"].tolist() for _ in range(5)]
    assert seen == [[1, 1], [2, 2], [3, 3], [1, 4], [2, 1]]


def test_it_must_be_reset_first() -> None:
    with pytest.raises(RuntimeError, match="reset first"):
        CartPole(1).step(np.array([0]))
