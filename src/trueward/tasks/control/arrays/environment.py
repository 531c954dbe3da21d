"""What environments that are written as arrays have in common: time limit, resets, and what `info` says."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from typing import Any

import numpy as np
from gymnasium import Space
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from jaxtyping import Bool, Float, Shaped


class ArrayEnv(VectorEnv[np.ndarray, np.ndarray, np.ndarray], abc.ABC):
    """N environments whose states are the rows of one array.

    A subclass says how states begin, how they go on, and what is seen of them, as functions of arrays. It resets in the
    step that ends an episode (`AutoresetMode.SAME_STEP`): `info["final_obs"]` is then an array with the observations of
    all environments before any reset, and `info["final_info"]` what `features` says of them.

    Args:
        count: N.
        observation_space, action_space: of one environment.
        horizon: steps after which an episode is truncated; None for no limit.
    """

    metadata: dict[str, Any] = {"autoreset_mode": AutoresetMode.SAME_STEP, "render_modes": []}  # noqa: RUF012

    def __init__(
        self, count: int, observation_space: Space[Any], action_space: Space[Any], horizon: int | None
    ) -> None:
        self.num_envs = count
        self.single_observation_space, self.single_action_space = observation_space, action_space
        self.observation_space, self.action_space = (
            batch_space(observation_space, count),
            batch_space(action_space, count),
        )
        self.horizon = horizon
        self.state: Float[np.ndarray, "n d"] | None = None
        self.elapsed = np.zeros(count, dtype=np.int64)

    @abc.abstractmethod
    def begin(self, generator: np.random.Generator, count: int) -> Float[np.ndarray, "n d"]:
        """First states of some episodes."""

    @abc.abstractmethod
    def advance(
        self, state: Float[np.ndarray, "n d"], action: Shaped[np.ndarray, "n *action"]
    ) -> tuple[Float[np.ndarray, "n d"], Float[np.ndarray, " n"], Bool[np.ndarray, " n"]]:
        """Next states, what is paid, and which states are terminal."""

    @abc.abstractmethod
    def observe(self, state: Float[np.ndarray, "n d"]) -> Shaped[np.ndarray, "n *observation"]:
        """What is seen of states, in a new array."""

    def features(self, state: Float[np.ndarray, "n d"]) -> Mapping[str, np.ndarray]:
        """What `info` says of states; nothing by default."""
        return {}

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """New episodes everywhere."""
        super().reset(seed=seed)
        self.state = self.begin(self.np_random, self.num_envs)
        self.elapsed = np.zeros(self.num_envs, dtype=np.int64)
        return self.observe(self.state), dict(self.features(self.state))

    def step(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """One step everywhere; episodes that end begin anew.

        Raises:
            RuntimeError: there was no reset yet.
        """
        if self.state is None:
            raise RuntimeError(f"{type(self).__name__} was stepped before its first reset: call reset first")
        state, reward, terminated = self.advance(self.state, actions)
        self.elapsed += 1
        truncated = np.zeros_like(terminated) if self.horizon is None else self.elapsed >= self.horizon
        observation = self.observe(state)
        info: dict[str, Any] = dict(self.features(state))
        ended = terminated | truncated
        if ended.any():
            info |= {"final_obs": observation, "_final_obs": ended, "final_info": dict(info), "_final_info": ended}
            state = state.copy()
            state[ended] = self.begin(self.np_random, int(ended.sum()))
            self.elapsed[ended] = 0
            observation = self.observe(state)
            info |= self.features(state)
        self.state = state
        return observation, reward, terminated, truncated, info
