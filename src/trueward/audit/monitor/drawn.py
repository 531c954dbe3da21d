"""Which rollouts of a step are checked. Plain Python, because for so few it is faster than arrays."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from trueward.audit.monitor.step import Step


def rows_by_prompt(step: Step) -> list[Sequence[int]]:
    """The rollouts of each prompt, which is told by their group, or by the prompt itself where there are none."""
    if step.starts is not None:
        starts = step.starts.tolist()
        return [range(start, end) for start, end in zip(starts, [*starts[1:], len(step)], strict=True)]
    rows: dict[Any, list[int]] = {}
    for place, name in enumerate(map(_key, step.prompts) if step.group is None else step.group.tolist()):
        rows.setdefault(name, []).append(place)
    return list(rows.values())


def _key(prompt: Any) -> str:
    return prompt if isinstance(prompt, str) else json.dumps(prompt, sort_keys=True, default=str)


def generator_of(seed: int, step: int) -> random.Random:
    """The draws of a step: they depend on these two numbers and on nothing else, so that nothing has to be kept."""
    return random.Random((seed << 64) + step)


def drawn(prompts: Sequence[Sequence[int]], budget: int, generator: random.Random) -> list[list[int]]:
    """Draw rollouts without replacement, as evenly over the prompts as can be.

    With at most as many as there are prompts, each is a rollout of another prompt, every set of prompts is as likely as
    any other, and so is every rollout of a prompt. With more, every prompt has one before any has two.

    Args:
        prompts: the rollouts of each; see `rows_by_prompt`.
        budget: how many; all where there are fewer.
        generator: of the draws.

    Returns:
        The rollouts drawn of each prompt of which there are any.
    """
    if budget <= len(prompts):
        return [[one[int(generator.random() * len(one))]] for one in generator.sample(prompts, budget)]
    mixed = [generator.sample(one, len(one)) for one in generator.sample(prompts, len(prompts))]
    sizes = [len(one) for one in mixed]
    taken = [0] * len(mixed)
    for turn in range(max(sizes, default=0)):
        for number, size in enumerate(sizes):
            if turn < size and budget:
                taken[number], budget = turn + 1, budget - 1
    return [one[:count] for one, count in zip(mixed, taken, strict=True) if count]


def means_of_prompts(values: Sequence[float], counts: Sequence[int]) -> Float[np.ndarray, " p"]:
    """Mean of the values of each prompt that has any; NaN is no value.

    One number per prompt, because rollouts of one prompt are not independent.

    Args:
        values: of the rollouts, prompt by prompt.
        counts: how many are of each prompt.
    """
    found, start = [], 0
    for count in counts:
        known = [value for value in values[start : start + count] if value == value]
        start += count
        if known:
            found.append(sum(known) / len(known))
    return np.array(found, dtype=np.float64)
