"""The best policy for a reward in the world as it was seen so far: exact, where few observations were seen.

What was played gives counts of (observation, action, next observation) and the mean reward of each. In the MDP of these
frequencies the optimum is exact. Actions that were never tried count as worth what the worst step would pay for ever,
or nothing where that is less: nothing is promised for what nobody saw. What such a policy earns is then measured by
playing it, so that a world that is not Markov in its observations makes it worse and never makes a finding wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from trueward.audit.control.episodes import Episodes, Observations

if TYPE_CHECKING:
    from gymnasium.spaces import Space

PLANNED = "planned on the reward"
EXPLORING = "exploring"
MOST_OBSERVATIONS = 2000
_MOST_ACTIONS = 64


@dataclass
class TablePolicy:
    """An action per observation; a random one for what was never seen.

    Attributes:
        title, family: for a reader.
        action: by number of the observation.
        first: smallest action of the space, and `count`, the number of them.
        observations: numbers of observations.
        random_share: share of the steps in which a random action is taken.
    """

    title: str
    family: str
    action: np.ndarray
    first: int
    count: int
    observations: Observations
    random_share: float = 0.0
    _generator: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0), repr=False)

    def begin(self, count: int, seed: int) -> None:
        """What was never seen is drawn from `seed` on."""
        self._generator = np.random.default_rng(seed)

    def act(self, observation: np.ndarray, step: int) -> np.ndarray:
        """The action of each observation."""
        numbers = self.observations.of(observation)
        known = (numbers < len(self.action)) & (self._generator.random(len(numbers)) >= self.random_share)
        drawn = self._generator.integers(self.count, size=len(numbers))
        return np.where(known, self.action[np.where(known, numbers, 0)], drawn) + self.first


@dataclass(frozen=True)
class Seen:
    """Every step that was seen, flat.

    Attributes:
        before, action, after: numbers [M]; actions count from 0.
        ended: True where the step led to a terminal state.
        rewards: by name, [M].
        starts: numbers of first observations, with repetitions.
        observations: S, how many there are.
        actions: A.
    """

    before: np.ndarray
    action: np.ndarray
    after: np.ndarray
    ended: np.ndarray
    rewards: dict[str, np.ndarray]
    starts: np.ndarray
    observations: int
    actions: int

    @property
    def tried(self) -> int:
        """How many pairs of observation and action were."""
        return len(np.unique(self.before * self.actions + self.action))


def can_plan(space: Space[Any], observations: Observations) -> bool:
    """Whether there are few enough actions and observations."""
    from gymnasium.spaces import Discrete

    few = len(observations.numbers) <= MOST_OBSERVATIONS
    return isinstance(space, Discrete) and int(space.n) <= _MOST_ACTIONS and few


def seen_in(played: Sequence[Episodes], space: Any, observations: Observations) -> Seen:
    """The steps of all episodes that have scores."""
    columns: dict[str, list[np.ndarray]] = {
        name: [] for name in ("before", "action", "after", "ended", "reward", "gold")
    }
    for episodes in played:
        exists = episodes.exists & np.isfinite(episodes.reward)
        if episodes.gold is not None:
            exists &= np.isfinite(episodes.gold)
        last = (np.arange(len(exists))[:, None] == episodes.lengths - 1) & episodes.terminated
        columns["before"].append(episodes.keys[:-1][exists])
        columns["after"].append(episodes.keys[1:][exists])
        columns["action"].append(episodes.actions[exists] - int(space.start))
        columns["ended"].append(last[exists])
        columns["reward"].append(episodes.reward[exists])
        columns["gold"].append((episodes.reward if episodes.gold is None else episodes.gold)[exists])
    flat = {name: np.concatenate(pieces) for name, pieces in columns.items()}
    return Seen(
        before=flat["before"],
        action=flat["action"].astype(np.int64),
        after=flat["after"],
        ended=flat["ended"],
        rewards={"reward": flat["reward"], "gold": flat["gold"]},
        starts=np.concatenate([episodes.keys[0] for episodes in played]),
        observations=len(observations.numbers),
        actions=int(space.n),
    )


def planned(
    seen: Seen, which: str, discount: float, title: str, family: str, space: Any, observations: Observations
) -> TablePolicy:
    """The policy that is optimal in the world as it was seen.

    Args:
        seen: what was seen.
        which: "reward" or "gold".
        discount: γ in [0, 1).
        title, family: of the policy.
        space: of actions.
        observations: numbers of observations.
    """
    paid = seen.rewards[which]
    untried = min(0.0, float(paid.min(initial=0.0))) / (1.0 - discount)
    action = _best_actions(seen, paid, untried, discount)
    return TablePolicy(title, family, action, int(space.start), seen.actions, observations)


def explorer(seen: Seen, seed: int, discount: float, space: Any, observations: Observations) -> TablePolicy:
    """A policy that goes to where actions were not tried yet, and takes one action in five at random."""
    action = _best_actions(seen, np.zeros(len(seen.action)), 1.0, discount)
    return TablePolicy(f"explores, {seed}", EXPLORING, action, int(space.start), seen.actions, observations, 0.2)


def _best_actions(seen: Seen, paid: np.ndarray, untried: float, discount: float) -> np.ndarray:
    """The optimal action of each observation [S], where an action that was never tried is worth `untried`, once."""
    from scipy.sparse import coo_array, csr_array

    from trueward.measures.tabular.mdp import TabularMDP
    from trueward.measures.tabular.solution import optimal

    end = seen.observations
    states, actions = end + 1, seen.actions
    row = seen.before * actions + seen.action
    # A pair that was never tried, and every pair of the terminal state, leads to the terminal state.
    missing = np.flatnonzero(np.bincount(row, minlength=states * actions) == 0)
    rows = np.concatenate([row, missing])
    following = np.concatenate([np.where(seen.ended, end, seen.after), np.full(len(missing), end)])
    counts = csr_array(coo_array((np.ones(len(rows)), (rows, following)), shape=(states * actions, states)))
    tried = np.asarray(counts.sum(axis=1)).ravel()
    frequencies = csr_array(counts.multiply((1.0 / tried)[:, None]))
    reward = np.bincount(row, paid, minlength=states * actions) / tried
    reward[missing] = untried
    start = np.bincount(seen.starts, minlength=states) / len(seen.starts)
    mdp = TabularMDP(frequencies, start, discount, np.arange(states) == end)
    return np.asarray(optimal(mdp, reward.reshape(states, actions)).policy.argmax(axis=1)[:end])
