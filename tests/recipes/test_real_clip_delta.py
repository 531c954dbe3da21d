"""Clip and Delta on TRL: the trainer with a small random model, and its advantages against the estimator's."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from trueward.batch import Context
from trueward.evidence.chain_bed import states_answer
from trueward.policies.language import LanguagePolicy
from trueward.policies.scorer import TokenScorer
from trueward.recipes.real.clip_delta import build
from trueward.tasks.text.procedural.chain import ChainArithmetic

# Threads that wait for each other cost more than such small models.
torch.set_num_threads(1)

TASK = ChainArithmetic(modulus=7, operations=(2, 3))


@pytest.fixture(scope="module")
def trainer(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    policy = LanguagePolicy.tiny(TASK.vocabulary, layers=1, width=16, heads=2, seed=0)
    policy.save(folder / "policy")
    TokenScorer.from_policy(policy, seed=1).save(folder / "process")
    questions = [{"prompt": row.prompt, "answer": row.answer} for row in TASK.rows(8, 0)]
    return build(
        str(folder / "policy"), folder / "process", questions, states_answer, directory=folder / "run", tiny=True
    )


def test_two_steps_move_the_model(trainer):
    before = {name: weight.detach().clone() for name, weight in trainer.model.named_parameters()}
    trainer.train()
    assert trainer.state.global_step == 2
    assert all(torch.isfinite(weight).all() for weight in trainer.model.parameters())
    assert any(not torch.equal(weight, before[name]) for name, weight in trainer.model.named_parameters())


def test_advantages_are_those_of_the_estimator_on_the_same_rollouts(trainer):
    inputs = [dict(trainer.train_dataset[place // 4]) for place in range(8)]
    trainer.model.train()
    batch = trainer._generate_and_score_completions(inputs)
    assert batch["advantages"].shape == batch["completion_mask"].shape
    rollouts = trainer.scored.rollouts
    assert np.asarray(rollouts.group).tolist() == [0] * 4 + [1] * 4
    assert (np.asarray(rollouts.segments) >= 0).tolist() == np.asarray(rollouts.mask).tolist()
    scores = trainer.reward.score(rollouts, Context(training=True))
    assert {part.level for part in scores.parts.values()} == {"rollout", "segment"}
    expected = trainer.credit(scores, rollouts, Context()).advantages
    width = expected.shape[1]
    assert batch["completion_mask"].bool().numpy()[:, :width].tolist() == np.asarray(rollouts.mask).tolist()
    assert batch["advantages"].numpy()[:, :width] == pytest.approx(expected, abs=1e-6)
    assert not batch["advantages"].numpy()[:, width:].any()
