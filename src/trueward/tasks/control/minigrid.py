"""Mazes of MiniGrid, many at once and fast: the package's own rules, observed as the few numbers that its state has.

A maze is one layout: the same walls, objects and start in every episode, so that states can be counted. It is stepped
by MiniGrid itself, without the view of the agent, which takes most of the time and is not asked for here.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from trueward.errors import DataError, MissingExtra

try:
    import gymnasium
    import minigrid
    from gymnasium import spaces
    from gymnasium.vector import AutoresetMode, VectorEnv
    from minigrid.core.world_object import Box, Door, WorldObj
    from minigrid.minigrid_env import MiniGridEnv
except ImportError as error:
    raise MissingExtra("the mazes need MiniGrid: pip install 'trueward[control]'") from error

_DOOR_STATES = 3  # open, closed, locked


class Maze:
    """One environment of MiniGrid with one layout, and its state as whole numbers.

    Attributes:
        env: the environment of the package, bare.
        doors: in the order of their cells.
        things: what can be carried.
    """

    def __init__(self, name: str, layout: int, horizon: int | None = None) -> None:
        """A maze at its start.

        Args:
            name: as registered by MiniGrid: `MiniGrid-DoorKey-8x8-v0`.
            layout: seed of the layout.
            horizon: steps of an episode; None for the maze's own number.

        Raises:
            DataError: there is no such maze, or it has boxes, whose contents are no part of the state here.
        """
        try:
            made = gymnasium.make(name)
        except gymnasium.error.Error as error:
            raise DataError(f"MiniGrid {minigrid.__version__} has no maze {name!r}: {error}") from error
        bare = made.unwrapped
        if not isinstance(bare, MiniGridEnv):
            raise DataError(f"{name!r} is no environment of MiniGrid; expected one such as 'MiniGrid-DoorKey-8x8-v0'")
        self.env: Any = bare
        # The rules do not read the view; making it is most of the cost of a step.
        bare.gen_obs = lambda: None  # type: ignore[method-assign]
        self.env.reset(seed=layout)
        if horizon is not None:
            self.env.max_steps = horizon
        self._cells: list[WorldObj | None] = list(self.env.grid.grid)
        if any(isinstance(cell, Box) for cell in self._cells):
            raise DataError(f"maze {name!r} has boxes: what is inside is hidden, so that its states cannot be counted")
        found: dict[int, WorldObj] = {id(cell): cell for cell in self._cells if cell is not None}
        self.doors: list[Any] = [cell for cell in found.values() if isinstance(cell, Door)]
        self.things: list[Any] = [cell for cell in found.values() if cell.can_pickup()]
        self._start = _cell(self.env.agent_pos), int(self.env.agent_dir)
        self._flags = [(door.is_open, door.is_locked) for door in self.doors]
        self._places = [_cell(thing.cur_pos) for thing in self.things]

    def restart(self) -> None:
        """Begin an episode: what `reset` with the seed of the layout leaves, without building it anew."""
        env = self.env
        env.grid.grid = list(self._cells)
        (env.agent_pos, env.agent_dir), env.carrying, env.step_count = self._start, None, 0
        for door, (is_open, is_locked) in zip(self.doors, self._flags, strict=True):
            door.is_open, door.is_locked = is_open, is_locked
        for thing, place in zip(self.things, self._places, strict=True):
            thing.cur_pos = place

    def state(self) -> list[int]:
        """x, y, direction; 0 open, 1 closed, 2 locked of each door; x + 1 and y + 1 of each thing, 0 when carried."""
        env = self.env
        numbers = [int(env.agent_pos[0]), int(env.agent_pos[1]), env.agent_dir]
        numbers += [2 if door.is_locked else 0 if door.is_open else 1 for door in self.doors]
        for thing in self.things:
            numbers += (0, 0) if thing is env.carrying else (int(thing.cur_pos[0]) + 1, int(thing.cur_pos[1]) + 1)
        return numbers

    def near_cells(self) -> list[tuple[int, int]]:
        """Free cells within reach of the start without opening a door; the start itself where there is no other."""
        start = self._start[0]
        reached, border = {start}, [start]
        while border:
            x, y = border.pop()
            for cell in ((x + 1, y), (x - 1, y), (x, y + 1), (x, y - 1)):
                if cell not in reached and self._cells[cell[1] * self.env.width + cell[0]] is None:
                    reached.add(cell)
                    border.append(cell)
        return sorted(reached - {start}) or [start]


def _cell(position: Any) -> tuple[int, int]:
    return int(position[0]), int(position[1])


class MazeVectorEnv(VectorEnv[Any, Any, Any]):
    """N copies of a maze. An observation is the state: positions and doors one-hot, things as numbers in [0, 1].

    With a television, a cell near the start, `television` entries more are random bits at every step that ends there,
    and 0 elsewhere: endless news that are worth nothing. They are no part of the state.

    `info["state"]` is the state as whole numbers (`Maze.state`), `info["watching"]` is 1 at the television. The
    reward is MiniGrid's, 1 − 0.9 · steps / horizon on success.
    """

    def __init__(self, name: str, count: int, *, layout: int, television: int = 0, horizon: int | None = None) -> None:
        """N mazes of one layout.

        Args:
            name, layout, horizon: see `Maze`.
            count: N.
            television: random bits of an observation; 0 for no television.

        Raises:
            DataError: see `Maze`.
        """
        self.metadata = {"autoreset_mode": AutoresetMode.SAME_STEP}
        self.mazes = [Maze(name, layout, horizon) for _ in range(count)]
        self.num_envs, self.render_mode = count, None
        first = self.mazes[0]
        width, height = first.env.width, first.env.height
        self.horizon = int(first.env.max_steps)
        self._sizes = [width, height, 4, *[_DOOR_STATES] * len(first.doors)]
        self._offsets = np.cumsum([0, *self._sizes[:-1]])
        self._scales = np.array([width, height] * len(first.things), dtype=np.float32)
        self.state_size = int(sum(self._sizes)) + len(self._scales)
        self.television: tuple[int, int] | None = None
        if television:
            cells = first.near_cells()
            self.television = cells[int(np.random.default_rng(layout).integers(len(cells)))]
        self._bits = television
        shape = (self.state_size + television,)
        self.single_observation_space = spaces.Box(0.0, 1.0, shape, np.float32)
        self.observation_space = spaces.Box(0.0, 1.0, (count, *shape), np.float32)
        self.single_action_space = first.env.action_space
        self.action_space = spaces.MultiDiscrete(np.full(count, len(first.env.actions)))
        self._random = np.random.default_rng(0)

    def reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Float[np.ndarray, "n d"], dict[str, Any]]:
        """Begin anew everywhere. The seed is that of the television; nothing else is random."""
        if seed is not None:
            self._random = np.random.default_rng([number or 0 for number in seed] if isinstance(seed, list) else seed)
        for maze in self.mazes:
            maze.restart()
        return self._observed()

    def step(
        self, actions: Int[np.ndarray, " n"]
    ) -> tuple[
        Float[np.ndarray, "n d"],
        Float[np.ndarray, " n"],
        Bool[np.ndarray, " n"],
        Bool[np.ndarray, " n"],
        dict[str, Any],
    ]:
        """One step of every maze; those that are over begin anew in the same step."""
        rewards = np.zeros(self.num_envs)
        terminated, truncated = np.zeros((2, self.num_envs), dtype=bool)
        for row, (maze, action) in enumerate(zip(self.mazes, np.asarray(actions).tolist(), strict=True)):
            _, rewards[row], terminated[row], truncated[row], _ = maze.env.step(action)
        truncated &= ~terminated
        observation, info = self._observed()
        ended = terminated | truncated
        if not ended.any():
            return observation, rewards, terminated, truncated, info
        over = np.flatnonzero(ended)
        for place in over:
            self.mazes[place].restart()
        fresh, after = self._observed(over)
        last = {"final_obs": observation.copy(), "final_info": dict(info), "_final_obs": ended, "_final_info": ended}
        observation[ended] = fresh
        states = {name: np.array(values, copy=True) for name, values in info.items()}
        for name, values in after.items():
            states[name][ended] = values
        return observation, rewards, terminated, truncated, {**states, **last}

    def key(self, observation: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n s"]:
        """What tells states apart: observations without the television."""
        return observation[:, : self.state_size]

    def _observed(self, rows: Int[np.ndarray, " k"] | None = None) -> tuple[Float[np.ndarray, "k d"], dict[str, Any]]:
        mazes = self.mazes if rows is None else [self.mazes[row] for row in rows]
        states = np.array([maze.state() for maze in mazes], dtype=np.int64)
        count, parts = len(mazes), len(self._sizes)
        observation = np.zeros((count, self.state_size + self._bits), dtype=np.float32)
        observation[np.arange(count)[:, None], self._offsets + states[:, :parts]] = 1.0
        observation[:, self.state_size - len(self._scales) : self.state_size] = states[:, parts:] / self._scales
        watching = np.zeros(count)
        if self.television is not None:
            here = (states[:, :2] == self.television).all(axis=1)
            bits = self._random.integers(0, 2, (count, self._bits)).astype(np.float32)
            observation[:, self.state_size :] = np.where(here[:, None], bits, 0.0)
            watching = here.astype(np.float64)
        return observation, {"state": states, "watching": watching}


def states_seen(states: Int[np.ndarray, "t n k"], known: set[bytes]) -> list[int]:
    """How many distinct states are known after each step.

    Args:
        states: `info["state"]` of steps.
        known: states from before; those that are new are added.
    """
    counts = []
    for step in np.ascontiguousarray(states):
        known.update(state.tobytes() for state in step)
        counts.append(len(known))
    return counts
