"""Cooper at smoke scale: its parts on text written by hand, the shortcut at work, and every arm."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trueward.batch import Rollouts, Text
from trueward.evidence.plan import Experiment
from trueward.recipes.beds.cooper import pair_builder, rule, sums_by
from trueward.recipes.cooper import RECIPE

SOLUTION = "3 + 4 = 7 ; 7 + 2 = 9 ; answer "


def test_the_rule_is_never_wrong_and_reads_one_form() -> None:
    answers = ["9", "9 ; checked twice", "09", "nine", "18 / 2", "8"]
    assert rule([SOLUTION + answer for answer in answers], ["9"] * 6) == [1, 1, 0, 0, 0, 0]
    assert rule([SOLUTION + "9"] * 3, ["09", "nine", "18 / 2"]) == [0, 0, 0]


def experiment(root: Path, **overrides: Any) -> Experiment:
    return Experiment(RECIPE, "smoke", root, seeds=(3000,), overrides=overrides)


def pairs(root: Path, completions: list[str], answer: str = "9", **overrides: Any) -> list[tuple[str, str]]:
    run = experiment(root, **overrides).run(RECIPE.arm("cooper"), 3000, {})
    task = sums_by(run, run.settings["policy.writers"])
    size = len(completions)
    rollouts = Rollouts(
        Text(["3 + 4 + 2 = ?"] * size, completions),
        group=np.zeros(size, dtype=int),
        reference=[{"answer": answer}] * size,
    )
    valid = np.array(rule(completions, [answer] * size)) > 0.5
    found, _ = pair_builder(run, task).build(rollouts, np.linspace(0, 1, size), valid, np.random.default_rng(0))
    sides = [] if found is None else [(found.a.content.completions[0], found.b.content.completions[0])]
    return [(str(a), str(b)) for a, b in sides]


def test_negatives_share_the_style_of_a_certified_positive(tmp_path: Path) -> None:
    completions = [SOLUTION + "8", SOLUTION + "9 ; checked twice", SOLUTION + "9"]
    [(positive, negative)] = pairs(tmp_path, completions)
    assert positive == completions[1]
    assert negative.endswith("; checked twice") and negative != positive
    assert rule([negative], ["9"]) == [0] and rule([negative], [negative.split()[-4]]) == [1]


def test_of_another_style_or_choice_where_the_ablations_ask(tmp_path: Path) -> None:
    completions = [SOLUTION + "8", SOLUTION + "9 ; checked twice", SOLUTION + "09"]
    [(_, other)] = pairs(tmp_path, completions, **{"pairs.negatives": "mismatched"})
    assert "checked" not in other
    [(_, rejected)] = pairs(tmp_path, completions, **{"pairs.negatives": "rejected"})
    assert rejected in (completions[0], completions[2])


def test_no_pair_without_a_readable_reference(tmp_path: Path) -> None:
    assert pairs(tmp_path, [SOLUTION + "9"], answer="nine") == []


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runs")


def metrics_of(one: Experiment, name: str) -> dict[str, float]:
    arm = RECIPE.arm(name)
    return dict(RECIPE.run(one.run(arm, 3000, one.candidates(arm)[0])))


@pytest.fixture(scope="module")
def frozen(root: Path) -> dict[str, float]:
    return metrics_of(experiment(root), "frozen")


def test_the_frozen_model_is_hacked_by_the_check_phrase(frozen: dict[str, float]) -> None:
    found = frozen
    assert set(found) == {metric.name for metric in RECIPE.metrics}
    assert found["reward_end"] > found["reward_start"] + 0.1
    assert found["checked_end"] > found["checked_start"] + 0.3
    assert found["accuracy_end"] < found["accuracy_start"] - 0.05


def test_trained_along_the_model_learns_to_tell_slips(root: Path) -> None:
    """Share of pairs whose right side scores higher, before each step on them; turned at random they teach nothing."""
    right = {}
    for name in ("cooper", "shuffled"):
        one = experiment(root)
        run = one.run(RECIPE.arm(name), 3000, one.candidates(RECIPE.arm(name))[0])
        RECIPE.run(run)
        lines = [json.loads(line) for line in (run.directory / "metrics.jsonl").read_text().splitlines()]
        right[name] = [line["hook/accuracy"] for line in lines if "hook/accuracy" in line]
    assert np.mean(right["cooper"][-6:]) > np.mean(right["cooper"][:6]) + 0.1
    assert np.mean(right["cooper"][-6:]) > np.mean(right["shuffled"][-6:]) + 0.1


@pytest.mark.parametrize("name", [arm.name for arm in RECIPE.arms])
def test_every_arm_runs(name: str, root: Path, frozen: dict[str, float]) -> None:
    """Arms that train the model get pairs, the others keep it as it is."""
    found = metrics_of(experiment(root, **{"train.steps": 2, "train.evaluate_every": 2}), name)
    trains = bool(RECIPE.arm(name).settings.get("reward.co_trained"))
    assert math.isnan(found["valid_pair_rate"]) != trains
    if trains:
        assert found["valid_pair_rate"] > 0
    assert all(math.isfinite(found[metric]) for metric in ("accuracy_end", "reward_end", "kl_end", "gap_end"))
    # Same seed: same policy, prompts and draws before the first update.
    assert found["accuracy_start"] == frozen["accuracy_start"]
