"""Tabular tasks as Gymnasium vector environments: N episodes at once, in arrays.

One draw and one search in cumulative probabilities make the next states of all episodes, so that a step costs some tens
of microseconds whatever N is.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import Env, spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from jaxtyping import Bool, Float, Int

from trueward.errors import TrainingError
from trueward.measures.tabular import successors
from trueward.tasks.control.tabular.task import TabularTask


class TabularVectorEnv(VectorEnv[Any, Any, Any]):
    """N copies of a tabular task. It resets in the step that ends an episode (`AutoresetMode.SAME_STEP`).

    An episode is terminated in a terminal state and truncated at the horizon, never both. `info` has the states before
    and after the step as "state" and "next_state"; where an episode ended, "next_state" is its last state, and not the
    first of the next one.

    Attributes:
        task: the task.
        states: where each copy is now.
    """

    metadata = {"render_modes": [], "autoreset_mode": AutoresetMode.SAME_STEP}  # noqa: RUF012

    def __init__(
        self,
        task: TabularTask,
        count: int,
        reward: str = "proxy",
        horizon: int | None = None,
        seed: int | None = None,
    ) -> None:
        """Sets up the copies; `reset` begins.

        Args:
            task: the world, and what is paid in it.
            count: N, number of copies.
            reward: name of the reward that `step` pays.
            horizon: steps after which an episode is cut off; None for the task's own.
            seed: of the draws; `reset(seed=…)` overrides it.

        Raises:
            RewardError: the task has no such reward.
            TrainingError: no copies, or a horizon below 1.
        """
        if count < 1 or (horizon is not None and horizon < 1):
            raise TrainingError(f"expected at least one copy and a horizon of at least 1; got {count} and {horizon}")
        mdp, steps = task.mdp, successors(task.mdp)
        self.task = task
        self.num_envs = count
        self.horizon = task.horizon if horizon is None else horizon
        self._observations = np.ascontiguousarray(task.observations, dtype=np.float32)
        self.single_observation_space = spaces.Box(
            self._observations.min(axis=0), self._observations.max(axis=0), dtype=np.float32
        )
        self.single_action_space = spaces.Discrete(mdp.actions)
        self.observation_space = batch_space(self.single_observation_space, count)
        self.action_space = batch_space(self.single_action_space, count)
        self._actions = mdp.actions
        self._terminal = mdp.terminal
        self._next_state = steps.next_state
        self._paid = np.where(mdp.terminal[steps.state], 0.0, steps.reward(task.reward(reward)))
        self._first, self._last = steps.begins[:-1], steps.begins[1:] - 1
        self._certain = bool((self._first == self._last).all())
        self._cumulative = _stacked(steps.probability, steps.begins, steps.row)
        self._starts = np.flatnonzero(mdp.start)
        self._start_cumulative = np.cumsum(mdp.start[self._starts])
        self.states = np.zeros(count, dtype=np.int64)
        self._elapsed = np.zeros(count, dtype=np.int64)
        self._begun = False
        if seed is not None:
            super().reset(seed=seed)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Float[np.ndarray, "n d"], dict[str, Any]]:
        """Begins an episode in every copy."""
        super().reset(seed=seed)
        self.states = self._draw_starts(self.num_envs)
        self._elapsed[:] = 0
        self._begun = True
        return self._observations[self.states], {}

    def step(
        self, actions: Int[np.ndarray, " n"]
    ) -> tuple[
        Float[np.ndarray, "n d"],
        Float[np.ndarray, " n"],
        Bool[np.ndarray, " n"],
        Bool[np.ndarray, " n"],
        dict[str, Any],
    ]:
        """Takes one action in every copy.

        Raises:
            TrainingError: there was no reset, or an action is none.
        """
        actions = np.asarray(actions)
        self._check(actions)
        before = self.states
        entry = self._draw_steps(before * self._actions + actions)
        after = self._next_state[entry]
        self._elapsed += 1
        terminated = self._terminal[after]
        truncated = np.zeros_like(terminated) if self.horizon is None else (self._elapsed >= self.horizon) & ~terminated
        info: dict[str, Any] = {"state": before, "next_state": after}
        over = terminated | truncated
        now = after
        if over.any():
            info["final_obs"], info["_final_obs"] = self._observations[after], over
            info["final_info"], info["_final_info"] = {"state": before, "next_state": after}, over
            now = after.copy()
            now[over] = self._draw_starts(int(over.sum()))
            self._elapsed[over] = 0
        self.states = now
        return self._observations[now], self._paid[entry], terminated, truncated, info

    def _check(self, actions: np.ndarray) -> None:
        if not self._begun:
            raise TrainingError("the environment was stepped before its first reset: call reset first")
        if actions.shape != (self.num_envs,) or actions.dtype.kind not in "iu":
            raise TrainingError(
                f"actions have shape {actions.shape} and type {actions.dtype}; expected {self.num_envs} integers"
            )
        if actions.min() < 0 or actions.max() >= self._actions:
            raise TrainingError(f"actions must lie in 0…{self._actions - 1}; got {actions.min()}…{actions.max()}")

    def _draw_steps(self, rows: Int[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
        if self._certain:
            certain: np.ndarray = self._first[rows]
            return certain
        drawn = np.searchsorted(self._cumulative, rows + self.np_random.random(len(rows)), side="right")
        # Probabilities of a row may sum to a little less than 1.
        entry: np.ndarray = np.clip(drawn, self._first[rows], self._last[rows])
        return entry

    def _draw_starts(self, count: int) -> Int[np.ndarray, " n"]:
        if len(self._starts) == 1:
            return np.repeat(self._starts, count)
        drawn = np.searchsorted(self._start_cumulative, self.np_random.random(count), side="right")
        return self._starts[np.minimum(drawn, len(self._starts) - 1)]


def _stacked(
    probability: Float[np.ndarray, " m"], begins: Int[np.ndarray, " r"], row: Int[np.ndarray, " m"]
) -> Float[np.ndarray, " m"]:
    """Cumulative probabilities within each row, plus the number of the row: one ascending list for all rows."""
    summed = np.cumsum(probability)
    before = np.concatenate([[0.0], summed])[begins[:-1]]
    stacked: np.ndarray = row + np.minimum(summed - before[row], 1.0)
    return stacked


class TabularEnv(Env[Any, Any]):
    """One copy of a tabular task, for libraries that make their own vectors.

    Attributes:
        copies: the vector environment of one copy that it is.
    """

    metadata = {"render_modes": []}  # noqa: RUF012

    def __init__(
        self, task: TabularTask, reward: str = "proxy", horizon: int | None = None, seed: int | None = None
    ) -> None:
        """Sets up the task; see `TabularVectorEnv`.

        Raises:
            RewardError: the task has no such reward.
            TrainingError: a horizon below 1.
        """
        self.copies = TabularVectorEnv(task, 1, reward, horizon, seed)
        self.observation_space = self.copies.single_observation_space
        self.action_space = self.copies.single_action_space

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Float[np.ndarray, " d"], dict[str, Any]]:
        """Begins an episode."""
        super().reset(seed=seed)
        observation, _ = self.copies.reset(seed=seed)
        return observation[0], {}

    def step(self, action: Any) -> tuple[Float[np.ndarray, " d"], float, bool, bool, dict[str, Any]]:
        """Takes one action.

        Raises:
            TrainingError: there was no reset, or the action is none.
        """
        observation, reward, terminated, truncated, info = self.copies.step(np.asarray(action).reshape(1))
        seen = info.get("final_obs", observation)
        states = {"state": int(info["state"][0]), "next_state": int(info["next_state"][0])}
        return seen[0], float(reward[0]), bool(terminated[0]), bool(truncated[0]), states
