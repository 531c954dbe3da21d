"""KL-Cov by hand: which decisions are held back, and what holding them costs."""

from __future__ import annotations

import math

import pytest
import torch

from trueward.objectives.aggregation import decision_weight
from trueward.objectives.covariance import covariance_penalty
from trueward.objectives.policy_loss import PolicyLoss

# Mean log-probability −2, mean advantage 0: c is 2, −1, 0 in the first row and 1, 4 in the second (its last is masked).
LOGPROBS = torch.tensor([[-1.0, -3.0, -2.0], [-3.0, -1.0, 99.0]])
ADVANTAGES = torch.tensor([[1.0, 1.0, 0.0], [-3.0, 1.0, 99.0]])
MASK = torch.tensor([[True, True, True], [True, True, False]])
OLD = torch.tensor([[-1.5, -3.0, -2.0], [-2.8, -1.3, 0.0]])


def test_by_hand() -> None:
    # c: (1)(1) = 1, (−1)(1) = −1, 0, (−1)(−3) = 3, (1)(1) = 1.
    loss, metrics = covariance_penalty(LOGPROBS, OLD, ADVANTAGES, MASK, share=0.2)
    assert loss.item() == pytest.approx(0.2 / 5)
    assert metrics["covariance"].item() == pytest.approx(4 / 5)
    assert metrics["held_share"].item() == pytest.approx(1 / 5)
    # The two that follow are equal, and neither is left out for where it stands.
    loss, metrics = covariance_penalty(LOGPROBS, OLD, ADVANTAGES, MASK, share=0.4)
    assert loss.item() == pytest.approx((0.2 + 0.5 + 0.3) / 5)
    assert metrics["held_share"].item() == pytest.approx(3 / 5)


def test_at_least_one_decision_is_held_and_all_may_be() -> None:
    assert covariance_penalty(LOGPROBS, OLD, ADVANTAGES, MASK, share=1e-6)[1]["held_share"].item() == pytest.approx(0.2)
    assert covariance_penalty(LOGPROBS, OLD, ADVANTAGES, MASK, share=1.0)[0].item() == pytest.approx(1.0 / 5)
    with pytest.raises(ValueError, match=r"lies in \(0, 1\]"):
        covariance_penalty(LOGPROBS, OLD, ADVANTAGES, MASK, share=0.0)


def test_it_pulls_back_to_the_policy_that_sampled() -> None:
    logprobs = LOGPROBS.clone().requires_grad_()
    loss, _ = covariance_penalty(logprobs, OLD, ADVANTAGES, MASK, share=0.4)
    (slope,) = torch.autograd.grad(loss, logprobs)
    assert slope.tolist() == [pytest.approx([0.2, 0.0, 0.0]), pytest.approx([-0.2, 0.2, 0.0])]


def test_a_policy_that_has_not_moved_pays_nothing() -> None:
    logprobs = LOGPROBS.clone().requires_grad_()
    loss, _ = covariance_penalty(logprobs, LOGPROBS, ADVANTAGES, MASK, share=0.4)
    assert loss.item() == 0.0
    assert not torch.autograd.grad(loss, logprobs)[0].any()


def test_as_a_term_of_the_policy_loss() -> None:
    weight = decision_weight(MASK, "sequence")
    plain, _ = PolicyLoss()(LOGPROBS, OLD, ADVANTAGES, MASK, weight)
    held, metrics = PolicyLoss(covariance=2.0, covariance_share=0.2)(LOGPROBS, OLD, ADVANTAGES, MASK, weight)
    # Row 1 has two decisions of two rows: 2 · (1/4) · 0.2.
    assert (held - plain).item() == pytest.approx(0.1)
    assert "held_share" in metrics and not math.isnan(held.item())
    assert PolicyLoss(covariance=2.0).needs == frozenset()
