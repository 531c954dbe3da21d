"""Scores of a batch: rewards that may leave the main thread start as soon as the completions exist.

A reward is leaves under sums, gates and transforms. Leaves look at rows one by one: each process scores its own, while
the trainer goes on with log-probabilities. Everything above them may look at groups or at the whole batch: it runs when
the scores of all processes have come together, the same on each of them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from trueward.adapters.trl.gathering import joined_scores
from trueward.adapters.trl.reward_functions import TrlFunction, is_coroutine_function
from trueward.batch import Context, Rollouts, Scores
from trueward.errors import RewardError
from trueward.rewards.base import Foreign, Reward
from trueward.rewards.foreign import Given
from trueward.rewards.runner import InProcess, Runner
from trueward.status import Status

_MAIN_THREAD_KINDS = frozenset({"trl", "verl", "function"})


class Known(Reward):
    """A leaf whose scores are already there."""

    def __init__(self, name: str, scores: Scores) -> None:
        self._name, self._scores = name, scores

    @property
    def name(self) -> str:
        """Name of the leaf."""
        return self._name

    def score(self, rollouts: Rollouts, context: Context) -> Scores:
        """What the leaf said."""
        return self._scores

    def use(self, runner: Runner) -> bool:
        """There is nothing left to score."""
        return True


@dataclass
class Pending:
    """Scores of the leaves on the rows of this process, some of which are still being made.

    Attributes:
        rollouts: of this process.
        supplied: the same with the columns for functions of TRL's convention.
        context: where training stands.
        futures: by leaf, for those that run elsewhere.
    """

    rollouts: Rollouts
    supplied: Rollouts
    context: Context
    futures: dict[int, Future[Scores]]

    def seen_by(self, leaf: Reward) -> Rollouts:
        """The rollouts with what this leaf may read."""
        return self.supplied if isinstance(_inside(leaf), TrlFunction) else self.rollouts


class Scorer:
    """Scores a reward in two stages; see the module.

    Attributes:
        reward: as it was given.
        leaves: what it is made of, each once.
    """

    def __init__(self, reward: Reward) -> None:
        self.reward = reward
        found: dict[int, Reward] = {}

        def note(leaf: Reward) -> Reward:
            found.setdefault(id(leaf), leaf)
            return leaf

        reward.with_leaves(note)
        self.leaves = list(found.values())
        self._threads: dict[Hashable, ThreadPoolExecutor] = {}

    @property
    def calls_functions(self) -> bool:
        """True where functions of TRL's convention are among the leaves."""
        return any(isinstance(_inside(leaf), TrlFunction) for leaf in self.leaves)

    def start(self, rollouts: Rollouts, context: Context, supplied: Mapping[str, Sequence[Any]] = {}) -> Pending:
        """Begin with what may run off the main thread.

        Args:
            rollouts: of this process.
            context: where training stands.
            supplied: columns that only functions of TRL's convention get.
        """
        pending = Pending(rollouts, _with_columns(rollouts, supplied), context, {})
        for leaf in self.leaves:
            lane = lane_of(leaf)
            if lane is not None:
                if lane not in self._threads:
                    self._threads[lane] = ThreadPoolExecutor(1, thread_name_prefix="trueward-reward")
                pending.futures[id(leaf)] = self._threads[lane].submit(leaf.score, pending.seen_by(leaf), context)
        return pending

    def collect(self, pending: Pending) -> list[Scores]:
        """The scores of all leaves on the rows of this process, in their order.

        Raises:
            RewardError: a leaf cannot be called with these rollouts, or does not give one score for each.
        """
        found = []
        for leaf in self.leaves:
            future = pending.futures.get(id(leaf))
            scores = leaf.score(pending.seen_by(leaf), pending.context) if future is None else future.result()
            _check(leaf.name, scores, pending.rollouts)
            found.append(scores)
        return found

    def complete(self, processes: Sequence[Sequence[Scores]], rollouts: Rollouts, context: Context) -> Scores:
        """Scores of the whole batch.

        Args:
            processes: what `collect` gave on each process, in their order.
            rollouts: of all processes.
            context: the same on all processes.
        """
        known = {
            id(leaf): Known(leaf.name, joined_scores([own[place] for own in processes], leaf.name))
            for place, leaf in enumerate(self.leaves)
        }
        return self.reward.with_leaves(lambda leaf: known[id(leaf)]).score(rollouts, context)


def lane_of(leaf: Reward) -> Hashable | None:
    """Which thread scores a leaf: those of one lane in turn, None on the main thread.

    A plain function runs where TRL runs it, on the main thread, because one that limits its time by signals would fail
    elsewhere, or worse, call every answer wrong. Coroutines and servers wait beside one another; a runner's rewards,
    and models of this process, run one after the other.
    """
    if not isinstance(leaf, Foreign):
        return "models"
    if not isinstance(leaf.runner, InProcess):
        return id(leaf.runner)
    if leaf.leaf.kind == "remote" or is_coroutine_function(getattr(_inside(leaf), "function", None)):
        return id(leaf)
    return None if leaf.leaf.kind in _MAIN_THREAD_KINDS else "models"


def _inside(leaf: Reward) -> Any:
    inner = leaf.leaf if isinstance(leaf, Foreign) else leaf
    return inner.reward if isinstance(inner, Given) else inner


def _check(name: str, scores: Scores, rollouts: Rollouts) -> None:
    """One score per row, or an error that names the reward."""
    if len(scores) != len(rollouts):
        raise RewardError(f"the reward {name!r} returned {len(scores)} scores for {len(rollouts)} completions")
    for part in scores.parts.values():
        for place, status in enumerate(part.status):
            if status is Status.WRONG_COUNT:
                why = part.details[place] if part.details else "not one score per completion"
                raise RewardError(
                    f"the reward {name!r} {why}: it must return a list with one score for each completion, None where "
                    "it has none"
                )


def check_first(scores: Scores) -> None:
    """A reward that fails on every answer of the first batch is broken, not the answers.

    Raises:
        RewardError: no row has a score.
    """
    if any(status.ok for status in scores.status):
        return
    told = []
    for name, part in scores.paid.items():
        place = next((place for place, status in enumerate(part.status) if not status.ok), None)
        if place is not None:
            why = part.details[place] if part.details else ""
            told.append(f"{name}: {part.status[place].value}{f' ({why})' if why else ''}")
    raise RewardError(
        f"none of the first {len(scores)} completions could be scored, so there is nothing to train on: "
        f"{'; '.join(told)}"
    )


def context_of(step: int, total: int, training: bool, seed: Sequence[int]) -> Context:
    """Where training stands, as rewards see it; the generator is the same wherever the seed is."""
    return Context(step, total if total > 0 else None, training, generator=np.random.default_rng(list(seed)))


def _with_columns(rollouts: Rollouts, columns: Mapping[str, Sequence[Any]]) -> Rollouts:
    rows = [
        {**row, **{name: values[place] for name, values in columns.items()}}
        for place, row in enumerate(rollouts.reference)
    ]
    return dataclasses.replace(rollouts, reference=rows)
