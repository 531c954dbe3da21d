"""Batched sampling with a key-value cache that holds only rows that still go on.

Equal prompts are read once and their cache is repeated. Rows that ended are dropped from batch and cache once enough
of them have: dropping copies the cache, so that it must pay.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from trueward.policies.inputs import arguments_of, pad_left, positions_of
from trueward.policies.output_layer import output_layer_inputs
from trueward.policies.sampling import Sampling, draw, uniforms
from trueward.policies.stopping import Stopping

_DROP_AT = 0.125  # share of ended rows from which they are dropped: never dropping is slower, .06 to .25 are alike


@dataclass
class Generated:
    """N sampled rows, as tensors.

    Attributes:
        prompt: prompts, padded on the left.
        prompt_attention: True on their tokens.
        tokens: what was sampled, T columns; padding after the end.
        mask: True on what was sampled.
        logprobs: log p of each sampled token under softmax(z / τ) over all tokens; 0 outside the mask.
        finished: True where a row ended by itself.
        entropy: of softmax(z / τ) at each decision; None unless wanted.
        hidden: what the output layer read at each decision; None unless wanted.
    """

    prompt: Int[Tensor, "n p"]
    prompt_attention: Bool[Tensor, "n p"]
    tokens: Int[Tensor, "n t"]
    mask: Bool[Tensor, "n t"]
    logprobs: Float[Tensor, "n t"]
    finished: Bool[Tensor, " n"]
    entropy: Float[Tensor, "n t"] | None = None
    hidden: Float[Tensor, "n t d"] | None = None


@dataclass
class _Batch:
    """The rows that the model still works on: n of them, whose numbers among all rows are `rows`."""

    rows: Int[Tensor, " n"]
    going: Bool[Tensor, " n"]
    attention: Int[Tensor, "n l"] | None
    position: Int[Tensor, " n"]
    cache: Any
    logits: Float[Tensor, "n v"]
    hidden: Float[Tensor, "n d"] | None

    def drop_ended(self) -> None:
        """Leave only rows that go on."""
        kept = torch.nonzero(self.going).flatten()
        self.rows, self.going = self.rows[kept], self.going[kept]
        self.position = self.position[kept]
        self.attention = None if self.attention is None else self.attention[kept]
        self.cache.reorder_cache(kept)


def generate(
    model: Any,
    prompts: Sequence[Sequence[int]],
    sampling: Sampling,
    generator: torch.Generator,
    stopping: Stopping,
    *,
    padding: int,
    entropy: bool = False,
    hidden: bool = False,
) -> Generated:
    """Continue each prompt until it ends or has `max_new_tokens`.

    Args:
        model: causal language model, in evaluation mode.
        prompts: N rows of at least one token.
        sampling: how tokens are drawn.
        generator: moves on by N · max_new_tokens numbers, whatever is sampled.
        stopping: what ends a row.
        padding: id that fills what is no token.
        entropy: also give entropies.
        hidden: also give hidden states.
    """
    device = next(model.parameters()).device
    numbers = uniforms(len(prompts), sampling.max_new_tokens, generator).to(device)
    with torch.inference_mode(), output_layer_inputs(model) if hidden else nullcontext() as read:
        found, batch = _begin(model, prompts, sampling, padding, read)
        if entropy:
            found.entropy = torch.zeros_like(found.logprobs)
        for step in range(sampling.max_new_tokens):
            tokens, probabilities = draw(batch.logits, numbers[batch.rows, step], sampling)
            _record(found, batch, step, tokens, probabilities)
            ended = stopping(tokens, found.tokens[batch.rows, : step + 1], batch.going)
            found.finished[batch.rows] |= ended & batch.going
            batch.going &= ~ended
            going = int(batch.going.sum())
            if going == 0 or step + 1 == sampling.max_new_tokens:
                break
            if going <= (1 - _DROP_AT) * len(batch.rows):
                tokens = tokens[batch.going]
                batch.drop_ended()
            _advance(model, batch, tokens, found.prompt.shape[1] + step + 1, read)
    return _trimmed(found, step + 1)


def _begin(
    model: Any, prompts: Sequence[Sequence[int]], sampling: Sampling, padding: int, read: list[Tensor] | None
) -> tuple[Generated, _Batch]:
    """Read every different prompt once."""
    from trueward.policies.roomy_cache import roomy_cache

    device = next(model.parameters()).device
    ids, known = (tensor.to(device) for tensor in pad_left(prompts, padding))
    first, which = (torch.tensor(numbers, device=device) for numbers in _different(prompts))
    cache: Any = roomy_cache(model.config)
    n = len(prompts)
    shape = (n, sampling.max_new_tokens)
    # Without padding there is nothing to mask, and attention is faster without being told so.
    attention = None if bool(known.all()) else torch.cat([known, torch.ones(shape, device=device)], dim=1).long()
    prefix = None if attention is None else attention[first, : ids.shape[1]]
    logits = _forward(model, ids[first], prefix, positions_of(known[first]), cache)
    if len(first) < n:
        cache.reorder_cache(which)
    batch = _Batch(
        rows=torch.arange(n, device=device),
        going=torch.ones(n, dtype=torch.bool, device=device),
        attention=attention,
        position=known.sum(dim=1),
        cache=cache,
        logits=logits[which],
        hidden=read[-1][:, -1][which] if read else None,
    )
    found = Generated(
        prompt=ids,
        prompt_attention=known,
        tokens=torch.full(shape, padding, device=device),
        mask=torch.zeros(shape, dtype=torch.bool, device=device),
        logprobs=torch.zeros(shape, device=device),
        finished=torch.zeros(n, dtype=torch.bool, device=device),
        hidden=torch.zeros(*shape, batch.hidden.shape[-1], device=device) if batch.hidden is not None else None,
    )
    return found, batch


def _different(prompts: Sequence[Sequence[int]]) -> tuple[list[int], list[int]]:
    """Where each different prompt stands first, and which of them each row is."""
    numbers: dict[tuple[int, ...], int] = {}
    first: list[int] = []
    which: list[int] = []
    for row, ids in enumerate(prompts):
        number = numbers.setdefault(tuple(ids), len(numbers))
        if number == len(first):
            first.append(row)
        which.append(number)
    return first, which


def _record(
    found: Generated, batch: _Batch, step: int, tokens: Int[Tensor, " n"], probabilities: Float[Tensor, "n v"]
) -> None:
    rows = batch.rows[batch.going]
    found.mask[rows, step] = True
    found.tokens[rows, step] = tokens[batch.going]
    logprobs = probabilities.gather(1, tokens.unsqueeze(1)).squeeze(1).log()
    found.logprobs[rows, step] = logprobs[batch.going]
    if found.entropy is not None:
        found.entropy[rows, step] = torch.special.entr(probabilities).sum(dim=-1)[batch.going]
    if found.hidden is not None and batch.hidden is not None:
        found.hidden[rows, step] = batch.hidden[batch.going].float()


def _advance(model: Any, batch: _Batch, tokens: Int[Tensor, " n"], width: int, read: list[Tensor] | None) -> None:
    """Read the tokens just drawn; rows that ended but are still in the batch read on, and nobody looks at them."""
    attention = None if batch.attention is None else batch.attention[:, :width]
    batch.logits = _forward(model, tokens.unsqueeze(1), attention, batch.position.unsqueeze(1), batch.cache)
    batch.position = batch.position + 1
    batch.hidden = read[-1][:, -1] if read else None


def _forward(
    model: Any,
    ids: Int[Tensor, "n l"],
    attention: Int[Tensor, "n all"] | None,
    positions: Int[Tensor, "n l"],
    cache: Any,
) -> Float[Tensor, "n v"]:
    """Logits after the last column; the cache grows by the columns."""
    takes = arguments_of(model)
    # Named `past_key_values` until transformers 5.
    inputs = {"attention_mask": attention, "use_cache": True, "cache" if "cache" in takes else "past_key_values": cache}
    if "position_ids" in takes:
        inputs["position_ids"] = positions
    if "logits_to_keep" in takes:
        inputs["logits_to_keep"] = 1
    logits: Tensor = model(input_ids=ids, **inputs).logits[:, -1]
    return logits


def _trimmed(found: Generated, columns: int) -> Generated:
    """Without columns in which no row sampled."""
    for name in ("tokens", "mask", "logprobs", "entropy", "hidden"):
        value = getattr(found, name)
        setattr(found, name, None if value is None else value[:, :columns])
    return found
