"""Token hidden rewards on TRL: the trainer with a small random model, and its advantages against the estimator's."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from trueward.policies.language import LanguagePolicy
from trueward.recipes.real.thr import build
from trueward.tasks.text.procedural import Countdown

# Threads that wait for each other cost more than such small models.
torch.set_num_threads(1)

TASK = Countdown(count=2, largest=3, largest_target=9)


@pytest.fixture(scope="module")
def trainer(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    policy = LanguagePolicy.tiny(TASK.vocabulary, layers=1, width=16, heads=2, seed=0)
    policy.save(folder / "policy")
    questions = [{"prompt": row.prompt} for row in TASK.rows(16, 0)]
    return build(str(folder / "policy"), questions, adds, directory=folder / "run", p=-0.5, tiny=True)


def adds(completions, **columns):
    """What a policy with random weights does every other time, so that groups hold right and wrong completions."""
    return [float("+" in completion) for completion in completions]


def test_two_steps_move_the_model(trainer):
    before = {name: weight.detach().clone() for name, weight in trainer.model.named_parameters()}
    trainer.train()
    assert trainer.state.global_step == 2
    assert all(torch.isfinite(weight).all() for weight in trainer.model.parameters())
    assert any(not torch.equal(weight, before[name]) for name, weight in trainer.model.named_parameters())
    told = [line for line in trainer.state.log_history if any("kept_share" in name for name in line)]
    assert told


def test_tokens_of_one_completion_get_different_advantages(trainer):
    inputs = [dict(trainer.train_dataset[place // 4]) for place in range(32)]
    trainer.model.train()
    batch = trainer._generate_and_score_completions(inputs)
    advantages, mask = batch["advantages"].numpy(), batch["completion_mask"].bool().numpy()
    assert advantages.shape == mask.shape and not advantages[~mask].any()
    sizes = [len(set(np.round(row[inside], 6))) for row, inside in zip(advantages, mask, strict=True)]
    assert max(sizes) > 1
