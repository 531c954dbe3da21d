"""What is played without learning anything: policies that know nothing, and mixtures with ones that do.

A policy has a title that a reader understands and a family, the way in which it was made. Learned and planned policies
(`learned`, `planning`) have the same face.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

if TYPE_CHECKING:
    from gymnasium.spaces import Space

NEVER_ACTING = "never acting"
ONE_ACTION = "one action"
ROUNDS = "rounds of actions"
RANDOM = "random actions"
LEAVING_OFF = "leaving off half-way"

_MOST_ACTIONS = 20
_MOST_PAIRS = 6
_WORDS = 6
_MOST_THEN = 6
_DWELLS = (1, 5)


class Policy(Protocol):
    """What acts in N environments."""

    @property
    def title(self) -> str:
        """What it does, for a reader."""

    @property
    def family(self) -> str:
        """The way in which it was made."""

    def begin(self, count: int, seed: int) -> None:
        """Episodes begin in `count` environments; what it draws comes from `seed`."""

    def act(self, observation: np.ndarray, step: int) -> np.ndarray:
        """Actions [N, …] in step `step` of all episodes."""


@dataclass
class Program:
    """The same actions in the same order, over and over, whatever is seen.

    Attributes:
        title, family: for a reader.
        actions: A actions; step t takes number ⌊t / dwell⌋ mod A.
        dwell: steps for which each is kept.
    """

    title: str
    family: str
    actions: np.ndarray
    dwell: int = 1

    def begin(self, count: int, seed: int) -> None:
        """Nothing to draw."""

    def act(self, observation: np.ndarray, step: int) -> np.ndarray:
        """See `actions`."""
        action = self.actions[(step // self.dwell) % len(self.actions)]
        return np.repeat(action[None], len(observation), axis=0)


@dataclass
class RandomPolicy:
    """Actions drawn from the whole space."""

    space: Space[Any]
    title: str = "random actions"
    family: str = RANDOM

    def begin(self, count: int, seed: int) -> None:
        """Draws from `seed` on."""
        from gymnasium.vector.utils import batch_space

        self._actions = batch_space(self.space, count)
        self._actions.seed(seed)

    def act(self, observation: np.ndarray, step: int) -> np.ndarray:
        """One draw for each environment."""
        return np.asarray(self._actions.sample())


@dataclass
class LeavingOff:
    """Acts well for a while, and then does something else: what a reward pays on the way and near the end.

    Attributes:
        first: acts before step `leave`.
        then: acts from there on.
        leave: the step.
    """

    first: Policy
    then: Policy
    leave: int
    family: str = LEAVING_OFF

    @property
    def title(self) -> str:
        """Both titles."""
        return f"{self.leave} steps of: {self.first.title}; then: {self.then.title}"

    def begin(self, count: int, seed: int) -> None:
        """Begins both."""
        self.first.begin(count, seed)
        self.then.begin(count, seed)

    def act(self, observation: np.ndarray, step: int) -> np.ndarray:
        """That of the one whose turn it is."""
        if step < self.leave:
            return self.first.act(observation, step)
        return self.then.act(observation, step - self.leave)


def fixed_policies(space: Space[Any]) -> list[Policy]:
    """Policies that need no look at the state: no action, one action, rounds of actions, random ones.

    The same space gives the same policies in every run.
    """
    return [*steady_policies(space), *_rounds(space), RandomPolicy(space)]


def steady_policies(space: Space[Any]) -> list[Policy]:
    """No action where there is such a thing, and each single action."""
    found: list[Policy] = []
    null = null_action(space)
    if null is not None:
        found.append(Program("never acts", NEVER_ACTING, null[None]))
    for name, action in _single_actions(space):
        found.append(Program(f"always {name}", ONE_ACTION, action[None]))
    return found


def null_action(space: Space[Any]) -> np.ndarray | None:
    """The action that does nothing: zeros, where the space holds them and they are not just a name for an action."""
    from gymnasium.spaces import Box, MultiBinary

    if isinstance(space, Box):
        zeros = np.zeros(space.shape, space.dtype)
        return zeros if space.contains(zeros) else None
    return np.zeros(space.shape or (), space.dtype) if isinstance(space, MultiBinary) else None


def _single_actions(space: Space[Any]) -> Iterator[tuple[str, np.ndarray]]:
    from gymnasium.spaces import Box, Discrete, MultiBinary, MultiDiscrete

    if isinstance(space, Discrete):
        chosen = np.unique(np.linspace(0, space.n - 1, min(_MOST_ACTIONS, int(space.n))).round().astype(int))
        for number in chosen + int(space.start):
            yield f"action {number}", np.asarray(number, space.dtype)
    elif isinstance(space, Box):
        low, high = _ends(space)
        yield "the lowest action", low
        yield "the highest action", high
        if space.shape != (1,) and low.size <= _MOST_ACTIONS // 2:
            middle = np.clip(np.zeros(space.shape, space.dtype), low, high)
            for axis, (name, end) in itertools.product(range(low.size), (("lowest", low), ("highest", high))):
                action = middle.copy()
                action.flat[axis] = end.flat[axis]
                yield f"the {name} action {axis}, the others none", action
    elif isinstance(space, MultiDiscrete):
        start = np.asarray(space.start, space.dtype)
        yield "the first of each action", start
        yield "the last of each action", (start + space.nvec - 1).astype(space.dtype)
    elif isinstance(space, MultiBinary):
        yield "every action", np.ones(space.shape, space.dtype)


def _ends(space: Any) -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest action; ±1 where there is no bound."""
    low = np.where(np.isfinite(space.low), space.low, -1.0).astype(space.dtype)
    high = np.where(np.isfinite(space.high), space.high, 1.0).astype(space.dtype)
    return low, high


def _rounds(space: Space[Any]) -> Iterator[Policy]:
    """Two actions in turn, and longer words of actions."""
    singles = list(_single_actions(space))
    pairs = list(itertools.combinations(singles, 2))[:_MOST_PAIRS]
    for (first, a), (second, b) in pairs:
        for dwell in _DWELLS:
            often = "" if dwell == 1 else f", {dwell} steps each"
            yield Program(f"{first} and {second} in turn{often}", ROUNDS, np.stack([a, b]), dwell)
    if len(singles) < 3:
        return
    generator = np.random.default_rng(0)
    for length in itertools.islice(itertools.cycle((3, 4, 6)), _WORDS):
        word = generator.integers(len(singles), size=length)
        names = ", ".join(singles[place][0] for place in word)
        yield Program(f"{names}, over and over", ROUNDS, np.stack([singles[place][1] for place in word]))


def leaving_off(first: Policy, space: Space[Any], length: int, ends: bool) -> Iterator[Policy]:
    """Mixtures of a policy that does well with ones that know nothing.

    Args:
        first: does well.
        space: of actions.
        length: steps of its episodes, about.
        ends: whether they come to their own end. Where they are cut off there is no near end to leave off at, and what
            begins just before is no behaviour that would go on.
    """
    then: Sequence[Policy] = [*steady_policies(space)[:_MOST_THEN], *itertools.islice(_rounds(space), 1)]
    leaves = sorted({length // 2, length - 2, length - 1} if ends else {length // 4})
    for leave, other in itertools.product((leave for leave in leaves if leave > 0), then):
        yield LeavingOff(first, other, leave)
