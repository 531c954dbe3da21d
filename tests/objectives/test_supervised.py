"""Losses against known targets, by hand and against torch."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional

from trueward.objectives.aggregation import decision_weight
from trueward.objectives.supervised import (
    binary_cross_entropy,
    cross_entropy,
    negative_log_likelihood,
    squared_error,
)

SEED = 8


def test_binary_cross_entropy_by_hand() -> None:
    logits, target = torch.tensor([0.0, math.log(3)]), torch.tensor([1.0, 0.0])
    loss, metrics = binary_cross_entropy(logits, target, positive_weight=2.0)
    assert loss.item() == pytest.approx((2 * math.log(2) + math.log(4)) / 2)
    assert metrics["positive_share"].item() == 0.5
    assert metrics["probability_mean"].item() == pytest.approx((0.5 + 0.75) / 2)


def test_binary_cross_entropy_against_torch() -> None:
    seed = torch.Generator().manual_seed(SEED)
    logits, target, weight = torch.randn(4, 5, generator=seed), *torch.rand(2, 4, 5, generator=seed)
    theirs = functional.binary_cross_entropy_with_logits(
        logits, target, weight=weight, pos_weight=torch.tensor(3.0), reduction="sum"
    )
    mine, _ = binary_cross_entropy(logits, target, weight, positive_weight=3.0)
    assert torch.allclose(mine, theirs / weight.sum())


def test_accuracy_by_hand() -> None:
    logits = torch.tensor([2.0, -1.0, 1.0, 4.0, 3.0])
    target = torch.tensor([1.0, 0.4, 0.0, 0.5, 0.0])
    _, found = binary_cross_entropy(logits, target, torch.tensor([1.0, 1.0, 2.0, 1.0, 0.0]))
    assert found["accuracy"].item() == pytest.approx(2 / 4)  # ½ does not count, the last has no weight


def test_squared_error_by_hand_and_against_torch() -> None:
    prediction, target = torch.tensor([1.0, 5.0]), torch.tensor([3.0, 4.0])
    loss, metrics = squared_error(prediction, target, torch.tensor([1.0, 3.0]))
    assert loss.item() == pytest.approx((4 + 3) / 4)
    assert metrics["prediction_mean"].item() == 4.0 and metrics["target_mean"].item() == 3.75
    assert torch.allclose(squared_error(prediction, target)[0], functional.mse_loss(prediction, target))


MASK = torch.tensor([[True, True, True], [True, False, False]])
LOGPROBS = torch.tensor([[-1.0, -2.0, -3.0], [-4.0, -50.0, -50.0]])


def test_both_normalisations_by_hand() -> None:
    by_token, metrics = negative_log_likelihood(LOGPROBS, MASK)
    by_row, _ = negative_log_likelihood(LOGPROBS, MASK, decision_weight(MASK, "sequence"))
    assert by_token.item() == pytest.approx(10 / 4)
    assert by_row.item() == pytest.approx((2 + 4) / 2)
    assert metrics["nll"].item() == pytest.approx(2.5) and metrics["tokens"].item() == 4


def test_rows_of_one_length_need_no_choice() -> None:
    mask = torch.ones(2, 3).bool()
    by_row, _ = negative_log_likelihood(LOGPROBS, mask, decision_weight(mask, "sequence"))
    assert torch.allclose(negative_log_likelihood(LOGPROBS, mask)[0], by_row)


def test_cross_entropy_against_torch() -> None:
    seed = torch.Generator().manual_seed(SEED)
    logits = torch.randn(3, 6, 11, generator=seed, requires_grad=True)
    target = torch.randint(11, (3, 6), generator=seed)
    mask = torch.rand(3, 6, generator=seed) < 0.7
    theirs = functional.cross_entropy(logits.flatten(0, 1), target.masked_fill(~mask, -100).flatten())
    mine, metrics = cross_entropy(logits, target, mask)
    assert torch.allclose(mine, theirs)
    assert torch.allclose(torch.autograd.grad(mine, logits)[0], torch.autograd.grad(theirs, logits)[0], atol=1e-7)
    right = (logits.argmax(-1) == target)[mask].float().mean()
    assert torch.allclose(metrics["accuracy"], right)


def test_refusals() -> None:
    with pytest.raises(ValueError, match=r"outside \[0, 1\]"):
        binary_cross_entropy(torch.zeros(2), torch.tensor([1.0, 2.0]))
    for scale in (0.0, -1.0, math.nan):
        with pytest.raises(ValueError, match="positive"):
            binary_cross_entropy(torch.zeros(1), torch.zeros(1), positive_weight=scale)
