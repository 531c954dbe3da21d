"""Which row a logged completion answers: by its prompt.

Logs hold prompts as the policy saw them: with the marks of a chat template, or decoded without special tokens. So a row
is found by its exact prompt, or because its prompt is contained in the logged one.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from trueward.tasks.text.data import rows_from
from trueward.tasks.text.rollouts import LoggedCompletion
from trueward.tasks.text.rows import Row

_ANCHOR = 24


class RowIndex:
    """Finds the one row whose prompt a logged prompt holds.

    A text prompt must be contained as a whole, without blanks around it; of a chat every message, in order. Of prompts
    that lie one inside the other the longest counts; if after that rows with different answers remain, none is found,
    because nobody could say which was asked.
    """

    def __init__(self, rows: Sequence[Row]) -> None:
        self._pieces = [_pieces(row) for row in rows]
        self._rows = [row for row, pieces in zip(rows, self._pieces, strict=True) if pieces]
        self._pieces = [pieces for pieces in self._pieces if pieces]
        shortest = min((len(pieces[-1]) for pieces in self._pieces), default=1)
        self._size = min(_ANCHOR, shortest)
        self._at_end, self._anchors = self._index()
        self._known: dict[str, Row | None] = {}

    def find(self, prompt: str) -> Row | None:
        """The row, or None where no row or more than one fits."""
        if prompt not in self._known:
            self._known[prompt] = self._search(prompt)
        return self._known[prompt]

    def _index(self) -> tuple[bool, dict[str, list[int]]]:
        """Rows by the beginning or the end of their last piece, whichever tells more of them apart."""
        indices = []
        for at_end in (False, True):
            anchors: dict[str, list[int]] = defaultdict(list)
            for number, pieces in enumerate(self._pieces):
                piece = pieces[-1]
                anchors[piece[len(piece) - self._size :] if at_end else piece[: self._size]].append(number)
            indices.append((at_end, dict(anchors)))
        return max(indices, key=lambda index: len(index[1]))

    def _search(self, prompt: str) -> Row | None:
        found: list[tuple[int, tuple[int, int]]] = []
        for at in range(len(prompt) - self._size + 1):
            for number in self._anchors.get(prompt[at : at + self._size], ()):
                pieces = self._pieces[number]
                start = at + self._size - len(pieces[-1]) if self._at_end else at
                if start >= 0 and prompt.startswith(pieces[-1], start) and _in_order(prompt[:start], pieces[:-1]):
                    found.append((number, (start, start + len(pieces[-1]))))
        spans = {span for _, span in found}
        kept = [number for number, span in found if not any(_inside(span, other) for other in spans)]
        answers = {self._rows[number].answer for number in kept}
        return self._rows[kept[0]] if len(answers) == 1 else None


def _pieces(row: Row) -> list[str]:
    texts = [row.prompt] if isinstance(row.prompt, str) else [str(m.get("content", "")) for m in row.prompt]
    return [text.strip() for text in texts if text.strip()]


def _in_order(text: str, pieces: Sequence[str]) -> bool:
    start = 0
    for piece in pieces:
        at = text.find(piece, start)
        if at < 0:
            return False
        start = at + len(piece)
    return True


def _inside(span: tuple[int, int], other: tuple[int, int]) -> bool:
    return span != other and other[0] <= span[0] and span[1] <= other[1]


def rows_of(completions: Iterable[LoggedCompletion], rows: Sequence[Row]) -> list[Row | None]:
    """The row of every completion.

    A row found by its prompt gives the contract. The reference that was logged beside the completion is the one that
    the reward saw, so it replaces another one; where no row is found, it makes a row of its own.

    Args:
        completions: logged completions.
        rows: the data that the run was trained on; () when there is none.

    Returns:
        One entry for each completion; None where no reference is known.
    """
    index = RowIndex(rows)
    made: dict[tuple[str, str], Row] = {}
    found: list[Row | None] = []
    for completion in completions:
        text = completion.prompt_text
        row = index.find(text) if rows else None
        if completion.reference is not None and (row is None or row.answer != completion.reference):
            key = (text, completion.reference)
            if key not in made:
                made[key] = _row(completion, row)
            row = made[key]
        found.append(row if row is not None and row.answer is not None else None)
    return found


def _row(completion: LoggedCompletion, row: Row | None) -> Row:
    if row is not None:
        return replace(row, answer=completion.reference)
    # An empty prompt is no row of a data set, but completions of it have a reference all the same.
    prompt = completion.prompt_text.strip() or "(no prompt)"
    answer = _as_logged(completion.reference or "")
    return rows_from([{"prompt": prompt, "answer": answer}], source=completion.where).rows[0]


def _as_logged(reference: str) -> Any:
    """A list or an object was logged as such, and may hold several right answers; see `data`."""
    if reference[:1] not in ("[", "{"):
        return reference
    try:
        found = json.loads(reference)
    except (ValueError, RecursionError):
        return reference
    return found if isinstance(found, list | dict) else reference
