"""The reward that verl's configuration names, and what `reward.trueward` sets for it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

from trueward.adapters.verl.settings import refuse_unknown, section
from trueward.batch import Rollouts
from trueward.errors import TrainingError
from trueward.rewards.base import Foreign, Reward, as_reward
from trueward.rewards.foreign import demands_of
from trueward.rewards.runner import InProcess, Runner, WorkerPool
from trueward.rewards.transforms.bounded import Elementwise
from trueward.rewards.transforms.length import Overlong

_ALONE = (Elementwise, Overlong)  # transforms that give a row the same reward in any company
_BACKSTOP = 1.2  # a worker waits longer than the reward's own clock


@dataclass(frozen=True)
class RewardSettings:
    """What `reward.trueward` may set.

    Attributes:
        workers: processes in which each of verl's reward workers lets the reward run; 0 to run it in verl's own.
        deadline: seconds for one answer.
        memory_mb: resident memory of one of those processes.
        low, high: range of the scores, where a function is given that declares none.
        unscored: what verl gets for a row that could not be scored, where its estimator is not one of Trueward's and
            a reward that is not a number would destroy the run.
        segment: `file.py:name` of a function from rollouts to the step of each token, for rewards of steps.
        self_test: False for none; else right, wrong, prompt and columns of one known case.
        under_trueward_trainer: set by Trueward's trainers.
    """

    workers: int = 1
    deadline: float = 5.0
    memory_mb: float = 2048
    low: float | None = None
    high: float | None = None
    unscored: float | None = None
    segment: str | None = None
    self_test: bool | Mapping[str, Any] = True
    under_trueward_trainer: bool = False

    @property
    def segmenter(self) -> Callable[[Rollouts], Any] | None:
        """The function that cuts rollouts into steps."""
        if self.segment is None:
            return None
        path, colon, name = self.segment.rpartition(":")
        if not colon:
            raise TrainingError(f"reward.trueward.segment={self.segment!r} must be file.py:name or pkg://module:name")
        function: Callable[[Rollouts], Any] = _object(path, name)
        return function


def settings_of(config: Any) -> RewardSettings:
    """What the user set for the reward.

    Raises:
        TrainingError: an unknown setting.
    """
    given = section(config.reward)
    refuse_unknown(given, (field.name for field in fields(RewardSettings)), "reward.trueward")
    return RewardSettings(**given)


def reward_of(config: Any) -> Reward:
    """The reward at `reward.custom_reward_function`: a Trueward reward, or a function in any known convention.

    Raises:
        TrainingError: none is named, or arguments are set for a Trueward reward, which takes none.
        RewardError: it cannot be called.
    """
    named = section(config.reward, "custom_reward_function")
    path, name = named.get("path"), named.get("name")
    if not path or not name:
        raise TrainingError(
            "reward.reward_manager.name=trueward scores with the reward at reward.custom_reward_function.path and "
            ".name: give the file (or pkg://module) and the name of a function or of a Trueward reward in it"
        )
    found, arguments = _object(path, name), dict(named.get("reward_kwargs") or {})
    settings = settings_of(config)
    if isinstance(found, Reward):
        if arguments:
            raise TrainingError(f"{name} is a Trueward reward and takes no reward_kwargs: {', '.join(arguments)}")
        return found
    if arguments:
        given = functools.partial(found, **arguments)
        functools.update_wrapper(given, found)
        return as_reward(given, low=settings.low, high=settings.high)
    place = path.removeprefix("file://").removeprefix("pkg://")
    place = place.replace("/", ".") if path.startswith("pkg://") else place
    return as_reward(f"{place}:{name}", low=settings.low, high=settings.high)


def runner_of(settings: RewardSettings, reward: Reward) -> Runner:
    """Where the leaves of the reward run: processes with limits, or verl's own."""
    leaves = [leaf for leaf in leaves_of(reward) if isinstance(leaf, Foreign)]
    if settings.workers == 0:
        return InProcess({leaf.address: leaf.leaf for leaf in leaves if leaf.address is not None})
    asked = [demands_of(leaf.leaf) for leaf in leaves]
    return WorkerPool(
        min([settings.workers, *(one.most_workers for one in asked if one.most_workers is not None)]),
        max([settings.deadline, *(_BACKSTOP * one.seconds for one in asked)]),
        settings.memory_mb + sum(one.weights_mb for one in asked),
    )


def leaves_of(reward: Reward) -> list[Reward]:
    """The rewards that it is made of and that are not made of others."""
    found: list[Reward] = []

    def keep(leaf: Reward) -> Reward:
        found.append(leaf)
        return leaf

    reward.with_leaves(keep)
    return found


def undeclared(reward: Reward) -> list[str]:
    """Names of leaves that do not say what their lowest score is."""
    return [leaf.name for leaf in leaves_of(reward) if isinstance(leaf, Foreign) and leaf.low is None]


def needs_batch(reward: Reward) -> list[str]:
    """Names of transforms that look at other rows or keep statistics, so that a row alone cannot be scored."""
    return [_name(piece) for piece in _pieces(reward) if not isinstance(piece, (Reward, *_ALONE))]


def _pieces(reward: Any) -> Iterator[Any]:
    for piece in reward.pieces() if isinstance(reward, Reward) else ():
        yield piece
        yield from _pieces(piece)


def _name(piece: Any) -> str:
    return str(getattr(piece, "name", type(piece).__name__))


def _object(path: str, name: str) -> Any:
    from verl.utils.import_utils import load_extern_object

    return load_extern_object(path, name)
