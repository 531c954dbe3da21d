"""Agreement of a process reward with outcomes, by hand, and counts that survive a kill."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from trueward.batch import Context, Denoising, Part, Rollouts, Scores
from trueward.errors import TrainingError
from trueward.rewards.models.images.process import LatentProcessReward
from trueward.status import Status
from trueward.training.flow.process_watch import ProcessWatch, agreements


def test_agreement_by_hand():
    """Two groups of three: the same order, the reverse, nothing told apart, and one of each."""
    outcome = np.array([1.0, 2.0, 3.0, 30.0, 20.0, 10.0])
    group = np.array([0, 0, 0, 1, 1, 1])
    process = np.stack([outcome, -outcome, np.ones(6), np.array([1.0, 2.0, 3.0, 1.0, 2.0, 3.0])], axis=1)
    assert agreements(process, outcome, group) == pytest.approx([1.0, -1.0, 0.0, 0.0], abs=1e-6)


def test_levels_of_prompts_do_not_count():
    """Between prompts process and outcome rise together; within a prompt they say the opposite."""
    outcome, process = np.array([0.0, 1.0, 10.0, 11.0]), np.array([[1.0], [0.0], [11.0], [10.0]])
    assert np.corrcoef(process[:, 0], outcome)[0, 1] > 0.9
    assert agreements(process, outcome, np.array([0, 0, 1, 1])) == pytest.approx([-1.0], abs=1e-6)


def test_what_has_no_value_is_left_out():
    outcome = np.array([1.0, 2.0, np.nan, 4.0])
    process = np.array([[1.0, np.nan], [2.0, 2.0], [9.0, 3.0], [4.0, 5.0]])
    found = agreements(process, outcome, np.zeros(4, int))
    # Of three rows that have both the order is the same; of the two at the second step too.
    assert found == pytest.approx([1.0, 1.0])


def watched(every=2):
    process = LatentProcessReward("process", lambda x, t, c: x[:, 0], lambda prompts: torch.zeros(len(prompts)))
    samples = np.array([[[0.0], [1.0], [1.0]], [[0.0], [2.0], [5.0]], [[0.0], [3.0], [9.0]]], dtype=np.float32)
    content = Denoising(["a"] * 3, samples, np.array([1.0, 0.5, 0.0], dtype=np.float32))
    rollouts = Rollouts(content, group=np.zeros(3, int))
    scores = Scores({"r": Part(np.array([1.0, 5.0, 9.0]), [Status.OK] * 3)})
    return ProcessWatch(process, every), rollouts, scores


def test_it_looks_now_and_then_and_looking_is_not_counted():
    watch, rollouts, scores = watched()
    watch.process.value(torch.zeros(7, 1), torch.zeros(7), torch.zeros(7))
    told = watch.after_update(rollouts, scores, Context(1))
    assert told == {"process_calls": 7.0, "process_failures": 0.0}
    told = watch.after_update(rollouts, scores, Context(2))
    assert told["process_calls"] == 7.0 and watch.process.calls == 7
    # At the start all states are one; half way they stand in the order of the outcomes.
    assert told["process_agreement_0"] == 0.0 and told["process_agreement_1"] == pytest.approx(1.0)
    again, *_ = watched()
    again.load_state_dict(watch.state_dict())
    assert again.process.calls == 7
    assert watch.after_update(None, None, Context(2)) == {"process_calls": 7.0, "process_failures": 0.0}


def test_it_looks_at_least_every_update():
    with pytest.raises(TrainingError, match="every=0"):
        watched(every=0)
