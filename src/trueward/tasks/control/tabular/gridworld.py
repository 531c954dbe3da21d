"""Gridworlds from maps, with walls, slipping and terminal cells; and the four rewards of EPIC on a 3 × 3 grid.

grid = gridworld(("A..", ".#.", "..G"), slip=0.1)
reward = on_entering(grid.by_sign({"G": 10.0}, otherwise=-0.1), grid.mdp)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float, Int

from trueward.errors import RewardError
from trueward.measures.tabular import TabularMDP, shaped
from trueward.tasks.control.tabular.maps import DOWN, LEFT, RIGHT, STAY, UP, arrivals, cells_of, mixed
from trueward.tasks.control.tabular.task import TabularTask, one_hot

Slips = Literal["other", "sideways", "anywhere"]
"""Where a slip leads: where another move would, where a turn to either side would, or to any other state."""

START, TERMINAL = "A", "G"
"""Signs of cells where episodes begin, and where they end."""


@dataclass(frozen=True)
class Grid:
    """A gridworld. Actions are right, down, left, up and, where there is a fifth, stay.

    Attributes:
        mdp: the world.
        cells: row and column of each state.
        signs: sign of each state in the map.
    """

    mdp: TabularMDP
    cells: Int[np.ndarray, "s 2"]
    signs: np.ndarray

    def by_sign(self, values: Mapping[str, float], otherwise: float = 0.0) -> Float[np.ndarray, " s"]:
        """A number for each state by its sign in the map.

        Raises:
            ValueError: the map has no such sign.
        """
        if absent := set(values) - set(self.signs.tolist()):
            raise ValueError(f"the map has no cell {sorted(absent)}; its signs are {sorted(set(self.signs.tolist()))}")
        return np.array([values.get(sign, otherwise) for sign in self.signs.tolist()], dtype=np.float64)

    def distances(self, sign: str = TERMINAL) -> Float[np.ndarray, " s"]:
        """Steps from each state to the nearest cell of a sign around the walls; inf where there is no way."""
        moves = arrivals(self.cells, (RIGHT, DOWN, LEFT, UP))
        steps = np.where(self.signs == sign, 0.0, np.inf)
        while True:
            nearer = np.minimum(steps, 1.0 + steps[moves].min(axis=1))
            if np.array_equal(nearer, steps):
                return steps
            steps = nearer


def gridworld(
    rows: Sequence[str],
    *,
    discount: float = 0.99,
    slip: float = 0.0,
    slips: Slips = "other",
    stay: bool = False,
) -> Grid:
    """A world from a map.

    Args:
        rows: the map. # is a wall, A a cell where episodes begin (evenly; anywhere but in terminal cells where there is
            none), G a terminal cell; all other signs are yours to pay for.
        discount: γ.
        slip: probability that a move goes wrong.
        slips: where to.
        stay: whether there is a fifth action that stays. With slips "other" and "sideways" it never slips.

    Raises:
        ValueError: the map is none, there is nowhere to begin, or slip is no probability.
    """
    if not 0.0 <= slip <= 1.0:
        raise ValueError(f"slip is {slip}; expected a probability")
    cells, signs = cells_of(rows)
    terminal = signs == TERMINAL
    begins = signs == START if (signs == START).any() else ~terminal
    if not begins.any():
        raise ValueError("the map has no cell to begin in: every cell is terminal (G)")
    following = arrivals(cells, (RIGHT, DOWN, LEFT, UP, STAY) if stay else (RIGHT, DOWN, LEFT, UP))
    following[terminal] = np.flatnonzero(terminal)[:, None]
    transitions = mixed(_outcomes(following, slip, slips))
    if slips == "anywhere" and slip > 0:
        transitions = _anywhere(transitions, slip, terminal)
    return Grid(TabularMDP(transitions, begins / begins.sum(), discount, terminal), cells, signs)


def _outcomes(
    following: Int[np.ndarray, "s a"], slip: float, slips: Slips
) -> list[tuple[Int[np.ndarray, "s a"], float]]:
    turns = {"other": (1, 2, 3), "sideways": (1, 3), "anywhere": ()}
    if slips not in turns:
        raise ValueError(f"slips is {slips!r}; expected one of {', '.join(turns)}")
    if not turns[slips] or slip == 0:
        return [(following, 1.0)]
    outcomes = [(following, 1.0 - slip)]
    for turn in turns[slips]:
        slipped = following.copy()
        slipped[:, :4] = np.roll(following[:, :4], -turn, axis=1)
        outcomes.append((slipped, slip / len(turns[slips])))
    return outcomes


def _anywhere(transitions: Any, slip: float, terminal: Bool[np.ndarray, " s"]) -> Float[np.ndarray, "s a s"]:
    """Slips to each other state than the intended one alike."""
    certain = transitions if isinstance(transitions, np.ndarray) else transitions.toarray()
    states = len(terminal)
    slippery = np.where(certain > 0, 1.0 - slip, slip / max(states - 1, 1)).reshape(states, -1, states)
    slippery[terminal] = certain.reshape(slippery.shape)[terminal]
    return slippery


EPIC_REWARDS: dict[str, tuple[float, ...]] = {
    "sparse": (0, 0, 0, 0, 0, 0, 0, 0, 1),
    "path": (0, -1, -1, 0, 0, 0, -1, -1, 4),
    "cliff": (0, -1, -1, 0, 0, 0, -4, -4, 4),
}
"""What is paid for acting in each cell of the 3 × 3 grid, row by row."""


def epic_gridworld(true: str = "sparse", *, slippery: bool = False, discount: float = 0.99) -> TabularTask:
    """The 3 × 3 grid of EPIC with its rewards "sparse", "dense", "path" and "cliff", one of which is "true".

    Episodes begin in the upper left and never end; the goal is the lower right. "dense" orders policies as "sparse"
    does: 4 · sparse − 1 + γΦ(s') − Φ(s) with Φ = −3 · (steps to the goal). For γ → 1 that is 2 for a step towards the
    goal, −4 for one away from it, −1 for staying, and 3 for staying in the goal. The best policies of "path" and
    "cliff" agree while no move slips.

    Args:
        true: which reward is the true one.
        slippery: whether a tenth of the moves lead to another state, each alike.
        discount: γ.

    Raises:
        RewardError: there is no such reward.

    Reference:
        Gleave et al. 2021, arXiv 2006.13900, section 5 and appendix A; transitions as in Skalse et al. 2024.
    """
    grid = gridworld(("A..", "...", "..X"), discount=discount, slip=0.1 * slippery, slips="anywhere", stay=True)
    rewards: dict[str, Any] = {name: np.array(paid, dtype=np.float64) for name, paid in EPIC_REWARDS.items()}
    rewards["dense"] = shaped(4.0 * rewards["sparse"] - 1.0, -3.0 * grid.distances("X"), grid.mdp)
    if true not in rewards:
        raise RewardError(f"there is no EPIC reward {true!r}; they are {', '.join(sorted(rewards))}")
    return TabularTask(grid.mdp, {"true": rewards[true], **rewards}, one_hot(9), f"epic-{true}")
