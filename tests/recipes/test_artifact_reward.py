"""A judge of artefacts in seconds: what it sees, what it misses until it is refreshed, and every arm for a step."""

from __future__ import annotations

import dataclasses
import json
import math

import numpy as np
import pytest
import torch

from trueward.batch import Context
from trueward.errors import EvidenceError
from trueward.evidence.digits_bed import bed
from trueward.evidence.run import Run
from trueward.recipes.artifact_reward import RECIPE
from trueward.recipes.beds.artifact_reward import curve_summary, pairs_ranked
from trueward.recipes.beds.artifact_reward_parts import (
    base_rewards,
    curated,
    curator_of,
    hacked_samples,
    judge_of,
    optimised,
    reference_samples,
)
from trueward.rewards.images import rollouts_of
from trueward.tasks.flow.digits import digits
from trueward.training.flow.refreshing import RefreshJudge

# Threads that wait for each other cost more than such small models.
torch.set_num_threads(1)
# Enough for classifiers that see something; the generator stays as bad as it is.
SEEING = {"bed.proxy_width": 64, "bed.proxy_steps": 150, "judge.images": 120, "judge.steps": 150, "pairs.images": 80}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("runs")


def smoke(arm, root, **more):
    settings = {**RECIPE.at("smoke"), **RECIPE.arm(arm).settings, **more}
    directory = root / RECIPE.name / "smoke" / "seed-2000" / arm
    directory.mkdir(parents=True, exist_ok=True)
    return Run(RECIPE.name, arm, "smoke", 2000, settings, directory)


@pytest.mark.parametrize("arm", [arm.name for arm in RECIPE.arms])
def test_every_arm_runs(arm, root):
    run = smoke(arm, root, **{"train.steps": 2, "judge.every": 1})
    found = RECIPE.run(run)
    assert set(found) == {metric.name for metric in RECIPE.metrics}
    unknown = {name for name, value in found.items() if not math.isfinite(value)}
    assert unknown == (set() if arm.startswith("without_") else {"right_left_out"})
    assert (run.directory / "samples.png").read_bytes().startswith(b"\x89PNG")
    lines = [json.loads(line) for line in (run.directory / "metrics.jsonl").read_text().splitlines()]
    refreshed = any("hook/artefacts" in line for line in lines)
    assert refreshed == (run.settings["judge.mode"] == "adaptive")
    assert any("update/part/artefact" in line for line in lines) == (run.settings["judge.mode"] != "none")


def test_a_run_that_is_repeated_says_the_same(root):
    run = smoke("adaptive", root, **{"train.steps": 2})
    first, again = RECIPE.run(run), RECIPE.run(run)
    same = {name for name in first if name != "log_seconds"}
    assert {name: again[name] for name in same} == pytest.approx({name: first[name] for name in same}, nan_ok=True)


def test_base_rewards_are_blind_where_the_judge_sees(root):
    run = smoke("none", root, **SEEING)
    made = bed(run)
    rewards = base_rewards(run, made)
    judge = pairs_ranked(run, made, judge_of(run, made))
    detector, aesthetic = (pairs_ranked(run, made, rewards[name]) for name in ("detector", "aesthetic"))
    assert judge["all"].share("right") > 0.75 and not judge["all"].blind
    assert detector["all"].share("tied") > 0.25
    # What this taste likes is what over-saturation is.
    assert aesthetic["contrast"].share("wrong") == 1.0 and aesthetic["all"].blind


def test_a_judge_of_exchanged_labels_sees_nothing(root):
    run = smoke("none", root, **SEEING)
    made = bed(run)
    assert pairs_ranked(run, made, judge_of(run, made, shuffled=True))["all"].share("right") < 0.7


def test_a_new_hack_is_paid_until_the_judge_is_refreshed(root):
    """A grid over the digits is none of the artefacts that the judge was shown; the curator does not know it either,
    but sees that it is no digit."""
    run = smoke("adaptive", root, **SEEING)
    made = bed(run)
    curator, judge, stale = curator_of(run, made), judge_of(run, made), judge_of(run, made)
    real = digits().heldout.images
    grid = np.where(np.indices((8, 8)).sum(axis=0) % 2, 0.35, -0.35).astype(np.float32)
    hacked = (np.clip(real[:140] + grid, -1, 1) + 1) / 2
    hook = RefreshJudge(judge, lambda images, generator: curator.labels(2 * images - 1, generator), every=1, samples=60)
    hook.after_update(rollouts_of(hacked[:80], [""] * 80), None, Context(1, 2, generator=np.random.default_rng(0)))
    new, clean = hacked[80:], (real[140:200] + 1) / 2
    gap, stale_gap = (one.clean(clean).mean() - one.clean(new).mean() for one in (judge, stale))
    assert gap > stale_gap + 0.1 and judge.clean(clean).mean() > 0.5


def test_curated_images_come_half_from_each_side_and_leave_out_a_kind(root):
    run = smoke("static", root, **{"judge.images": 60, "hacks.group": 4})
    made = bed(run)
    images, labels = curated(run, made)
    assert images.min() >= -1 and images.max() <= 1 and len(images) == len(labels)
    assert labels.sum() == 60 and (labels == 0).sum() > 30
    known = {one.tobytes() for one in made.splits.judge.images} | {one.tobytes() for one in made.splits.heldout.images}
    assert not known & {one.tobytes() for one in images[labels == 0]}
    without, _ = curated(smoke("static", root, **{"judge.images": 60, "judge.left_out": "contrast"}), made)
    saturated = [(np.abs(one[60:90]) > 0.99).mean() for one in (images, without)]
    assert saturated[0] > saturated[1]
    with pytest.raises(EvidenceError, match="expected diverse, one hack or one gentle hack"):
        curated(smoke("static", root, **{"judge.data": "all"}), made)


def test_hacks_are_built_once_and_gentle_ones_apart(root):
    made = bed(smoke("static", root))
    one = hacked_samples(smoke("static", root), made, "aesthetic")
    assert one.shape == (3 * 10 * 2, 1, 8, 8) and (one == hacked_samples(smoke("none", root), made, "aesthetic")).all()
    assert (one != hacked_samples(smoke("static", root), made, "aesthetic", gentle=True)).any()


def test_the_reward_of_an_arm(root):
    run = smoke("static", root)
    made = bed(run)
    rewards, judge, samples = base_rewards(run, made), judge_of(run, made), reference_samples(run, made, 2)
    raw = optimised(smoke("none_raw", root), made, rewards, judge).score(samples, Context())
    assert {name: part.weight for name, part in raw.parts.items()} == {
        "readability": 1.0, "aesthetic": 1.0, "detector": 1.0, "artefact": 3.0,
    }  # fmt: skip
    apart = optimised(smoke("adaptive_apart", root), made, rewards, judge).score(samples, Context())
    assert [part.weight for part in apart.parts.values()] == [1.0, 0.1, 0.1, 3.0]
    many = reference_samples(run, made, 40)
    scaled = optimised(run, made, rewards, judge).score(many, Context()).parts
    spreads = {name: part.weight * part.values.std() for name, part in scaled.items() if name != "artefact"}
    assert spreads == pytest.approx({"readability": 1.0, "aesthetic": 0.1, "detector": 0.1})
    assert scaled["artefact"].weight == 3.0
    joined = optimised(smoke("ensemble", root, **{"reward.aggregate": "min"}), made, rewards, None)
    members = joined.member_scores(reference_samples(run, made, 40), Context())
    standardised = (members - joined.location[:, None]) / joined.scale[:, None]
    assert standardised.mean(axis=1) == pytest.approx(np.zeros(3), abs=1e-9)
    with pytest.raises(EvidenceError, match="expected some of consistency, aesthetic, detector"):
        optimised(smoke("none", root, **{"reward.base": ["beauty"]}), made, rewards, None)


def test_a_curve_by_hand():
    lines = [{"step": step, "proxy": p, "realism": r, "gold": p, "corrected": c}
             for step, p, r, c in ((0, 0.5, 0.4, 0.8), (1, 0.8, 0.3, 0.9), (2, 0.84, 0.1, 0.2))]  # fmt: skip
    found = curve_summary([*lines, {"step": 3, "update/loss": 1.0}])
    assert found["peak"] == 0.9 and found["reached"] == 0.0 and found["realism_at"] == 0.1
    assert found["realism_lost"] == pytest.approx(0.3) and found["corrected_lost"] == pytest.approx(0.6)
    assert found["proxy_gained"] == pytest.approx(0.34)
    reached = curve_summary([*lines, {"step": 4, "proxy": 0.86, "realism": 0.0, "gold": 0.9, "corrected": 0.1}])
    # Half of the way from .84 to .86.
    assert reached["realism_at"] == pytest.approx(0.05) and reached["reached"] == 1.0


def test_arms_differ_in_what_they_are_named_for():
    settings = {name: RECIPE.arm(name).settings for name in ("adaptive", "static", "shuffled", "none", "kl")}
    assert {**settings["adaptive"], "judge.mode": "static"} == settings["static"]
    assert {**settings["adaptive"], "judge.shuffled": True} == settings["shuffled"]
    assert settings["none"] == settings["kl"] == {} and "train.kl" in RECIPE.arm("kl").tuned
    assert RECIPE.settings["train.kl"] == 0.0 and RECIPE.settings["judge.mode"] == "none"


def test_unknown_modes_are_refused_by_name(root):
    run = smoke("none", root)
    with pytest.raises(EvidenceError, match="'always'; expected none, static or adaptive"):
        RECIPE.run(dataclasses.replace(run, settings={**run.settings, "judge.mode": "always"}))
