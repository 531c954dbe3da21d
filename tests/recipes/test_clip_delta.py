"""Clip and Delta at the scale of seconds: what repeated lines earn under each reward, and every arm for two steps."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch

from trueward.batch import Context, Part, Rollouts, Scores, Text
from trueward.credit.estimators import GeneralisedAdvantage, SegmentReturns
from trueward.evidence.chain_bed import states_answer
from trueward.evidence.process_bed import lines_as_steps
from trueward.evidence.run import Run
from trueward.policies.tokenizers import tokenizer_of
from trueward.recipes.clip_delta import RECIPE
from trueward.rewards.base import Reward, as_reward
from trueward.rewards.transforms import step_clip, step_delta
from trueward.status import Status
from trueward.tasks.text.procedural.chain import ChainArithmetic

# Threads that wait for each other cost more than such small models.
torch.set_num_threads(1)

TASK = ChainArithmetic(modulus=7)
TOKENIZER = tokenizer_of(TASK.vocabulary)
COPIES = list(range(11))
WEIGHT = 0.5


class LinesJudged(Reward):
    """A process reward without errors: 0.9 for a true line, 0.1 for any other."""

    name = "process"

    def use(self, runner):
        return False

    def score(self, rollouts, context):
        width = int(rollouts.segments.max()) + 1
        values, exists = np.zeros((len(rollouts), width)), np.zeros((len(rollouts), width), dtype=bool)
        for place, (prompt, text) in enumerate(
            zip(rollouts.content.prompts, rollouts.content.completions, strict=True)
        ):
            truths = [line.true for line in TASK.lines(_row(prompt), text)]
            values[place, : len(truths)] = np.where(truths, 0.9, 0.1)
            exists[place, : len(truths)] = True
        return Scores(
            {"process": Part(values, [Status.OK] * len(rollouts), "segment", exists=exists, low=0.0, high=1.0)}
        )


def _row(prompt):
    return dataclasses.replace(TASK.rows(1, 0)[0], prompt=prompt)


def written(completions, prompt="start 3 ; + 1 ; * 2 ?", answer="1"):
    """Rollouts of one question, tokenized as a policy would have sampled them."""
    ids = [[*TOKENIZER.encode(text, add_special_tokens=False), TOKENIZER.eos_token_id] for text in completions]
    width = max(map(len, ids))
    mask = np.array([[column < len(row) for column in range(width)] for row in ids])
    tokens = np.array([row + [TOKENIZER.pad_token_id] * (width - len(row)) for row in ids])
    rollouts = Rollouts(
        Text([prompt] * len(ids), list(completions), tokens, mask),
        mask=mask,
        group=np.zeros(len(ids), dtype=int),
        features={"finished": np.ones(len(ids), dtype=bool), "value": np.zeros(mask.shape)},
        reference=[{"answer": answer}] * len(ids),
    )
    return dataclasses.replace(rollouts, segments=lines_as_steps(TOKENIZER)(rollouts))


def padded(copies):
    """A right solution whose first line is repeated."""
    return " \n ".join(["3 + 1 = 4"] * (1 + copies) + ["4 * 2 = 1", "ans = 1"])


def sums(*transforms):
    rollouts = written([padded(copies) for copies in COPIES])
    return LinesJudged().transform(*transforms).score(rollouts, Context(training=True)).total()


def test_the_sum_of_process_rewards_rises_with_every_repeated_line():
    assert sums() == pytest.approx([0.9 * (3 + copies) for copies in COPIES])


def test_with_the_clip_repeated_lines_earn_nothing():
    assert sums(step_clip(0.9)) == pytest.approx(np.zeros(11))
    assert (np.diff(sums(step_clip(0.95))) < 0).all()


@pytest.mark.parametrize("transforms", [(step_delta(),), (step_clip(0.95), step_delta())], ids=["delta", "clip delta"])
def test_with_delta_the_return_from_the_first_line_on_does_not_depend_on_repetitions(transforms):
    found = sums(*transforms)
    assert found == pytest.approx(np.full(11, found[0]))


def test_credited_with_a_critic_that_knows_nothing_each_step_answers_for_itself():
    rollouts = written(["3 + 1 = 5 \n 5 * 2 = 3 \n 3 + 1 = 4 \n ans = 3"])
    reward = as_reward(states_answer) + WEIGHT * LinesJudged().transform(step_clip(0.9), step_delta())
    credited = GeneralisedAdvantage(trace=1.0, whitened=False)(reward.score(rollouts, Context()), rollouts, Context())
    # Lines: false (.1 − .9), true, true, the answer that the verifier finds wrong.
    assert list(rollouts.segments[0]) == [0] * 6 + [1] * 6 + [2] * 6 + [3] * 4
    assert credited.returns[0] == pytest.approx([-0.4] * 6 + [0.0] * 16)


@pytest.mark.parametrize(("transforms", "sign"), [((), 1), ((step_clip(), step_delta()), 0)], ids=["sum", "clip delta"])
def test_only_the_sum_prefers_the_solution_that_repeats_itself(transforms, sign):
    rollouts = written([padded(0), padded(6)])
    reward = LinesJudged().transform(*transforms)
    credited = SegmentReturns()(reward.score(rollouts, Context(training=True)), rollouts, Context())
    first = credited.advantages[1, 0] - credited.advantages[0, 0]
    # From the first line on 9 lines at .9 are left instead of 3; clipped at their mean, nothing is.
    assert first == pytest.approx(5.4 if sign else 0.0)


def test_the_verifier_reads_the_last_line_and_nothing_else():
    said = ["ans = 12", "1 + 1 = 2 \n ans = 12", "ans = 12 \n ans = 1", "ans = 012", "12", "", "ans = 12 \n"]
    assert states_answer(said, ["12"] * 7) == [1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("runs")


@pytest.mark.parametrize("arm", [arm.name for arm in RECIPE.arms])
def test_every_arm_runs(arm, root):
    settings = {**RECIPE.at("smoke"), **RECIPE.arm(arm).settings}
    directory = root / "clip-delta" / "smoke" / "seed-2000" / arm
    directory.mkdir(parents=True)
    found = RECIPE.run(Run("clip-delta", arm, "smoke", 2000, settings, directory))
    assert set(found) == {metric.name for metric in RECIPE.metrics}
    # A policy that has learnt for 30 steps may restate nothing.
    assert {name for name, value in found.items() if not math.isfinite(value)} <= {"restatement_score"}
    assert (found["punished"] > 0) == ("clip" in settings["reward.shape"])


def test_runs_of_a_seed_share_warm_start_and_scorers(root):
    folders = [path.name for path in (root / "clip-delta" / "shared" / "seed-2000").iterdir() if path.is_dir()]
    assert sorted(name.rpartition("-")[0] for name in folders) == ["outcome scorer", "step scorer", "warm start"]
