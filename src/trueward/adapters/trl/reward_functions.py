"""What `reward_funcs` may be, as one reward.

A Trueward reward, an address, a function in any convention that `as_reward` reads, a function of TRL's convention with
everything that TRL hands to it, or a list of them.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trueward.errors import RewardError, TrainingError
from trueward.rewards.base import Foreign, Reward, Sum, as_reward
from trueward.rewards.batch_functions import is_batch_function
from trueward.rewards.foreign import wrap
from trueward.rewards.references import holds, value
from trueward.rewards.runner.types import Item

COMPLETION_IDS, ENVIRONMENT = "completion_ids", "environments"
_ALL_ROWS = 2**31  # TRL calls a function once, with all rows of the process


@dataclass(frozen=True)
class TrlFunction:
    """A function of TRL's convention as a leaf that calls it as TRL's trainer does.

    Attributes:
        function: the reward.
        name: for logs.
        supplied: what the trainer hands over beside columns: its state and its two loggers.
        needs: columns for parameters without default.
        parameters: names in the signature.
        every: whether it accepts any further name.
        kind, batch, containers: as in `Leaf`.
    """

    function: Callable[..., Any]
    name: str
    supplied: Callable[[], Mapping[str, Any]]
    needs: tuple[str, ...]
    parameters: tuple[str, ...]
    every: bool
    kind: str = "trl"
    batch: int = _ALL_ROWS
    containers: tuple[str, ...] = ("text", "chat")

    def score_rows(self, rows: Sequence[Item]) -> object:
        """What the function returns for all rows together, unchanged.

        Raises:
            RewardError: a needed column is missing.
            Exception: whatever the function raises.
        """
        from trueward.rewards.awaiting import settled

        missing = [name for name in self.needs if not any(holds(row.columns, name) for row in rows)]
        if missing:
            raise RewardError(
                f"{self.name} needs {', '.join(missing)}, and the data set has no such column: "
                f"{', '.join(sorted(rows[0].columns)) if rows else 'no rows'}"
            )
        names = dict.fromkeys([*self.needs, *(name for row in rows for name in row.columns)])
        given: dict[str, Any] = {
            name: [value(row.columns, name) if holds(row.columns, name) else None for row in rows] for name in names
        }
        given |= {"prompts": [row.prompt for row in rows], "completions": [row.completion for row in rows]}
        given |= self.supplied()
        return settled(
            self.function(**{name: one for name, one in given.items() if self.every or name in self.parameters})
        )


_SUPPLIED = frozenset(
    {"prompts", "completions", COMPLETION_IDS, ENVIRONMENT, "trainer_state", "log_extra", "log_metric"}
)


def is_coroutine_function(function: Any) -> bool:
    """True for functions and callable objects that have to be awaited."""
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__)


def one_reward(given: Any, weights: Sequence[float] | None, supplied: Callable[[], Mapping[str, Any]]) -> Reward | None:
    """`reward_funcs` as one reward; None where there are none.

    Args:
        given: one reward, or a list.
        weights: of the list; TRL's `reward_weights`.
        supplied: what functions of TRL's convention get beside columns.

    Raises:
        TrainingError: there is not one weight each, or one is a network.
        RewardError: one cannot be found or called.
    """
    listed = [] if given is None else list(given) if isinstance(given, list | tuple) else [given]
    if weights is not None and len(weights) != len(listed):
        raise TrainingError(f"reward_weights has {len(weights)} numbers for {len(listed)} rewards: one each is needed")
    rewards = [_reward(one, supplied) for one in listed]
    if not rewards:
        return None
    if weights is None and len(rewards) == 1:
        return rewards[0]
    return Sum(tuple(zip([1.0] * len(rewards) if weights is None else map(float, weights), rewards, strict=True)))


def _reward(given: Any, supplied: Callable[[], Mapping[str, Any]]) -> Reward:
    if isinstance(given, Reward):
        return given
    if isinstance(given, str):
        return as_reward(given)
    if hasattr(given, "parameters") and hasattr(given, "forward"):
        raise TrainingError(
            f"{type(given).__name__} is a network, which TRL would pad and score without a status per row: give its "
            "folder or name as 'hf:NAME', or a trueward.rewards.models.learned.LearnedReward"
        )
    try:
        signature = inspect.signature(given)
    except (TypeError, ValueError):
        return as_reward(given)
    if callable(getattr(given, "score_rows", None)) or isinstance(given, type) or not is_batch_function(signature):
        return as_reward(given)
    parameters = [p for p in signature.parameters.values() if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    name = str(getattr(given, "__name__", type(given).__name__))
    function = TrlFunction(
        given,
        name,
        supplied,
        needs=tuple(p.name for p in parameters if p.default is p.empty and p.name not in _SUPPLIED),
        parameters=tuple(p.name for p in parameters),
        every=any(p.kind is p.VAR_KEYWORD for p in signature.parameters.values()),
    )
    return Foreign(wrap(function, name), None)


def environment_reward(functions: Sequence[Callable[..., Any]], names: Sequence[str]) -> Reward:
    """What environments say of their own rollouts, as TRL extracts it: one function for each kind of environment.

    They are one reward, because each row has one environment and only that one speaks.

    Args:
        functions: `(environments=[...]) -> list[float | None]`.
        names: of the kinds of environment.
    """
    from trueward.rewards.awaiting import settled

    def environment(completions: Sequence[Any], environments: Sequence[Any], **columns: Any) -> list[float | None]:
        found: list[float | None] = [None] * len(completions)
        for function in functions:
            said = settled(function(environments=list(environments)))
            found = [one if before is None else before for before, one in zip(found, said, strict=True)]
        return found

    environment.__name__ = " or ".join(names)
    return _reward(environment, dict)
