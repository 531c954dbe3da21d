"""What a Hugging Face model is called with: tokens, mask, and positions that do not count padding."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from functools import cache
from typing import Any

import torch
from jaxtyping import Bool, Int
from torch import Tensor


def positions_of(attention: Bool[Tensor, "n l"]) -> Int[Tensor, "n l"]:
    """Position of each token in its own row: 0 at the first one, whatever padding stands before it."""
    return (attention.long().cumsum(dim=1) - 1).clamp_(min=0)


def model_inputs(
    model: Any, token_ids: Int[Tensor, "n l"], attention: Bool[Tensor, "n l"], *, logits: int | None = None
) -> dict[str, Any]:
    """Arguments of a forward pass over whole rows.

    Args:
        model: the model that will be called.
        token_ids: padding may hold anything that is an id.
        attention: True on tokens.
        logits: how many of the last columns need logits; None for a model without any.
    """
    takes = arguments_of(model)
    # Without padding there is nothing to mask, and attention is faster without being told so.
    inputs: dict[str, Any] = {
        "input_ids": token_ids,
        "attention_mask": None if bool(attention.all()) else attention.long(),
    }
    if "use_cache" in takes:
        inputs["use_cache"] = False
    if "position_ids" in takes:
        inputs["position_ids"] = positions_of(attention)
    if logits is not None and "logits_to_keep" in takes:
        inputs["logits_to_keep"] = logits
    return inputs


def arguments_of(model: Any) -> frozenset[str]:
    """Names of the arguments that a model's forward pass takes: not every architecture has positions to give."""
    return _arguments(model.__class__)


@cache
def _arguments(kind: Any) -> frozenset[str]:
    return frozenset(inspect.signature(kind.forward).parameters)


def pad_left(rows: Sequence[Sequence[int]], padding: int) -> tuple[Int[Tensor, "n l"], Bool[Tensor, "n l"]]:
    """Rows of token ids as one array, padded on the left, and True on tokens."""
    width = max(map(len, rows), default=0)
    ids = torch.tensor([[padding] * (width - len(row)) + list(row) for row in rows], dtype=torch.long)
    lengths = torch.tensor([len(row) for row in rows])
    return ids, torch.arange(width) >= (width - lengths)[:, None]


def pad_right(rows: Sequence[Sequence[int]], padding: int) -> tuple[Int[Tensor, "n l"], Bool[Tensor, "n l"]]:
    """Rows of token ids as one array, padded on the right, and True on tokens."""
    width = max(map(len, rows), default=0)
    ids = torch.tensor([list(row) + [padding] * (width - len(row)) for row in rows], dtype=torch.long)
    lengths = torch.tensor([len(row) for row in rows])
    return ids, torch.arange(width) < lengths[:, None]
