"""Asking the reward: items from derivations, a cache, counts of calls, statuses and seconds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from trueward.audit.derivations import Derivation
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
        calls: calls of the reward so far, repeats included.
        statuses: number of outcomes by status.
        effects: side effects that were seen, with the completion that showed each first.
        seconds: duration of every single call.
        slowest: duration and beginning of the slowest completion.
    """

    runner: Runner
    address: str
    aliases: Mapping[str, str] = field(default_factory=dict)
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
        """One outcome per pair, each scored alone; a completion that was scored before is not scored again."""
        keys = [(row.id, d.envelope.container, d.text) for row, d in pairs]
        missing = {key: pair for key, pair in zip(keys, pairs, strict=True) if key not in self._known}
        if missing:
            outcomes = self.run([[pair] for pair in missing.values()], retry=retry)
            self._known.update(zip(missing, (one[0] for one in outcomes), strict=True))
        return [self._known[key] for key in keys]

    def run(
        self, calls: Sequence[Sequence[tuple[Row, Derivation]]], *, retry: bool = True, fresh: bool = False
    ) -> list[list[Outcome]]:
        """Call the reward once per element, with all its rows together; nothing is remembered or looked up."""
        items = [[self.item(row, derivation) for row, derivation in call] for call in calls]
        results = self.runner.run(self.address, items, retry=retry, fresh=fresh)
        for call, outcomes in zip(calls, results, strict=True):
            self._count(call, outcomes)
        return results

    def _count(self, call: Sequence[tuple[Row, Derivation]], outcomes: Sequence[Outcome]) -> None:
        self.calls += max((outcome.attempts for outcome in outcomes), default=1)
        for (_, derivation), outcome in zip(call, outcomes, strict=True):
            self.statuses[outcome.status.value] += 1
            for effect in outcome.effects:
                self.effects.setdefault(effect, derivation.text[:_SHOWN])
        if len(call) == 1:
            seconds = outcomes[0].seconds
            self.seconds.append(seconds)
            if seconds > self.slowest[0]:
                self.slowest = (seconds, call[0][1].text[:_SHOWN])
