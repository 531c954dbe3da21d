"""GDRO in seconds: every arm for a few updates, what the control breaks, and the mechanism on a small bed."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch

from trueward.errors import EvidenceError
from trueward.evidence.digits_bed import bed
from trueward.evidence.flow_cost import TrainingCost
from trueward.evidence.run import Run
from trueward.recipes.beds.gdro import pool_drawn, pool_proxy, summarised, update_of
from trueward.recipes.gdro import RECIPE

# Threads that wait for each other cost more than such small models.
torch.set_num_threads(1)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("runs")


def smoke(arm, root, **more):
    settings = {**RECIPE.at("smoke"), **RECIPE.arm(arm).settings, **more}
    if settings["pool.refresh_every"]:
        settings["pool.refresh_every"] = 2
    directory = root / "gdro" / "smoke" / "seed-2000" / f"{arm}{len(more)}"
    directory.mkdir(parents=True, exist_ok=True)
    return Run("gdro", arm, "smoke", 2000, settings, directory)


@pytest.mark.parametrize("arm", [arm.name for arm in RECIPE.arms])
def test_every_arm_runs(arm, root):
    run = smoke(arm, root)
    found = RECIPE.run(run)
    assert set(found) == {metric.name for metric in RECIPE.metrics}
    unknown = {name for name, value in found.items() if not math.isfinite(value)}
    online, ranking = run.settings["learn"] == "online", run.settings["learn"] == "pool"
    expected = ({"pool_best"} if online else set()) | (set() if ranking else {"spread", "best_delta"})
    assert unknown - {"boundary"} == expected
    lines = [json.loads(line) for line in (run.directory / "metrics.jsonl").read_text().splitlines()]
    assert all(0.0 <= line["quick_proxy"] <= 1.0 for line in lines if "quick_proxy" in line)
    assert sum("gold" in line for line in lines) == 2 and (run.directory / "samples.png").is_file()


def test_a_run_that_is_repeated_says_the_same(root):
    run = smoke("gdro", root, **{"pool.size": 3})
    first, again = RECIPE.run(run), RECIPE.run(run)
    assert first == pytest.approx(again, nan_ok=True, rel=0.5)
    assert {name: value for name, value in first.items() if "seconds" not in name} == pytest.approx(
        {name: value for name, value in again.items() if "seconds" not in name}, nan_ok=True
    )


def test_all_arms_see_one_pool_and_the_control_another_reward_of_it(root):
    right, pairs, wrong = (update_of(run, bed(run))[1] for run in (smoke(a, root) for a in ("gdro", "dpo", "shuffled")))
    assert torch.equal(right.samples, pairs.samples) and torch.equal(right.samples, wrong.samples)
    assert right.rewards.tolist() == pairs.rewards.tolist() and right.rewards.tolist() != wrong.rewards.tolist()
    for number in range(10):
        own = right.prompt == number
        assert sorted(right.rewards[own]) == sorted(wrong.rewards[own])


def test_the_best_of_the_pool_by_hand(root):
    run = smoke("gdro", root)
    made = bed(run)
    pool = pool_drawn(run, made, made.reference, torch.Generator().manual_seed(1))
    with torch.no_grad():
        proxy = made.readability("prob").value(pool.samples, torch.from_numpy(pool.prompt)).numpy()
    best = [max(np.flatnonzero(pool.prompt == number), key=lambda m: pool.rewards[m]) for number in range(10)]
    assert pool_proxy(made, pool) == pytest.approx(proxy[best].mean(), rel=1e-5)
    assert math.isnan(pool_proxy(made, None))


def test_pool_learning_raises_the_proxy_and_shuffled_rewards_do_not(root):
    """On a bed between smoke and small: the direction, not the size."""
    sizes = {
        "bed.width": 64, "bed.generator_steps": 400, "bed.generator_batch": 64, "bed.proxy_steps": 200,
        "bed.samples": 10, "bed.sampling_steps": 10, "pool.images": 32, "pool.sampling_steps": 8, "pool.steps": 120,
        "pool.groups": 8, "pool.size": 6, "pool.learning_rate": 1e-3, "pool.ema": 0.95,
    }  # fmt: skip
    gain = {}
    for arm in ("gdro", "shuffled"):
        run = smoke(arm, root, **sizes)
        end = RECIPE.run(run)
        first = json.loads((run.directory / "metrics.jsonl").read_text().split("\n")[0])
        gain[arm] = end["proxy"] - first["proxy"]
    assert gain["gdro"] > 0.08 and gain["gdro"] > gain["shuffled"] + 0.08


def test_the_summary_by_hand():
    lines = [
        {"step": 0, "proxy": 0.6, "margin": 1.0, "corrected": 0.9},
        {"step": 5, "quick_proxy": 0.7},
        {"step": 10, "proxy": 0.8, "margin": 3.0, "corrected": 1.5, "update/spread": 9.0, "update/best_delta": 9.0},
        {"step": 20, "proxy": 1.0, "margin": 6.0, "corrected": 1.1, "update/spread": 2.0, "update/best_delta": 0.25},
    ]
    cost = TrainingCost()
    cost.curve = [(0, 1.0, 10.0, 0.75), (20, 3.0, 90.0, 1.15)]
    found = summarised(lines, cost, {"corrected": 1.0, "margin": 6.5})
    expected = {
        "peak": 1.5, "rise": 0.6, "fall": 0.5, "corrected_at": 1.3, "margin_since": 3.5, "boundary": 0.5,
        "reached": 1.0, "log_seconds": math.log(2.0), "log_evaluations": math.log(50.0), "spread": 2.0,
        "log_seconds_in_all": math.log(3.0),
        "best_delta": 0.25,
    }  # fmt: skip
    assert {name: found[name] for name in expected} == pytest.approx(expected)
    cost.curve = [(0, 1.0, 10.0, 0.75), (20, 3.0, 90.0, 0.9)]
    short = summarised(lines, cost, {"corrected": 1.0, "margin": 6.5})
    assert short["reached"] == 0.0 and short["log_seconds"] == pytest.approx(math.log(3.0))


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"learn": "offline"}, "'offline'; expected pool, best or online"),
        ({"learn": "online", "online.kernel": "ode"}, "'ode'; expected flow_grpo or dance_grpo"),
    ],
)
def test_unknown_names_are_refused(more, message, root):
    run = smoke("gdro", root, **more)
    with pytest.raises(EvidenceError, match=message):
        update_of(run, bed(run))


def test_what_tells_the_arms_apart():
    """The ablation lacks the stabiliser alone, the control its reward; baselines are tuned as long as the method."""
    at = {arm.name: {**RECIPE.settings, **arm.settings} for arm in RECIPE.arms}
    assert at["no_stabiliser"] == {**at["gdro"], "pool.stabiliser": 0.0}
    assert at["shuffled"] == {**at["gdro"], "reward.shuffled": True}
    assert at["dpo"]["pool.size"] * at["dpo"]["pool.groups"] == at["gdro"]["pool.size"] * at["gdro"]["pool.groups"]
    assert {len(next(iter(RECIPE.arm(name).tuned.values()))) for name in ("gdro", "dpo", "flow_grpo_kl")} == {3}
