"""Ensembles: where diversity helps and where it does not in closed form, and every arm of the recipe at smoke scale."""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trueward.evidence.ensemble_bed import Labels, averaged, members, pool_of, read_grid
from trueward.evidence.language_bed import under
from trueward.evidence.plan import Experiment
from trueward.evidence.samples import samples_of
from trueward.recipes.ensembles import KINDS, RECIPE
from trueward.tasks.text.procedural import ReviewReplies

SEED = 3000


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runs")


def metrics_of(root: Path, name: str, **overrides: Any) -> tuple[dict[str, float], Path]:
    one, arm = Experiment(RECIPE, "smoke", root, seeds=(SEED,), overrides=overrides), RECIPE.arm(name)
    chosen = one.run(arm, SEED, one.candidates(arm)[0])
    return dict(RECIPE.run(chosen)), chosen.directory


@pytest.mark.parametrize("name", [arm.name for arm in RECIPE.arms])
def test_every_arm_runs(name: str, root: Path) -> None:
    found, directory = metrics_of(root, name)
    assert set(found) == {metric.name for metric in RECIPE.metrics}
    trains = "rl.kl" in RECIPE.arm(name).settings
    assert all(math.isfinite(value) for metric, value in found.items() if trains or not metric.startswith("rl_"))
    assert math.isnan(found["rl_gold"]) != trains
    lines = [json.loads(line) for line in (directory / "metrics.jsonl").read_text().splitlines()]
    if trains:
        assert [line["step"] for line in lines] == [0, 1, 2]
    else:
        assert [line["step"] for line in lines] == [1, 2, 4, 8, 16, 32, 64]
        assert lines[-1]["kl"] == pytest.approx(math.log(64) - 63 / 64)
        assert lines[-1]["gold"] == pytest.approx(found["gold_64"])
        # The score that decides can only rise with n.
        assert all(after["proxy"] > before["proxy"] for before, after in itertools.pairwise(lines))


def test_arms_of_a_seed_pick_from_one_pool(root: Path) -> None:
    single, pretrain, oracle = (metrics_of(root, name)[0] for name in ("single", "pretrain", "debiased"))
    for same in ("gold_1", "listed_1", "accuracy", "within_best", "between_best"):
        assert single[same] == pytest.approx(pretrain[same]) == pytest.approx(oracle[same])
    assert single["spread_64"] == 0 < pretrain["spread_64"]
    assert single["listed_of_single"] == pytest.approx(1)


def test_the_curve_has_samples_to_read(root: Path) -> None:
    _, directory = metrics_of(root, "pretrain")
    samples = samples_of(directory, SEED)
    assert {sample["step"] for sample in samples} == {1, 8, 64}
    best = {sample["step"]: sample["proxy"] for sample in samples if sample["picked"] == "best proxy"}
    assert best[64] >= best[8] >= best[1]


def test_models_learn_from_pairs_and_not_from_exchanged_labels(root: Path) -> None:
    more = {"preferences.pairs": 256, "preferences.tests": 200, "reward_model.epochs": 4}
    one = Experiment(RECIPE, "smoke", root, seeds=(SEED,), overrides=more)
    chosen, task = one.run(RECIPE.arm("pretrain"), SEED, {}), ReviewReplies(**under(RECIPE.settings, "task"))
    labels: list[Labels] = ["annotated", "shuffled", "debiased"]
    pool = pool_of(chosen, task)
    found = {kind: read_grid(members(chosen, task, 1, labels=kind, centring=0.01), pool) for kind in labels}
    accuracy = {kind: float(grid.accuracy.mean()) for kind, grid in found.items()}
    assert accuracy["annotated"] > max(0.65, accuracy["shuffled"] + 0.1, accuracy["debiased"])
    # Models of one kind and pool, of different trunks: no two say the same.
    first, second, third = found["annotated"].scores[:, 0]
    assert not np.allclose(first, second) and not np.allclose(second, third)
    assert found["annotated"].scores.shape == (3, 1, 8, 64)


def test_a_weight_average_of_one_model_says_what_the_model_says(root: Path) -> None:
    one = Experiment(RECIPE, "smoke", root, seeds=(SEED,), overrides={"grid.heads": 1})
    chosen, task = one.run(RECIPE.arm("averaged"), SEED, {}), ReviewReplies(**under(RECIPE.settings, "task"))
    pool = pool_of(chosen, task)
    alone = read_grid(members(chosen, task, 1, labels="annotated", centring=0.01), pool)
    average = read_grid([[averaged(chosen, task, trunk)] for trunk in range(3)], pool)
    assert np.allclose(alone.scores, average.scores, atol=1e-5)
    assert np.array_equal(alone.accuracy, average.accuracy)


def test_the_decision_set_has_what_a_claim_needs() -> None:
    small = {arm.name: arm.role for arm in RECIPE.arms if not arm.full}
    assert {"method", "baseline", "ablation", "control", "reference"} == set(small.values())
    assert len([arm for arm in RECIPE.arms if "rl.kl" in arm.settings]) == 4 * len(KINDS)
