"""The form of a completion: which tags it must have, each once and in order. Whether it is right is not looked at."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from trueward.errors import RewardError
from trueward.rewards.references import text_of
from trueward.rewards.rules.rows import rows_of
from trueward.rewards.runner.types import Item


@dataclass(frozen=True)
class RequiredTags:
    """1.0 where every tag is opened and closed exactly once, in order, one behind the other, with something in it.

    Other text may stand around them.

    Attributes:
        tags: names, in their order.

    Example:
        >>> RequiredTags(("plan", "answer"))(["?"] * 2, ["<plan>a</plan> so <answer>b</answer>", "<answer>b</answer>"])
        [1.0, 0.0]
    """

    tags: tuple[str, ...] = ("think", "answer")
    kind: ClassVar[str] = "trueward"
    containers: ClassVar[tuple[str, ...]] = ("text", "chat")

    def __post_init__(self) -> None:
        """Raises `RewardError` for names that are none."""
        if not self.tags or len(set(self.tags)) < len(self.tags) or not all(map(str.isidentifier, self.tags)):
            raise RewardError(f"tags are {self.tags!r}; expected different names, such as ('think', 'answer')")

    @property
    def __name__(self) -> str:
        """The name under which engines log it."""
        return "required_tags"

    def __call__(self, prompts: Sequence[Any], completions: Sequence[Any], **columns: Any) -> list[float | None]:
        """The convention of TRL."""
        return [*self.score_rows(rows_of(prompts, completions, columns))]

    def score_rows(self, rows: Sequence[Item]) -> list[float]:
        """1.0 or 0.0 per row."""
        return [float(outside_of(text_of(row.completion), self.tags) is not None) for row in rows]


@dataclass(frozen=True)
class Format:
    """1.0 where the completion is nothing but the tags, each exactly once, in order, with something in it.

    Attributes:
        tags: names, in their order.

    Example:
        >>> Format()(["?"] * 2, ["<think>a</think><answer>b</answer>", "<think>a</think><answer>b</answer> indeed"])
        [1.0, 0.0]
    """

    tags: tuple[str, ...] = ("think", "answer")
    kind: ClassVar[str] = "trueward"
    containers: ClassVar[tuple[str, ...]] = ("text", "chat")

    def __post_init__(self) -> None:
        """Raises `RewardError` for names that are none."""
        RequiredTags(self.tags)

    @property
    def __name__(self) -> str:
        """The name under which engines log it."""
        return "format"

    def __call__(self, prompts: Sequence[Any], completions: Sequence[Any], **columns: Any) -> list[float | None]:
        """The convention of TRL."""
        return [*self.score_rows(rows_of(prompts, completions, columns))]

    def score_rows(self, rows: Sequence[Item]) -> list[float]:
        """1.0 or 0.0 per row."""
        return [float(outside_of(text_of(row.completion), self.tags) == "") for row in rows]


def outside_of(text: str, tags: Sequence[str]) -> str | None:
    """What stands outside of the tags, without white space at its ends.

    Returns:
        None where a tag is missing, empty, occurs more than once, or is out of order.
    """
    found = list(re.finditer(rf"</?(?:{'|'.join(tags)})>", text))
    if [tag.group() for tag in found] != [mark for tag in tags for mark in (f"<{tag}>", f"</{tag}>")]:
        return None
    outside = []
    end = 0
    for opening, closing in zip(found[::2], found[1::2], strict=True):
        if not text[opening.end() : closing.start()].strip():
            return None
        outside.append(text[end : opening.start()])
        end = closing.end()
    return "".join([*outside, text[end:]]).strip()


format = Format()
"""`Format` with its defaults."""
required_tags = RequiredTags()
"""`RequiredTags` with its defaults."""
