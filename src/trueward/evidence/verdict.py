"""From metrics per arm and seed to a verdict: the rules of the harness, as pure functions.

- A statement (`Comparison`) is decided by the 95 % Student's t interval of its paired differences over seeds: it
  `holds`, it `fails` (the interval lies wholly on the wrong side), or it is `open`. A planned seed that gave no number
  leaves it open, whatever the others say: runs that break are not a random sample of runs.
- The verdict needs at least five seeds. `void`: a precondition does not hold, so the test bed shows nothing.
  `contradicted`: a claim fails. `shown`: all claims hold. `unclear`: anything else, fewer seeds included.

The claims of a recipe are a conjunction, so testing each at 95 % needs no correction for `shown`: the chance that all
hold is at most that of the one that is false. A claim that is false is called shown with a chance of at most 2.5 %,
because only one side of the interval decides. `contradicted` is a disjunction: with m claims that lie exactly on their
bounds its chance is up to m times 2.5 %.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from trueward.errors import EvidenceError
from trueward.evidence.recipe import Comparison, Falsifier, Recipe
from trueward.measures.paired import Interval, mean_interval
from trueward.report.experiment_document import FalsifierState, StatementState, Verdict
from trueward.report.wording import counted

SEEDS_NEEDED = 5

Values = Mapping[str, Mapping[int, Mapping[str, float]]]
"""arm → seed → metric → number. Runs that failed are absent; a number that is not finite counts as absent."""


@dataclass(frozen=True)
class Judged:
    """A statement and what the runs say about it.

    Attributes:
        comparison: the statement.
        interval: of the differences over the seeds that both arms have.
        state: holds, fails or open.
        missing: planned seeds without a difference.
    """

    comparison: Comparison
    interval: Interval
    state: StatementState
    missing: tuple[int, ...]

    @property
    def decisive(self) -> bool:
        """Every planned seed is there, and there are enough of them."""
        return not self.missing and self.interval.n >= SEEDS_NEEDED


@dataclass(frozen=True)
class JudgedFalsifier:
    """A line of refutation and whether it was crossed."""

    falsifier: Falsifier
    state: FalsifierState
    comparisons: tuple[Judged, ...]


@dataclass(frozen=True)
class Judgement:
    """The verdict on a recipe, with everything that it rests on.

    Attributes:
        verdict: shown, contradicted, unclear or void.
        why: one sentence.
        claims, preconditions, falsifiers: in the order of the recipe.
    """

    verdict: Verdict
    why: str
    claims: tuple[Judged, ...]
    preconditions: tuple[Judged, ...]
    falsifiers: tuple[JudgedFalsifier, ...]


def judge(recipe: Recipe, values: Values, seeds: Sequence[int]) -> Judgement:
    """The verdict on a recipe.

    Args:
        recipe: its claims, preconditions and falsifiers.
        values: what the runs gave.
        seeds: those that were planned, without the tuning seeds.

    Raises:
        EvidenceError: the recipe claims nothing, or a seed is planned twice: each counts once.
    """
    if not recipe.claims:
        raise EvidenceError(f"recipe {recipe.name!r} has no claims, so there is nothing to show: add a comparison")
    if len(set(seeds)) < len(seeds):
        raise EvidenceError(f"recipe {recipe.name!r}: seeds {list(seeds)} repeat; each seed counts once")
    claims = tuple(statement(claim, values, seeds) for claim in recipe.claims)
    preconditions = tuple(statement(wanted, values, seeds) for wanted in recipe.preconditions)
    falsifiers = tuple(_crossed(line, values, seeds) for line in recipe.falsifiers)
    verdict, why = _verdict(claims, preconditions)
    return Judgement(verdict, why, claims, preconditions, falsifiers)


def statement(comparison: Comparison, values: Values, seeds: Sequence[int]) -> Judged:
    """Whether a statement holds.

    With d the difference of a seed, and [low, high] the interval of its mean: "greater" holds for low > by and fails
    for high < by; "less" holds for high < −by and fails for low > −by (by is 0 without another arm, where it is
    already subtracted in d); "within" holds for −margin ≤ low and high ≤ margin, and fails outside: low > margin or
    high < −margin.
    """
    differences = {seed: _difference(comparison, values, seed) for seed in seeds}
    interval = mean_interval([difference for difference in differences.values() if difference is not None])
    missing = tuple(seed for seed, difference in differences.items() if difference is None)
    state = "open" if missing else _state(comparison, interval)
    return Judged(comparison, interval, state, missing)


def _difference(comparison: Comparison, values: Values, seed: int) -> float | None:
    first = values.get(comparison.a, {}).get(seed, {}).get(comparison.metric, math.nan)
    if comparison.b is None:
        second = comparison.by
    else:
        metric = comparison.metric_b or comparison.metric
        second = values.get(comparison.b, {}).get(seed, {}).get(metric, math.nan)
    difference = first - second
    return difference if math.isfinite(difference) else None


def _state(comparison: Comparison, interval: Interval) -> StatementState:
    low, high = interval.low, interval.high
    if comparison.kind == "within":
        margin = comparison.margin
        if low >= -margin and high <= margin:
            return "holds"
        return "fails" if low > margin or high < -margin else "open"
    asked = 0.0 if comparison.b is None else comparison.by
    if comparison.kind == "less":
        low, high = -high, -low
    return "holds" if low > asked else "fails" if high < asked else "open"


def _crossed(falsifier: Falsifier, values: Values, seeds: Sequence[int]) -> JudgedFalsifier:
    comparisons = tuple(statement(comparison, values, seeds) for comparison in falsifier.any_of)
    state: FalsifierState = "undecided"
    if any(judged.decisive and judged.state == "holds" for judged in comparisons):
        state = "met"
    elif comparisons and all(judged.decisive and judged.state == "fails" for judged in comparisons):
        state = "not met"
    return JudgedFalsifier(falsifier, state, comparisons)


def _verdict(claims: Sequence[Judged], preconditions: Sequence[Judged]) -> tuple[Verdict, str]:
    for judged in preconditions:
        if judged.decisive and judged.state != "holds":
            return "void", f"the precondition {judged.comparison.text} does not hold: {_shown(judged)}"
    for judged in preconditions:
        if not judged.decisive:
            return "unclear", f"the precondition {judged.comparison.text} cannot be decided: {_lacking(judged)}"
    for judged in claims:
        if judged.decisive and judged.state == "fails":
            return "contradicted", f"{judged.comparison.text} fails: {_shown(judged)}"
    for judged in claims:
        if not judged.decisive:
            return "unclear", f"{judged.comparison.text} cannot be decided: {_lacking(judged)}"
    undecided = [judged for judged in claims if judged.state == "open"]
    if undecided:
        return "unclear", f"{undecided[0].comparison.text} stays open: {_shown(undecided[0])}"
    return "shown", f"every claim holds at 95 % with {claims[0].interval.n} seeds"


def _shown(judged: Judged) -> str:
    interval = judged.interval
    return f"the difference is {interval.mean:.3g} [{interval.low:.3g}, {interval.high:.3g}]"


def _lacking(judged: Judged) -> str:
    if judged.missing:
        return f"no result for seeds {', '.join(str(seed) for seed in judged.missing)}"
    return f"{counted(judged.interval.n, 'seed')}, at least {SEEDS_NEEDED} are needed"
