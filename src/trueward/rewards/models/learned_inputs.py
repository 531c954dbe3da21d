"""What a scorer reads: rollouts as rows of token ids, packed to the left and padded on the right.

Two forms. Either the policy's own tokens, as they were sampled (prompt, completion, end of text where it was sampled),
when scorer and policy share a tokenizer; or a `Layout`, one text made from named fields, such as question, reference
answer and completion. Rows that cannot be encoded get a status; nothing of a completion is ever cut off on the right.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np
from jaxtyping import Bool, Int

from trueward.batch import Rollouts, Text
from trueward.errors import RewardError, TrainingError
from trueward.policies.prompts import encode, prompt_ids
from trueward.rewards.references import text_of
from trueward.status import Status


@dataclass(frozen=True)
class Field:
    """One field of a layout.

    Attributes:
        column: "prompt", "completion", or a column of `Rollouts.reference`.
        before, after: text around it.
    """

    column: str
    before: str = ""
    after: str = ""


@dataclass(frozen=True)
class Layout:
    """One text from named fields, in their order. The default is that of a reference-conditioned verifier.

    A field longer than `head + tail` characters is clipped in its middle: its first `head` and last `tail` characters
    stay. So the end of a completion, where its answer stands, is always read.

    A completion that holds the text around a field is the answer's fault (`UNPARSABLE`): it could otherwise write its
    own reference.

    Attributes:
        fields: what is read.
        head, tail: characters that are kept of a long field.

    Reference: Hong et al. 2025 (Cooper), arXiv 2508.05613, §3 (VerifyRM); the clip as in its released code.
    """

    fields: tuple[Field, ...] = (
        Field("prompt", "<question>\n", "\n</question>\n"),
        Field("answer", "<reference>\n", "\n</reference>\n"),
        Field("completion", "<completion>\n", "\n</completion>"),
    )
    head: int = 500
    tail: int = 1000

    def __post_init__(self) -> None:
        """Raises `RewardError` when no field is the completion, or nothing of a long field would stay."""
        if "completion" not in {field.column for field in self.fields} or self.head < 0 or self.tail < 1:
            raise RewardError(
                f"a layout of {[field.column for field in self.fields]} with head={self.head}, tail={self.tail}: one "
                "field must be the completion, head at least 0 and tail at least 1"
            )

    def text(self, prompt: Any, completion: Any, reference: Mapping[str, Any]) -> str | tuple[Status, str]:
        """The text of a row, or why there is none."""
        written = text_of(completion)
        for mark in {edge.strip() for field in self.fields for edge in (field.before, field.after)} - {""}:
            if mark in written:
                return Status.UNPARSABLE, f"the completion holds {mark!r}, which separates the fields"
        pieces = []
        for field in self.fields:
            if field.column == "prompt":
                value = text_of(prompt)
            elif field.column == "completion":
                value = written
            elif reference.get(field.column) is None:
                return Status.MISSING_REFERENCE, f"the row has no {field.column!r}"
            else:
                value = str(reference[field.column])
            pieces.append(field.before + self._clipped(value) + field.after)
        return "".join(pieces)

    def _clipped(self, value: str) -> str:
        if len(value) <= self.head + self.tail:
            return value
        return value[: self.head] + value[len(value) - self.tail :]

    def as_document(self) -> dict[str, Any]:
        """As JSON values, for the file beside a model."""
        return asdict(self)

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Layout:
        """What `as_document` gave."""
        fields = tuple(Field(**field) for field in document["fields"])
        return cls(fields, head=document["head"], tail=document["tail"])


@dataclass(frozen=True)
class Packed:
    """N rows of token ids.

    Attributes:
        token_ids: tokens first, padding (0) behind them.
        lengths: number of tokens; 0 where the status is not ok.
        status: what became of each row.
        details: why, where it is not ok; else "".
    """

    token_ids: Int[np.ndarray, "n l"]
    lengths: Int[np.ndarray, " n"]
    status: Sequence[Status]
    details: Sequence[str]

    @property
    def ok(self) -> Bool[np.ndarray, " n"]:
        """True on rows that can be scored."""
        return np.array([status.ok for status in self.status], dtype=bool)

    def batches(self, size: int) -> list[Int[np.ndarray, " b"]]:
        """Places of the rows that can be scored, in batches of similar length, so that little is padded."""
        places = np.flatnonzero(self.ok)
        ordered = places[np.argsort(-self.lengths[places], kind="stable")]
        return [ordered[start : start + size] for start in range(0, len(ordered), size)]

    def rows(self, places: Int[np.ndarray, " b"]) -> tuple[Int[np.ndarray, "b w"], Bool[np.ndarray, "b w"]]:
        """Token ids and attention of some rows, no wider than the longest of them."""
        width = max(1, int(self.lengths[places].max(initial=0)))
        return self.token_ids[places, :width], np.arange(width) < self.lengths[places, None]


def packed(rollouts: Rollouts, tokenizer: Any, layout: Layout | None = None, most: int | None = None) -> Packed:
    """Rollouts as rows of token ids for a scorer.

    Args:
        rollouts: text. Without a layout its own tokens are taken where it has them.
        tokenizer: of the scorer; without a layout also that of the policy.
        layout: how one text is made from the fields; None for prompt and completion as they are.
        most: tokens that the scorer can take; None for any number. A longer row is the answer's fault, unless prompt
            and reference alone are too long.

    Raises:
        RewardError: the rollouts are no text, or hold tokens that the tokenizer does not know.
    """
    content = rollouts.content
    if not isinstance(content, Text):
        raise RewardError(f"a token scorer reads text; the rollouts hold {type(content).__name__}")
    if layout is None and content.token_ids is not None:
        attention = content.attention
        if attention is None:
            raise RewardError("the rollouts have token_ids without attention: give the mask of what is no padding")
        decisions = 0 if rollouts.mask is None else np.asarray(rollouts.mask).shape[1]
        return _own_tokens(
            np.asarray(content.token_ids), np.asarray(attention, dtype=bool), decisions, len(tokenizer), most
        )
    whole, bare = _own_text(content, tokenizer) if layout is None else _laid_out(rollouts, content, tokenizer, layout)
    finished = np.asarray(rollouts.features.get("finished", np.ones(len(content), dtype=bool)))
    ends = [tokenizer.eos_token_id] if tokenizer.eos_token_id is not None else []
    rows, status, details = [], [], []
    for place, row in enumerate(whole):
        kept, outcome, detail = _fitting(row, ends if finished[place] else [], partial(bare, place), most)
        rows.append(kept)
        status.append(outcome)
        details.append(detail)
    lengths = np.array([len(row) for row in rows], dtype=np.int64)
    token_ids = np.zeros((len(rows), max(1, int(lengths.max(initial=0)))), dtype=np.int64)
    token_ids[np.arange(token_ids.shape[1]) < lengths[:, None]] = [token for row in rows for token in row]
    return Packed(token_ids, lengths, status, details)


def _own_tokens(token_ids: np.ndarray, attention: np.ndarray, decisions: int, known: int, most: int | None) -> Packed:
    """The tokens of the policy, moved to the left: padding inside a row (between prompt and completion) goes too."""
    order = np.argsort(~attention, axis=1, kind="stable")
    lengths = attention.sum(axis=1).astype(np.int64)
    width = max(1, int(lengths.max(initial=0)))
    moved = np.take_along_axis(token_ids, order, axis=1)[:, :width].astype(np.int64)
    moved = np.where(np.arange(width) < lengths[:, None], moved, 0)
    if moved.size and not 0 <= moved.min() <= moved.max() < known:
        raise RewardError(
            f"the rollouts hold token {int(moved.max())}, and the scorer's tokenizer has {known} tokens: the policy "
            "has another tokenizer. Give the reward a layout, so that it encodes the text itself"
        )
    status, details = [Status.OK] * len(lengths), [""] * len(lengths)
    before = attention[:, : attention.shape[1] - decisions].sum(axis=1) if decisions else np.zeros_like(lengths)
    for place in np.flatnonzero((lengths == 0) | (lengths > (most or lengths.max(initial=0)))).tolist():
        status[place], details[place] = _unfit(int(lengths[place]), int(before[place]), most or 0)
    return Packed(moved, np.where([one.ok for one in status], lengths, 0), status, details)


_Row = list[int] | tuple[Status, str]
_WithoutCompletion = Callable[[int], int | None]
"""Row → tokens that it has without its completion; None where these cannot be encoded."""


def _own_text(content: Text, tokenizer: Any) -> tuple[list[_Row], _WithoutCompletion]:
    """Prompt and completion as a policy reads and writes them."""
    prompts = _each(lambda some: prompt_ids(tokenizer, some), content.prompts)
    completions = _each(lambda some: encode(tokenizer, some), [text_of(one) for one in content.completions])
    rows: list[_Row] = []
    for prompt, completion in zip(prompts, completions, strict=True):
        if isinstance(prompt, str):
            rows.append((Status.ABSTAINED, f"the prompt cannot be encoded: {prompt}"))
        elif isinstance(completion, str):
            rows.append((Status.UNPARSABLE, f"the completion cannot be encoded: {completion}"))
        else:
            rows.append([*prompt, *completion])
    return rows, lambda place: len(prompts[place])


def _laid_out(
    rollouts: Rollouts, content: Text, tokenizer: Any, layout: Layout
) -> tuple[list[_Row], _WithoutCompletion]:
    """The text of the layout."""
    references: Sequence[Mapping[str, Any]] = rollouts.reference or [{}] * len(content)
    told = zip(content.prompts, content.completions, references, strict=True)
    texts = [layout.text(prompt, completion, reference) for prompt, completion, reference in told]
    encoded = iter(_each(lambda some: encode(tokenizer, some), [text for text in texts if isinstance(text, str)]))

    def without(place: int) -> int | None:
        text = layout.text(content.prompts[place], "", references[place])
        (bare,) = _each(lambda some: encode(tokenizer, some), [text]) if isinstance(text, str) else ("",)
        return None if isinstance(bare, str) else len(bare)

    rows: list[_Row] = []
    for place, text in enumerate(texts):
        row = next(encoded) if isinstance(text, str) else text
        if isinstance(row, str):
            blamed = Status.ABSTAINED if without(place) is None else Status.UNPARSABLE
            rows.append((blamed, f"it cannot be encoded: {row}"))
        else:
            rows.append(row)
    return rows, without


def _each(encoder: Callable[[list[Any]], list[list[int]]], texts: Sequence[Any]) -> list[list[int] | str]:
    """Token ids of each text, or why it cannot be encoded: all at once, and one by one only where that fails."""
    try:
        return list(encoder(list(texts)))
    except TrainingError:
        pass
    found: list[list[int] | str] = []
    for text in texts:
        try:
            found.extend(encoder([text]))
        except TrainingError as error:
            found.append(str(error))
    return found


def _fitting(
    row: _Row, end: list[int], without: Callable[[], int | None], most: int | None
) -> tuple[list[int], Status, str]:
    if isinstance(row, tuple):
        return [], *row
    row = [*row, *end]
    if row and (most is None or len(row) <= most):
        return row, Status.OK, ""
    return [], *_unfit(len(row), without() or 0, most or 0)


def _unfit(length: int, before: int, most: int) -> tuple[Status, str]:
    if not length:
        return Status.ABSTAINED, "there is not one token in it"
    if before >= most:
        return Status.ABSTAINED, f"without the completion it has {before:,} tokens, and the scorer takes {most:,}"
    return Status.UNPARSABLE, f"it has {length:,} tokens, and the scorer takes {most:,}"


def most_tokens(scorer: Any) -> int | None:
    """Tokens that a scorer's backbone has positions for; None where it declares no limit."""
    limit = getattr(scorer.backbone.config.get_text_config(decoder=True), "max_position_embeddings", None)
    return limit if isinstance(limit, int) and limit > 0 else None
