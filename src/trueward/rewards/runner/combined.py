"""Scoring a combined reward: its leaves in workers, the combination in this process."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from trueward.batch import Context, Rollouts, Scores, Text
from trueward.rewards.runner.types import Item, Outcome, Runner


class Combined:
    """Runs a Trueward reward as one: the parts are scored by `inner`, and joined here.

    Args:
        reward: a `trueward.rewards.base.Reward`.
        inner: where its leaves run; ended with this runner.
    """

    def __init__(self, reward: Any, inner: Runner) -> None:
        """Moves every leaf that has an address to `inner`; a deadline holds if all have one."""
        self._reward, self._inner = reward, inner
        self.has_deadline = bool(reward.use(inner))

    def run(
        self, address: str, calls: Sequence[Sequence[Item]], *, retry: bool = True, fresh: bool = False
    ) -> list[list[Outcome]]:
        """Score each call as a batch of its own; see `Runner.run`. The leaves' runner repeats what fails."""
        results = []
        for rows in calls:
            content = Text([item.prompt for item in rows], [item.completion for item in rows])
            rollouts = Rollouts(content, reference=[item.columns for item in rows])
            results.append(_outcomes(self._reward.score(rollouts, Context())))
        return results

    def close(self) -> None:
        """End the leaves' runner."""
        self._inner.close()


def _outcomes(scores: Scores) -> list[Outcome]:
    """The total of each row, or the status and detail of the part that has none."""
    details = []
    for row, status in enumerate(scores.status):
        told = [part.details[row] for part in scores.parts.values() if part.details and part.status[row] is status]
        details.append(next((detail for detail in told if detail), ""))
    return [
        Outcome(float(value) if status.ok else None, status, detail)
        for value, status, detail in zip(scores.total(), scores.status, details, strict=True)
    ]
