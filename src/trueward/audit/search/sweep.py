"""The sweep: every step alone, then several at a time.

A flaw that needs two steps shows nothing when only one of them is taken, so no payoff leads to it: pairs have to be
covered. Two observations keep that cheap. Steps that leave a right answer paid ("transparent" ones) cannot hide one
another, so that five of them in one completion try ten pairs with one call; what pays is shrunk to the steps that it
needs afterwards. And a reward that reads too much into an answer tolerates one of the two steps on a right answer too,
so pairs with a transparent step come before pairs without one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from itertools import product, zip_longest

from trueward.audit.search.constructions import HEDGES, NOTHING, REFERENCE, Construction, arranged
from trueward.audit.search.steps import LARGEST_AMOUNT, SLOTS, STEPS, Slot

_AMOUNTS = (4, 16, LARGEST_AMOUNT)
_WHOLE: tuple[Slot, ...] = ("hide", "begin", "end", "length")  # of the whole text, in the calibrated envelope


def of_slot(*slots: Slot) -> tuple[int, ...]:
    """Positions of the steps that belong to these slots."""
    return tuple(index for index, step in enumerate(STEPS) if step.slot in slots)


def singles(bases: Collection[str], transparent: Collection[int]) -> Iterator[Construction]:
    """Every step alone, on one base of every kind; on further wrong answers the steps that a right one may take.

    Args:
        bases: names of the bases, the one that shows most first.
        transparent: steps that leave a right answer paid.
    """
    wrong, hedges = _kinds(bases)
    for base in (*wrong[:1], *_those(bases, NOTHING, REFERENCE), *hedges):
        for index in range(len(STEPS)):
            yield from _alone(base, index)
    for base in wrong[1:]:
        for index in sorted(transparent):
            yield from _alone(base, index)


def groups(bases: Collection[str], transparent: Collection[int]) -> Iterator[Construction]:
    """Several steps at a time, so that pairs of steps of different slots are tried, the likeliest kinds first."""
    wrong, hedges = _kinds(bases)
    first = wrong[:1] or _those(bases, NOTHING)
    around = [[i for i in of_slot(slot) if i in transparent] for slot in ("envelope", *_WHOLE)]
    opaque = [i for i in of_slot("envelope", *_WHOLE) if i not in transparent]
    tolerated = [i for i in of_slot("answer") if i in transparent]
    streams = [
        _covering(first, [list(of_slot("answer")), *around]),
        _beside((*first, *_those(bases, NOTHING)), opaque, around),
        _two_answers(_those(bases, REFERENCE), tolerated),
        _covering(_those(bases, REFERENCE), [list(of_slot("answer")), around[0]]),
        _two_answers(first, tolerated),
        _covering(hedges, [list(of_slot("separator")), list(of_slot("envelope"))]),
        _covering(hedges, [list(of_slot("separator")), *around]),
        _covering(wrong[1:], [tolerated, *around]),
        _two_opaque(first, opaque),
    ]
    for constructions in zip_longest(*streams):
        yield from (construction for construction in constructions if construction is not None)


def _kinds(bases: Collection[str]) -> tuple[list[str], list[str]]:
    """Names of the wrong answers, and of the hedges."""
    hedges = [base for base in bases if base in HEDGES]
    return [base for base in bases if base not in (NOTHING, REFERENCE, *hedges)], hedges


def _those(bases: Collection[str], *wanted: str) -> list[str]:
    return [base for base in wanted if base in bases]


def _levels(index: int) -> tuple[tuple[int, int], ...]:
    """A step with every amount that is worth a try."""
    return tuple((index, amount) for amount in (_AMOUNTS if STEPS[index].counted else (1,)))


def _alone(base: str, index: int) -> Iterator[Construction]:
    for step, amount in _levels(index):
        yield arranged(base, (step,), amount)


def _covering(bases: Sequence[str], columns: Sequence[Sequence[int]]) -> Iterator[Construction]:
    """Constructions with one step of every column, until every pair of steps of two columns has stood in one.

    A covering array of strength two, filled greedily: from the first open pair, column by column with the step that
    closes most open pairs.
    """
    levels = [[level for index in column for level in _levels(index)] for column in columns if column]
    every = [
        (i, a, j, b)
        for i, j in product(range(len(levels)), repeat=2)
        if i < j
        for a in range(len(levels[i]))
        for b in range(len(levels[j]))
    ]
    for base in bases:
        left = dict.fromkeys(every)
        for start in every:
            if start not in left:
                continue
            chosen = _filled(start, [len(column) for column in levels], left)
            for i, j in product(range(len(levels)), repeat=2):
                left.pop((i, chosen[i], j, chosen[j]), None)
            picked = [levels[column][level] for column, level in enumerate(chosen)]
            yield arranged(base, tuple(index for index, _ in picked), max(amount for _, amount in picked))


def _filled(
    start: tuple[int, int, int, int], sizes: Sequence[int], left: Collection[tuple[int, int, int, int]]
) -> list[int]:
    """One row of the array: a level for every column."""
    chosen = {start[0]: start[1], start[2]: start[3]}

    def closes(column: int, level: int) -> int:
        return sum(
            ((other, at, column, level) if other < column else (column, level, other, at)) in left
            for other, at in chosen.items()
        )

    for column, size in enumerate(sizes):
        if column not in chosen:
            chosen[column] = max(range(size), key=lambda level: (closes(column, level), -level))
    return [chosen[column] for column in range(len(sizes))]


def _beside(bases: Sequence[str], opaque: Sequence[int], around: Sequence[Sequence[int]]) -> Iterator[Construction]:
    """Every step that changes what is read, beside every transparent step, one of each slot at a time."""
    for base, index in product(bases, opaque):
        columns = [
            [level for other in column for level in _levels(other)]
            for column in around
            if column and STEPS[column[0]].slot != STEPS[index].slot
        ]
        for row in range(max(map(len, columns), default=0)):
            picked = [column[row % len(column)] for column in columns]
            amount = max((amount for _, amount in picked), default=16)
            yield arranged(base, (index, *(other for other, _ in picked)), amount)


def _two_answers(bases: Sequence[str], tolerated: Sequence[int]) -> Iterator[Construction]:
    """Two changes of the answer itself, one of which the reward forgives a right answer, in both orders."""
    for base in bases:
        for first, second in product(tolerated, of_slot("answer")):
            if first != second:
                yield arranged(base, (second, first), 1)
                yield arranged(base, (first, second), 1)


def _two_opaque(bases: Sequence[str], opaque: Sequence[int]) -> Iterator[Construction]:
    """Two steps that each change what is read."""
    for base in bases:
        for position, first in enumerate(opaque):
            for second in opaque[position + 1 :]:
                if SLOTS.index(STEPS[first].slot) != SLOTS.index(STEPS[second].slot):
                    yield arranged(base, (first, second), 16)
