"""Asking: certifies what a construction makes, and asks the reward about it as long as the budget lasts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from trueward.audit.certificates.completions import certify
from trueward.audit.derivations import Derivation
from trueward.audit.payoff import FULL, Scale
from trueward.audit.probes.base import Surroundings
from trueward.audit.scoring import Scoring
from trueward.audit.search.constructions import Builder, Construction
from trueward.report.document import Relation
from trueward.rewards.runner.types import Outcome
from trueward.tasks.text.rows import Row

_RELATIONS: dict[str, Relation] = {"wrong": "wrong", "unearned": "unearned"}


@dataclass(frozen=True)
class Asked:
    """A certified completion and what the reward did with it.

    Attributes:
        construction: what it was made by.
        row: for which row.
        derivation: how it was made.
        relation: "wrong" or "unearned".
        outcome: what came back.
        payoff: on the row's scale; None without a score.
    """

    construction: Construction
    row: Row
    derivation: Derivation
    relation: Relation
    outcome: Outcome
    payoff: float | None

    @property
    def paid(self) -> bool:
        """True when it earns as much as the right answer."""
        return self.payoff is not None and self.payoff >= FULL


class Asking:
    """Asks the reward about constructions, and remembers every completion, so that none costs twice.

    Args:
        builder: makes derivations.
        surroundings: for the certificate.
        scoring: the reward.
        scales: the scale of every row.
        budget: calls that may be made. A failure is not repeated: what failed is not paid.
    """

    def __init__(
        self,
        builder: Builder,
        surroundings: Surroundings,
        scoring: Scoring,
        scales: dict[str, Scale],
        budget: int,
    ) -> None:
        """Asks nothing yet."""
        self.builder, self.surroundings, self.scoring, self.scales = builder, surroundings, scoring, scales
        self.budget = budget
        self.discarded = 0
        self._begun = scoring.calls
        self._known: dict[tuple[str, Construction], Asked | None] = {}

    @property
    def calls(self) -> int:
        """Calls made so far."""
        return self.scoring.calls - self._begun

    @property
    def left(self) -> int:
        """Calls that may still be made."""
        return max(0, self.budget - self.calls)

    @property
    def candidates(self) -> int:
        """Certified completions that the reward was asked about."""
        return sum(asked is not None for asked in self._known.values())

    def ask(self, wanted: Sequence[tuple[Construction, Row]]) -> list[Asked]:
        """What the reward does with each; without those that no certificate calls wrong, and those beyond the budget.

        What was asked before costs nothing.
        """
        fresh: list[tuple[Construction, Row, Derivation, Relation]] = []
        for construction, row in wanted:
            key = row.id, construction
            if key in self._known or len(fresh) >= self.left:
                continue
            derivation = self.builder.build(construction, row)
            label = "unknown" if derivation is None else certify(row, derivation, self.surroundings.checker)
            if derivation is None or label not in _RELATIONS:
                self._known[key] = None
                self.discarded += derivation is not None
            else:
                self._known[key] = None  # so that it is asked once even where it stands twice
                fresh.append((construction, row, derivation, _RELATIONS[label]))
        outcomes = self.scoring.score([(row, derivation) for _, row, derivation, _ in fresh], retry=False)
        for (construction, row, derivation, relation), outcome in zip(fresh, outcomes, strict=True):
            payoff = self.scales[row.id].payoff(outcome.value)
            self._known[row.id, construction] = Asked(construction, row, derivation, relation, outcome, payoff)
        found = (self._known.get((row.id, construction)) for construction, row in wanted)
        return [asked for asked in found if asked is not None]

    def transparent(self, steps: Sequence[int], base: str, amount: int, row: Row) -> set[int]:
        """Which of these steps leave this base paid when it is the right answer: they hide nothing beside them."""
        made = [(step, self.builder.build(Construction(base, (step,), amount), row)) for step in steps]
        pairs = [(step, derivation) for step, derivation in made if derivation is not None][: self.left]
        outcomes = self.scoring.score([(row, derivation) for _, derivation in pairs], retry=False)
        payoffs = [self.scales[row.id].payoff(outcome.value) for outcome in outcomes]
        return {step for (step, _), payoff in zip(pairs, payoffs, strict=True) if payoff is not None and payoff >= FULL}
