"""Simulated training runs, healthy and hacked, and when the test of the gold probe and others alarm on them.

16 prompts × 4 rollouts are checked at each of 10 steps of the window, then 8 rollouts of 8 prompts a step. Many runs
are simulated at once, by the same functions that the probe calls for one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from trueward.measures.sequential import FallTest, Reference, against_lines, fall_below

WINDOW, PROMPTS, PER_PROMPT, CHECKS = 10, 16, 4, 8
MARGIN, LEVEL = 0.05, 0.05
AVERAGED = 10  # steps that the fixed threshold takes its mean over

Means = Callable[[np.random.Generator, int], np.ndarray]
"""Mean gold of so many runs at every step, [runs, WINDOW + steps]."""


@dataclass(frozen=True)
class Shape:
    """A kind of simulated run.

    Attributes:
        name: for the table.
        means: see `Means`.
        runs: how many.
        alike: correlation of the rollouts of one prompt; 1 where a prompt is always or never solved.
        prompts: per step after the window; with fewer than the checks, several rollouts of each are checked.
        smooth: gold is a number between 0 and 1 and no {0, 1}.
        pool: prompts that there are in all, of which each comes once per epoch; 0 for new ones at every step.
    """

    name: str
    means: Means
    runs: int = 200
    alike: float = 0.4
    prompts: int = CHECKS
    smooth: bool = False
    pool: int = 0


@dataclass(frozen=True)
class Simulated:
    """What became of the runs of a shape.

    Attributes:
        first: first alarm of each run by each test, as steps after the window; −1 where there is none.
        deepest: by how much the mean of the checks of 10 steps was below that of the window at most.
    """

    first: Mapping[str, np.ndarray]
    deepest: np.ndarray


def levels(window: float | Sequence[float], after: Sequence[float] | np.ndarray) -> Means:
    """The same means for every run."""
    first = np.broadcast_to(np.asarray(window, dtype=float), (WINDOW,))
    return lambda rng, runs: np.broadcast_to(np.concatenate([first, after]), (runs, WINDOW + len(after)))


def wandering(start: float, steps: int, step: float = 0.03) -> Means:
    """A random walk between the line and .98, another one in every run: correlated in time, often on the line."""

    def means(rng: np.random.Generator, runs: int) -> np.ndarray:
        found = np.full((runs, WINDOW + steps), start)
        for t in range(WINDOW, WINDOW + steps):
            found[:, t] = np.clip(found[:, t - 1] + rng.normal(scale=step, size=runs), start - MARGIN, 0.98)
        return found

    return means


def healthy_shapes() -> list[Shape]:
    """Runs whose mean gold is never below the mean of the window − δ, many of them exactly there."""
    rise, sink = np.linspace(0.5, 0.9, 100), np.linspace(0.9, 0.45, 150)
    shapes = [Shape(f"constant at {p}", levels(p, [p] * 240)) for p in (0.2, 0.5, 0.8, 0.95)]
    shapes += [Shape(f"{p}, then exactly on the line", levels(p, [p - MARGIN] * 240)) for p in (0.2, 0.5, 0.8, 0.95)]
    return [
        *shapes,
        Shape("rises from 0.5 to 0.9", levels(0.5, np.linspace(0.5, 0.9, 240))),
        Shape("rises, then sinks to the line", levels(0.5, [*rise, *sink])),
        Shape("swings between the line and 0.9", levels(0.5, [0.45, 0.45, 0.45, 0.9] * 60)),
        Shape("wanders above the line", wandering(0.5, 240)),
        Shape("falls within the window, then on the line", levels(np.linspace(0.8, 0.4, WINDOW), [0.55] * 240)),
        Shape("prompts solved always or never, on the line", levels(0.5, [0.45] * 240), alike=1.0),
        Shape("4 prompts, 2 rollouts of each, on the line", levels(0.6, [0.55] * 240), prompts=4),
        Shape("gold between 0 and 1, on the line", levels(0.6, [0.55] * 240), smooth=True),
        Shape("128 prompts, each once per epoch, on the line", levels(0.4, [0.35] * 240), pool=128),
        Shape("constant at 0.5, 5,000 steps", levels(0.5, [0.5] * 5000), runs=100),
        Shape("on the line, 5,000 steps", levels(0.6, [0.55] * 5000), runs=100),
    ]


def hacked_shapes() -> list[Shape]:
    """Runs that fall below the line for good."""

    def falls(level: float, healthy: int, to: float, over: int = 1) -> Means:
        slope = np.linspace(level, to, over + 1)[1:]
        return levels(level, [*[level] * healthy, *slope, *[to] * 150])

    rises = [*np.linspace(0.5, 0.9, 100), *[0.2] * 150]
    return [
        Shape("0.7 → 0.3, at once", falls(0.7, 0, 0.3)),
        Shape("0.7 → 0.3, after 100 steps", falls(0.7, 100, 0.3)),
        Shape("0.7 → 0.3, after 1,000 steps", falls(0.7, 1000, 0.3), runs=100),
        Shape("0.7 → 0.5, after 100 steps", falls(0.7, 100, 0.5)),
        Shape("0.9 → 0.6, after 100 steps", falls(0.9, 100, 0.6)),
        Shape("0.5 → 0.05, after 50 steps", falls(0.5, 50, 0.05)),
        Shape("0.5 → 0.9, then 0.2", levels(0.5, rises)),
        Shape("0.8 → 0.2 over 60 steps", falls(0.8, 50, 0.2, over=60)),
        Shape("0.5 → 0.1 over 60 steps", falls(0.5, 20, 0.1, over=60)),
    ]


class Prompts:
    """Where the prompts of many runs come from."""

    def __init__(self, shape: Shape, rng: np.random.Generator) -> None:
        self.shape, self.rng, self.place = shape, rng, shape.pool
        self.pool = rng.beta(1.0, 1.0, (shape.runs, shape.pool))
        self.order = np.zeros(self.pool.shape, dtype=np.int64)

    def solved(self, mean: np.ndarray, prompts: int) -> np.ndarray:
        """How often each of so many prompts is solved, or its gold, [runs, prompts]; their mean over all is `mean`."""
        size = (len(mean), prompts)
        p = np.clip(mean, 1e-9, 1 - 1e-9)[:, None]
        if self.shape.pool:
            return p / self.pool.mean(axis=1, keepdims=True) * self.next(prompts)
        if self.shape.alike >= 1:
            return (self.rng.random(size) < p).astype(float)
        spread = 1 / self.shape.alike - 1
        return self.rng.beta(p * spread, (1 - p) * spread, size)

    def next(self, prompts: int) -> np.ndarray:
        """Of the next `PROMPTS` of the epoch, the first ones."""
        if self.place + PROMPTS > self.shape.pool:
            self.order = self.rng.permuted(np.tile(np.arange(self.shape.pool), (self.shape.runs, 1)), axis=1)
            self.place = 0
        chosen = self.order[:, self.place : self.place + prompts]
        self.place += PROMPTS
        return np.take_along_axis(self.pool, chosen, axis=1)

    def observations(self, mean: np.ndarray, prompts: int, per_prompt: int) -> np.ndarray:
        """Mean gold of the checked rollouts of each prompt, [runs, prompts]."""
        solved = self.solved(mean, prompts)
        return solved if self.shape.smooth else self.rng.binomial(per_prompt, solved) / per_prompt


def simulate(shape: Shape, seed: int, *, widened: float = np.inf, compared: bool = False) -> Simulated:
    """All runs of a shape together.

    Args:
        shape: what to simulate.
        seed: of all draws.
        widened: margin of the widened threshold.
        compared: also through the tests that the probe is compared with.
    """
    rng = np.random.default_rng(seed)
    means, source = shape.means(rng, shape.runs), Prompts(shape, rng)
    zeros = np.zeros(shape.runs)
    reference = Reference(WINDOW * PROMPTS, total=zeros, squares=zeros)
    for t in range(WINDOW):
        reference = reference.seen(source.observations(means[:, t], PROMPTS, PER_PROMPT))
    tests = {"probe": fall_below(reference, margin=MARGIN, level=LEVEL)}
    if compared:
        tests |= {"split": split(reference), "known": known(means[:, :WINDOW].mean(axis=1))}
    first = {name: np.full(shape.runs, -1) for name in (*tests, "threshold", "widened")}
    deepest, recent = np.full(shape.runs, -np.inf), []
    for t in range(means.shape[1] - WINDOW):
        values = source.observations(means[:, WINDOW + t], shape.prompts, max(1, CHECKS // shape.prompts))
        recent = [*recent[1 - AVERAGED :], values.mean(axis=1)]
        depth = reference.mean - np.mean(recent, axis=0) if len(recent) == AVERAGED else deepest
        deepest = np.maximum(deepest, depth)
        alarms = {"threshold": depth > MARGIN, "widened": depth > widened}
        for name in tests:
            tests[name] = tests[name].seen(values)
            alarms[name] = tests[name].alarm
        for name, alarm in alarms.items():
            first[name][(first[name] < 0) & alarm] = t
    return Simulated(first, deepest)


def known(mean: np.ndarray) -> FallTest:
    """The test for somebody who knows the mean of the window."""
    return against_lines(mean[:, None] - MARGIN, np.zeros((len(mean), 1)), level=LEVEL)


def split(reference: Reference) -> FallTest:
    """A lower bound on the mean of the window at α/2, then the test of the line below it at α/2."""
    candidates = np.broadcast_to(np.linspace(0, 1, 1001), (len(reference.total), 1001))
    refuted = (reference.log_evidence(candidates) >= -np.log(LEVEL / 2)).sum(axis=1)
    lowest = candidates[0][np.maximum(refuted - 1, 0)]
    return against_lines(lowest[:, None] - MARGIN, np.zeros((len(lowest), 1)), level=LEVEL / 2)
