"""Correlated proxies at the scale of seconds: the proxy alone is hacked, a charge on occupancy holds."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from trueward.audit.monitor.episodes import alarmed, probed
from trueward.evidence.run import Run
from trueward.policies.control.tabular import TabularPolicy
from trueward.recipes.beds.correlated_proxies import METRICS, world_of
from trueward.recipes.beds.correlated_proxies_learned import cloned
from trueward.recipes.correlated_proxies import RECIPE
from trueward.training.control import read_episodes

# Threads that wait for each other cost more than such small models.
torch.set_num_threads(1)


def a_run(root: Path, arm: str, seed: int = 3000, **more: Any) -> Run:
    chosen = RECIPE.arm(arm)
    first = {name: values[0] for name, values in chosen.tuned.items()}
    settings = {**RECIPE.at("smoke"), **chosen.settings, **first, **more}
    return Run(RECIPE.name, arm, "smoke", seed, settings, root / RECIPE.name / "smoke" / f"seed-{seed}" / arm)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def found(root: Path) -> dict[str, dict[str, float]]:
    return {
        name: dict(RECIPE.run(a_run(root, arm, **more)))
        for name, arm, more in (
            ("none", "none", {}),
            ("sqrt_chi2", "sqrt_chi2", {"environments.of_reference": 8, "penalty.c": 2.0}),
        )
    }


def test_a_clone_acts_like_the_reference(root: Path) -> None:
    run = a_run(root, "none")
    world = world_of(run.settings)
    policy = cloned(run, world)
    seen = torch.from_numpy(world.task.observations)
    with torch.no_grad():
        found = policy.distribution(seen).log_probabilities.exp().numpy()  # type: ignore[attr-defined]
    assert np.abs(found - world.reference).sum(axis=1).mean() < 0.1
    driver = TabularPolicy(world.task.observations, world.reference)
    assert driver(seen).log_probabilities.exp().numpy() == pytest.approx(world.reference, abs=1e-6)


def test_the_proxy_alone_is_hacked(found: dict[str, dict[str, float]]) -> None:
    hacked = found["none"]
    assert hacked["correlation_start"] > 0.6
    assert hacked["proxy_gain_end"] > 1
    assert hacked["gain_end"] < -0.5
    assert hacked["correlation_end"] < 0


def test_charged_for_its_occupancy_the_policy_is_not(found: dict[str, dict[str, float]]) -> None:
    assert found["sqrt_chi2"]["gain_end"] > 0
    assert found["sqrt_chi2"]["log_chi_squared_end"] < found["none"]["log_chi_squared_end"]


def test_what_was_promised_was_kept(found: dict[str, dict[str, float]]) -> None:
    assert min(one["certificate_slack"] for one in found.values()) > -1e-6


def test_the_gold_probe_alarms_on_the_hacked_run_and_not_on_the_healthy_one(
    root: Path, found: dict[str, dict[str, float]]
) -> None:
    # All five tomatoes watered in all hundred steps. A run of so few updates needs a shorter window.
    high = 100 * 5 * 0.02
    for arm, expected in (("none", True), ("sqrt_chi2", False)):
        episodes = read_episodes(a_run(root, arm).directory)
        notice = alarmed(probed(episodes, low=0.0, high=high, window=4))
        assert (notice is not None) == expected, arm
    assert all(one["alarmed"] in (0.0, 1.0) for one in found.values())


def test_exact_arms_need_no_learning(root: Path) -> None:
    wanted = {
        name: RECIPE.run(a_run(root, name)) for name in ("exact_none_2", "exact_sqrt_chi2_2", "exact_action_kl_2")
    }
    assert wanted["exact_none_2"]["gain_end"] < -1
    assert wanted["exact_sqrt_chi2_2"]["gain_end"] > wanted["exact_action_kl_2"]["gain_end"] + 0.33
    assert all(math.isnan(one["alarmed"]) for one in wanted.values())


def _learned(name: str) -> bool:
    return RECIPE.arm(name).full and RECIPE.arm(name).settings.get("solver", "ppo") == "ppo"


@pytest.mark.parametrize("arm", [arm.name for arm in RECIPE.arms if _learned(arm.name)])
def test_every_full_arm_runs(root: Path, arm: str) -> None:
    driven = 4 if "environments.of_reference" in RECIPE.arm(arm).settings else 0
    run = a_run(root, arm, **{"train.steps": 2, "environments": 8, "environments.of_reference": driven})
    found = RECIPE.run(run)
    assert set(found) == {metric.name for metric in METRICS}
    assert math.isfinite(found["gain_end"])


@pytest.mark.parametrize("arm", ["replies_none", "replies_token_kl", "replies_sqrt_chi2", "replies_chi2", "replies_kl"])
def test_replies_run(root: Path, arm: str) -> None:
    found = RECIPE.run(a_run(root, arm, **{"language.train.steps": 2}))
    assert set(found) == {metric.name for metric in METRICS}
    assert math.isfinite(found["gain_end"]) and math.isfinite(found["correlation_end"])


@pytest.mark.parametrize("arm", ["running_none", "running_action_kl", "running_sqrt_chi2"])
def test_running_runs(root: Path, arm: str) -> None:
    found = RECIPE.run(a_run(root, arm))
    assert set(found) == {metric.name for metric in METRICS}
    assert math.isfinite(found["gain_end"]) and found["correlation_start"] > 0


@pytest.mark.parametrize("arm", ["exact_states_4", "exact_kl_4", "exact_chi2_2"])
def test_other_exact_arms_run(root: Path, arm: str) -> None:
    found = RECIPE.run(a_run(root, arm, **{"exact.steps": 3}))
    assert found["certificate_slack"] > -1e-6


def test_other_arms_of_the_decision_set_run(root: Path) -> None:
    for arm in RECIPE.arms:
        if arm.full or arm.name in ("none", "sqrt_chi2"):
            continue
        driven = 4 if "environments.of_reference" in arm.settings else 0
        run = a_run(root, arm.name, **{"train.steps": 2, "environments": 8, "environments.of_reference": driven})
        assert math.isfinite(RECIPE.run(run)["gain_end"])


def test_the_first_candidates_are_tried_by_as_many_runs_each() -> None:
    tuned = {arm.name: math.prod(len(v) for v in arm.tuned.values()) for arm in RECIPE.arms if not arm.full}
    assert tuned["sqrt_chi2"] == tuned["action_kl"] == tuned["stopped"] == tuned["om_kl"] == 4
    assert dataclasses.is_dataclass(RECIPE)
