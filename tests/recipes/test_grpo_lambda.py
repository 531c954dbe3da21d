"""GRPO-λ at the scale of seconds: which way each reward pushes easy and hard prompts, and every arm for two steps."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from trueward.batch import Context, Rollouts, Text
from trueward.credit.estimators import GroupRelative
from trueward.evidence.chain_bed import states_answer
from trueward.evidence.run import Run
from trueward.recipes.beds.grpo_lambda import transforms_of
from trueward.recipes.grpo_lambda import RECIPE
from trueward.rewards.base import as_reward

# Threads that wait for each other cost more than such small models.
torch.set_num_threads(1)

GROUP, GROUPS = 64, 5
LONG, SHORT = "a 1 \n b 2 \n ans = {}", "ans = {}"
# How often long and short answers are right: leaving lines out costs nothing where it is easy, much where it is hard.
EASY, HARD = (1.0, 1.0), (0.5, 0.36)


def batch(seed: int) -> tuple[Rollouts, np.ndarray, np.ndarray]:
    """One easy and four hard prompts, half of the answers long; which are short, and which belong to hard prompts."""
    rng = np.random.default_rng(seed)
    n = GROUP * GROUPS
    group, short = np.repeat(np.arange(GROUPS), GROUP), np.tile([False, True], n // 2)
    chance = np.where(group == 0, 1.0, np.where(short, HARD[1], HARD[0]))
    right = rng.random(n) < chance
    said = np.where(right, "3", "1")
    texts = [(SHORT if s else LONG).format(number) for s, number in zip(short, said, strict=True)]
    mask = np.arange(9) < np.where(short, 3, 9)[:, None]
    rollouts = Rollouts(
        Text(["p"] * n, texts), group=group, mask=mask, features={"finished": np.ones(n, dtype=bool)},
        reference=[{"answer": "3"}] * n,
    )  # fmt: skip
    return rollouts, short, group > 0


def push(arm: str, **more: Any) -> dict[str, float]:
    """Mean advantage of short answers over long ones: how strongly the reward asks for leaving lines out."""
    settings = {**RECIPE.at("small"), **RECIPE.arm(arm).settings, **more}
    found: dict[str, list[float]] = {"easy": [], "hard": []}
    for seed in range(20):
        rollouts, short, hard = batch(seed)
        context = Context(training=True, generator=np.random.default_rng(seed))
        scores = as_reward(states_answer).transform(*transforms_of(settings)).score(rollouts, context)
        advantages = GroupRelative()(scores, rollouts, context).advantages
        for name, rows in (("easy", ~hard), ("hard", hard)):
            found[name].append(float(advantages[rows & short].mean() - advantages[rows & ~short].mean()))
    return {name: float(np.mean(values)) for name, values in found.items()}


def test_the_verifier_alone_asks_for_the_lines_that_are_needed_and_for_no_others() -> None:
    found = push("grpo")
    assert found["easy"] == 0.0
    assert found["hard"] < -0.2


def test_paid_for_everywhere_shortness_wins_where_it_costs_accuracy() -> None:
    # At α = 1 a short right answer earns .73 and a long one .27: .36 · .73 > .5 · .27.
    found = push("lp", **{"reward.alpha": 1.0})
    assert found["easy"] > 1.0
    assert found["hard"] > 0.2


def test_paid_for_where_it_is_solved_shortness_costs_nothing_on_hard_prompts() -> None:
    found = push("grpo_lambda", **{"reward.alpha": 1.0})
    assert found["easy"] > 1.0
    assert found["hard"] == pytest.approx(push("grpo")["hard"])


def test_as_many_groups_at_random_lie_in_between() -> None:
    alpha = {"reward.alpha": 1.0}
    found, everywhere, nowhere = push("random_lambda", **alpha), push("lp", **alpha), push("grpo")
    assert nowhere["hard"] < found["hard"] < everywhere["hard"]
    assert nowhere["easy"] < found["easy"] < everywhere["easy"]


def test_the_full_arm_with_all_groups_is_the_penalty_on_all_groups() -> None:
    assert push("lambda_100") == push("lp_60")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return tmp_path_factory.mktemp("runs")


@pytest.mark.parametrize("arm", [arm.name for arm in RECIPE.arms])
def test_every_arm_runs(arm: str, root: Any) -> None:
    settings = {**RECIPE.at("smoke"), **RECIPE.arm(arm).settings}
    directory = root / "grpo-lambda" / "smoke" / "seed-2000" / arm
    directory.mkdir(parents=True)
    found = RECIPE.run(Run("grpo-lambda", arm, "smoke", 2000, settings, directory))
    assert set(found) == {metric.name for metric in RECIPE.metrics}
    assert all(math.isfinite(value) for value in found.values())


def test_runs_of_a_seed_share_their_warm_start(root: Any) -> None:
    folders = [path.name for path in (root / "grpo-lambda" / "shared" / "seed-2000").iterdir() if path.is_dir()]
    assert [name.rpartition("-")[0] for name in folders] == ["warm start"]
