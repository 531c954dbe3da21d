"""Constructions: what a search tries, written so that the same can be made for any row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace

from trueward.audit.certificates.answers import certify_answer
from trueward.audit.derivations import Answer, Derivation, Envelope, nothing, single
from trueward.audit.probes.base import Surroundings
from trueward.audit.probes.near import near_misses, transplants, wrong_answers
from trueward.audit.search.steps import SLOTS, STEPS, Making, Slot
from trueward.tasks.text.rows import Row

_MOST_NEAR = 6
REFERENCE = "the right answer"
NOTHING = "no answer"
ZERO = "0"
HEDGES = ("right or wrong", "wrong or right")


@dataclass(frozen=True)
class Construction:
    """A base, and what is done to it.

    Attributes:
        base: name of the base; see `bases`.
        steps: positions in `STEPS`; the steps of a slot stand together, slots in the order of `SLOTS`.
        amount: how often what is repeated is repeated, 1…64.
    """

    base: str
    steps: tuple[int, ...] = ()
    amount: int = 1

    @property
    def slots(self) -> tuple[Slot, ...]:
        """The slot of every step."""
        return tuple(STEPS[index].slot for index in self.steps)

    @property
    def titles(self) -> tuple[str, ...]:
        """What is done, in words."""
        return tuple(STEPS[index].title(self.amount) for index in self.steps)

    def shows(self, cause: Construction) -> bool:
        """True when this does everything that a cause takes, so that being paid for it shows nothing new.

        Whatever wrong answer stands in it is all the same; alternatives that are offered are not.
        """
        if not cause.steps:
            return self.base == cause.base
        mine, taken = (Counter(STEPS[index].kind for index in one.steps) for one in (self, cause))
        return taken <= mine and (cause.base not in HEDGES or self.base in HEDGES)


def arranged(base: str, steps: tuple[int, ...], amount: int) -> Construction:
    """A construction with its steps in the order of the slots; the order within a slot is kept.

    The amount is 1 where no step repeats anything, so that equal completions are equal constructions.
    """
    ordered = tuple(sorted(steps, key=lambda index: SLOTS.index(STEPS[index].slot)))
    return Construction(base, ordered, amount if any(STEPS[index].counted for index in ordered) else 1)


class Builder:
    """Makes derivations out of constructions.

    Args:
        surroundings: for wrong answers taken from other rows.
        envelope: the calibrated envelope: what a step does not change is delivered in it.
    """

    def __init__(self, surroundings: Surroundings, envelope: Envelope) -> None:
        """Keeps both; the bases of a row are made when they are first asked for."""
        self.surroundings, self.envelope = surroundings, envelope
        self._bases: dict[str, Mapping[str, Derivation]] = {}

    def bases(self, row: Row) -> Mapping[str, Derivation]:
        """What a construction for this row may start from, by name, the one that shows most first.

        The right answer is among them: changed enough, it is wrong.
        """
        if row.id not in self._bases:
            self._bases[row.id] = {name: base.inside(self.envelope) for name, base in self._made(row).items()}
        return self._bases[row.id]

    def _made(self, row: Row) -> dict[str, Derivation]:
        made: dict[str, Derivation] = {}
        for answer in near_misses(row):
            if certify_answer(row, answer.text, self.surroundings.checker) == "wrong" and len(made) < _MOST_NEAR:
                made.setdefault(f"a wrong answer, {answer.name}", single(answer))
        for answer in transplants(row, self.surroundings, 1):
            made["the answer to another question"] = single(answer)
        made[NOTHING] = nothing("no answer", "")
        made[ZERO] = single(Answer("constant 0", "0"))
        right = Answer("reference", (row.answer or "").strip())
        wrong = next(wrong_answers(row, self.surroundings), None)
        if right.text:
            made[REFERENCE] = single(right)
        if right.text and wrong is not None:
            for name, pair in zip(HEDGES, ((right, wrong), (wrong, right)), strict=True):
                made[name] = Derivation("hedge", name, pair, ((0, " or ", 1),))
        return made

    def build(self, construction: Construction, row: Row) -> Derivation | None:
        """The derivation for a row; None where the row has no such base or a step does not fit."""
        derivation = self.bases(row).get(construction.base)
        making = Making(row, construction.amount)
        for index in construction.steps:
            if derivation is None:
                return None
            derivation = STEPS[index].change(derivation, making)
        if derivation is None or not construction.steps:
            return derivation
        variant = " + ".join((derivation.variant, *construction.titles))
        return replace(derivation, variant=variant, steps=construction.titles)
