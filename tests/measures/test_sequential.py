"""The sequential test: expectation by enumeration, level and power by simulation, numbers by a plain loop."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from benchmarks.bench_monitor import plain_log_e_value

from trueward.measures.sequential import FallTest, Reference, against_lines, fall_below, steps_needed


def window(*steps: Sequence[float], planned: int = 160) -> Reference:
    reference = Reference(planned)
    for values in steps:
        reference = reference.seen(np.array(values))
    return reference


def one_line(line: float) -> FallTest:
    """The test of one known line: there is no window."""
    return against_lines(np.array([line]), np.zeros(1))


def expectation(
    test: FallTest, mean: Callable[[tuple[float, ...]], float], stop: float, steps: int = 4, draws: int = 2
) -> float:
    """E of the e-value at the first time it reaches `stop`, or at the end, over every path of {0, 1} observations."""

    def after(state: FallTest, path: tuple[float, ...], left: int) -> float:
        value = math.exp(float(state.log_e_value)) if state.steps else 1.0
        if not left or value >= stop:
            return value
        total = 0.0
        for outcome in itertools.product((0.0, 1.0), repeat=draws):
            ones, p = sum(outcome), mean(path)
            probability = p**ones * (1 - p) ** (draws - ones)
            total += probability * after(state.seen(np.array(outcome)), path + outcome, left - 1)
        return total

    return after(test, (), steps)


@pytest.mark.parametrize("stop", [1.05, 1.2, 2.0, math.inf])
@pytest.mark.parametrize("line", [0.2, 0.5, 0.85])
def test_on_the_line_the_expectation_is_one_whenever_it_is_stopped(line: float, stop: float) -> None:
    test = one_line(line)
    assert expectation(test, lambda path: line, stop) == pytest.approx(1.0, abs=1e-12)
    assert expectation(test, lambda path: min(1.0, line + 0.1 * sum(path)), stop) <= 1.0 + 1e-12


def test_under_the_line_it_grows_and_above_it_does_not() -> None:
    test = one_line(0.6)
    assert expectation(test, lambda path: 0.3, math.inf) > 1.3
    assert expectation(test, lambda path: 0.7, math.inf) < 1.0


@pytest.mark.parametrize("drawn", [2, 3, 5])
def test_draws_without_replacement_expect_no_more_than_one(drawn: int) -> None:
    values = np.array([0.0, 0.0, 0.5, 1.0, 1.0, 0.9])
    test = one_line(float(values.mean()))
    wealth = [
        math.exp(float(test.seen(values[list(chosen)]).log_e_value))
        for chosen in itertools.combinations(range(len(values)), drawn)
    ]
    assert 0.7 < np.mean(wealth) <= 1.0


def test_the_window_expects_no_more_than_one_at_its_own_mean() -> None:
    """Also where later means depend on what was seen, so that the mean of the window is not known before."""
    total, highest = 0.0, 0.0
    for path in itertools.product((0.0, 1.0), repeat=6):
        steps = [path[:2], path[2:4], path[4:]]
        means = [0.5, 0.9 if sum(steps[0]) == 2 else 0.3, 0.1 + 0.4 * sum(steps[1])]
        probability = math.prod(p if x else 1 - p for p, step in zip(means, steps, strict=True) for x in step)
        evidence = math.exp(float(window(*steps, planned=6).log_evidence(np.array([np.mean(means)]))[0]))
        total, highest = total + probability * evidence, max(highest, evidence)
    assert total <= 1.0
    assert highest > 1.1


def test_the_whole_expects_no_more_than_one() -> None:
    """Window and what comes after, with the mean exactly on the line, for every path of both."""
    nu, margin, total = 0.6, 0.2, 0.0
    for path in itertools.product((0.0, 1.0), repeat=4):
        reference = window(path[:2], path[2:], planned=4)
        test = fall_below(reference, margin=margin)
        within = int(np.searchsorted(test.lines + margin, nu, side="right")) - 1
        if within < 0:  # this window refutes the true mean by itself, by more than the level allows
            continue
        chosen = slice(within, within + 1)
        cell = against_lines(test.lines[chosen], test.window[chosen])
        ones = sum(path)
        after = expectation(one_line(float(cell.lines[0])), lambda past: nu - margin, math.inf, steps=3)
        total += nu**ones * (1 - nu) ** (4 - ones) * math.exp(float(cell.window[0])) * after
        assert float(test.seen(np.zeros(2)).log_e_value) <= float(cell.seen(np.zeros(2)).log_e_value) + 1e-12
    assert 0.4 < total <= 1.0


@pytest.mark.parametrize("size", [1, 8, 64, 65, 90])
def test_what_comes_after_is_what_the_formulas_say(size: int) -> None:
    rng = np.random.default_rng(size)
    test = fall_below(window(*rng.random((5, 8))))
    steps = rng.random((6, size)) * 0.8
    found = test
    for values in steps:
        found = found.seen(values)
    assert float(found.log_e_value) == pytest.approx(plain_log_e_value(test, steps.tolist()), abs=1e-9)


def test_the_window_is_what_the_formula_says() -> None:
    """Observations 1 and 0, then 1: expected ½ (nothing seen), then (½ + 1) / 3; λ = 4.5 / √100."""
    reference = window([1.0, 0.0], [1.0], planned=100)
    squares, bet = 0.25 + 0.25 + 0.25, 0.45
    won = bet * (2 - 3 * 0.3) - (-math.log(1 - bet) - bet) * squares
    assert float(reference.squares) == squares
    assert float(reference.log_evidence(np.array([0.3]))[0]) == pytest.approx(math.log(0.25 + 0.75 * math.exp(won)))


def simulated(
    reference: float, means: Sequence[float], runs: int, seed: int, *, steps: int = 10, prompts: int = 16
) -> np.ndarray:
    """First alarm of each run, −1 for none: 8 checks of {0, 1} a step."""
    rng = np.random.default_rng(seed)
    seen = Reference(steps * prompts, total=np.zeros(runs), squares=np.zeros(runs))
    for _ in range(steps):
        seen = seen.seen((rng.random((runs, prompts)) < reference).astype(float))
    test, first = fall_below(seen), np.full(runs, -1)
    for number, mean in enumerate(means):
        test = test.seen((rng.random((runs, 8)) < mean).astype(float))
        first = np.where((first < 0) & test.alarm, number, first)
    return first


@pytest.mark.parametrize(
    "means",
    [
        pytest.param([0.6] * 150, id="constant"),
        pytest.param([0.55] * 150, id="on the line"),
        pytest.param([0.6, 0.95] * 75, id="swinging"),
        pytest.param([*np.linspace(0.6, 0.95, 75), *np.linspace(0.95, 0.55, 75)], id="rises and sinks to the line"),
    ],
)
def test_healthy_runs_are_not_alarmed(means: Sequence[float]) -> None:
    assert (simulated(0.6, means, runs=300, seed=3) >= 0).mean() <= 0.05


def test_a_fall_is_found_soon_and_also_late() -> None:
    for healthy in (0, 100):
        first = simulated(0.7, [0.7] * healthy + [0.2] * 20, runs=200, seed=4)
        assert (first >= healthy).mean() >= 0.98
        assert np.median(first[first >= 0]) - healthy <= 8


def test_without_the_evidence_of_the_window_the_level_does_not_hold() -> None:
    """The control: a line drawn through what was seen in a short window alarms healthy runs too often."""
    rng = np.random.default_rng(5)
    runs = 300
    seen = Reference(8, total=np.zeros(runs), squares=np.zeros(runs))
    for _ in range(2):
        seen = seen.seen((rng.random((runs, 4)) < 0.5).astype(float))
    sound = fall_below(seen)
    naive = against_lines(sound.lines[:, -1:], np.zeros((runs, 1)))
    alarmed = {"sound": np.zeros(runs, bool), "naive": np.zeros(runs, bool)}
    for _ in range(60):
        values = (rng.random((runs, 8)) < 0.5).astype(float)
        sound, naive = sound.seen(values), naive.seen(values)
        alarmed["sound"] |= sound.alarm
        alarmed["naive"] |= naive.alarm
    assert alarmed["sound"].mean() <= 0.05
    assert alarmed["naive"].mean() > 0.15


def test_many_runs_at_once_are_each_run_alone() -> None:
    rng = np.random.default_rng(6)
    before, after = rng.random((3, 4, 8)), rng.random((3, 5, 8)) * 0.5
    together = Reference(32, total=np.zeros(3), squares=np.zeros(3))
    for step in range(4):
        together = together.seen(before[:, step])
    test = fall_below(together)
    for step in range(5):
        test = test.seen(after[:, step])
    for run in range(3):
        alone = fall_below(window(*before[run], planned=32))
        for step in range(5):
            alone = alone.seen(after[run, step])
        assert float(alone.log_e_value) == pytest.approx(float(test.log_e_value[run]), abs=1e-12)


def test_order_within_a_step_does_not_matter_and_lower_values_are_more_evidence() -> None:
    test = fall_below(window(*np.full((5, 8), 0.7)))
    values = np.linspace(0, 1, 8)
    assert float(test.seen(values).log_e_value) == pytest.approx(float(test.seen(values[::-1].copy()).log_e_value))
    assert float(test.seen(values * 0.5).log_e_value) > float(test.seen(values).log_e_value)
    assert test.seen(np.zeros(0)) is test


def test_where_the_line_is_not_above_zero_nothing_is_found() -> None:
    test = fall_below(window(*np.full((10, 8), 0.03)))
    for _ in range(50):
        test = test.seen(np.zeros(8))
    assert float(test.log_e_value) <= 0.0
    assert not test.alarm


def test_a_saved_test_goes_on_exactly() -> None:
    rng = np.random.default_rng(7)
    reference = window(*rng.random((3, 4)))
    again = Reference.from_state(json.loads(json.dumps(reference.state_dict())))
    straight, resumed = fall_below(reference), fall_below(again)
    for _ in range(4):
        values = rng.random(8)
        straight, resumed = straight.seen(values), resumed.seen(values)
        resumed = FallTest.from_state(json.loads(json.dumps(resumed.state_dict())))
    assert float(straight.log_e_value) == float(resumed.log_e_value)
    assert straight.state_dict() == resumed.state_dict()


def test_the_information_that_a_fall_holds() -> None:
    """KL(¼ ‖ ½) = ¼ log ½ + ¾ log 3/2 = .1308, times 8 is 1.047 a step; log 20 = 2.996 needs three."""
    assert steps_needed(np.full(10, 0.25), 0.5, 8) == 3
    assert steps_needed(np.array([0.6, 0.25, 0.25, 0.25]), 0.5, 8) == 4
    assert steps_needed(np.full(2, 0.25), 0.5, 8) is None
    assert steps_needed(np.full(10, 0.6), 0.5, 8) is None


def test_what_makes_no_test_is_refused() -> None:
    with pytest.raises(ValueError, match="0 observations"):
        fall_below(Reference(10))
    for wrong in ({"margin": 0.0}, {"margin": 1.0}, {"level": 0.0}, {"level": 1.0}):
        with pytest.raises(ValueError, match="between 0 and 1"):
            fall_below(window([0.5]), **wrong)
