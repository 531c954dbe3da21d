"""TRL's completions as rollouts."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Int

from trueward.batch import Rollouts, Text


@dataclass(frozen=True)
class SampledRow:
    """One completion as TRL's generation gives it.

    Attributes:
        prompt, completion: text or messages.
        prompt_ids, completion_ids: their tokens.
        chosen: True on completion tokens of the policy; False on what a tool or an environment wrote.
        columns: of the data set, without the prompt.
        finished: it ended by itself, not by being cut off.
        segments: the step of each completion token; None where nothing was cut.
    """

    prompt: Any
    completion: Any
    prompt_ids: Int[np.ndarray, " p"]
    completion_ids: Int[np.ndarray, " t"]
    chosen: Bool[np.ndarray, " t"]
    columns: Mapping[str, Any]
    finished: bool
    segments: Int[np.ndarray, " t"] | None = None


def sampled_rows(
    inputs: Sequence[Mapping[str, Any]],
    prompts: Sequence[Any],
    completions: Sequence[Any],
    prompt_ids: Sequence[Sequence[int]],
    completion_ids: Sequence[Sequence[int]],
    chosen: Sequence[Sequence[int]] | None,
    extra: Mapping[str, Any],
    endings: Collection[int],
) -> list[SampledRow]:
    """The rows of this process.

    Args:
        inputs: rows of the data set, one per completion.
        prompts: as they were answered, which may hold what an environment said.
        completions: text or messages.
        prompt_ids, completion_ids: tokens without padding.
        chosen: TRL's tool mask, 1 on tokens of the policy; None where all are.
        extra: what a `rollout_func` returned beyond tokens: lists with one entry per row, or one value for all.
        endings: ids behind which nothing follows.
    """
    rows = []
    for place, (row, ids) in enumerate(zip(inputs, completion_ids, strict=True)):
        columns = {name: value for name, value in row.items() if name not in ("prompt", "completion", "completion_ids")}
        for name, values in extra.items():
            if not isinstance(values, list):
                columns[name] = values
            elif place < len(values):
                columns[name] = values[place]
        before, after = np.asarray(prompt_ids[place], dtype=np.int64), np.asarray(ids, dtype=np.int64)
        own = np.ones(len(after), dtype=bool) if chosen is None else np.asarray(chosen[place], dtype=bool)
        finished = len(after) > 0 and int(after[-1]) in endings
        rows.append(SampledRow(prompts[place], completions[place], before, after, own, columns, finished))
    return rows


def as_rollouts(rows: Sequence[SampledRow], size: int, padding: int, first: int = 0) -> Rollouts:
    """Rows as rollouts.

    Args:
        rows: N rows.
        size: completions per prompt. TRL keeps those of a prompt together, counted over all processes.
        padding: id that fills what is no token.
        first: how many rows stand before these in the whole batch.

    Returns:
        Prompts padded on the left, completions on the right; T is the longest completion.
    """
    before = max((len(row.prompt_ids) for row in rows), default=0)
    decisions = max(1, max((len(row.completion_ids) for row in rows), default=1))
    shape = (len(rows), before + decisions)
    ids, attention = np.full(shape, padding, dtype=np.int64), np.zeros(shape, dtype=bool)
    mask, segments = np.zeros((len(rows), decisions), dtype=bool), np.full((len(rows), decisions), -1)
    for place, row in enumerate(rows):
        used = slice(before - len(row.prompt_ids), before + len(row.completion_ids))
        ids[place, used] = np.concatenate([row.prompt_ids, row.completion_ids])
        attention[place, used] = True
        mask[place, : len(row.chosen)] = row.chosen
        if row.segments is not None:
            segments[place, : len(row.segments)] = row.segments
    cut = bool(rows) and all(row.segments is not None for row in rows)
    return Rollouts(
        Text([row.prompt for row in rows], [row.completion for row in rows], ids, attention),
        group=(first + np.arange(len(rows))) // size,
        mask=mask,
        segments=np.where(mask, segments, -1) if cut else None,
        features={"finished": np.array([row.finished for row in rows], dtype=bool)},
        reference=[row.columns for row in rows],
    )


def with_segments(rows: Sequence[SampledRow], segments: Any) -> list[SampledRow]:
    """Rows that know their steps.

    Args:
        rows: N rows.
        segments: [N, T], as `Rollouts.segments`.

    Raises:
        ValueError: there is not one number per completion token.
    """
    numbers = np.asarray(segments)
    longest = max((len(row.completion_ids) for row in rows), default=0)
    if numbers.ndim != 2 or len(numbers) != len(rows) or numbers.shape[1] < longest:
        raise ValueError(
            f"segment gave an array of shape {numbers.shape} for {len(rows)} completions of up to {longest} tokens: "
            "one number per token is needed, as in Rollouts.segments"
        )
    return [
        dataclasses.replace(row, segments=numbers[place, : len(row.completion_ids)]) for place, row in enumerate(rows)
    ]
