"""Many rows in few calls, for rewards that score a batch faster than its rows one by one.

A call that fails as a whole says nothing about its rows: its rows are repeated one by one, so that one bad row cannot
taint the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from trueward.rewards.runner.types import Item, Outcome, Runner
from trueward.status import Status

# What one row can do to every row of its call.
_OF_THE_CALL = frozenset(
    {
        Status.RAISED,
        Status.TIMED_OUT,
        Status.OUT_OF_MEMORY,
        Status.CRASHED,
        Status.UNAVAILABLE,
        Status.MISSING_REFERENCE,
        Status.WRONG_COUNT,
    }
)


@dataclass(frozen=True)
class Batched:
    """Rows that were scored in batches.

    Attributes:
        outcomes: one per row, in their order; `seconds` is the row's share of the call that gave it.
        calls: calls of the reward, repeats included.
    """

    outcomes: tuple[Outcome, ...]
    calls: int


def run_in_batches(runner: Runner, address: str, items: Sequence[Item], size: int, *, retry: bool = True) -> Batched:
    """Score rows in calls of at most `size`, and the rows of a call that failed one by one.

    Args:
        runner: where the reward runs.
        address: which reward.
        items: N rows.
        size: most rows of a call.
        retry: as in `Runner.run`, for rows that are scored alone. A call with several rows is never repeated whole.

    Raises:
        WorkerError: as `Runner.run`.
    """
    if size <= 1:
        return _alone(runner, address, items, range(len(items)), retry)
    places = [range(begin, min(begin + size, len(items))) for begin in range(0, len(items), size)]
    results = runner.run(address, [[items[place] for place in call] for call in places], retry=False)
    outcomes: dict[int, Outcome] = {}
    failed = []
    for call, scored in zip(places, results, strict=True):
        outcomes |= {place: _share(outcome, len(call)) for place, outcome in zip(call, scored, strict=True)}
        if any(outcome.status in _OF_THE_CALL for outcome in scored):
            failed.append(call)
    again = [place for call in failed for place in call]
    repeated = _alone(runner, address, items, again, retry)
    outcomes |= dict(zip(again, repeated.outcomes, strict=True))
    return Batched(tuple(outcomes[place] for place in range(len(items))), len(places) + repeated.calls)


def _alone(runner: Runner, address: str, items: Sequence[Item], places: Sequence[int], retry: bool) -> Batched:
    results = runner.run(address, [[items[place]] for place in places], retry=retry) if places else []
    outcomes = tuple(rows[0] for rows in results)
    return Batched(outcomes, sum(outcome.attempts for outcome in outcomes))


def _share(outcome: Outcome, rows: int) -> Outcome:
    return replace(outcome, seconds=outcome.seconds / rows)
