"""Mazes: step by step what MiniGrid itself does, seen as its state."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode
from minigrid.core.constants import OBJECT_TO_IDX
from minigrid.wrappers import FullyObsWrapper

from trueward.errors import DataError
from trueward.tasks.control.minigrid import Maze, MazeVectorEnv, states_seen
from trueward.tasks.control.stepping import Stepper

MAZES = (
    "MiniGrid-DoorKey-5x5-v0", "MiniGrid-DoorKey-8x8-v0", "MiniGrid-KeyCorridorS3R3-v0", "MiniGrid-MultiRoom-N4-S5-v1",
)  # fmt: skip
KEY_LEFT, RIGHT, FORWARD, PICK_UP, DROP, TOGGLE, DONE = range(7)


def state_of_package(env):
    """The state read from the package's own full observation."""
    grid = FullyObsWrapper(env).observation({})["image"]
    bare = env.unwrapped
    doors, things = [], []
    plain = bare.grid.encode()
    for y in range(bare.height):
        for x in range(bare.width):
            kind, _, condition = plain[x, y]
            if kind == OBJECT_TO_IDX["door"]:
                doors.append(int(condition))
            if kind in (OBJECT_TO_IDX["key"], OBJECT_TO_IDX["ball"]):
                things.append((int(kind), x + 1, y + 1))
    (place,) = np.argwhere(grid[..., 0] == OBJECT_TO_IDX["agent"])
    carried = [] if bare.carrying is None else [(OBJECT_TO_IDX[bare.carrying.type], 0, 0)]
    return [*place.tolist(), int(grid[tuple(place)][2])], doors, sorted(things + carried)


@pytest.mark.parametrize("name", MAZES)
@pytest.mark.parametrize("layout", [0, 7])
def test_each_step_is_that_of_the_package(name, layout):
    theirs, ours = gymnasium.make(name), MazeVectorEnv(name, 1, layout=layout)
    theirs.reset(seed=layout)
    ours.reset(seed=0)
    kinds = [OBJECT_TO_IDX[thing.type] for thing in ours.mazes[0].things]
    doors = len(ours.mazes[0].doors)
    generator = np.random.default_rng(layout)
    # Pick up and toggle more often than by chance, so that keys and doors are used.
    for action in generator.choice(7, 1500, p=[0.15, 0.15, 0.35, 0.12, 0.06, 0.15, 0.02]):
        _, reward, terminated, truncated, _ = theirs.step(action)
        _, paid, over, cut, info = ours.step(np.array([action]))
        ended = terminated or truncated
        assert (paid[0], over[0], cut[0]) == (pytest.approx(reward), terminated, truncated and not terminated)
        reached = info["final_info"]["state"][0] if ended else info["state"][0]
        agent, door_states, things = state_of_package(theirs)
        assert reached[:3].tolist() == agent and reached[3 : 3 + doors].tolist() == door_states
        pairs = reached[3 + doors :].reshape(-1, 2).tolist()
        assert sorted((kind, *pair) for kind, pair in zip(kinds, pairs, strict=True)) == things
        if ended:
            theirs.reset(seed=layout)
            agent, door_states, things = state_of_package(theirs)
            assert info["state"][0, :3].tolist() == agent and info["state"][0, 3 : 3 + doors].tolist() == door_states


def test_success_is_paid_what_the_package_pays():
    """A maze without doors: from the corner to the opposite corner of 3 × 3 free cells in 5 steps."""
    env = MazeVectorEnv("MiniGrid-Empty-5x5-v0", 2, layout=0)
    env.reset(seed=0)
    for action in (FORWARD, FORWARD, RIGHT, FORWARD):
        assert env.step(np.array([action, KEY_LEFT]))[1].tolist() == [0.0, 0.0]
    observation, reward, terminated, truncated, info = env.step(np.array([FORWARD, KEY_LEFT]))
    assert reward == pytest.approx([1 - 0.9 * 5 / 100, 0.0])
    assert terminated.tolist() == [True, False] and not truncated.any()
    assert info["final_info"]["state"][0].tolist() == [3, 3, 1] and info["state"][0].tolist() == [1, 1, 0]
    assert info["final_obs"][0].argmax() == 3 and observation[0].argmax() == 1


def test_an_observation_is_the_state_written_out():
    env = MazeVectorEnv("MiniGrid-DoorKey-5x5-v0", 1, layout=0)
    observation, info = env.reset(seed=0)
    x, y, direction, door, key_x, key_y = info["state"][0].tolist()
    expected = np.zeros(5 + 5 + 4 + 3)
    expected[[x, 5 + y, 10 + direction, 14 + door]] = 1
    assert observation[0].tolist() == pytest.approx([*expected, key_x / 5, key_y / 5])
    assert env.single_observation_space.contains(observation[0]) and env.state_size == 19


def test_transitions_end_in_the_last_state_of_the_episode():
    env = MazeVectorEnv("MiniGrid-DoorKey-5x5-v0", 3, layout=1, horizon=4)
    assert env.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
    stepper = Stepper(env, ("state",))
    first = stepper.reset(0)
    for _ in range(3):
        step = stepper.step(np.array([KEY_LEFT, KEY_LEFT, RIGHT]))
        assert not step.truncated.any()
    step = stepper.step(np.array([KEY_LEFT, RIGHT, RIGHT]))
    assert step.truncated.all() and step.exists is None
    direction = first[0, 10:14].argmax()
    assert step.next_observation[:, 10:14].argmax(axis=1).tolist() == [direction, (direction - 2) % 4, direction]
    assert step.features["state"][:, 2].tolist() == [direction, (direction - 2) % 4, direction]
    assert stepper.observation.tolist() == first.tolist()


def test_the_television_is_random_where_one_watches_and_dark_elsewhere():
    env = MazeVectorEnv("MiniGrid-DoorKey-8x8-v0", 64, layout=3, television=8)
    env.reset(seed=0)
    generator, lit, seen = np.random.default_rng(0), [], 0
    for _ in range(300):
        observation, _, _, _, info = env.step(generator.integers(0, 3, 64))
        watching = info["watching"] > 0
        assert not observation[~watching, env.state_size :].any()
        assert (info["state"][watching][:, :2] == env.television).all()
        lit.append(observation[watching, env.state_size :])
        seen += watching.sum()
    bits = np.concatenate(lit)
    assert seen > 200 and 0.45 < bits.mean() < 0.55 and len(np.unique(bits, axis=0)) > 100
    assert set(np.unique(bits)) == {0.0, 1.0}


def test_the_seed_decides_the_television_and_nothing_else():
    made = [MazeVectorEnv("MiniGrid-DoorKey-5x5-v0", 8, layout=3, television=4) for _ in range(3)]
    for env, seed in zip(made, (1, 1, 2), strict=True):
        env.reset(seed=seed)
    generator = np.random.default_rng(0)
    differs = False
    for _ in range(200):
        actions = generator.integers(0, 3, 8)
        one, same, other = (env.step(actions) for env in made)
        assert one[0].tolist() == same[0].tolist()
        assert one[4]["state"].tolist() == other[4]["state"].tolist()
        differs |= one[0].tolist() != other[0].tolist()
    assert differs


def test_cells_near_the_start_lie_on_this_side_of_the_door():
    maze = Maze("MiniGrid-DoorKey-8x8-v0", 3)
    column = maze.doors[0].cur_pos[0]
    cells = maze.near_cells()
    assert cells and all(x < column for x, _ in cells) and maze.env.agent_pos not in cells


def test_states_seen_by_hand():
    known = {np.array([0, 0]).tobytes()}
    states = np.array([[[0, 0], [1, 0]], [[1, 0], [1, 0]], [[2, 0], [3, 0]]])
    assert states_seen(states, known) == [2, 2, 4] and len(known) == 4


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("MiniGrid-Nowhere-v0", "has no maze 'MiniGrid-Nowhere-v0'"),
        ("CartPole-v1", "no environment of MiniGrid"),
        ("MiniGrid-ObstructedMaze-1Dlh-v0", "has boxes"),
    ],
)
def test_what_is_no_maze_is_refused_by_name(name, says):
    with pytest.raises(DataError, match=says):
        Maze(name, 0)
