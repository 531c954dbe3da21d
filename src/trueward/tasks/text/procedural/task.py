"""What a text task is: seeded rows in two splits, demonstrations for a warm start, exact gold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from trueward.tasks.gold import Gold
from trueward.tasks.text.rows import Row
from trueward.tasks.text.vocabulary import Vocabulary

Split = Literal["train", "held out"]


@dataclass(frozen=True)
class Demonstration:
    """A row with a completion to imitate; it may be wrong, if its writer errs."""

    row: Row
    completion: str


class TextTask(Protocol):
    """A source of prompts together with what is really wanted of the answers.

    Attributes:
        name: stable; it enters the seeds.
        vocabulary: of prompts and completions.
        max_new_tokens: how long a completion may become.
    """

    @property
    def name(self) -> str:
        """See the class."""
        ...

    @property
    def vocabulary(self) -> Vocabulary:
        """See the class."""
        ...

    @property
    def max_new_tokens(self) -> int:
        """See the class."""
        ...

    def rows(self, n: int, seed: int, split: Split = "train") -> list[Row]:
        """n rows; the same in any process for the same seed. The splits share no prompt."""
        ...

    def demonstrations(self, n: int, seed: int) -> list[Demonstration]:
        """n completions to imitate, on rows of the train split."""
        ...

    def gold(self, rows: Sequence[Row], completions: Sequence[str]) -> Gold:
        """How good each completion really is. For measuring only."""
        ...
