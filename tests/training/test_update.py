"""One update of the critic: rows without a reward teach it nothing."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from tests.training.conftest import ROWS, policy

from trueward.batch import Context, Part, Rollouts, Scores
from trueward.credit import GeneralisedAdvantage
from trueward.objectives.policy_loss import PolicyLoss
from trueward.policies.language import LanguagePolicy
from trueward.policies.sampling import Sampling
from trueward.policies.scorer import TokenScorer
from trueward.status import Status
from trueward.training.rollouts import gather, values_of
from trueward.training.update import UpdateSettings, learner, update


def learnt(learns: LanguagePolicy, rollouts: Rollouts, scores: Scores) -> tuple[dict[str, float], list[torch.Tensor]]:
    critic = TokenScorer.from_policy(learns)
    rollouts = dataclasses.replace(rollouts, features={**rollouts.features, "value": values_of(critic, rollouts)})
    credited = GeneralisedAdvantage(whitened=False)(scores, rollouts, Context())
    told = update(
        learns,
        learner(learns.model, 0.0),
        rollouts,
        credited,
        PolicyLoss(),
        UpdateSettings(),
        np.random.default_rng(0),
        critic=critic,
        critic_learner=learner(critic, 1e-2),
    )
    return told, [parameter.detach() for parameter in critic.parameters()]


def rows_of(rollouts: Rollouts, rows: list[int]) -> Rollouts:
    content: Any = rollouts.content
    text = dataclasses.replace(
        content,
        prompts=[content.prompts[row] for row in rows],
        completions=[content.completions[row] for row in rows],
        token_ids=content.token_ids[rows],
        attention=content.attention[rows],
    )
    return Rollouts(text, group=rollouts.group[rows], mask=rollouts.mask[rows], logprobs=rollouts.logprobs[rows])


def test_a_row_that_could_not_be_scored_teaches_the_critic_nothing() -> None:
    learns = policy()
    rollouts = gather(learns, ROWS[:2], Sampling(max_new_tokens=4), torch.Generator().manual_seed(0), group=2)
    values = np.array([1.0, 0.5, 0.0, 2.0])
    lost = [Status.OK, Status.UNAVAILABLE, Status.OK, Status.OK]
    told, whole = learnt(learns, rollouts, Scores({"r": Part(np.where([s.ok for s in lost], values, np.nan), lost)}))
    kept = [0, 2, 3]
    without, left = learnt(learns, rows_of(rollouts, kept), Scores({"r": Part(values[kept], [Status.OK] * 3)}))
    assert told["critic/loss"] == pytest.approx(without["critic/loss"], rel=1e-5)
    assert told["critic/return_mean"] == pytest.approx(without["critic/return_mean"], rel=1e-5)
    for one, other in zip(whole, left, strict=True):
        assert torch.allclose(one, other, atol=1e-5)
    blamed = Scores({"r": Part(values, [Status.OK] * 4)})
    assert learnt(learns, rollouts, blamed)[0]["critic/loss"] != pytest.approx(told["critic/loss"], rel=1e-3)
