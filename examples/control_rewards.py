r"""Rewards of control as people write them: five with a flaw, each beside the mended one, and what is really wanted.

    trueward audit examples/control_rewards.py:near_the_goal --env CliffWalking-v1 \
        --gold examples/control_rewards.py:arrived

In CliffWalking-v1 an observation is the number of a cell, 12 to a row of 4 rows. The episode begins at the bottom left
and ends at the bottom right; between them is the cliff, from which one starts again.
"""

from __future__ import annotations

import numpy as np

DISCOUNT = 0.99
START, GOAL, COLUMNS = 36, 47, 12
CHECKPOINT = 30  # half-way, in the row above the cliff
FARTHEST = 14.0


def steps_to_goal(cell):
    row, column = np.divmod(cell, COLUMNS)
    return (3 - row) + (11 - column)


def arrived(next_observation):
    """What is wanted: to be at the goal, soon."""
    return (next_observation == GOAL).astype(float)


# Loitering: whoever is near the goal is paid for every step, whoever arrives is paid no more.
def near_the_goal(next_observation):
    return 1.0 - steps_to_goal(next_observation) / FARTHEST


def nearer_to_the_goal(observation, next_observation):
    """Pays for coming nearer, and takes it back for going away."""
    progress = steps_to_goal(observation) - DISCOUNT * steps_to_goal(next_observation)
    return progress / FARTHEST + arrived(next_observation)


# A cycle of positive reward: the checkpoint pays every time.
def checkpoint(next_observation):
    return 0.2 * (next_observation == CHECKPOINT) + arrived(next_observation)


def checkpoint_as_potential(observation, next_observation, terminated):
    """Having come as far as the checkpoint is worth something, and leaving it behind to the left costs that again."""

    def worth(cell):
        return 0.2 * (cell % COLUMNS >= CHECKPOINT % COLUMNS)

    return DISCOUNT * worth(next_observation) * ~terminated - worth(observation) + arrived(next_observation)


# Seeking the end: in CartPole-v1 every step costs, so the pole had better fall at once.
def steady_cart(next_observation):
    position, _, angle, _ = np.moveaxis(next_observation, -1, 0)
    return -0.1 - np.abs(angle) - 0.1 * np.abs(position)


def steady_standing_cart(next_observation, terminated):
    """Standing pays more than being unsteady can cost."""
    return 1.0 + steady_cart(next_observation) - 1.0 * terminated


def balanced(terminated):
    """What is wanted of CartPole-v1: that the pole stands."""
    return 1.0 - terminated


# Saturation: the sensor of distance reads at most half of the way, and is full from there on.
def saturated_sensor(next_observation):
    return np.minimum(next_observation % COLUMNS, 6) / 6.0


def whole_sensor(observation, next_observation, terminated):
    """A sensor of the whole way, and the difference of its readings in place of the reading."""

    def reading(cell):
        return (cell % COLUMNS) / 11.0

    return DISCOUNT * reading(next_observation) * ~terminated - reading(observation) + arrived(next_observation)


# Shaping that forgets the discount, in units that drown the task.
def unnormalised_shaping(observation, next_observation, terminated):
    def potential(cell):
        return 10.0 * (FARTHEST - steps_to_goal(cell))

    shaping = potential(next_observation) * ~terminated - potential(observation)
    return {"arrived": arrived(next_observation), "shaping": shaping}


def normalised_shaping(observation, next_observation, terminated):
    def potential(cell):
        return (FARTHEST - steps_to_goal(cell)) / FARTHEST

    shaping = DISCOUNT * potential(next_observation) * ~terminated - potential(observation)
    return {"arrived": arrived(next_observation), "shaping": shaping}
