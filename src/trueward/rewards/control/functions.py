"""Control rewards that a user wrote as a function, and the one that the environment itself pays.

A function takes what it names: any of `observation`, `action`, `next_observation`, `reward` (the environment's own),
`terminated`, `truncated`, and names out of the environment's `info`, each with the environments along the first axis;
or one argument, the whole `Transitions`. It returns one number per environment, or several under names (parts, summed).

    def upright(next_observation):
        return np.cos(next_observation[..., 2])
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from trueward.batch import Transitions
from trueward.errors import RewardError
from trueward.rewards.address import load_object
from trueward.rewards.control.base import ControlReward, StepScores, checked

FIELDS = ("observation", "action", "reward", "next_observation", "terminated", "truncated")
_CLOSE = 1e-6  # relative: a batched product may round otherwise than a single one


@dataclass
class EnvironmentReward(ControlReward):
    """What the environment itself pays."""

    @property
    def name(self) -> str:
        """For logs."""
        return "environment"

    def score(self, transitions: Transitions, *, training: bool = True) -> StepScores:
        """The environment's own reward, as one part."""
        values = checked(transitions.reward, transitions, "the environment")
        return StepScores(values, values, {self.name: values})


@dataclass
class FunctionReward(ControlReward):
    """A function of transitions.

    Before its first batch counts, its rows are scored one by one as well and must come out the same: a function that
    was written for single steps may return the right shape by chance and pay for the wrong thing.

    Attributes:
        function: see the module's docstring.
        label: its name.
        takes: what it is called with; () for the whole transitions.
    """

    function: Callable[..., Any]
    label: str
    takes: tuple[str, ...]
    tested: bool = field(default=False, compare=False)

    @property
    def name(self) -> str:
        """Name of the function."""
        return self.label

    def needs(self) -> tuple[str, ...]:
        """What it takes out of the environment's `info`."""
        return tuple(name for name in self.takes if name not in FIELDS)

    def score(self, transitions: Transitions, *, training: bool = True) -> StepScores:
        """One part per name that the function returned; one under its own name where it returned an array.

        Raises:
            RewardError: a name is missing, the function raised, or its rows depend on each other.
        """
        scores = self._scored(transitions)
        if not self.tested and len(transitions) > 1:
            self._compare(transitions, scores)
            self.tested = True
        return scores

    def _scored(self, transitions: Transitions) -> StepScores:
        try:
            returned = self._called(transitions)
        except RewardError:
            raise
        except Exception as error:
            raise RewardError(
                f"{self.label} raised {type(error).__name__}: {error}. It is called with arrays whose first axis is "
                "the environment; wrap a function of single steps: per_step(function)"
            ) from error
        if isinstance(returned, Mapping):
            parts = {
                str(name): checked(values, transitions, f"{self.label}[{name!r}]") for name, values in returned.items()
            }
            if not parts:
                raise RewardError(f"{self.label} returned an empty mapping; expected at least one named part")
            value = np.sum(list(parts.values()), axis=0)
        else:
            value = checked(returned, transitions, self.label)
            parts = {self.label: value}
        return StepScores(value, value, parts)

    def _called(self, transitions: Transitions) -> Any:
        if not self.takes:
            return self.function(transitions)
        given = {}
        for name in self.takes:
            if name in FIELDS:
                given[name] = getattr(transitions, name)
            elif name in transitions.features:
                given[name] = transitions.features[name]
            else:
                known = ", ".join((*FIELDS, *transitions.features))
                raise RewardError(f"{self.label} asks for {name!r}, which is not there; it can have: {known}")
        return self.function(**given)

    def _compare(self, transitions: Transitions, together: StepScores) -> None:
        for row in range(len(transitions)):
            if transitions.exists is not None and not transitions.exists[row]:
                continue
            alone = self._scored(_row(transitions, row)).value[0]
            if not np.isclose(alone, together.value[row], rtol=_CLOSE, atol=_CLOSE):
                raise RewardError(
                    f"{self.label} pays environment {row} {together.value[row]:.6g} in a batch of {len(transitions)} "
                    f"and {alone:.6g} alone: its rows depend on each other. Its arrays have the environment as first "
                    "axis: index the others from the right (observation[..., 0]) and reduce over axis -1, or wrap a "
                    "function of single steps: per_step(function)"
                )


def _row(transitions: Transitions, row: int) -> Transitions:
    one = {name: np.asarray(getattr(transitions, name))[row : row + 1] for name in FIELDS}
    features = {name: values[row : row + 1] for name, values in transitions.features.items()}
    return dataclasses.replace(transitions, **one, exists=None, features=features)


def per_step(function: Callable[..., float]) -> Callable[..., Any]:
    """A function of single steps as one of batches: called once per environment, in Python.

    Args:
        function: takes the same names without the first axis, and returns one number.

    Example:
        >>> import numpy as np
        >>> per_step(lambda action: float(action[0]))(action=np.array([[1.0, 2.0], [3.0, 4.0]]))
        array([1., 3.])
    """
    names = _parameters(function)
    if not names:
        raise RewardError(f"per_step needs a function that names what it takes, any of {', '.join(FIELDS)}")

    def batched(**arrays: Any) -> np.ndarray:
        rows = zip(*(arrays[name] for name in names), strict=True)
        return np.array([float(function(**dict(zip(names, row, strict=True)))) for row in rows])

    batched.__name__ = getattr(function, "__name__", "reward")
    batched.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY) for name in names]
    )
    return batched


def _parameters(function: Callable[..., Any]) -> tuple[str, ...]:
    """Names that a function takes; () for one that takes the whole transitions.

    Raises:
        RewardError: it takes *args or **kwargs, or its parameters cannot be read.
    """
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError) as error:
        raise RewardError(f"{function!r} has no parameters that can be read: {error}") from error
    named = [p for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    names = tuple(p.name for p in named if p.default is p.empty or p.name in FIELDS)
    if len(named) < len(parameters) or not names:
        raise RewardError(
            f"{getattr(function, '__name__', function)!s}{inspect.signature(function)} does not say what it takes; "
            f"name any of {', '.join(FIELDS)}, or take one argument: transitions"
        )
    if names == ("transitions",):
        return ()
    if any(p.kind is p.POSITIONAL_ONLY for p in named):
        raise RewardError(f"{getattr(function, '__name__', function)!s}: parameters must be usable by name")
    return names


def as_control_reward(reward: Any) -> ControlReward:
    """Any control reward as a Trueward one.

    Args:
        reward: None (the environment's own reward), an address ("rewards.py:reach"), a function (see the module's
            docstring), or a `ControlReward`, which is returned as it is.

    Raises:
        RewardError: it cannot be found or called.
    """
    if reward is None:
        return EnvironmentReward()
    found = load_object(reward) if isinstance(reward, str) else reward
    if isinstance(found, ControlReward):
        return found
    if not callable(found):
        raise RewardError(f"{reward!r} is of type {type(found).__name__}; expected a function of transitions")
    label = str(getattr(found, "__name__", None) or type(found).__name__)
    return FunctionReward(found, label, _parameters(found))
