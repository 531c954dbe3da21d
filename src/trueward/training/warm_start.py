"""Warm start: a policy learns to write like demonstrations before any reward is asked."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from trueward.errors import TrainingError
from trueward.objectives.supervised import negative_log_likelihood
from trueward.policies.inputs import pad_left, pad_right
from trueward.policies.language import LanguagePolicy
from trueward.policies.prompts import encode, prompt_ids
from trueward.tasks.text.procedural.task import Demonstration

_BATCHES_SORTED = 8  # how many batches are sorted by length together, so that little is padding
_LARGEST_GRADIENT = 1.0
_LAST_RATE = 0.1  # of the learning rate, at the last step

Example = tuple[list[int], list[int]]  # tokens of prompt and completion


def warm_start(
    policy: LanguagePolicy,
    demonstrations: Sequence[Demonstration],
    *,
    steps: int,
    batch_size: int = 64,
    learning_rate: float = 3e-3,
    warm_up: float = 0.1,
    seed: int = 0,
) -> list[float]:
    """Supervised fine-tuning on the tokens of completions and the end of text after them.

    loss = −mean log π(y_t | x, y_<t) over the tokens y of a batch. AdamW without weight decay; the learning rate rises
    linearly over the first steps and falls linearly to a tenth of it at the last. Every epoch has an order of its own,
    in batches of similar length. The same demonstrations, settings and seed give the same weights.

    Args:
        policy: is trained in place.
        demonstrations: rows with completions to imitate.
        steps: updates.
        batch_size: demonstrations of an update.
        learning_rate: highest.
        warm_up: share of the steps in which it rises.
        seed: of the order.

    Returns:
        Loss of each step, in nats per token.

    Raises:
        TrainingError: no demonstrations, one that is longer than the model has positions, or a loss that is not finite.
        ValueError: a setting outside its range.

    Reference: Ouyang et al. 2022 (InstructGPT) §3.5.
    """
    if steps < 0 or batch_size < 1 or not learning_rate > 0 or not 0 <= warm_up < 1:
        raise ValueError(
            f"steps={steps}, batch_size={batch_size}, learning_rate={learning_rate}, warm_up={warm_up}: steps must not "
            "be negative, batch_size at least 1, learning_rate positive, warm_up in [0, 1)"
        )
    examples = _examples(policy, demonstrations)
    parameters = [parameter for parameter in policy.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=learning_rate, weight_decay=0.0, fused=True)
    rising = max(1, round(warm_up * steps))
    losses = []
    was_training = policy.model.training
    policy.model.train()
    try:
        for step, rows in enumerate(itertools.islice(_batches(examples, batch_size, seed), steps)):
            falling = 1 - (1 - _LAST_RATE) * max(0, step + 1 - rising) / max(1, steps - rising)
            optimizer.param_groups[0]["lr"] = learning_rate * min((step + 1) / rising, falling)
            loss = _loss(policy, [examples[row] for row in rows])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(parameters, _LARGEST_GRADIENT)
            optimizer.step()
            losses.append(loss.item())
            if not np.isfinite(losses[-1]):
                raise TrainingError(f"the loss of step {step} is {losses[-1]}: lower learning_rate={learning_rate}")
    finally:
        policy.model.train(was_training)
        optimizer.zero_grad(set_to_none=True)
    return losses


def _examples(policy: LanguagePolicy, demonstrations: Sequence[Demonstration]) -> list[Example]:
    if not demonstrations:
        raise TrainingError("there are no demonstrations to start from")
    end = policy.tokenizer.eos_token_id
    prompts = prompt_ids(policy.tokenizer, [demonstration.row.prompt for demonstration in demonstrations])
    completions = encode(policy.tokenizer, [demonstration.completion for demonstration in demonstrations])
    examples = [
        (prompt, completion if end is None else [*completion, end])
        for prompt, completion in zip(prompts, completions, strict=True)
    ]
    longest = max(len(prompt) + len(completion) for prompt, completion in examples)
    if policy.positions is not None and longest > policy.positions:
        raise TrainingError(
            f"a demonstration has {longest} tokens with its prompt and the end of text, but the model has "
            f"{policy.positions} positions: leave it out, or take a model with more"
        )
    return examples


def _batches(examples: Sequence[Example], size: int, seed: int) -> Iterator[list[int]]:
    """Rows of each batch, for ever: every epoch shuffled, then sorted by length within some batches, then shuffled."""
    generator = np.random.default_rng(seed)
    while True:
        order = generator.permutation(len(examples)).tolist()
        batches = []
        for start in range(0, len(order), _BATCHES_SORTED * size):
            some = sorted(
                order[start : start + _BATCHES_SORTED * size],
                key=lambda row: (len(examples[row][0]), len(examples[row][1])),
            )
            batches += [some[first : first + size] for first in range(0, len(some), size)]
        yield from (batches[number] for number in generator.permutation(len(batches)).tolist())


def _loss(policy: LanguagePolicy, examples: Sequence[Example]) -> Tensor:
    prompts, asked = pad_left([prompt for prompt, _ in examples], policy.padding)
    completions, written = pad_right([completion for _, completion in examples], policy.padding)
    found = policy.likelihood(
        torch.cat([prompts, completions], dim=1), torch.cat([asked, written], dim=1), completions.shape[1]
    )
    loss, _ = negative_log_likelihood(found.logprobs, written.to(found.logprobs.device))
    return loss
