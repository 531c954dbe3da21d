"""`search`: the smallest exploit per cause, within a budget of calls."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from trueward.audit.derivations import Envelope
from trueward.audit.payoff import Result, Scale
from trueward.audit.probes.base import Family, Probe, Surroundings
from trueward.audit.scoring import Scoring
from trueward.audit.search.asking import Asked, Asking
from trueward.audit.search.constructions import HEDGES, NOTHING, REFERENCE, Builder, Construction
from trueward.audit.search.explore import explore, require_hypothesis, shrink
from trueward.audit.search.steps import STEPS
from trueward.audit.search.sweep import groups, singles
from trueward.report.document import FOUND_BY_SEARCH, Search
from trueward.tasks.text.rows import Row

_BATCH = 32
_ROWS = 4  # on which deeper combinations are looked for
_SPREAD = 20  # rows on which a find is tried again
_MOST_CAUSES = 12
_RESERVED = 0.2  # of the budget, for deeper combinations
_TRANSPARENT_AMOUNT = 4

_SAID = {NOTHING: "no answer with", REFERENCE: "the right answer made wrong by"}

Progress = Callable[[str, int, int], None]

SEARCH = Family(
    FOUND_BY_SEARCH,
    "pays something that a search made up",
    "certified wrong completions made of several small changes",
    "wrong",
    "It does not give the right answer: the certificate was asked again after every change.",
    uses_reference=True,
    needs_answer=True,
    build=lambda row, surroundings: (),
)


@dataclass(frozen=True)
class Find:
    """One cause by which a wrong completion is paid.

    Attributes:
        construction: the smallest one that shows it.
        results: on every row that was tried, paid or not; the row where it was found comes first.
    """

    construction: Construction
    results: tuple[Result, ...]

    @property
    def title(self) -> str:
        """What is paid, in one line."""
        base = self.construction.base
        said = "two answers with" if base in HEDGES else _SAID.get(base, "a wrong answer with")
        return f"pays {said} {', and '.join(self.construction.titles)}"


@dataclass(frozen=True)
class Searched:
    """What a search found, and what it cost."""

    finds: tuple[Find, ...]
    about: Search


def search(
    rows: Sequence[Row],
    surroundings: Surroundings,
    scoring: Scoring,
    scales: Mapping[str, Scale],
    envelope: Envelope,
    budget: int,
    paid_before: Collection[tuple[str, str]] = (),
    progress: Progress = lambda stage, done, total: None,
) -> Searched:
    """Search for completions that are certified wrong and paid like the right answer.

    Args:
        rows: usable rows.
        surroundings: for wrong answers taken from other rows, and for certificates.
        scoring: the reward.
        scales: the scale of every row.
        envelope: the calibrated envelope.
        budget: calls of the reward that may be made.
        paid_before: id of the row and text of completions that are known to be paid: they are no finds.
        progress: called with (stage, calls so far, budget).

    Returns:
        At most 12 finds, one per cause. What is paid without any change is left to the fixed probes.

    Raises:
        MissingExtra: Hypothesis is not installed.
    """
    require_hypothesis()
    builder = Builder(surroundings, envelope)
    asking = Asking(builder, surroundings, scoring, dict(scales), budget)
    hunt = _Hunt(asking, paid_before, progress)
    found: list[Asked] = []
    if rows:
        found = hunt.run(rows)
    finds = tuple(_spread(asked, rows, asking) for asked in found)
    about = Search(
        budget=budget,
        calls=asking.calls,
        candidates=asking.candidates,
        discarded=asking.discarded,
        causes=len(finds),
    )
    return Searched(finds, about)


class _Hunt:
    """One search: the causes that are known so far."""

    def __init__(self, asking: Asking, paid_before: Collection[tuple[str, str]], progress: Progress) -> None:
        self.asking, self.paid_before, self.progress = asking, paid_before, progress
        self.causes: list[Construction] = []
        self.found: list[Asked] = []

    def known(self, construction: Construction) -> bool:
        """Whether it takes all that a known cause takes."""
        return any(construction.shows(cause) for cause in self.causes)

    def run(self, rows: Sequence[Row]) -> list[Asked]:
        row = rows[0]
        asking = self.asking
        bases = list(asking.builder.bases(row))
        # What is paid as it is belongs to the fixed probes, and would be a part of everything that is built on it.
        for asked in asking.ask([(Construction(base), row) for base in bases]):
            if asked.paid:
                self.causes.append(asked.construction)
        bases = [base for base in bases if Construction(base) not in self.causes]
        reserve = int(_RESERVED * asking.budget)
        transparent = asking.transparent(range(len(STEPS)), REFERENCE, _TRANSPARENT_AMOUNT, row)
        self._sweep(singles(bases, transparent), row, reserve)
        self._sweep(groups(bases, transparent), row, reserve)
        while asking.left and len(self.found) < _MOST_CAUSES and bases:
            deeper = explore(bases, rows[:_ROWS], asking, self.known)
            if deeper is None:
                break
            self._keep(deeper)
        return self.found

    def _sweep(self, constructions: Iterable[Construction], row: Row, reserve: int) -> None:
        waiting = iter(constructions)
        while self.asking.left > reserve and len(self.found) < _MOST_CAUSES:
            batch = list(islice(waiting, _BATCH))
            if not batch:
                return
            self.progress("searching", self.asking.calls, self.asking.budget)
            for asked in self.asking.ask([(one, row) for one in batch if not self.known(one)]):
                if asked.paid and not self.known(asked.construction):
                    self._keep(asked)

    def _keep(self, asked: Asked) -> None:
        smallest = shrink(asked, self.asking, self.known)
        self.causes.append(smallest.construction)
        if (smallest.row.id, smallest.derivation.text) not in self.paid_before:
            self.found.append(smallest)


def _spread(asked: Asked, rows: Sequence[Row], asking: Asking) -> Find:
    """The same construction on other rows, as far as the budget reaches."""
    construction = asked.construction
    others = asking.ask([(construction, row) for row in rows[:_SPREAD] if row.id != asked.row.id])
    results = tuple(_result(one) for one in (asked, *others))
    return Find(construction, results)


def _result(asked: Asked) -> Result:
    probe = Probe(asked.row, SEARCH.name, asked.relation, asked.derivation)
    return Result(probe, asked.outcome, asked.payoff)
