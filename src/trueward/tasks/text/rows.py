"""One row of a text task: a prompt, the reference that a reward may read, and the contract of its answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from trueward.tasks.text.contract import Contract

Message = Mapping[str, Any]
Prompt = str | Sequence[Message]


@dataclass(frozen=True)
class Row:
    r"""A prompt with its reference.

    Attributes:
        id: stable name of the row: its own `id` column, or a hash of prompt and answer.
        prompt: the prompt as the data has it: text, or chat messages with `role` and `content`.
        answer: the reference answer as a short string (the value after `####` or inside the last `\boxed{}` of a
            worked solution), or None when the row stores none.
        columns: every column of the row as the data has it, handed to the reward unchanged.
        contract: how answers compare with the reference.
        where: `file:line` for messages, or a description of the source.
    """

    id: str
    prompt: Prompt
    answer: str | None
    columns: Mapping[str, Any] = field(default_factory=dict)
    contract: Contract = field(default_factory=Contract)
    where: str = ""

    @property
    def prompt_text(self) -> str:
        """The prompt as plain text: the contents of its messages, one below the other."""
        if isinstance(self.prompt, str):
            return self.prompt
        return "\n".join(str(message.get("content", "")) for message in self.prompt)
