r"""The reference answer of a row as a short text: after GSM8K's `####`, in MATH's last `\boxed{}`, or as it stands."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from typing import Any

_BOX = re.compile(r"\\(?:boxed|fbox)\s*$")


@dataclass(frozen=True)
class Reference:
    """A reference answer.

    Attributes:
        text: the short value; None when the row stores none.
        is_list: True for a list in the data.
        ambiguous: True when the data does not tell one answer from several allowed ones: a list, an object, or a
            solution with different boxes.
        shortened: True when the value was taken out of a longer text.
    """

    text: str | None
    is_list: bool = False
    ambiguous: bool = False
    shortened: bool = False


def reference_of(value: Any, verbatim: bool = False) -> Reference:
    """The reference answer that a column holds.

    Args:
        value: a JSON value. Numbers and booleans become their text as Python writes it, lists and objects JSON text.
        verbatim: leave text as it is but for blank lines around it, because marks inside it mean something else (code).
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return Reference(None)
    if isinstance(value, list | dict):
        return Reference(json.dumps(value, ensure_ascii=False), is_list=isinstance(value, list), ambiguous=True)
    text = str(value)
    if not text.strip():
        return Reference(None)
    if verbatim:
        return Reference(text.strip("\r\n"))
    short = short_answer(text)
    boxes = set(boxed(text)) if short in boxed(text) else set()
    return Reference(short, ambiguous=len(boxes) > 1, shortened=short != text.strip())


def short_answer(text: str) -> str:
    r"""The value that a solution ends in, or the stripped text itself.

    `… #### 72` gives `72`: the mark counts only when a single line follows, because in Markdown it is a heading.
    Otherwise the last balanced `\boxed{…}` counts. Both may be combined (`#### \boxed{72}`).
    """
    stripped = text.strip()
    _, mark, after = stripped.rpartition("####")
    if mark and after.strip() and "\n" not in after.strip():
        stripped = after.strip()
    boxes = boxed(stripped)
    return boxes[-1] if boxes else stripped


def boxed(text: str) -> list[str]:
    r"""The contents of every balanced `\boxed{…}` that is not empty and holds no other box, in their order."""
    return [text[start:end].strip() for start, end in box_spans(text)]


def box_spans(text: str) -> list[tuple[int, int]]:
    r"""Where the contents of the boxes that `boxed` finds begin and end.

    One pass whatever the nesting, since the data is not trusted. A brace behind a backslash is a character.
    """
    found: list[tuple[int, int]] = []
    last = -1
    opened: list[int] = []
    for brace in re.finditer(r"\\[\\{}]|[{}]", text):
        at = brace.start()
        if brace.group() == "{":
            opened.append(at)
        elif brace.group() == "}" and opened:
            start = opened.pop()
            # 16 characters hold the command and the few blanks that may stand before the brace.
            if start < last or not _BOX.search(text[max(0, start - 16) : start]):
                continue
            last = start
            if text[start + 1 : at].strip():
                found.append((start + 1, at))
    return found
