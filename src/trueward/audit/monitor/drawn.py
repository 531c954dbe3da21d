"""Which rollouts of a step are checked. Plain Python, because for so few it is faster than arrays."""

from __future__ import annotations

import json
import random
from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from trueward.audit.monitor.step import Step


def prompts_of(step: Step) -> list[Hashable]:
    """What tells the prompt of each rollout: its group, or the prompt itself where there are none."""
    if step.group is not None:
        groups: list[Hashable] = step.group.tolist()
        return groups
    return [_key(prompt) for prompt in step.prompts]


def _key(prompt: Any) -> str:
    return prompt if isinstance(prompt, str) else json.dumps(prompt, sort_keys=True, default=str)


def generator_of(seed: int, step: int) -> random.Random:
    """The draws of a step: they depend on these two numbers and on nothing else, so that nothing has to be kept."""
    return random.Random((seed << 64) + step)


def drawn(prompts: Sequence[Hashable], budget: int, generator: random.Random) -> list[int]:
    """Draw rollouts without replacement, as evenly over the prompts as can be.

    With at most as many as there are prompts, each is a rollout of another prompt, every set of prompts is as likely as
    any other, and so is every rollout of a prompt. With more, every prompt has one before any has two.

    Args:
        prompts: see `prompts_of`.
        budget: how many; all where there are fewer.
        generator: of the draws.
    """
    rows: dict[Hashable, list[int]] = {}
    for place, prompt in enumerate(prompts):
        rows.setdefault(prompt, []).append(place)
    if budget <= len(rows):
        return [one[int(generator.random() * len(one))] for one in generator.sample(list(rows.values()), budget)]
    mixed = [generator.sample(one, len(one)) for one in generator.sample(list(rows.values()), len(rows))]
    turns = range(max(map(len, mixed), default=0))
    return [one[turn] for turn in turns for one in mixed if turn < len(one)][:budget]


def means_of_prompts(prompts: Sequence[Hashable], values: Sequence[float]) -> Float[np.ndarray, " p"]:
    """Mean of the values of each prompt that has any; NaN is no value.

    One number per prompt, because rollouts of one prompt are not independent.
    """
    known: dict[Hashable, list[float]] = {}
    for prompt, value in zip(prompts, values, strict=True):
        if value == value:
            known.setdefault(prompt, []).append(value)
    return np.array([sum(one) / len(one) for one in known.values()])
