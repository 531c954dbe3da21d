"""Rewards of control per call, and their wrappers against those of Gymnasium and Stable-Baselines3, on one thread.

    python benchmarks/bench_wrappers.py

Equality first: scaled rewards must be those of NormalizeReward and VecNormalize where these are right, shaping and
functions those of the formula. Then the time that each wrapper adds to a step of environments that cost nothing, which
leaves only what is done to the reward. Theirs return a reward and nothing else; ours read transitions, and say raw
values, parts and sums of episodes.
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"

import time
from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv, VecNormalize

from trueward.adapters.gymnasium import RewardWrapper
from trueward.adapters.sb3 import wrap
from trueward.rewards.control import ControlReward, as_control_reward
from trueward.rewards.shaping import PotentialShaping, ScaledByReturn
from trueward.tasks.control.stepping import TransitionReader

DISCOUNT = 0.99
TARGET = 10.0  # microseconds a call
COUNTS = (64, 1024)
TRIES, TURN = 120, 100
HORIZON = 7

lost = 0


def first(observation: np.ndarray) -> np.ndarray:
    return observation[..., 0]


def twice(reward: np.ndarray) -> np.ndarray:
    return 2.0 * reward


class Free(VectorEnv):
    """Costs nothing: random rewards that were drawn before; cut off every few steps where it is asked for."""

    def __init__(self, count: int, horizon: int = 0) -> None:
        generator = np.random.default_rng(0)
        self.num_envs, self.horizon, self.steps = count, horizon, 0
        self.metadata = {"autoreset_mode": AutoresetMode.SAME_STEP}
        self.single_observation_space = gymnasium.spaces.Box(-9.0, 9.0, (4,), np.float32)
        self.single_action_space = gymnasium.spaces.Discrete(2)
        self.observation_space = batch_space(self.single_observation_space, count)
        self.action_space = batch_space(self.single_action_space, count)
        self.observations = generator.normal(size=(64, count, 4)).astype(np.float32)
        self.rewards = generator.normal(size=(64, count))
        self.nowhere, self.everywhere = np.zeros(count, dtype=bool), np.ones(count, dtype=bool)

    def reset(self, *, seed: Any = None, options: Any = None) -> tuple[np.ndarray, dict[str, Any]]:
        self.steps = 0
        return self.observations[0], {}

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        self.steps += 1
        ended = self.horizon and self.steps % self.horizon == 0
        now = self.steps % 64
        info = {"final_obs": self.observations[now]} if ended else {}
        return self.observations[now], self.rewards[now], self.nowhere, self.everywhere if ended else self.nowhere, info


class FreeVecEnv(VecEnv):
    """The same for Stable-Baselines3."""

    def __init__(self, count: int, horizon: int = 0) -> None:
        self.inner = Free(count, horizon)
        super().__init__(count, self.inner.single_observation_space, self.inner.single_action_space)

    def reset(self) -> np.ndarray:
        return self.inner.reset()[0]

    def step_async(self, actions: np.ndarray) -> None:
        pass

    def step_wait(self) -> tuple[Any, Any, Any, list[dict[str, Any]]]:
        observation, reward, _, cut, info = self.inner.step(None)
        ends = info.get("final_obs")
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        if ends is not None:
            infos = [{"terminal_observation": last, "TimeLimit.truncated": True} for last in ends]
        return observation, reward, cut, infos

    def close(self) -> None: ...

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        return [None] * self.num_envs

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None: ...

    def env_method(self, method_name: str, *arguments: Any, indices: Any = None, **named: Any) -> list[Any]:
        return []

    def env_is_wrapped(self, wrapper_class: Any, indices: Any = None) -> list[bool]:
        return [False] * self.num_envs


class FreeSingle(gymnasium.Env):
    """The same, one environment."""

    def __init__(self) -> None:
        self.observation_space = gymnasium.spaces.Box(-9.0, 9.0, (4,), np.float32)
        self.action_space = gymnasium.spaces.Discrete(2)
        self.at = np.ones(4, dtype=np.float32)

    def reset(self, *, seed: Any = None, options: Any = None) -> tuple[np.ndarray, dict[str, Any]]:
        return self.at, {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        return self.at, 1.0, False, False, {}


def microseconds(tasks: dict[str, Callable[[], Any]]) -> dict[str, float]:
    """The best of many short turns for each; they take turns, so that a busy machine is busy for all of them."""
    best = dict.fromkeys(tasks, float("inf"))
    for _ in range(TRIES):
        for name, task in tasks.items():
            started = time.perf_counter()
            for _ in range(TURN):
                task()
            best[name] = min(best[name], 1e6 * (time.perf_counter() - started) / TURN)
    return best


def row(name: str, ours: float, against: str = "", theirs: float | None = None) -> None:
    """One line: held to the target, or beside another library."""
    global lost
    bound = TARGET if theirs is None else theirs
    kept = ours <= bound
    lost += not kept
    beside = f"at most {TARGET:.0f} µs" if theirs is None else f"{against} {theirs:.1f} µs ({theirs / ours:.2f}x)"
    print(f"  {name:<34} {ours:7.1f} µs   {beside:<42} {'ok' if kept else 'LOST'}")


def shaped() -> ControlReward:
    return as_control_reward(None) + PotentialShaping(first, DISCOUNT)


def scaled(clip: float | None = 10.0) -> ControlReward:
    return ScaledByReturn(as_control_reward(None), DISCOUNT, clip=clip)


def check_equal() -> None:
    """The same numbers as the libraries and as the formulas."""
    actions = np.zeros(64, dtype=int)
    ours = RewardWrapper(Free(64, HORIZON), scaled(clip=None))
    theirs = gymnasium.wrappers.vector.NormalizeReward(Free(64, HORIZON), DISCOUNT)
    ours_sb3 = wrap(FreeVecEnv(64, HORIZON), scaled())
    theirs_sb3 = VecNormalize(FreeVecEnv(64, HORIZON), norm_obs=False, gamma=DISCOUNT)
    plain = RewardWrapper(Free(64, HORIZON), shaped())
    doubled = RewardWrapper(Free(64, HORIZON), twice)
    transformed = gymnasium.wrappers.vector.TransformReward(Free(64, HORIZON), twice)
    for env in (ours, theirs, ours_sb3, theirs_sb3, plain, doubled, transformed):
        env.reset()
    source = Free(64, HORIZON)
    for step in range(100):
        same("NormalizeReward", ours.step(actions)[1], theirs.step(actions)[1], 1e-4)  # it adds up in float32
        same("VecNormalize", ours_sb3.step(actions)[1], theirs_sb3.step(actions)[1], 1e-6)
        same("TransformReward", doubled.step(actions)[1], transformed.step(actions)[1], 0.0)
        now, before = (step + 1) % 64, step % 64
        expected = source.rewards[now] + DISCOUNT * first(source.observations[now]) - first(source.observations[before])
        same("the formula of shaping", plain.step(actions)[1], expected, 1e-6)
    print("equal to NormalizeReward (truncated episodes), VecNormalize, TransformReward and the formula of shaping")


def same(name: str, ours: np.ndarray, theirs: np.ndarray, tolerance: float) -> None:
    """Refuses to time what differs."""
    gap = float(np.abs(ours - theirs).max() / max(1.0, np.abs(theirs).max()))
    if not gap <= tolerance:
        raise SystemExit(f"{name}: differs by {gap:.1e}, more than {tolerance:.0e}")


def rewards_per_call(count: int) -> None:
    """What a reward takes for one step of N environments, without any wrapper."""
    env = Free(count)
    reader = TransitionReader("SameStep")
    reader.begin(env.reset()[0])
    step = env.step(None)
    actions = np.zeros(count, dtype=int)
    transitions = reader.read(actions, *step)
    rewards = {
        "a function": as_control_reward(lambda next_observation: next_observation[..., 0]),
        "potential shaping": PotentialShaping(first, DISCOUNT),
        "potential shaping, remembered": PotentialShaping(first, DISCOUNT, remember=True),
        "scaled by return": scaled(),
    }
    tasks = {name: lambda reward=reward: reward.score(transitions) for name, reward in rewards.items()}
    found = microseconds({"reading a transition": lambda: reader.read(actions, *step), **tasks})
    print(f"\n{count} environments, one call")
    for name, value in found.items():
        row(name, value)


def wrappers(count: int) -> None:
    """What a wrapper adds to a step of N environments."""
    actions = np.zeros(count, dtype=int)
    envs: dict[str, Any] = {
        "bare": Free(count),
        "function": RewardWrapper(Free(count), twice),
        "shaping": RewardWrapper(Free(count), shaped()),
        "scaling": RewardWrapper(Free(count), scaled()),
        "TransformReward": gymnasium.wrappers.vector.TransformReward(Free(count), twice),
        "NormalizeReward": gymnasium.wrappers.vector.NormalizeReward(Free(count), DISCOUNT),
        "bare SB3": FreeVecEnv(count),
        "SB3 scaling": wrap(FreeVecEnv(count), scaled()),
        "VecNormalize": VecNormalize(FreeVecEnv(count), norm_obs=False, gamma=DISCOUNT),
    }
    for env in envs.values():
        env.reset()
    found = microseconds({name: lambda env=env: env.step(actions) for name, env in envs.items()})
    added = {
        name: value - found["bare SB3" if "SB3" in name or "Vec" in name else "bare"] for name, value in found.items()
    }
    print(f"\n{count} environments, what a wrapper adds to a step")
    row("RewardWrapper, a function", added["function"], "TransformReward", added["TransformReward"])
    row("RewardWrapper, shaping", added["shaping"], "NormalizeReward", added["NormalizeReward"])
    row("RewardWrapper, scaling", added["scaling"], "NormalizeReward", added["NormalizeReward"])
    row("wrap for SB3, scaling", added["SB3 scaling"], "VecNormalize", added["VecNormalize"])


def single() -> None:
    """One environment, and eight of them in SB3's own vector."""
    envs: dict[str, Any] = {
        "bare": FreeSingle(),
        "shaping": RewardWrapper(FreeSingle(), shaped()),
        "scaling": RewardWrapper(FreeSingle(), scaled()),
        "NormalizeReward": gymnasium.wrappers.NormalizeReward(FreeSingle(), DISCOUNT),
    }
    for env in envs.values():
        env.reset()
    found = microseconds({name: lambda env=env: env.step(0) for name, env in envs.items()})
    print("\none environment, what a wrapper adds to a step")
    for name in ("shaping", "scaling"):
        row(
            f"RewardWrapper, {name}",
            found[name] - found["bare"],
            "NormalizeReward",
            found["NormalizeReward"] - found["bare"],
        )
    actions = np.zeros(8, dtype=int)
    vectors: dict[str, Any] = {
        "bare": DummyVecEnv([FreeSingle] * 8),
        "ours": wrap(DummyVecEnv([FreeSingle] * 8), scaled()),
        "VecNormalize": VecNormalize(DummyVecEnv([FreeSingle] * 8), norm_obs=False, gamma=DISCOUNT),
    }
    for env in vectors.values():
        env.reset()
    found = microseconds({name: lambda env=env: env.step(actions) for name, env in vectors.items()})
    print(f"\neight environments in DummyVecEnv, whose own step takes {found['bare']:.0f} µs")
    row("wrap, scaling", found["ours"] - found["bare"], "VecNormalize", found["VecNormalize"] - found["bare"])


def main() -> None:
    """Equality, then times."""
    check_equal()
    for count in COUNTS:
        rewards_per_call(count)
    for count in COUNTS:
        wrappers(count)
    single()
    print(f"\n{lost} rows lost" if lost else "\nno row lost")


if __name__ == "__main__":
    main()
