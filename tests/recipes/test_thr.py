"""Token hidden rewards at the scale of seconds: which way p turns a policy, and every arm for two steps."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch

from trueward.batch import Context
from trueward.credit import TokenHiddenReward
from trueward.errors import EvidenceError
from trueward.evidence.run import Run
from trueward.objectives.policy_loss import PolicyLoss
from trueward.policies.language import LanguagePolicy
from trueward.policies.prediction_errors import hidden_and_errors
from trueward.policies.sampling import Sampling
from trueward.recipes.beds.thr import credit_of, reaches_target
from trueward.recipes.thr import RECIPE
from trueward.rewards.base import as_reward
from trueward.tasks.text.procedural import Countdown
from trueward.training.rollouts import gather, tokens_of
from trueward.training.seeds import stream, torch_stream
from trueward.training.update import UpdateSettings, learner, update
from trueward.training.warm_start import warm_start

# Threads that wait for each other cost more than such small models.
torch.set_num_threads(1)

TASK = Countdown(largest=4, largest_target=15)
SAMPLING = Sampling(8)


def test_the_verifier_pays_for_reaching_the_target_with_all_numbers():
    said = ["2 * 3 + 1", "1 + 3 * 2", "2 + 3 + 1", "2 * 3", "2 * 3 + 1 +", ""]
    assert reaches_target(said, [[1, 2, 3]] * 6, [7] * 6) == [1.0, 1.0, 0.0, 0.0, 0.0, 0.0]


@pytest.fixture(scope="module")
def start():
    policy = LanguagePolicy.tiny(TASK.vocabulary, layers=2, width=48, heads=4, positions=24, seed=1)
    warm_start(policy, TASK.demonstrations(3000, 0), steps=150, seed=0)
    return policy


def entropy_after(start, credit, steps=12):
    """Entropy of the policy's samples after some updates."""
    policy = LanguagePolicy(start.copy().model.requires_grad_(True), start.tokenizer)
    actor = learner(policy.model, 1e-3)
    verifier, rows = as_reward(reaches_target, low=0.0, high=1.0), TASK.rows(32 * steps, 7)
    for step in range(steps):
        given = gather(policy, rows[32 * step : 32 * (step + 1)], SAMPLING, torch_stream(0, "rollouts", step), group=8)
        known = (torch.from_numpy(np.asarray(given.mask)), torch.from_numpy(np.asarray(given.group)))
        hidden, errors = hidden_and_errors(policy.model, *tokens_of(given), *known)
        given = dataclasses.replace(given, features={"hidden": hidden.numpy(), "errors": errors.numpy()})
        context = Context(step, training=True)
        credited = credit(verifier.score(given, context), given, context)
        update(policy, actor, given, credited, PolicyLoss(over="sequence"), UpdateSettings(), stream(0, "order", step))
    after = gather(policy, TASK.rows(64, 8), SAMPLING, torch_stream(1, "after"), group=16, want=("entropy",))
    return float(after.features["entropy"][np.asarray(after.mask)].mean())


def test_p_turns_the_entropy_and_exchanged_signs_do_not(start):
    explore, exploit = (entropy_after(start, TokenHiddenReward(p)) for p in (-0.9, 0.9))
    shuffled = [entropy_after(start, TokenHiddenReward(p, shuffled=5)) for p in (-0.9, 0.9)]
    assert explore > exploit
    assert abs(shuffled[0] - shuffled[1]) < (explore - exploit) / 2


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("runs")


def smoke(arm, root, **more):
    settings = {**RECIPE.at("smoke"), **RECIPE.arm(arm).settings, **more}
    directory = root / "thr" / "smoke" / "seed-2000" / arm
    directory.mkdir(parents=True, exist_ok=True)
    return Run("thr", arm, "smoke", 2000, settings, directory)


@pytest.mark.parametrize("arm", [arm.name for arm in RECIPE.arms])
def test_every_arm_runs(arm, root):
    found = RECIPE.run(smoke(arm, root))
    assert set(found) == {metric.name for metric in RECIPE.metrics}
    unknown = {name for name, value in found.items() if not math.isfinite(value)}
    kind = RECIPE.arm(arm).settings.get("credit.kind")
    told = {"thr": set(), "top entropy": {"positive_share"}}
    assert unknown == told.get(kind, {"kept_share", "positive_share"})


def test_runs_of_a_seed_share_their_start(root):
    folders = [path.name for path in (root / "thr" / "shared" / "seed-2000").iterdir() if path.is_dir()]
    assert sorted(name.rpartition("-")[0] for name in folders) == ["coverage", "warm start"]


def test_unknown_credit_is_refused_by_name(root):
    with pytest.raises(EvidenceError, match="'ppo'; expected one of grpo, pass at k, thr, nthr, top entropy"):
        credit_of(smoke("grpo", root, **{"credit.kind": "ppo"}))
    with pytest.raises(EvidenceError, match=r"credit\.over='thr'; expected one of grpo, pass at k"):
        credit_of(smoke("thr", root, **{"credit.over": "thr"}))


def test_the_credit_of_an_arm_is_what_it_says(root):
    assert credit_of(smoke("thr_explore", root)).p == -0.5
    assert credit_of(smoke("shuffled_exploit", root)).shuffled is not None
    assert credit_of(smoke("thr", root)).shuffled is None
    stacked = credit_of(smoke("thr_explore_pass_at_k", root))
    assert stacked.over == credit_of(smoke("pass_at_k_mixed", root))
