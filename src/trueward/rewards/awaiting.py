"""Waiting for rewards that are coroutines, from any thread, inside an event loop or not."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable
from typing import Any


def settled(result: Any) -> Any:
    """The result, awaited if it has to be; a list of results is awaited together.

    Inside a running event loop (a notebook, an asynchronous trainer) a fresh thread waits, because a loop cannot be
    entered twice.

    Raises:
        Exception: whatever the reward raised.
    """
    several = isinstance(result, list) and any(inspect.isawaitable(one) for one in result)
    if not several and not inspect.isawaitable(result):
        return result
    # asyncio takes longer to import than a whole worker may take to start.
    import asyncio

    async def wait() -> Any:
        if not several:
            return await result
        places = [i for i, one in enumerate(result) if inspect.isawaitable(one)]
        values = await asyncio.gather(*(_as_coroutine(result[i]) for i in places))
        awaited = dict(zip(places, values, strict=True))
        return [awaited.get(i, one) for i, one in enumerate(result)]

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(wait())
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1, thread_name_prefix="awaiting-reward") as thread:
        return thread.submit(asyncio.run, wait()).result()


async def _as_coroutine(one: Awaitable[Any]) -> Any:
    return await one
