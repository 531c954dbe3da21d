"""Which images of an audit are shown: for each finding those that gained most, above as they are, below changed."""

from __future__ import annotations

from collections.abc import Iterator

from trueward.audit.images.evidence import Evidence
from trueward.audit.images.folder import Picture
from trueward.audit.images.perturbations import apply
from trueward.audit.images.sheets import MOST_COLUMNS, sheet_of
from trueward.audit.images.told import most_gained, spreads
from trueward.report.document import ImageSheet

_MOST_SHEETS = 8


def sheets_of(evidence: Evidence, seed: int) -> list[ImageSheet]:
    """The contact sheets of an audit, the largest gain first.

    Args:
        evidence: what was measured.
        seed: with which images were changed.
    """
    sheets = [*_changed(evidence, seed), *_prompted(evidence), *_grown(evidence), *_climbed(evidence, seed)]
    return [sheet for _, sheet in sorted(sheets, key=lambda pair: -pair[0])[:_MOST_SHEETS]]


Ranked = tuple[float, ImageSheet]


def _changed(evidence: Evidence, seed: int) -> Iterator[Ranked]:
    for family, rows in evidence.judged.found.items():
        worst = rows[0]
        places = most_gained(worst.gain, MOST_COLUMNS)
        above = [evidence.folder.pictures[place] for place in places]
        rewards = [(float(evidence.own[place]), float(worst.trial.scores[place])) for place in places]
        title = f"{family}, {worst.perturbation.variant}: {spreads(worst.gain.interval.mean)}"
        yield worst.gain.interval.mean, sheet_of(title, above, apply([worst.perturbation], above, seed), rewards)


def _prompted(evidence: Evidence) -> Iterator[Ranked]:
    prompted, gain = evidence.prompted, evidence.judged.everywhere
    if prompted is None or prompted.winner is None or prompted.everywhere is None or gain is None:
        return
    if not gain.surely_as_much:
        return
    places = most_gained(gain, MOST_COLUMNS)
    winner: Picture = evidence.folder.pictures[prompted.winner]
    rewards = [(float(evidence.own[place]), float(prompted.everywhere[place])) for place in places]
    above = [evidence.folder.pictures[place] for place in places]
    title = f"one image under the prompts of the others: {spreads(gain.interval.mean)}"
    yield gain.interval.mean, sheet_of(title, above, [winner] * len(places), rewards)


def _grown(evidence: Evidence) -> Iterator[Ranked]:
    growth, gain = evidence.growth, evidence.judged.growth
    if gain is None or not evidence.judged.grew:
        return
    places = most_gained(gain, MOST_COLUMNS)
    above = [evidence.folder.pictures[growth.places[at]] for at in places]
    rewards = [(float(growth.scores[0, at]), float(growth.scores[-1, at])) for at in places]
    title = f"{growth.rounds[-1]} small changes: {spreads(gain.interval.mean)} against the best-paid images as they are"
    yield gain.interval.mean, sheet_of(title, above, [growth.grown[at] for at in places], rewards)


def _climbed(evidence: Evidence, seed: int) -> Iterator[Ranked]:
    climbed, gain = evidence.climbed, evidence.judged.climb
    if climbed is None or gain is None or not gain.surely_raised:
        return
    places = most_gained(gain, MOST_COLUMNS)
    above = [evidence.folder.pictures[climbed.rest[place]] for place in places]
    rewards = [(float(climbed.path[0][place]), float(climbed.path[-1][place])) for place in places]
    title = f"{len(climbed.chain)} changes that the search found: {spreads(gain.interval.mean)}"
    yield gain.interval.mean, sheet_of(title, above, apply(climbed.chain, above, seed), rewards)
