"""STARC at the scale of seconds: what each distance sees and does not see, the beds by hand, and every arm once."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from trueward.evidence.run import Run
from trueward.measures.distances import bandit_distance
from trueward.measures.tabular import TabularMDP, redistributed, shaped
from trueward.recipes.beds import starc_learned, starc_mdps
from trueward.recipes.starc import RECIPE
from trueward.tasks.control.tabular import random_mdp, random_reward

# Threads that wait for each other cost more than such small models.
torch.set_num_threads(1)

CYCLE = TabularMDP(np.array([[[0.0, 1.0]], [[1.0, 0.0]]]), np.array([1.0, 0.0]), 0.5)  # s0 → s1 → s0, one action


def run_of(root: Any, arm: str, **more: Any) -> Run:
    settings = {**RECIPE.at("smoke"), **RECIPE.arm(arm).settings, **more}
    directory = root / "starc" / "smoke" / "seed-2000" / arm
    directory.mkdir(parents=True, exist_ok=True)
    return Run("starc", arm, "smoke", 2000, settings, directory)


def between(arm: str, change: str) -> float:
    """Distance of an arm between a reward and the same one after a change, in a random MDP."""
    generator = np.random.default_rng(7)
    mdp = random_mdp(10, 3, generator)
    reward = random_reward(mdp, generator, sparse=0.0, scaled=0.0, shifted=0.0, shaped=0.0)
    changed = {
        "shaping": lambda: shaped(reward, 3 * generator.standard_normal(10), mdp),
        "redistribution": lambda: redistributed(reward, mdp, generator),
        "scale": lambda: 5 * reward,
        "sign": lambda: -reward,
    }[change]()
    settings = {**RECIPE.at("smoke"), **RECIPE.arm(arm).settings}
    return starc_mdps.distance_of(settings, mdp, np.random.default_rng(0))(reward, changed)


# What an arm does not see, of the three changes that leave the order of all policies as it is.
BLIND_TO = {
    "val": {"shaping", "redistribution", "scale"},
    "minimal": {"shaping", "redistribution", "scale"},
    "epic": {"shaping", "scale"},
    "dard": {"shaping", "scale"},
    "val_potential": {"shaping", "scale"},
    "unnormalised": {"shaping", "redistribution"},
    "none": {"scale"},
    # The potential is taken away by values that belong to other dynamics.
    "wrong_dynamics": {"shaping", "scale"},
}


@pytest.mark.parametrize("arm", BLIND_TO)
@pytest.mark.parametrize("change", ["shaping", "redistribution", "scale"])
def test_what_each_distance_sees(arm: str, change: str) -> None:
    if change in BLIND_TO[arm]:
        assert between(arm, change) == pytest.approx(0.0, abs=1e-6)
    else:
        assert between(arm, change) > 0.1


@pytest.mark.parametrize("arm", ["val", "epic", "dard", "none"])
def test_opposite_rewards_are_2_apart(arm: str) -> None:
    assert between(arm, "sign") == pytest.approx(2.0)


def test_accuracy_and_returns_of_opposite_rewards() -> None:
    assert between("accuracy", "sign") == 1.0
    assert between("returns", "sign") == pytest.approx(2.0)
    assert between("accuracy", "scale") == 0.0


def test_disorder_counts_a_tie_on_one_side_as_half() -> None:
    assert (
        starc_mdps.disorder(np.array([1.0, 1.0, 2.0, -1.0]), np.array([3.0, -1.0, 0.0, -5.0])) == (0 + 1 + 0.5 + 0) / 4
    )


def test_fragments_follow_the_dynamics() -> None:
    states, actions, following = starc_mdps.fragments(CYCLE, 3, 4, np.random.default_rng(0))
    assert (states == [[0, 1, 0, 1]] * 3).all() and (following == [[1, 0, 1, 0]] * 3).all() and (actions == 0).all()


def test_fragments_are_as_frequent_as_they_are_likely() -> None:
    mdp = TabularMDP(np.array([[[0.25, 0.75]], [[0.25, 0.75]]]), np.array([0.5, 0.5]), 0.9)
    _, _, following = starc_mdps.fragments(mdp, 4000, 2, np.random.default_rng(0))
    assert following.mean() == pytest.approx(0.75, abs=4 * math.sqrt(0.75 * 0.25 / 8000))


def test_only_what_does_not_happen_is_spoilt() -> None:
    mdp = random_mdp(12, 2, np.random.default_rng(0))
    pay = starc_mdps.unreachable_pay(mdp, 0.5, 100.0, np.random.default_rng(1))
    assert isinstance(pay, np.ndarray) and set(np.unique(pay)) == {-100.0, 0.0, 100.0}
    assert (pay[mdp.transitions > 1e-6] == 0).all()
    assert np.abs(mdp.expected(pay)).max() < 1e-5


def test_lines_go_from_one_reward_to_an_independent_one(tmp_path: Any) -> None:
    found = list(starc_mdps.lines(run_of(tmp_path, "val")))
    assert len(found) == 12
    line = found[0]
    np.testing.assert_allclose(line.others[1] - line.first, 2 * (line.others[0] - line.first), atol=1e-9)
    [only, *_] = starc_mdps.lines(run_of(tmp_path, "val"), deterministic=True)
    assert (only.mdp.transitions.max(axis=-1) == 1).all()
    assert not np.array_equal(only.mdp.transitions, line.mdp.transitions)


def test_pairs_with_nothing_at_stake_are_left_out(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    [line, *_] = starc_mdps.lines(run_of(tmp_path, "val"))
    idle = shaped(np.zeros(line.first.shape), np.arange(12.0), line.mdp)
    assert (
        starc_mdps.largest_advantage(line.mdp, idle) < 1e-9 < 1e-2 < starc_mdps.largest_advantage(line.mdp, line.first)
    )
    spoilt = starc_mdps.Line(line.mdp, line.first, (line.others[0], idle))
    monkeypatch.setattr(starc_mdps, "lines", lambda run, deterministic=False: iter([spoilt]))
    run = run_of(tmp_path, "val")
    lost, apart = starc_mdps.regrets_of(run), starc_mdps.distances(run, 2)
    assert lost.shape == (1, 2, 2) and np.isfinite(lost[0, 0]).all() and np.isnan(lost[0, 1]).all()
    assert np.isfinite(apart[0, 0]) and np.isnan(apart[0, 1])
    assert starc_mdps.correlation(np.array([1.0, 2.0, 4.0, np.nan]), np.array([2.0, 4.0, 8.0, 1.0])) == pytest.approx(
        1.0
    )


def test_correlations_by_hand() -> None:
    up, steep = np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.0, 9.0])
    assert starc_mdps.correlation(up, steep, ranks=True) == pytest.approx(1.0)
    # Deviations −1, 0, 1 and −3, −2, 5: 8 / √(2 · 38).
    assert starc_mdps.correlation(up, steep) == pytest.approx(8 / math.sqrt(76))
    assert math.isnan(starc_mdps.correlation(up, np.ones(3))) and math.isnan(starc_mdps.correlation(up, up * np.nan))


def test_a_logistic_fit_by_hand() -> None:
    # 3 of 4 labels are 1 at x = 1: w = log 3 where nothing is paid for its size; with λ the gradient is 0 there too.
    features, labels = np.ones((4, 1)), np.array([1.0, 1.0, 1.0, 0.0])
    assert starc_learned.logistic_fit(features, labels, 1e-9)[0] == pytest.approx(math.log(3), abs=1e-4)
    w = starc_learned.logistic_fit(features, labels, 0.5)[0]
    assert 3 - 4 / (1 + math.exp(-w)) - 0.5 * w == pytest.approx(0.0, abs=1e-5)


def test_a_reward_learnt_from_many_labels_is_nearer_and_costs_less(tmp_path: Any) -> None:
    run = run_of(tmp_path, "val", **{"use.side": 3})
    mdp, true = starc_learned.grid_world(run, 0)
    distance = starc_mdps.distance_of(run.settings, mdp, np.random.default_rng(0))
    apart, lost = [], []
    for labels, noise in ((5000, 0.0), (100, 0.3)):
        learned = starc_learned.learned_reward(mdp, true, labels, noise, 10, 0.1, np.random.default_rng(3))
        apart.append(distance(true, learned))
        lost.append(starc_learned.trained_regret(mdp, true, learned, 0.3))
    assert apart[0] < 0.5 < apart[1] and lost[0] < lost[1]
    assert 0 < starc_learned.trained_regret(mdp, true, true, 0.3) < lost[1]
    assert starc_learned.trained_regret(mdp, true, true, 1e-4) == pytest.approx(0.0, abs=1e-6)
    assert starc_learned.trained_regret(mdp, true, -true, 1e-4) == pytest.approx(1.0, abs=1e-6)


def test_labels_that_mean_nothing_teach_nothing(tmp_path: Any) -> None:
    run = run_of(tmp_path, "val")
    mdp, true = starc_learned.grid_world(run, 0)
    distance = starc_mdps.distance_of(run.settings, mdp, np.random.default_rng(0))
    learned = starc_learned.learned_reward(mdp, true, 3000, 0.5, 10, 0.1, np.random.default_rng(3))
    assert distance(true, learned) == pytest.approx(math.sqrt(2), abs=0.35)


@pytest.mark.parametrize("arm", ["val", "val_potential"])
def test_in_one_step_the_distance_is_that_of_answers(arm: str, tmp_path: Any) -> None:
    generator = np.random.default_rng(5)
    first, second = generator.standard_normal((2, 6, 8))
    group = np.repeat(np.arange(6), 8)
    wanted = bandit_distance(first.ravel(), second.ravel(), group).distance
    found = starc_learned.answer_distance(run_of(tmp_path, arm), first, second)
    assert found == pytest.approx(wanted, abs=1e-9)
    assert starc_learned.answer_distance(run_of(tmp_path, arm), first, 3 * first + 7) == pytest.approx(0.0, abs=1e-7)


def test_accuracy_of_answers_is_that_of_pairs_of_one_prompt(tmp_path: Any) -> None:
    first, second = np.array([[0.0, 1.0, 2.0], [5.0, 6.0, 7.0]]), np.array([[9.0, 10.0, 11.0], [3.0, 2.0, 4.0]])
    assert starc_learned.answer_distance(run_of(tmp_path, "accuracy"), first, second) == pytest.approx(1 / 6)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return tmp_path_factory.mktemp("runs")


@pytest.mark.parametrize("arm", [arm.name for arm in RECIPE.arms])
def test_every_arm_runs(arm: str, root: Any) -> None:
    found = RECIPE.run(run_of(root, arm))
    assert set(found) == {metric.name for metric in RECIPE.metrics}
    assert all(math.isfinite(value) for value in found.values())
    assert found["pearson"] > 0


def test_arms_of_a_seed_share_what_they_are_measured_against(root: Any) -> None:
    folders = [path.name for path in (root / "starc" / "shared" / "seed-2000").iterdir() if path.is_dir()]
    names = [name.rpartition("-")[0] for name in folders]
    assert sorted(name for name in names if "regrets" in name or "learnt" in name) == [
        "learnt rewards", "regrets", "regrets deterministic",
    ]  # fmt: skip
