"""Scoring in the calling process, for rewards that no worker could load."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from trueward.rewards.runner.types import Item, Outcome
from trueward.rewards.runner.worker import score
from trueward.status import Status


class InProcess:
    """Scores leaf rewards here. No deadline and no memory limit hold; everything else is as in the pool.

    Args:
        rewards: leaf rewards by address.
    """

    has_deadline = False

    def __init__(self, rewards: Mapping[str, Any]) -> None:
        """Keeps the rewards; nothing is started."""
        self._rewards = dict(rewards)

    def run(
        self, address: str, calls: Sequence[Sequence[Item]], *, retry: bool = True, fresh: bool = False
    ) -> list[list[Outcome]]:
        """Call the reward once per element of `calls`; see `Runner.run`. `fresh` is only another call here."""
        leaf = self._rewards[address]
        results = []
        for rows in calls:
            attempts = 1
            started = time.perf_counter()
            scored = score(leaf, list(rows))
            if retry and any(status.blames_answer and status is not Status.UNPARSABLE for _, status, _ in scored):
                attempts = 2
                started = time.perf_counter()
                scored = score(leaf, list(rows))
            seconds = time.perf_counter() - started
            results.append([Outcome(value, status, detail, seconds, attempts) for value, status, detail in scored])
        return results

    def close(self) -> None:
        """Nothing to end."""
