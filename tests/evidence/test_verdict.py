"""Verdicts on numbers that can be checked by hand, and under the null.

Differences in these tests are five values with mean m and the spread of (−2, −1, 0, 1, 2) · s, whose interval is
m ± 2.776445 · s / √2 = m ± 1.96324 s.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import numpy as np
import pytest
from toy_recipe import RECIPE

from trueward.errors import EvidenceError
from trueward.evidence.recipe import Comparison, Falsifier, Recipe, above, below, greater, less, within
from trueward.evidence.verdict import SEEDS_NEEDED, judge, statement

SEEDS = (0, 1, 2, 3, 4)
HALF = 1.96324


def values(**means: float | tuple[float, float]) -> dict[str, dict[int, dict[str, float]]]:
    """Per arm a mean, or a mean and s. All arms share a draw per seed that is larger than anything else."""
    shared = [100.0, -50.0, 20.0, 0.0, 7.0]
    found = {}
    for arm, given in means.items():
        mean, s = given if isinstance(given, tuple) else (given, 0.0)
        found[arm] = {seed: {"gold": shared[seed] + mean + s * (seed - 2), "proxy": mean} for seed in SEEDS}
    return found


@pytest.mark.parametrize(
    ("comparison", "mean", "state"),
    [
        (greater("method", "baseline", "gold"), HALF + 0.01, "holds"),
        (greater("method", "baseline", "gold"), HALF - 0.01, "open"),
        (greater("method", "baseline", "gold"), -HALF + 0.01, "open"),
        (greater("method", "baseline", "gold"), -HALF - 0.01, "fails"),
        (greater("method", "baseline", "gold", 3.0), 3 + HALF + 0.01, "holds"),
        (greater("method", "baseline", "gold", 3.0), 3 + HALF - 0.01, "open"),
        (greater("method", "baseline", "gold", 3.0), 3 - HALF - 0.01, "fails"),
        (less("method", "baseline", "gold", 3.0), -3 - HALF - 0.01, "holds"),
        (less("method", "baseline", "gold", 3.0), -3 - HALF + 0.01, "open"),
        (less("method", "baseline", "gold", 3.0), -3 + HALF + 0.01, "fails"),
        (within("method", "baseline", "gold", 2.0), 2 - HALF - 0.01, "holds"),
        (within("method", "baseline", "gold", 2.0), HALF - 2 + 0.01, "holds"),
        (within("method", "baseline", "gold", 2.0), 2 - HALF + 0.01, "open"),
        (within("method", "baseline", "gold", 2.0), 2 + HALF + 0.01, "fails"),
        (within("method", "baseline", "gold", 2.0), -2 - HALF - 0.01, "fails"),
    ],
)
def test_a_statement_is_decided_by_its_interval(comparison: Comparison, mean: float, state: str) -> None:
    judged = statement(comparison, values(method=(mean, 1.0), baseline=0.0), SEEDS)
    assert judged.state == state
    assert judged.interval.mean == pytest.approx(mean)
    assert judged.interval.high - judged.interval.mean == pytest.approx(HALF, abs=1e-5)


def test_a_number_instead_of_an_arm() -> None:
    found = {"method": {seed: {"gold": 5.0 + seed - 2} for seed in SEEDS}}
    assert statement(above("method", "gold", 5 - HALF - 0.01), found, SEEDS).state == "holds"
    assert statement(above("method", "gold", 5 - HALF + 0.01), found, SEEDS).state == "open"
    assert statement(above("method", "gold", 5 + HALF + 0.01), found, SEEDS).state == "fails"
    assert statement(below("method", "gold", 5 + HALF + 0.01), found, SEEDS).state == "holds"
    assert statement(below("method", "gold", 5 - HALF - 0.01), found, SEEDS).state == "fails"
    # The number is subtracted once: it is not asked for again.
    assert statement(above("method", "gold", 4.0), found, SEEDS).interval.mean == pytest.approx(1.0)


def test_another_metric_of_the_other_arm() -> None:
    judged = statement(
        greater("method", "method", "proxy", metric_b="gold"),
        {"method": {seed: {"gold": 1.0, "proxy": 3.0} for seed in SEEDS}},
        SEEDS,
    )
    assert (judged.interval.mean, judged.state) == (2.0, "holds")


@pytest.mark.parametrize(
    "without", [lambda found: found["method"].pop(3), lambda found: found["method"][3].update(gold=math.nan)]
)
def test_a_seed_without_a_number_leaves_it_open(
    without: Callable[[dict[str, dict[int, dict[str, float]]]], object],
) -> None:
    found = values(method=(50.0, 0.1), baseline=0.0)
    comparison = greater("method", "baseline", "gold")
    assert statement(comparison, found, SEEDS).state == "holds"
    without(found)
    judged = statement(comparison, found, SEEDS)
    assert (judged.state, judged.missing, judged.interval.n) == ("open", (3,), 4)
    assert judged.interval.low > 0  # the four that are there would have said otherwise


def recipe(**changes: object) -> Recipe:
    plain = {"claims": (greater("method", "baseline", "gold"),), "preconditions": (), "falsifiers": ()}
    return dataclasses.replace(RECIPE, **(plain | changes))  # type: ignore[arg-type]


HACKED = greater("control", "baseline", "gold")


@pytest.mark.parametrize(
    ("means", "verdict"),
    [
        ({"method": (3.0, 1.0), "control": (3.0, 1.0)}, "shown"),
        ({"method": (1.0, 1.0), "control": (3.0, 1.0)}, "unclear"),
        ({"method": (-3.0, 1.0), "control": (3.0, 1.0)}, "contradicted"),
        ({"method": (3.0, 1.0), "control": (-3.0, 1.0)}, "void"),
        ({"method": (3.0, 1.0), "control": (1.0, 1.0)}, "void"),  # not refuted, but not seen either
        ({"method": (-3.0, 1.0), "control": (1.0, 1.0)}, "void"),
    ],
)
def test_the_verdict(means: dict[str, tuple[float, float]], verdict: str) -> None:
    judged = judge(recipe(preconditions=(HACKED,)), values(baseline=0.0, **means), SEEDS)
    assert judged.verdict == verdict
    assert ("control" in judged.why) == (verdict == "void")


def test_every_claim_must_hold() -> None:
    claims = (greater("method", "baseline", "gold"), within("control", "baseline", "gold", 1.0))
    both = values(method=(5.0, 1.0), baseline=0.0, control=(0.0, 0.1))
    assert judge(recipe(claims=claims), both, SEEDS).verdict == "shown"
    one = values(method=(5.0, 1.0), baseline=0.0, control=(0.9, 0.1))
    assert judge(recipe(claims=claims), one, SEEDS).verdict == "unclear"
    refuted = values(method=(5.0, 1.0), baseline=0.0, control=(2.0, 0.1))
    assert judge(recipe(claims=claims), refuted, SEEDS).verdict == "contradicted"


@pytest.mark.parametrize("direction", [1.0, -1.0])
def test_fewer_seeds_decide_nothing(direction: float) -> None:
    found = values(method=(direction * 50.0, 0.1), baseline=0.0)
    wanted = "shown" if direction > 0 else "contradicted"
    assert judge(recipe(), found, SEEDS).verdict == wanted
    judged = judge(recipe(), found, SEEDS[: SEEDS_NEEDED - 1])
    assert judged.verdict == "unclear" and "4 seeds" in judged.why


def test_too_few_seeds_are_not_void() -> None:
    judged = judge(recipe(preconditions=(HACKED,)), values(method=5.0, baseline=0.0, control=-9.0), SEEDS[:2])
    assert judged.verdict == "unclear"


def test_missing_runs_are_unclear_and_named() -> None:
    found = values(method=(50.0, 0.1), baseline=0.0)
    del found["baseline"][4]
    judged = judge(recipe(), found, SEEDS)
    assert judged.verdict == "unclear" and judged.why.endswith("no result for seeds 4")
    assert judge(recipe(), {}, SEEDS).verdict == "unclear"


@pytest.mark.parametrize(
    ("mean", "seeds", "state"),
    [(0.0, SEEDS, "met"), (50.0, SEEDS, "not met"), (1.0, SEEDS, "undecided"), (0.0, SEEDS[:4], "undecided")],
)
def test_falsifiers(mean: float, seeds: tuple[int, ...], state: str) -> None:
    line = Falsifier("no better", (within("method", "baseline", "gold", 1.0), less("method", "baseline", "gold")))
    found = values(method=(mean, 0.3), baseline=0.0)
    [judged] = judge(recipe(falsifiers=(line,)), found, seeds).falsifiers
    assert judged.state == state


def test_no_claim_or_a_seed_that_counts_twice_is_refused() -> None:
    with pytest.raises(EvidenceError, match="no claims"):
        judge(recipe(claims=()), {}, SEEDS)
    with pytest.raises(EvidenceError, match="repeat"):
        judge(recipe(), values(method=(1.0, 1.0), baseline=0.0), (0, 0, 1, 2, 3))


@pytest.mark.parametrize("noise", ["normal", "exponential", "share of 40"])
def test_two_identical_arms_are_shown_to_differ_in_at_most_one_of_twenty_experiments(noise: str) -> None:
    generator = np.random.default_rng(20_260_101)
    verdicts = []
    for _ in range(1000):
        own = {
            "normal": lambda: generator.normal(size=(2, 5)),
            "exponential": lambda: generator.exponential(size=(2, 5)),
            "share of 40": lambda: generator.binomial(40, 0.7, size=(2, 5)) / 40,
        }[noise]()
        draws = own + generator.normal(size=5)
        found = {
            arm: {seed: {"gold": float(draws[place, seed])} for seed in SEEDS}
            for place, arm in enumerate(("method", "baseline"))
        }
        verdicts.append(judge(recipe(), found, SEEDS).verdict)
    assert verdicts.count("shown") <= 50
    assert verdicts.count("contradicted") <= 50
    assert verdicts.count("shown") > 0  # the test can see a false alarm


def test_a_true_difference_is_found() -> None:
    generator = np.random.default_rng(7)
    shown = 0
    for _ in range(200):
        draws = generator.normal(size=(2, 5)) + 10 * generator.normal(size=5) + np.array([[4.0], [0.0]])
        found = {
            arm: {seed: {"gold": float(draws[place, seed])} for seed in SEEDS}
            for place, arm in enumerate(("method", "baseline"))
        }
        shown += judge(recipe(), found, SEEDS).verdict == "shown"
    # Power of the paired test at d = 4/√2 with five seeds; the shared draw of deviation 10 costs nothing.
    assert shown / 200 > 0.9
