"""A search for chains of changes that the reward pays: a hill climb over compositions of mild changes.

Each step of a chain spoils an image a little: a change of the catalogue, a pattern or a rectangle that is the same on
every image. The same chain is applied to every image, so that what is found is a way of the reward and not the weakness
of one score; the chain is found on some images and measured on the others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from trueward.audit.images import changes
from trueward.audit.images.comparing import Scores
from trueward.audit.images.folder import Picture
from trueward.audit.images.perturbations import Perturbation, apply
from trueward.audit.images.scoring import Scoring

SEARCH = "search"
LEAST_BUDGET = 200

_LONGEST = 8  # steps of a chain
_POOL = 12  # images that it is found on, and at most a third of all
_KEPT = 0.98  # of its gain that a chain must keep when a step is taken out of it

Told = Callable[[int, int], None]


@dataclass(frozen=True)
class Climb:
    """The best chain.

    Attributes:
        chain: its steps; () where no step raised the reward.
        scored: images that were scored to find it.
        tried: chains that were tried.
        pool: places of the images that it was found on.
        rest: places of those that it is measured on.
        path: after each step of the chain, what the latter earn; the images as they are come first.
    """

    chain: tuple[Perturbation, ...]
    scored: int
    tried: int
    pool: tuple[int, ...]
    rest: tuple[int, ...]
    path: tuple[Scores, ...] = ()


@dataclass
class _Climber:
    """Asks for the mean gain of chains on the pool, within a budget."""

    pictures: Sequence[Picture]
    own: Scores
    scoring: Scoring
    seed: int
    budget: int
    known: dict[tuple[str, ...], float] = field(default_factory=dict)
    scored: int = 0

    @property
    def rich(self) -> bool:
        """Whether one more chain can be paid for."""
        return self.scored + len(self.pictures) <= self.budget

    def worth(self, chain: Sequence[Perturbation]) -> float:
        """Mean gain of a chain; −∞ where an image has no score any more."""
        key = tuple(f"{one.family} {one.variant}" for one in chain)
        if not chain:
            return 0.0
        if key not in self.known:
            asked = self.scoring.score(apply(chain, self.pictures, self.seed))
            self.scored += len(self.pictures)
            gained = asked.values - self.own
            self.known[key] = float(gained.mean()) if np.isfinite(gained).all() else -np.inf
        return self.known[key]


def climb(
    pictures: Sequence[Picture],
    own: Scores,
    scoring: Scoring,
    budget: int,
    seed: int,
    told: Told,
) -> Climb:
    """Look for a chain of changes that the reward pays.

    First every single step, then the best chain changed at random, one step added, exchanged or left out, whatever
    raises the mean over the pool; at last steps that do nothing are taken out.

    Args:
        pictures: N images.
        own: their scores.
        scoring: the reward.
        budget: images that may be scored to find the chain.
        seed: of what is drawn.
        told: called with images scored, and the budget.
    """
    known = [int(place) for place in np.flatnonzero(np.isfinite(own))]
    size = max(1, min(_POOL, len(known) // 3))
    pool = tuple(known[int(at)] for at in np.linspace(0, len(known) - 1, size).round())
    rest = tuple(place for place in known if place not in pool)
    climber = _Climber([pictures[place] for place in pool], own[list(pool)], scoring, seed, budget)
    generator = np.random.default_rng([seed, 2])
    best: tuple[Perturbation, ...] = ()
    for step in _steps(generator):
        if climber.rich and climber.worth([step]) > climber.worth(best):
            best = (step,)
    for _ in range(budget):
        if not climber.rich:
            break
        told(climber.scored, budget)
        proposed = _mutated(best, generator)
        if climber.worth(proposed) > climber.worth(best):
            best = proposed
    best = _shortened(best, climber)
    path = _measured(best, [pictures[place] for place in rest], own[list(rest)], scoring, seed)
    return Climb(best, climber.scored, len(climber.known), pool, rest, path)


def _steps(generator: np.random.Generator) -> list[Perturbation]:
    """Every kind of step once, with what is random in it drawn anew."""
    colours: list[tuple[str, changes.Change]] = [
        *((f"saturation ×{by:g}", changes.saturation(by)) for by in (0.6, 1.4)),
        *((f"contrast ×{by:g}", changes.contrast(by)) for by in (0.75, 1.3)),
        *((f"brightness {by:+g}", changes.brightness(by)) for by in (-0.1, 0.1)),
        ("weak blur", changes.blur(0.006, 0.5)),
        ("noise of deviation .1", changes.noise(0.1)),
        ("4 % specks", changes.specks(0.04)),
        *((f"checkerboard of amplitude {by:g}", changes.checkerboard(by)) for by in (-0.1, 0.1)),
        ("grid lines every 4 pixels", changes.grid(0.1, 4)),
        *((f"{name} frame of 6 %", changes.border(0.06, value)) for name, value in (("white", 1.0), ("black", 0.0))),
        ("6 values", changes.posterisation(6)),
        ("JPEG of quality 30", changes.jpeg(30)),
    ]
    moved: list[tuple[str, changes.Change]] = [
        ("double outline", changes.ghost(0.125)),
        ("two side by side", changes.tiles(1, 2)),
        ("1/2 of the pixels a side", changes.coarse(2)),
    ]
    drawn: list[tuple[str, changes.Change]] = []
    for cells in (2, 4, 8):
        number = int(generator.integers(1 << 30))
        drawn.append((f"pattern {number} of {cells} × {cells} fields", changes.pattern(number, 0.15, cells)))
    for share in (0.2, 0.4):
        number = int(generator.integers(1 << 30))
        drawn.append((f"rectangle {number} of {share:g} of a side", changes.patch(number, share)))
    return [Perturbation(SEARCH, said, change) for said, change in (*colours, *moved, *drawn)]


def _mutated(chain: tuple[Perturbation, ...], generator: np.random.Generator) -> tuple[Perturbation, ...]:
    steps = _steps(generator)
    step = steps[int(generator.integers(len(steps)))]
    place = int(generator.integers(len(chain) + 1))
    how = generator.random()
    if len(chain) < _LONGEST and (how < 0.6 or not chain):
        return (*chain[:place], step, *chain[place:])
    place = min(place, len(chain) - 1)
    return (*chain[:place], *((step,) if how < 0.85 else ()), *chain[place + 1 :])


def _shortened(chain: tuple[Perturbation, ...], climber: _Climber) -> tuple[Perturbation, ...]:
    """Without steps that add next to nothing; what is asked for here is beyond the budget, a few calls at most."""
    place = 0
    while place < len(chain) and len(chain) > 1:
        without = (*chain[:place], *chain[place + 1 :])
        if climber.worth(without) >= _KEPT * climber.worth(chain):
            chain = without
        else:
            place += 1
    return chain


def _measured(
    chain: Sequence[Perturbation], pictures: Sequence[Picture], own: Scores, scoring: Scoring, seed: int
) -> tuple[Scores, ...]:
    """What the images that had no part in the search earn after each step."""
    after = (apply(chain[:length], pictures, seed) for length in range(1, len(chain) + 1))
    return (own, *(scoring.score(changed).values for changed in after))
