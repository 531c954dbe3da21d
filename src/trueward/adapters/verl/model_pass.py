"""One pass over a model that may lie in shards: what the policy expected at each token, and in which state.

No verl here: rows of tensors in, rows of tensors out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from trueward.policies.prediction_errors import hidden_and_errors


class Asked:
    """A model in shards that tells which arguments the model takes, which its wrapper does not."""

    def __init__(self, shards: Any) -> None:
        self.shards = shards

    @classmethod
    def of(cls, model: Any) -> Any:
        """The model itself where nothing is wrapped around it."""
        inner = getattr(model, "module", None)
        if inner is None:
            return model
        return type("Asked", (cls,), {"forward": type(inner).forward})(model)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.shards, name)

    def __call__(self, **inputs: Any) -> Any:
        """The forward pass of the shards."""
        return self.shards(**inputs)


def states_and_errors(
    model: Any,
    prompts: Sequence[Tensor],
    responses: Sequence[Tensor],
    masks: Sequence[Tensor],
    wanted: Sequence[Tensor],
    *,
    widths: tuple[int, int],
    rows_at_once: int,
    temperature: float,
    device: torch.device,
) -> tuple[list[Tensor], list[Tensor]]:
    """Final states and prediction errors of the responses of some rows.

    Workers that hold shards of one model call it together: with as many rows, the same widths and the same rows at
    once, so that all of them make the same passes.

    Args:
        model: causal language model.
        prompts, responses: token ids of each row.
        masks: True on tokens of the response that the policy wrote itself.
        wanted: token ids on which errors are wanted, −1 beyond; the same for all rows of a group, wherever they are.
        widths: of the longest prompt and response of the whole batch.
        rows_at_once: rows of a forward pass.
        temperature: at which the rows were sampled.
        device: of the model.

    Returns:
        Hidden states [t, D] and errors [t, K] of each row, t the length of its response, in single precision in CPU
        memory; 0 where the response is not the policy's own.
    """
    before, after = widths
    ids = torch.zeros(len(prompts), before + after, dtype=torch.long)
    attention = torch.zeros(ids.shape, dtype=torch.bool)
    mask = torch.zeros(len(prompts), after, dtype=torch.bool)
    for row, (prompt, response, own) in enumerate(zip(prompts, responses, masks, strict=True)):
        columns = slice(before - len(prompt), before + len(response))
        ids[row, columns], attention[row, columns] = torch.cat([prompt, response]).cpu(), True
        mask[row, : len(own)] = own.bool().cpu()
    hidden, errors = hidden_and_errors(
        Asked.of(model),
        ids.to(device),
        attention.to(device),
        mask.to(device),
        torch.arange(len(ids)),
        temperature=temperature,
        vocabulary=torch.nn.utils.rnn.pad_sequence(list(wanted), batch_first=True, padding_value=-1).to(device),
        rows_at_once=rows_at_once,
    )
    lengths = [len(response) for response in responses]
    return (
        [row[:length] for row, length in zip(hidden.cpu(), lengths, strict=True)],
        [row[:length] for row, length in zip(errors.cpu(), lengths, strict=True)],
    )
