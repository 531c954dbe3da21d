"""The reward protocol of control: what one step of N environments earns, part by part.

A control reward is a function of transitions and of nothing else that the policy could not see. What it pays for
(`raw`) and what is optimised (`value`: shaped, normalised, with bonuses) stay side by side, so that nobody takes one
for the other. Pieces combine like the rewards of text:

    reward = as_control_reward("rewards.py:reach") + 0.1 * as_control_reward("rewards.py:upright")
    reward = reward + PotentialShaping(distance, discount=0.99)
"""

from __future__ import annotations

import abc
import copy
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from trueward.batch import Transitions
from trueward.errors import RewardError


@dataclass(frozen=True)
class StepScores:
    """What N steps earn. Rows without a transition (`Transitions.exists`) earn 0 everywhere.

    Attributes:
        value: what is optimised.
        raw: what the reward says before anything was added for the sake of learning (shaping, bonuses) or rescaled.
        parts: addends of `value` by name, weights included.
    """

    value: Float[np.ndarray, " n"]
    raw: Float[np.ndarray, " n"]
    parts: Mapping[str, Float[np.ndarray, " n"]]


class ControlReward(abc.ABC):
    """Scores one step of N environments, and combines with other rewards."""

    @property
    @abc.abstractmethod
    def name(self) -> str:
        """Name of the reward, for logs and reports."""

    @abc.abstractmethod
    def score(self, transitions: Transitions, *, training: bool = True) -> StepScores:
        """What each of N steps earns.

        Args:
            transitions: one step of each environment. The same environments must stand in the same rows at every call
                between two calls of `begin`.
            training: False while evaluating: nothing that keeps statistics may update them then.

        Raises:
            RewardError: the reward cannot be called with these transitions, or what it returned is not one finite
                number per environment.
        """

    def begin(self, count: int) -> None:
        """All environments were reset; there are `count` of them. Forgets what belongs to episodes, not statistics."""
        for piece in self.pieces():
            piece.begin(count)

    def restarted(self, rows: Bool[np.ndarray, " n"]) -> None:
        """Some environments were reset, whether their episodes were over or not. Ends of episodes need no such call."""
        for piece in self.pieces():
            piece.restarted(rows)

    def twin(self) -> ControlReward:
        """The same reward for other environments: it has episodes of its own, and shares statistics and networks.

        One reward can then serve training and evaluation: wrappers take a twin of what they are given. A reward that
        is made of others is made of their twins.
        """
        return copy.copy(self)

    def pieces(self) -> Sequence[ControlReward]:
        """Rewards that it is made of."""
        return ()

    def needs(self) -> tuple[str, ...]:
        """Names out of the environment's `info` that it reads: the features that transitions must bring along."""
        return tuple(dict.fromkeys(name for piece in self.pieces() for name in piece.needs()))

    def state_dict(self) -> dict[str, Any]:
        """Running statistics of all pieces that keep any, by their place; {} where there are none."""
        states = {str(place): piece.state_dict() for place, piece in enumerate(self.pieces())}
        return {place: state for place, state in states.items() if state}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` gave.

        Raises:
            RewardError: the state belongs to a reward of other pieces.
        """
        pieces = {str(place): piece for place, piece in enumerate(self.pieces())}
        for place, inner in state.items():
            if place not in pieces:
                raise RewardError(
                    f"{self.name}: the saved state is that of another reward: it has statistics for piece {place}, and "
                    f"there are {len(pieces)} pieces"
                )
            pieces[place].load_state_dict(inner)

    def __add__(self, other: ControlReward) -> ControlReward:
        """The sum; the parts of both stay visible."""
        return ControlSum((*_terms(self), *_terms(other)))

    def __mul__(self, factor: float) -> ControlReward:
        """Scaled by a number."""
        return ControlSum(tuple((weight * float(factor), reward) for weight, reward in _terms(self)))

    __rmul__ = __mul__


def _terms(reward: ControlReward) -> tuple[tuple[float, ControlReward], ...]:
    return reward.terms if isinstance(reward, ControlSum) else ((1.0, reward),)


@dataclass
class ControlSum(ControlReward):
    """Weighted sum: every part keeps its own name, and its values are multiplied by the weight."""

    terms: tuple[tuple[float, ControlReward], ...]

    @property
    def name(self) -> str:
        """Names of the terms, joined."""
        return "+".join(reward.name for _, reward in self.terms)

    def pieces(self) -> Sequence[ControlReward]:
        """The terms."""
        return [reward for _, reward in self.terms]

    def twin(self) -> ControlReward:
        """The sum of the twins of its terms."""
        return ControlSum(tuple((weight, reward.twin()) for weight, reward in self.terms))

    def score(self, transitions: Transitions, *, training: bool = True) -> StepScores:
        """The parts of every term, and the weighted sums of their values and of their raw values."""
        parts: dict[str, Float[np.ndarray, " n"]] = {}
        values, raws = [], []
        for weight, reward in self.terms:
            scores = reward.score(transitions, training=training)
            values.append(_weighted(weight, scores.value))
            raws.append(_weighted(weight, scores.raw))
            for name, part in scores.parts.items():
                parts[_unused(name, parts)] = _weighted(weight, part)
        return StepScores(sum(values[1:], start=values[0]), sum(raws[1:], start=raws[0]), parts)


def _weighted(weight: float, values: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    return values if weight == 1.0 else weight * values


def _unused(name: str, taken: Mapping[str, Any]) -> str:
    if name not in taken:
        return name
    return next(f"{name} {number}" for number in range(2, len(taken) + 3) if f"{name} {number}" not in taken)


def checked(values: Any, transitions: Transitions, name: str) -> Float[np.ndarray, " n"]:
    """What a reward returned, as one finite number per environment, and 0 where there was no transition.

    Raises:
        RewardError: it is anything else.
    """
    n = len(transitions)
    try:
        numbers = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise RewardError(f"{name} returned {type(values).__name__}, which is no array of numbers: {error}") from error
    if numbers.shape != (n,):
        raise RewardError(
            f"{name} returned an array of shape {numbers.shape} for {n} environments; it is called with arrays whose "
            f"first axis is the environment and must return one number for each, shape ({n},). Index the other axes "
            "from the right (observation[..., 0]), or wrap a function of single steps: per_step(function)"
        )
    if transitions.exists is not None:
        numbers = np.where(transitions.exists, numbers, 0.0)
    # The sum of squares is finite where the numbers are, unless these are huge: one pass instead of two.
    if not math.isfinite(numbers.dot(numbers)) and not np.isfinite(numbers).all():
        row = int(np.flatnonzero(~np.isfinite(numbers))[0])
        raise RewardError(
            f"{name} returned {numbers[row]} for environment {row}: a reward must be finite. Action "
            f"{np.asarray(transitions.action)[row]!r}, next observation "
            f"{np.array2string(np.asarray(transitions.next_observation)[row].ravel(), threshold=8)}"
        )
    return numbers
