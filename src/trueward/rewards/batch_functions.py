"""Rewards in the convention of TRL: one call for the whole batch, a list per argument."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from trueward.rewards.awaiting import settled
from trueward.rewards.references import holds, text_of, value, with_aliases
from trueward.rewards.runner.types import Item
from trueward.rewards.tokens import encode

# What TRL's GRPO trainer hands to every function, and what only to those that name it.
_ALWAYS = ("prompts", "completions", "completion_ids", "trainer_state", "log_extra", "log_metric")
_WHEN_NAMED = ("prompt", "prompt_ids", "environments")
# A data column of one of these names never reaches the reward.
_RESERVED = frozenset({*_ALWAYS, *_WHEN_NAMED, "completion"})


@dataclass(frozen=True)
class BatchFunction:
    """A function `reward(completions, **columns) -> list[float | None]`, sync or async.

    Attributes:
        function: the reward.
        name: for readers.
        parameters: names in its signature.
        every: whether it accepts any further column.
        needs: columns for its parameters without default.
        aliases: needed column → column that stands for it.
        kind, containers: as in `Leaf`.
    """

    function: Callable[..., Any]
    name: str
    parameters: tuple[str, ...]
    every: bool
    needs: tuple[str, ...]
    aliases: Mapping[str, str] = field(default_factory=dict)
    kind: str = "trl"
    containers: tuple[str, ...] = ("text", "chat")

    @property
    def takes(self) -> tuple[str, ...] | None:
        """Parameters that it accepts; None when it accepts every column."""
        return None if self.every else self.parameters

    @property
    def stand_ins(self) -> tuple[str, ...]:
        """Parameters that it names and that come from the stand-in tokenizer."""
        return tuple(name for name in self.parameters if name in ("completion_ids", "prompt_ids"))

    def score_rows(self, rows: Sequence[Item]) -> object:
        """What the reward returns for all rows together, unchanged.

        Raises:
            RewardError: a needed column is missing.
            Exception: whatever the reward raises.
        """
        return settled(self.function(**self.arguments(rows)))

    def arguments(self, rows: Sequence[Item]) -> dict[str, Any]:
        """Keyword arguments for N rows, as TRL's GRPO trainer builds them: a list of N per column."""
        columns = [with_aliases(self.needs, row.columns, self.aliases) for row in rows]
        # A nested ground_truth is no column of its own, but a function may name it.
        names = dict.fromkeys([*self.needs, *(name for row in columns for name in row)])
        arguments: dict[str, Any] = {
            name: [value(row, name) if holds(row, name) else None for row in columns]
            for name in names
            if name not in _RESERVED and (self.every or name in self.parameters)
        }
        for name in _ALWAYS + _WHEN_NAMED:
            if name in self.parameters or (self.every and name in _ALWAYS):
                arguments[name] = _supplied(name, rows)
        return arguments


def _supplied(name: str, rows: Sequence[Item]) -> Any:
    if name in ("prompts", "prompt"):
        return [row.prompt for row in rows]
    if name == "completions":
        return [row.completion for row in rows]
    if name == "completion_ids":
        return [encode(text_of(row.completion)) for row in rows]
    if name == "prompt_ids":
        return [encode(text_of(row.prompt)) for row in rows]
    if name == "trainer_state":
        return SimpleNamespace(global_step=0, max_steps=1, epoch=0.0)
    return None if name == "environments" else _ignored


def _ignored(*args: Any, **kwargs: Any) -> None:
    """Logs nothing: there is no trainer."""


def is_batch_function(signature: inspect.Signature) -> bool:
    """True for functions that take all completions of a batch."""
    return "completions" in signature.parameters or "completion_ids" in signature.parameters


def batch_function(
    function: Callable[..., Any], name: str, signature: inspect.Signature, aliases: Mapping[str, str]
) -> BatchFunction:
    """Wrap a function for which `is_batch_function` holds."""
    parameters, every, needs = declared(signature, _RESERVED, aliases)
    return BatchFunction(function, name, parameters, every, needs, aliases)


def declared(
    signature: inspect.Signature, given: Collection[str], aliases: Mapping[str, str]
) -> tuple[tuple[str, ...], bool, tuple[str, ...]]:
    """What a function asks for by its signature.

    Args:
        signature: of the function.
        given: parameters that are no columns: every row has them.
        aliases: needed column → column that stands for it.

    Returns:
        Its parameters; whether it accepts any further column; columns that must be there.
    """
    parameters = [p for p in signature.parameters.values() if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    required = (p.name for p in parameters if p.default is p.empty and p.name not in given)
    return (
        tuple(p.name for p in parameters),
        any(p.kind is p.VAR_KEYWORD for p in signature.parameters.values()),
        tuple(aliases.get(wanted, wanted) for wanted in required),
    )
