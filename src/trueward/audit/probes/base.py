"""Probes, and the families that make them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from trueward.audit.certificates.answers import Checker
from trueward.audit.certificates.completions import CompletionLabel, certify
from trueward.audit.derivations import Derivation, Envelope
from trueward.report.document import Relation
from trueward.tasks.text.rows import Row

Rendering = Literal["envelope and bare", "envelope", "bare"]


@dataclass(frozen=True)
class Draft:
    """What a family proposes: a derivation, and for `no_gain` the completion that it must not beat."""

    derivation: Derivation
    against: Derivation | None = None


@dataclass(frozen=True)
class Probe:
    """A certified question to the reward: what does it pay for this completion?

    Attributes:
        row: the row it belongs to.
        family: name of its family.
        relation: what must hold: see `Family`.
        derivation: how the completion is made.
        against: for `no_gain`, the completion that must not be beaten.
    """

    row: Row
    family: str
    relation: Relation
    derivation: Derivation
    against: Derivation | None = None

    @property
    def id(self) -> str:
        """Stable name: the same row, family and derivation have the same id in every run."""
        return probe_id(self.row, self.family, self.derivation)


def probe_id(row: Row, family: str, derivation: Derivation) -> str:
    """First 12 hex digits of the SHA-256 of row id, family and derivation."""
    return hashlib.sha256(f"{row.id}\n{family}\n{derivation.key}".encode()).hexdigest()[:12]


@dataclass(frozen=True)
class Surroundings:
    """What a family may use besides the row itself.

    Attributes:
        rows: all rows of the audit.
        options: the options of the question, or the few different answers that the data holds; () when open.
        checker: independent check of answers where many are right; see `Checker`.
    """

    rows: Sequence[Row]
    options: tuple[str, ...] = ()
    checker: Checker | None = None


@dataclass(frozen=True)
class Family:
    """One way to try a reward.

    Attributes:
        name: short name, stable over versions (it is part of probe ids).
        title: what a reward does wrong when it falls for it.
        description: what is tried, for a reader who has not seen the docs.
        relation: "wrong" (must not be paid), "right" (must be paid), "no_gain" (must not be paid more than another
            completion), "returns" (must come back in time).
        why: one sentence for the report: why this should not be paid (or should).
        uses_reference: False when somebody who does not know the answer could send it.
        needs_answer: True when it makes sense only for a reward that reads the answer.
        build: the drafts for one row.
        rendering: whether each draft is delivered in the reward's envelope and bare, or as it is.
        most_rows: on how many rows it is tried; None for all.
    """

    name: str
    title: str
    description: str
    relation: Relation
    why: str
    uses_reference: bool
    needs_answer: bool
    build: Callable[[Row, Surroundings], Iterable[Draft]] = field(repr=False)
    rendering: Rendering = "envelope and bare"
    most_rows: int | None = None

    def probes(self, row: Row, surroundings: Surroundings, envelope: Envelope) -> Iterator[Probe]:
        """The certified probes for one row, each completion once."""
        seen: set[str] = set()
        renderings = [] if self.rendering == "bare" else [envelope]
        if self.rendering != "envelope" and envelope.bare() not in renderings:
            renderings.append(envelope.bare())
        for draft in self.build(row, surroundings):
            label = certify(row, draft.derivation, surroundings.checker)
            relation = self._relation(label)
            if relation is None:
                continue
            for rendering in renderings:
                derivation = draft.derivation.inside(rendering)
                if derivation.text in seen:
                    continue
                seen.add(derivation.text)
                against = draft.against.inside(rendering) if draft.against else None
                yield Probe(row, self.name, relation, derivation, against)

    def _relation(self, label: CompletionLabel) -> Relation | None:
        """The relation that holds for a completion with this label; None when the probe must be discarded."""
        if self.relation == "wrong":
            return "unearned" if label == "unearned" else "wrong" if label == "wrong" else None
        if self.relation == "right":
            return "right" if label == "right" else None
        if self.relation == "returns":
            return "wrong" if label == "wrong" else "returns"
        return self.relation
