"""Rewards that nobody here wrote, called under their own conventions.

Recognised by signature: functions of images (`image_functions`), TRL's functions (`batch_functions`), verl's
`compute_score` and plain `(completion, answer)` functions (`row_functions`). reasoning-gym sets have no function of
their own and are found by address (`reasoning_gym`), models by their path (`models`), servers by their URL (`remote`).
Anything with a method `score_rows` is a leaf already.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from trueward.errors import RewardError
from trueward.rewards.batch_functions import batch_function, is_batch_function
from trueward.rewards.image_functions import image_function, is_image_function
from trueward.rewards.references import alias as alias
from trueward.rewards.row_functions import row_function
from trueward.rewards.runner.types import Demands, Item

_FACTORY_NAME = re.compile(r"(get|make|build|create|new)_|.*_factory$")


class Leaf(Protocol):
    """A reward that cannot be taken apart: what a worker loads and calls.

    It may also have `demands` (see `Demands`), where it is no rule, and a method `prepare` that loads what takes long
    before the first call.

    Attributes:
        name: for readers and logs.
        kind: "trl", "verl", "function", "image", "reasoning_gym", "model", "remote" or "trueward".
        needs: columns that every row must have.
        takes: names that it accepts; None when it accepts every column.
        containers: what a completion may be: "text" and "chat" (a list with one assistant message), or "image".
        stand_ins: parameters that get ids of a stand-in tokenizer, because no model is there.
    """

    @property
    def name(self) -> str:
        """For readers and logs."""
        ...

    @property
    def kind(self) -> str:
        """Which convention it follows."""
        ...

    @property
    def needs(self) -> tuple[str, ...]:
        """Columns that every row must have."""
        ...

    @property
    def takes(self) -> tuple[str, ...] | None:
        """Names that it accepts; None for every column."""
        ...

    @property
    def containers(self) -> tuple[str, ...]:
        """What a completion may be."""
        ...

    @property
    def stand_ins(self) -> tuple[str, ...]:
        """Parameters filled by the stand-in tokenizer."""
        ...

    def score_rows(self, rows: Sequence[Item]) -> object:
        """Scores of N rows together, exactly as the reward returned them: count and types are not checked here.

        Returns:
            One entry per row: a finite number; None where it abstains; a `Status` that is not ok, alone or in a pair
            with one line that says why, where it can tell what keeps it from scoring the row: `UNPARSABLE` for an
            answer that it cannot read, `UNAVAILABLE` for a server that did not answer. Anything else is a bug in the
            reward and gets the status of one.

        Raises:
            RewardError: it cannot be called with these rows, because a column is missing.
            Exception: whatever the reward raises.
        """
        ...


@dataclass(frozen=True)
class Given:
    """An object that has `score_rows`, with what it does not say about itself filled in."""

    reward: Any
    name: str

    @property
    def kind(self) -> str:
        """As the object says, else "trueward"."""
        return str(getattr(self.reward, "kind", "trueward"))

    @property
    def needs(self) -> tuple[str, ...]:
        """As the object says, else nothing."""
        return tuple(getattr(self.reward, "needs", ()))

    @property
    def takes(self) -> tuple[str, ...] | None:
        """As the object says, else every column."""
        takes = getattr(self.reward, "takes", None)
        return None if takes is None else tuple(takes)

    @property
    def containers(self) -> tuple[str, ...]:
        """As the object says, else text."""
        return tuple(getattr(self.reward, "containers", ("text",)))

    @property
    def stand_ins(self) -> tuple[str, ...]:
        """As the object says, else none."""
        return tuple(getattr(self.reward, "stand_ins", ()))

    @property
    def demands(self) -> Demands:
        """As the object says, with its own `batch` where it has one."""
        said = demands_of(self.reward)
        batch = getattr(self.reward, "batch", said.batch)
        return replace(said, batch=batch) if isinstance(batch, int) and batch > 0 else said

    def prepare(self) -> None:
        """What the object does to be ready, if anything."""
        prepare = getattr(self.reward, "prepare", None)
        if callable(prepare):
            prepare()

    @property
    def notices(self) -> tuple[str, ...]:
        """What its user has to know, as the object says; else nothing."""
        return tuple(getattr(self.reward, "notices", ()))

    def score_rows(self, rows: Sequence[Item]) -> object:
        """What the object returns."""
        return self.reward.score_rows(rows)


def demands_of(leaf: object) -> Demands:
    """What a leaf asks of whoever runs it; the defaults where it says nothing."""
    said = getattr(leaf, "demands", None)
    return said if isinstance(said, Demands) else Demands()


def wrap(obj: Any, name: str, aliases: Mapping[str, str] | None = None) -> Leaf:
    """A callable as a leaf, under the convention that its signature shows.

    Args:
        obj: function, bound method, `functools.partial`, object with `__call__`, or object with `score_rows`.
        name: for readers and messages.
        aliases: needed column → column that stands for it, where the names differ.

    Raises:
        RewardError: it is a class, a factory, not callable, or its signature shows no completion.

    Example:
        >>> leaf = wrap(lambda completion, answer: float(answer in completion), "contains")
        >>> leaf.kind, leaf.needs, leaf.score_rows([Item("1 + 1", "It is 2.", {"answer": "2"})])
        ('function', ('answer',), [1.0])
    """
    if isinstance(obj, type):
        raise RewardError(
            f"{name} is a class, not a reward; make one with its arguments, as in 'file.py:{name}(k=3)', or "
            f"'file.py:{name}()' if it has none"
        )
    if callable(getattr(obj, "score_rows", None)):
        return Given(obj, name)
    if not callable(obj):
        raise RewardError(f"{name} is of type {type(obj).__name__}, which cannot be called; expected a reward function")
    try:
        signature = inspect.signature(obj)
    except (TypeError, ValueError) as error:
        raise RewardError(f"{name}: its parameters cannot be seen ({error}); wrap it in a Python function") from error
    if is_image_function(signature):
        return image_function(obj, name, signature, aliases or {})
    if is_batch_function(signature):
        return batch_function(obj, name, signature, aliases or {})
    if _makes_rewards(obj, signature):
        raise RewardError(
            f"{name}{_parameters(signature)} makes a reward and is none itself; give its arguments in the address, "
            f"as in '{name}({_example(signature)})'"
        )
    return row_function(obj, name, signature, aliases or {})


def _makes_rewards(obj: Any, signature: inspect.Signature) -> bool:
    named = _FACTORY_NAME.match(str(getattr(obj, "__name__", ""))) is not None
    returns = signature.return_annotation
    annotated = returns is not signature.empty and "Callable" in str(returns)
    numbers = {int, float, bool, "int", "float", "bool"}
    required = [p for p in signature.parameters.values() if p.default is p.empty]
    takes_number = len(required) == 1 and required[0].annotation in numbers
    return annotated or takes_number or (named and not _takes_completion(signature))


def _takes_completion(signature: inspect.Signature) -> bool:
    return any(name in ("completion", "response", "solution_str", "text") for name in signature.parameters)


def _parameters(signature: inspect.Signature) -> str:
    return str(signature.replace(return_annotation=inspect.Signature.empty))


def _example(signature: inspect.Signature) -> str:
    parameters = signature.parameters.values()
    return ", ".join(f"{p.name}={'…' if p.default is p.empty else repr(p.default)}" for p in parameters)
