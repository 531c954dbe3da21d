"""What the output layer of a language model reads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor


@contextmanager
def output_layer_inputs(model: Any) -> Iterator[list[Tensor]]:
    """Collects the final hidden states of each forward pass inside the block, of the columns that get logits.

    Taken where the output layer reads them, so that it is the same thing in every architecture and costs nothing.
    """
    read: list[Tensor] = []

    def keep(_module: Any, inputs: tuple[Tensor, ...]) -> None:
        read[:] = [inputs[0]]

    handle = model.get_output_embeddings().register_forward_pre_hook(keep)
    try:
        yield read
    finally:
        handle.remove()
