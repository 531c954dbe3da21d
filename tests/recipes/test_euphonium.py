"""Euphonium in seconds: every arm for two updates, what guidance and distillation do, and what a curve says."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch

from trueward.batch import Part, Scores
from trueward.errors import EvidenceError
from trueward.evidence.digits_bed import bed
from trueward.evidence.run import Run
from trueward.policies.flow import FlowMLP, Guidance, dance_grpo, sample, time_grid
from trueward.recipes.beds.euphonium import (
    guidance_of,
    measured_policy,
    process_metrics,
    process_of,
    random_direction,
    summarised,
    update_of,
)
from trueward.recipes.euphonium import RECIPE
from trueward.rewards.base import Reward
from trueward.status import Status
from trueward.training.flow import FlowSettings, OnlineSettings, OnlineUpdate, train_flow

# Threads that wait for each other cost more than such small models.
torch.set_num_threads(1)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("runs")


def smoke(arm, root, **more):
    settings = {**RECIPE.at("smoke"), **RECIPE.arm(arm).settings, **more}
    directory = root / "euphonium" / "smoke" / "seed-2000" / arm
    directory.mkdir(parents=True, exist_ok=True)
    return Run("euphonium", arm, "smoke", 2000, settings, directory)


@pytest.mark.parametrize("arm", [arm.name for arm in RECIPE.arms])
def test_every_arm_runs(arm, root):
    run = smoke(arm, root)
    found = RECIPE.run(run)
    assert set(found) == {metric.name for metric in RECIPE.metrics}
    unknown = {name for name, value in found.items() if not math.isfinite(value)}
    # Two updates are too few to look at the process reward, and an arm that is not trained has no rollouts.
    untrained = {"rollout_gap"} if arm == "guided_at_test" else set()
    assert unknown == {"agreement_noisy", "agreement_clear"} | untrained
    asked = run.settings["guidance.by"] in ("process", "random") or run.settings["learn.process_weight"] > 0
    assert (found["process_calls"] > 0) == (asked or "at_test" in arm)
    assert found["process_failures"] == 0 and (run.directory / "samples.png").read_bytes()[:4] == b"\x89PNG"


def test_a_run_that_is_repeated_says_the_same(root):
    run = smoke("dual", root)
    assert RECIPE.run(run) == pytest.approx(RECIPE.run(run), nan_ok=True)


class Nothing(Reward):
    """Pays all alike: whatever is learned comes from guidance."""

    name = "nothing"

    def use(self, runner):
        return False

    def score(self, rollouts, context):
        return Scores({"nothing": Part(np.zeros(len(rollouts)), [Status.OK] * len(rollouts))})


def towards_class(x, t, condition):
    """r = x₁ for class 1 and −x₁ for class 0."""
    sign = (2.0 * condition - 1.0)[:, None, None, None]
    gradient = torch.zeros_like(x)
    gradient[..., 0] = sign[..., 0]
    return (sign * x[..., :1]).flatten(1)[:, 0], gradient


def moved(distill, gradient=towards_class):
    """By how much training on guided rollouts moves unguided samples towards their class."""
    policy, classes = FlowMLP((1, 1, 2), 2, 16, 1), torch.tensor([0, 1])
    update = OnlineUpdate(
        Nothing(),
        ["0", "1"],
        classes,
        OnlineSettings(group=16, prompts=2, steps=6, kernel=dance_grpo(0.7), distill=distill, share_noise=False),
        shape=(1, 1, 2),
        guidance=Guidance(gradient, beta=0.2),
    )
    train_flow(policy, update, settings=FlowSettings(steps=40, learning_rate=3e-3, ema=None, seed=1))
    noise = torch.randn(200, 1, 1, 2, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(200) % 2
    made = sample(policy, labels, shape=(1, 1, 2), times=time_grid(10), noise=noise).final
    return float(((made - noise)[:, 0, 0, 0] * (2 * labels - 1)).mean())


def test_only_distilled_guidance_stays_when_nobody_guides():
    """Outcomes are all alike. Without distillation, or with directions that say nothing, nothing is learned."""
    assert moved("explicit") > 0.5
    assert moved("none") == 0.0 == moved("implicit")
    assert abs(moved("explicit", random_direction(towards_class, 3))) < 0.15


def test_a_random_direction_keeps_values_and_lengths_and_is_drawn_again_alike():
    x, condition = torch.randn(50, 1, 1, 2, generator=torch.Generator().manual_seed(0)), torch.arange(50) % 2
    value, right = towards_class(x, None, condition)
    drawn = random_direction(towards_class, 7)
    same, found = drawn(x, None, condition)
    assert torch.equal(same, value) and torch.allclose(found.flatten(1).norm(dim=1), torch.ones(50))
    assert abs((found * right).flatten(1).sum(dim=1).mean()) < 0.3
    assert torch.equal(drawn(x, None, condition)[1], found)
    assert not torch.equal(random_direction(towards_class, 8)(x, None, condition)[1], found)


def test_the_process_reward_knows_less_the_noisier_the_state(root):
    run = smoke("euphonium", root, **{"process.width": 64, "process.steps": 400})
    world = bed(run)
    process = process_of(run, world)
    told = process_metrics(run, world, process, [{}])
    assert told["process_0"] > 0.8 and told["process_30"] > 0.75 and told["process_90"] < 0.3
    assert told["process_50"] > told["process_70"] > told["process_90"]
    labels = world.conditions(2)
    value, gradient = process.gradient(torch.zeros(20, 1, 8, 8), torch.full((20,), 0.5), labels)
    better = process.value(0.1 * gradient, torch.full((20,), 0.5), labels)
    assert (better > value).all()


def test_what_guides_an_arm(root):
    def of(arm, **more):
        run = smoke(arm, root, **more)
        world = bed(run)
        return guidance_of(run, world, process_of(run, world))

    assert of("dance_grpo") is None
    assert (of("euphonium").beta, of("euphonium").window, of("euphonium").on) == (0.2, None, "state")
    late = of("late")
    assert (late.beta, late.coefficient, late.window) == (None, 0.01, (6, 8))
    assert of("spsa").on == "clean"
    with pytest.raises(EvidenceError, match="'orm'; expected nothing, process, random, spsa"):
        of("euphonium", **{"guidance.by": "orm"})


def test_arms_differ_in_what_they_are_about_alone(root):
    run = smoke("dual", root)
    world = bed(run)
    dual = update_of(run, world, process_of(run, world))
    assert dual.process is not None and dual.settings.distill == "explicit" and dual.settings.process_weight == 1.0
    method, ablation, control = (RECIPE.arm(arm).settings for arm in ("euphonium", "guided", "random"))
    assert {**ablation, "learn.distill": "explicit"} == method == {**control, "guidance.by": "process"}
    assert RECIPE.arm("euphonium").tuned == RECIPE.arm("dance_grpo").tuned == RECIPE.arm("flow_grpo").tuned


def test_guidance_while_measuring_is_the_shift_of_the_rollouts(root):
    """x − Δ (v − g ∇r) = x − Δ v + σ²/(2β) ∇r Δ, and nothing without."""
    run = smoke("guided_at_test", root)
    world = bed(run)
    process, x, labels = process_of(run, world), torch.zeros(10, 1, 8, 8), world.conditions(1)
    t = torch.full((10,), 0.5)
    guided = measured_policy(run, world.reference, process)(x, t, labels)
    shift = 0.3**2 / (2 * 0.2) * process.gradient(x, t, labels)[1]
    assert torch.allclose(guided, world.reference(x, t, labels) - shift) and shift.abs().sum() > 0
    assert measured_policy(smoke("dance_grpo", root), world.reference, process) is world.reference


def line(step, proxy, realism, **more):
    return {"step": step, "proxy": proxy, "realism": realism, "gold": proxy, "diversity": 1.0, "corrected": 2 * proxy,
            **more}  # fmt: skip


def test_a_curve_by_hand():
    lines = [
        line(0, 0.5, 0.4),
        line(10, 0.7, 0.5, **{"update/reward": 0.1}),
        line(30, 0.95, 0.3, **{"update/reward": 0.99}),
        {"step": 31, "update/reward": 0.2},
        line(40, 0.99, 0.1, **{"update/reward": 1.0}),
    ]
    found = summarised(lines)
    # 0.9 lies four fifths of the way from step 10 to step 30.
    assert found["log_iterations"] == found["log_sound"] == pytest.approx(math.log(26.0))
    assert found["reached"] == 1.0 and found["realism_at"] == pytest.approx(0.34)
    assert found["corrected_at"] == pytest.approx(1.8) and found["gold_at"] == pytest.approx(0.9)
    assert found["proxy_gained"] == pytest.approx(0.49) and found["realism_lost"] == pytest.approx(0.3)
    assert found["corrected_gained"] == pytest.approx(0.98)
    assert found["rollout_gap"] == pytest.approx(0.01)  # the last tenth is the steps after 36


def test_a_run_that_never_gets_there_counts_as_all_iterations():
    found = summarised([line(0, 0.5, 0.4), line(40, 0.8, 0.35)])
    assert found["log_iterations"] == found["log_sound"] == pytest.approx(math.log(40))
    assert (found["reached"], found["realism_at"]) == (0.0, 0.35)


def test_getting_there_by_noise_is_not_sound():
    found = summarised([line(0, 0.5, 0.4), line(10, 0.9, 0.1), line(40, 1.0, 0.0)])
    assert found["log_iterations"] == pytest.approx(math.log(10)) and found["log_sound"] == pytest.approx(math.log(40))


def test_the_curve_is_written(root):
    run = smoke("euphonium", root)
    RECIPE.run(run)
    lines = [json.loads(text) for text in (run.directory / "metrics.jsonl").read_text().splitlines()]
    assert [one["step"] for one in lines if "gold" in one] == [0, 1, 2]
