"""What a monitor says of a run."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["alarm", "notice", "hint"]
"""How much it is worth: an alarm has a guarantee against false alarms, a notice has gold but no guarantee, a hint is
made without gold."""


@dataclass(frozen=True)
class Example:
    """A rollout that a notice rests on.

    Attributes:
        prompt, completion: as text.
        reward: what it earned; None where it has none.
        gold: what the check said of it; None where it was not checked.
        why: why it stands here, in some words; "" where the notice says it.
    """

    prompt: str
    completion: str
    reward: float | None = None
    gold: float | None = None
    why: str = ""


def different(examples: Sequence[Example]) -> list[Example]:
    """The first of those with the same texts, in their order."""
    seen: dict[tuple[str, str], Example] = {}
    for example in examples:
        seen.setdefault((example.prompt, example.completion), example)
    return list(seen.values())


@dataclass(frozen=True)
class Notice:
    """Something that a watcher found at a step.

    Attributes:
        kind: see `Kind`.
        source: name of the watcher, as "gold probe".
        step: at which it was found.
        message: one sentence with the numbers.
        examples: rollouts that caused it, the most telling first.
    """

    kind: Kind
    source: str
    step: int
    message: str
    examples: Sequence[Example] = ()

    def as_json(self) -> dict[str, Any]:
        """Itself as JSON values."""
        return dataclasses.asdict(self) | {"examples": [dataclasses.asdict(example) for example in self.examples]}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Notice:
        """What `as_json` made.

        Raises:
            KeyError, TypeError: it is something else.
        """
        examples = [Example(**example) for example in values.get("examples", ())]
        return cls(values["kind"], values["source"], int(values["step"]), values["message"], examples)
