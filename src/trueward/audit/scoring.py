"""Asking the reward: items from derivations, a cache, counts of calls, statuses and seconds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from trueward.audit.derivations import Derivation
from trueward.rewards.runner.batches import run_in_batches
from trueward.rewards.runner.types import Item, Outcome, Runner
from trueward.tasks.text.rows import Row

_SHOWN = 200


@dataclass
class Scoring:
    """Scores completions under one reward and remembers what came back.

    Attributes:
        runner: where the reward runs.
        address: which reward.
        aliases: column of the reward → column of the data, for references under another name.
        batch: most rows of a call, for rewards that score a batch faster; 1 for all others.
        calls: calls of the reward so far, repeats included.
        statuses: number of outcomes by status.
        effects: side effects that were seen, with the completion that showed each first.
        seconds: duration of every call with one row; for a row of a batch its share of the call.
        slowest: duration and beginning of the slowest completion.
    """

    runner: Runner
    address: str
    aliases: Mapping[str, str] = field(default_factory=dict)
    batch: int = 1
    calls: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    effects: dict[str, str] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)
    slowest: tuple[float, str] = (0.0, "")
    _known: dict[tuple[str, str, str], Outcome] = field(default_factory=dict)

    def item(self, row: Row, derivation: Derivation) -> Item:
        """What the reward gets to see."""
        columns: dict[str, Any] = dict(row.columns)
        for wanted, present in self.aliases.items():
            columns[wanted] = columns[present]
        return Item(row.prompt, derivation.envelope.completion(derivation.text), columns)

    def score(self, pairs: Sequence[tuple[Row, Derivation]], *, retry: bool = True) -> list[Outcome]:
        """One outcome per pair, each scored alone or, where the reward wants batches, beside some others.

        A completion that was scored before is not scored again.
        """
        keys = [(row.id, d.envelope.container, d.text) for row, d in pairs]
        missing = {key: pair for key, pair in zip(keys, pairs, strict=True) if key not in self._known}
        if missing:
            asked = list(missing.values())
            items = [self.item(row, derivation) for row, derivation in asked]
            batched = run_in_batches(self.runner, self.address, items, self.batch, retry=retry)
            self.calls += batched.calls
            for pair, outcome in zip(asked, batched.outcomes, strict=True):
                self._remember(pair, outcome)
                self._time(pair, outcome)
            self._known.update(zip(missing, batched.outcomes, strict=True))
        return [self._known[key] for key in keys]

    def run(
        self,
        calls: Sequence[Sequence[tuple[Row, Derivation]]],
        *,
        retry: bool = True,
        fresh: bool = False,
        address: str | None = None,
    ) -> list[list[Outcome]]:
        """Call the reward once per element, with all its rows together; nothing is remembered or looked up.

        Args:
            calls: rows and completions of each call.
            retry, fresh: as in `Runner.run`.
            address: of the same reward set up in another way; by default the reward itself.
        """
        items = [[self.item(row, derivation) for row, derivation in call] for call in calls]
        results = self.runner.run(address or self.address, items, retry=retry, fresh=fresh)
        for call, outcomes in zip(calls, results, strict=True):
            self._count(call, outcomes)
        return results

    def _count(self, call: Sequence[tuple[Row, Derivation]], outcomes: Sequence[Outcome]) -> None:
        self.calls += max((outcome.attempts for outcome in outcomes), default=1)
        for pair, outcome in zip(call, outcomes, strict=True):
            self._remember(pair, outcome)
        if len(call) == 1:
            self._time(call[0], outcomes[0])

    def _remember(self, pair: tuple[Row, Derivation], outcome: Outcome) -> None:
        self.statuses[outcome.status.value] += 1
        for effect in outcome.effects:
            self.effects.setdefault(effect, pair[1].text[:_SHOWN])

    def _time(self, pair: tuple[Row, Derivation], outcome: Outcome) -> None:
        self.seconds.append(outcome.seconds)
        if outcome.seconds > self.slowest[0]:
            self.slowest = (outcome.seconds, pair[1].text[:_SHOWN])
