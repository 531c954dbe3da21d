"""A reward as a coroutine, for trainers that are TRL's own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from trueward.rewards.base import as_reward


def as_coroutine(reward: Any) -> Callable[..., Coroutine[Any, Any, list[float | None]]]:
    """A reward as TRL's trainers wait for it without standing still: coroutine rewards are scored together.

    `GRPOTrainer(reward_funcs=[as_coroutine("judge.py:helpful"), as_coroutine("rules.py:format")])` waits as long as the
    slower of the two takes. The reward runs in a thread, so one that sets signals must run in a worker (give its
    address and call `use(WorkerPool(...))`). `TruewardGRPOTrainer` scores while the trainer goes on by itself; hand it
    the reward as it is.

    Args:
        reward: whatever `as_reward` takes.

    Returns:
        A coroutine function in TRL's convention, under the reward's name.
    """
    scored = as_reward(reward)

    async def wait(prompts: list[Any], completions: list[Any], **columns: Any) -> list[float | None]:
        return await asyncio.to_thread(scored, prompts, completions, **columns)

    wait.__name__ = wait.__qualname__ = scored.name
    return wait
