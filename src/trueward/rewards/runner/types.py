"""What goes into a runner and what comes out: items, outcomes, and the rules that every runner keeps.

Imports nothing heavy: the worker process uses this module too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from trueward.status import Status


@dataclass(frozen=True)
class Item:
    """One row to score: what a reward gets to see.

    Attributes:
        prompt: text or chat messages.
        completion: text or chat messages (a list with one assistant message).
        columns: the row's columns, JSON values only (numbers, text, lists, objects, null).
    """

    prompt: Any
    completion: Any
    columns: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """What became of one item.

    Attributes:
        value: the score; None unless the status is ok.
        status: see `Status`.
        detail: one line that says what happened ("ValueError: …", "no result within 5.0 s"), empty when ok.
        seconds: from dispatch to result, of the last attempt.
        attempts: how often it was tried (1 or 2).
        worker: number of the worker process that gave the result; −1 when it ran in this process.
        effects: side effects that were seen ("printed", "forked", "left processes"), sorted.
    """

    value: float | None
    status: Status
    detail: str = ""
    seconds: float = 0.0
    attempts: int = 1
    worker: int = -1
    effects: tuple[str, ...] = ()


@dataclass(frozen=True)
class Demands:
    """What a leaf reward asks of whoever runs it. The defaults fit a rule.

    Attributes:
        batch: how many rows it likes to see in one call; 1 when company gains nothing.
        most_workers: how many workers may hold it at once; None for any number.
        weights_mb: memory that it holds before it has scored anything, in MiB; a worker may use this much more.
        seconds: how long a call may take by the leaf's own clock; a worker waits at least so long.
        noise: share of the width of its rewards by which a row may score differently in other company, because numbers
            are added in another order. 0 for exact rewards.
        paddings: description → address of the same reward on rows that are padded in another way.
    """

    batch: int = 1
    most_workers: int | None = None
    weights_mb: float = 0.0
    seconds: float = 0.0
    noise: float = 0.0
    paddings: Mapping[str, str] = field(default_factory=dict)


class Runner(Protocol):
    """Scores items under a leaf reward, named by address."""

    @property
    def has_deadline(self) -> bool:
        """False when a reward that hangs would hang the caller too."""
        ...

    def run(
        self,
        address: str,
        calls: Sequence[Sequence[Item]],
        *,
        retry: bool = True,
        fresh: bool = False,
    ) -> list[list[Outcome]]:
        """Call the reward once per element of `calls`, each with one or more rows.

        Args:
            address: which leaf reward (see `trueward.rewards.address`).
            calls: M calls; call i holds the rows that the reward sees together.
            retry: repeat a time-out, crash or exception once, alone (time-outs and crashes in a fresh worker), before
                the answer is blamed. When False the first failure is final.
            fresh: run in a worker process that has scored nothing before.

        Returns:
            M lists of outcomes, in the order of `calls`, one outcome per row. Never raises because of what an answer or
            the reward did; raises `WorkerError` when workers cannot be started or the budget of the call ended.
        """
        ...

    def close(self) -> None:
        """End every worker."""
        ...
