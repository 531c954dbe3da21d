"""Aggregates by hand, the identity of correlated errors, the exact table of the ensembles card, failure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from trueward.batch import Context, Part, Rollouts, Scores, Text
from trueward.errors import RewardError
from trueward.measures.best_of_n import best_of_n
from trueward.rewards.base import Reward
from trueward.rewards.models.ensemble import Aggregate, Ensemble, aggregated
from trueward.rewards.runner import Runner
from trueward.status import Status

ALL: tuple[Aggregate, ...] = ("mean", "median", "min", "mean_minus_std")


class Fixed(Reward):
    """Gives what it was given."""

    def __init__(self, values: Sequence[float], status: Sequence[Status] | None = None, **part: Any) -> None:
        self.part = Part(np.array(values, dtype=float), status or [Status.OK] * len(values), **part)

    @property
    def name(self) -> str:
        return "fixed"

    def use(self, runner: Runner) -> bool:
        return False

    def score(self, rollouts: Rollouts, context: Context) -> Scores:
        return Scores({self.name: self.part})


def rollouts(n: int) -> Rollouts:
    return Rollouts(Text(["?"] * n, ["!"] * n))


def score(ensemble: Ensemble, n: int) -> Scores:
    return ensemble.score(rollouts(n), Context())


@pytest.mark.parametrize(
    ("how", "wanted"),
    [("mean", [3.0, 2.0]), ("median", [2.0, 2.0]), ("min", [1.0, 2.0]), ("mean_minus_std", [3 - np.sqrt(14 / 3), 2.0])],
)
def test_aggregates_by_hand(how: Aggregate, wanted: list[float]) -> None:
    """Members 1, 2, 6 (population variance (4 + 1 + 9)/3), and three that agree."""
    np.testing.assert_allclose(aggregated(np.array([[1.0, 2.0], [2.0, 2.0], [6.0, 2.0]]), how), wanted)


def test_median_of_an_even_number_is_the_mean_of_the_two_middle_ones() -> None:
    np.testing.assert_allclose(aggregated(np.array([[9.0], [1.0], [2.0], [4.0]]), "median"), [3.0])


@pytest.mark.parametrize("how", ALL)
def test_one_member_is_the_member(how: Aggregate) -> None:
    found = score(Ensemble([Fixed([1.5, -2.0])], how), 2)
    np.testing.assert_array_equal(found.parts["ensemble"].values, [1.5, -2.0])
    np.testing.assert_array_equal(found.parts["disagreement"].values, [0.0, 0.0])


@pytest.mark.parametrize("how", ALL)
def test_the_order_of_members_does_not_matter(how: Aggregate) -> None:
    members = np.random.default_rng(0).normal(size=(5, 7))
    np.testing.assert_allclose(aggregated(members, how), aggregated(members[::-1], how), rtol=1e-12)


@pytest.mark.parametrize("how", ALL)
def test_a_shift_of_all_members_shifts_the_aggregate(how: Aggregate) -> None:
    members = np.random.default_rng(0).normal(size=(4, 7))
    np.testing.assert_allclose(aggregated(members + 3, how), aggregated(members, how) + 3, rtol=1e-12)


def test_the_disagreement_is_shown_and_not_paid() -> None:
    found = score(Ensemble([Fixed([1.0, 4.0]), Fixed([3.0, 4.0])]), 2)
    np.testing.assert_allclose(found.parts["disagreement"].values, [1.0, 0.0])
    np.testing.assert_allclose(found.total(), [2.0, 4.0])


def test_standardised_members_count_alike() -> None:
    """Ten times the scale decides the unstandardised minimum alone; fitted, the members take turns."""
    narrow, wide = [0.0, 1.0, 2.0], [-10.0, -30.0, -20.0]
    ensemble = Ensemble([Fixed(narrow), Fixed(wide)], "min")
    np.testing.assert_array_equal(score(ensemble, 3).total(), wide)
    ensemble.fit(ensemble.member_scores(rollouts(3), Context()))
    unit = np.sqrt(3 / 2)  # 1 over the population standard deviation of 0, 1, 2
    np.testing.assert_allclose(score(ensemble, 3).total(), [-unit, -unit, 0.0], atol=1e-12)


def test_location_and_scale_are_frozen_saved_and_restored() -> None:
    fitted = Ensemble([Fixed([0.0, 2.0]), Fixed([1.0, 1.0])]).fit(np.array([[0.0, 2.0], [1.0, 1.0]]))
    fitted.score(rollouts(2), Context(training=True))
    state = fitted.state_dict()
    assert state["standardised"] == {"location": [1.0, 1.0], "scale": [1.0, 1.0]}
    other = Ensemble([Fixed([0.0, 2.0]), Fixed([1.0, 1.0])])
    other.load_state_dict(state)
    np.testing.assert_array_equal(score(other, 2).total(), score(fitted, 2).total())


def test_fit_passes_over_rows_without_a_score() -> None:
    ensemble = Ensemble([Fixed([0.0])]).fit(np.array([[1.0, np.nan, 3.0]]))
    assert ensemble.location is not None and ensemble.scale is not None
    assert (ensemble.location.item(), ensemble.scale.item()) == (2.0, 1.0)


def test_a_row_has_the_status_of_its_worst_member() -> None:
    """What is not the answer's fault comes first; a row that a member blames earns the lowest of the range."""
    ok, blamed, lost = Status.OK, Status.UNPARSABLE, Status.ABSTAINED
    nan = np.nan
    first = Fixed([0.5, nan, nan, 0.9], [ok, blamed, blamed, ok], low=0.0, high=1.0)
    second = Fixed([0.7, 0.1, nan, nan], [ok, ok, lost, lost], low=0.0, high=1.0)
    for how in ALL:
        found = score(Ensemble([first, second], how), 4)
        assert list(found.status) == [ok, blamed, lost, lost]
        total = found.total()
        assert total[1] <= total[0] and np.isnan(total[2:]).all()


def test_the_declared_range_is_that_of_standardised_members() -> None:
    member = Fixed([0.5], low=0.0, high=1.0)
    part = score(Ensemble([member, member], location=np.array([0.0, 1.0]), scale=np.array([1.0, 2.0])), 1)
    assert (part.parts["ensemble"].low, part.parts["ensemble"].high) == (-0.25, 0.5)
    assert score(Ensemble([member, member], "mean_minus_std"), 1).parts["ensemble"].low is None


@pytest.mark.parametrize(
    "make",
    [
        lambda: Ensemble([]),
        lambda: Ensemble([Fixed([0.0])], "max"),  # type: ignore[arg-type]
        lambda: Ensemble([Fixed([0.0])], location=np.zeros(1)),
        lambda: Ensemble([Fixed([0.0])], location=np.zeros(2), scale=np.ones(2)),
        lambda: Ensemble([Fixed([0.0])], location=np.zeros(1), scale=np.zeros(1)),
        lambda: Ensemble([Fixed([0.0])]).fit(np.full((1, 3), np.nan)),
    ],
)
def test_refuses_what_is_no_ensemble(make: Any) -> None:
    with pytest.raises(RewardError):
        make()


@pytest.mark.parametrize("members", [1, 2, 5, 20])
@pytest.mark.parametrize("correlation", [0.0, 0.4, 0.9])
def test_errors_that_are_shared_stay(members: int, correlation: float) -> None:
    """Var(mean of K errors of variance s² and correlation ρ) = s²(ρ + (1 − ρ)/K)."""
    rng = np.random.default_rng(0)
    s, n = 1.2, 100_000
    errors = s * (np.sqrt(correlation) * rng.normal(size=n) + np.sqrt(1 - correlation) * rng.normal(size=(members, n)))
    wanted = s**2 * (correlation + (1 - correlation) / members)
    # Five standard errors of a variance of normal numbers.
    assert aggregated(errors, "mean").var() == pytest.approx(wanted, rel=5 * np.sqrt(2 / n))


def picked(members: np.ndarray, gold: np.ndarray, how: Aggregate) -> float:
    """Mean gold of the best of all samples of each trial."""
    trials, n = gold.shape
    proxy = aggregated(members.reshape(len(members), -1), how).reshape(trials, n)
    return float(best_of_n(proxy, gold, [n]).mean())


def heavy(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Student's t with 3 degrees of freedom, unit variance."""
    return rng.standard_t(3, size=shape) / np.sqrt(3)


def drawn(correlation: float, members: int, n: int, trials: int, tails: Any) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(27)
    gold = rng.normal(size=(trials, n))
    shared, own = tails(rng, (trials, n)), tails(rng, (members, trials, n))
    return gold + 1.2 * (np.sqrt(correlation) * shared + np.sqrt(1 - correlation) * own), gold


@pytest.mark.parametrize(
    ("correlation", "how", "low", "high"),
    [
        (0.9, "mean", 1.18, 1.18),
        (0.8, "mean", 1.22, 1.25),
        (0.4, "mean", 1.53, 1.56),
        (0.4, "min", 1.53, 1.56),
        (0.0, "mean", 1.97, 1.97),
        (0.0, "median", 2.12, 2.12),
    ],
)
def test_the_exact_table_of_heavy_tails(correlation: float, how: Aggregate, low: float, high: float) -> None:
    """Gold of the best of 64 by five members, as the card of Eisenstein et al. 2023 gives it, within ± .05."""
    members, gold = drawn(correlation, 5, 64, 20_000, heavy)
    assert low - 0.05 < picked(members, gold, how) < high + 0.05


def test_a_single_member_of_the_exact_table() -> None:
    members, gold = drawn(0.4, 1, 64, 20_000, heavy)
    assert picked(members, gold, "mean") == pytest.approx(1.18, abs=0.05)


@pytest.mark.parametrize(
    ("how", "level", "offset"),
    [("mean", 1.34, 1.33), ("median", 1.32, 1.21), ("min", 1.27, 1.19), ("mean_minus_std", 1.31, 1.27)],
)
def test_offsets_per_prompt_harm_all_but_the_mean(how: Aggregate, level: float, offset: float) -> None:
    """Why reward models of an ensemble are centred: members with a zero of their own for each prompt."""
    members, gold = drawn(0.4, 5, 16, 20_000, lambda rng, shape: rng.normal(size=shape))
    shifted = members + 3 * np.random.default_rng(1).normal(size=(5, len(gold), 1))
    assert picked(members, gold, how) == pytest.approx(level, abs=0.05)
    assert picked(shifted, gold, how) == pytest.approx(offset, abs=0.05)


def test_changed_members_stay_an_ensemble_that_is_fitted() -> None:
    fitted = Ensemble([Fixed([0.0, 2.0]), Fixed([0.0, 4.0])], "min").fit(np.array([[0.0, 2.0], [0.0, 4.0]]))
    assert score(fitted.with_leaves(lambda leaf: leaf), 2).total() == pytest.approx([-1.0, 1.0])
    shifted = fitted.with_leaves(lambda leaf: Fixed([1.0, 3.0]))
    assert score(shifted, 2).total() == pytest.approx([min(0.0, -0.5), min(2.0, 0.5)])
