"""Finite worlds with names.

- `task`: a world, its rewards by name, and what a policy sees.
- `random_worlds`: random MDPs and random rewards.
- `maps`: worlds drawn as text, and the transitions that moves make.
- `gridworld`: grids with walls, slipping and terminal cells; the four rewards of EPIC.
- `tomato`: the tomato world, in which a bucket looks like a watered garden.
- `reachable`: a task without the states that nobody can come to.
- `environment`: any of them as Gymnasium environments, N at once or one. Loaded when asked for, because it alone needs
  gymnasium.
"""

from typing import TYPE_CHECKING, Any

from trueward.tasks.control.tabular.gridworld import Grid, epic_gridworld, gridworld
from trueward.tasks.control.tabular.random_worlds import random_mdp, random_reward
from trueward.tasks.control.tabular.task import TabularTask, one_hot
from trueward.tasks.control.tabular.tomato import tomato, tomato_world

if TYPE_CHECKING:
    from trueward.tasks.control.tabular.environment import TabularEnv as TabularEnv
    from trueward.tasks.control.tabular.environment import TabularVectorEnv as TabularVectorEnv

__all__ = [
    "Grid",
    "TabularEnv",
    "TabularTask",
    "TabularVectorEnv",
    "epic_gridworld",
    "gridworld",
    "one_hot",
    "random_mdp",
    "random_reward",
    "tomato",
    "tomato_world",
]


def __getattr__(name: str) -> Any:
    """Loads the environments when they are asked for."""
    if name in ("TabularEnv", "TabularVectorEnv"):
        from trueward.tasks.control.tabular import environment

        return getattr(environment, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
