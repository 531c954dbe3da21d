"""The rows of all processes, on every process.

A group may straddle processes, so whoever compares needs all its members. Scores are few numbers and travel as
objects; what has one number per token travels as a padded tensor.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
import torch

from trueward.batch import Part, Scores
from trueward.errors import TrainingError
from trueward.status import Status

_T = TypeVar("_T")


def gathered_objects(accelerator: Any, own: Sequence[_T]) -> list[_T]:
    """The objects of all processes, in the order of the processes."""
    if accelerator.num_processes == 1:
        return list(own)
    from accelerate.utils import gather_object  # type: ignore[import-untyped]

    found: list[_T] = gather_object(list(own))
    return found


def gathered_rows(accelerator: Any, own: torch.Tensor, width: int) -> torch.Tensor:
    """The rows of all processes: [n, t, …] of each to [N, width, …], 0 where a row has no entry.

    Args:
        accelerator: of the trainer.
        own: rows of this process; other axes than the first may differ in size between processes.
        width: of the second axis.
    """
    whole = own
    if accelerator.num_processes > 1:
        # Padding a bool makes an int64 of it, on the processes that are padded only.
        whole = whole.to(torch.uint8) if own.dtype == torch.bool else whole
        for axis in range(1, own.ndim):
            whole = accelerator.pad_across_processes(whole, dim=axis)
        whole = accelerator.gather(whole.contiguous()).to(own.dtype)
    return fitted(whole, width)


def fitted(rows: torch.Tensor, width: int) -> torch.Tensor:
    """[n, t, …] cut or filled with 0 to [n, width, …]."""
    if rows.shape[1] >= width:
        return rows[:, :width]
    filled = rows.new_zeros((len(rows), width, *rows.shape[2:]))
    filled[:, : rows.shape[1]] = rows
    return filled


def joined_scores(pieces: Sequence[Scores], name: str) -> Scores:
    """Scores of one reward on consecutive rows as those of all rows.

    Args:
        pieces: in the order of the rows.
        name: of the reward.

    Raises:
        TrainingError: the pieces have different parts.
    """
    if len(pieces) == 1:
        return pieces[0]
    named = {tuple(scores.parts) for scores in pieces}
    if len(named) > 1:
        raise TrainingError(f"{name} has different parts on different processes: {sorted(named)}")
    return Scores({part: _joined_parts([scores.parts[part] for scores in pieces]) for part in pieces[0].parts})


def _joined_parts(pieces: Sequence[Part]) -> Part:
    status: list[Status] = [one for piece in pieces for one in piece.status]
    details = [one for piece in pieces for one in piece.details or [""] * len(piece.status)]
    first = pieces[0]
    values = [piece.values for piece in pieces]
    exists = None
    if first.level != "rollout":
        width = max(piece.values.shape[1] for piece in pieces)
        there = [np.ones(piece.values.shape, bool) if piece.exists is None else piece.exists for piece in pieces]
        values = [_widened(array, width, 0.0) for array in values]
        exists = np.concatenate([_widened(array, width, False) for array in there])
    return Part(
        np.concatenate(values),
        status,
        first.level,
        first.weight,
        exists,
        first.low,
        first.high,
        details if any(details) else (),
    )


def _widened(array: np.ndarray, width: int, filling: float | bool) -> np.ndarray:
    return np.pad(array, ((0, 0), (0, width - array.shape[1])), constant_values=filling)
