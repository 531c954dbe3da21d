"""The clock of a training run: what counts, what does not, where a level was reached, and after a kill."""

from __future__ import annotations

import copy
import json
import math
import time

import pytest
import torch
from torch import nn

from trueward.evidence.flow_cost import TrainingCost
from trueward.policies.flow.network import FlowMLP
from trueward.training.flow.loop import train_flow
from trueward.training.flow.matching import FlowMatchingUpdate
from trueward.training.flow.settings import FlowSettings


def busy(seconds: float) -> None:
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        math.sqrt(2.0)


def run_of(policy: nn.Module, cost: TrainingCost, steps: int, directory=None) -> None:
    """Ten samples per update; the evaluation takes 0.05 seconds, and as many samples through the policy."""
    update = FlowMatchingUpdate(torch.zeros(4, 1, 2, 2), torch.zeros(4, dtype=torch.long), batch=10)

    def evaluate(average: nn.Module, step: int) -> dict[str, float]:
        busy(0.05)
        average(torch.zeros(50, 1, 2, 2), torch.zeros(50), torch.zeros(50, dtype=torch.long))
        return {"proxy": step / 10}

    train_flow(
        policy,
        update,
        settings=FlowSettings(steps=steps, evaluate_every=2, checkpoint_every=1),
        directory=directory,
        evaluate=cost.evaluating(evaluate, "proxy"),
        hooks=[cost],
    )


def test_evaluations_cost_nothing_and_gradients_three() -> None:
    policy, cost = FlowMLP((1, 2, 2), 2, 8, 1), TrainingCost()
    cost.watch(policy)
    policy(torch.zeros(7, 1, 2, 2), torch.zeros(7), torch.zeros(7, dtype=torch.long))
    assert cost.spent.evaluations == 0.0 and cost.spent.seconds == 0.0
    cost.start()
    with torch.no_grad():
        policy(torch.zeros(7, 1, 2, 2), torch.zeros(7), torch.zeros(7, dtype=torch.long))
    run_of(policy, cost, 4)
    assert [step for step, *_ in cost.curve] == [0, 2, 4]
    assert [evaluations for _, _, evaluations, _ in cost.curve] == [7.0, 67.0, 127.0]
    assert all(later > earlier for (_, earlier, *_), (_, later, *_) in zip(cost.curve, cost.curve[1:], strict=False))


def test_the_clock_stands_still_while_it_is_stopped() -> None:
    cost = TrainingCost()
    cost.start()
    busy(0.02)
    with cost.stopped():
        before = cost.spent
        busy(0.05)
        assert cost.spent == before
    assert before.seconds >= 0.02
    busy(0.02)
    assert cost.spent.seconds >= before.seconds + 0.02


def test_where_a_level_was_reached() -> None:
    cost = TrainingCost()
    cost.curve = [(0, 1.0, 100.0, 0.5), (10, 2.0, 300.0, 0.7), (20, 4.0, 700.0, 0.9)]
    spent, reached = cost.until(0.8)
    assert reached and spent.seconds == pytest.approx(3.0) and spent.evaluations == pytest.approx(500.0)
    assert cost.until(0.95) == (type(spent)(4.0, 700.0), False)
    assert cost.until(0.4) == (type(spent)(1.0, 100.0), True)


def test_it_goes_on_after_a_kill(tmp_path) -> None:
    first, whole = FlowMLP((1, 2, 2), 2, 8, 1), TrainingCost()
    policy = copy.deepcopy(first)
    whole.watch(policy)
    whole.start()
    run_of(policy, whole, 6)
    for steps in (3, 6):
        policy, parts = copy.deepcopy(first), TrainingCost()
        parts.watch(policy)
        parts.start()
        run_of(policy, parts, steps, tmp_path)
    told = [[(step, evaluations, proxy) for step, _, evaluations, proxy in one.curve] for one in (whole, parts)]
    # The part that was stopped at 3 was evaluated there, being its end.
    assert [line for line in told[1] if line[0] != 3] == told[0]
    assert json.loads(json.dumps(parts.state_dict()))["evaluations"] == 180.0
