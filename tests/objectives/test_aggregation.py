"""Weights of decisions by hand, and that they depend on the mask alone."""

from __future__ import annotations

import inspect

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from trueward.objectives.aggregation import (
    Aggregation,
    decision_weight,
    entry_weight,
    masked_mean,
    weighted_mean,
    weighted_total,
    weighted_variance,
)

# Rows of 3, 1, 0 and 2 decisions; the first two belong to one prompt.
MASK = torch.tensor([[1, 1, 1, 0], [0, 0, 1, 0], [0, 0, 0, 0], [1, 0, 0, 1]]).bool()
GROUP = torch.tensor([9, 9, 4, 2])
EVERY: tuple[Aggregation, ...] = ("token", "sequence", "group", "fixed_length")


@pytest.mark.parametrize(
    ("over", "by_hand"),
    [
        ("token", [1 / 6, 1 / 6, 0, 1 / 6]),
        ("sequence", [1 / 9, 1 / 3, 0, 1 / 6]),
        ("group", [1 / 8, 1 / 8, 0, 1 / 4]),
        ("fixed_length", [1 / 30, 1 / 30, 0, 1 / 30]),
    ],
)
def test_by_hand(over: Aggregation, by_hand: list[float]) -> None:
    assert decision_weight(MASK, over, group=GROUP, length=10).tolist() == pytest.approx(by_hand)


@pytest.mark.parametrize("over", ["token", "sequence", "group"])
def test_a_mean_of_equal_losses_is_that_loss(over: Aggregation) -> None:
    weight = decision_weight(MASK, over, group=GROUP)
    assert weighted_total(torch.full((4, 4), 2.5), MASK, weight).item() == pytest.approx(2.5)


def test_one_group_is_the_mean_over_tokens_and_groups_of_one_row_are_sequences() -> None:
    assert torch.equal(decision_weight(MASK, "group", group=torch.zeros(4, dtype=torch.long)), decision_weight(MASK))
    alone = decision_weight(MASK, "group", group=torch.arange(4))
    assert torch.allclose(alone, decision_weight(MASK, "sequence"))


@given(st.lists(st.lists(st.booleans(), min_size=3, max_size=3), min_size=1, max_size=6), st.sampled_from(EVERY))
def test_micro_batches_sum_to_the_batch(rows: list[list[bool]], over: Aggregation) -> None:
    mask = torch.tensor(rows)
    losses = torch.arange(mask.numel(), dtype=torch.float64).reshape(mask.shape)
    weight = decision_weight(mask, over, group=torch.arange(len(rows)) // 2, length=5)
    whole = weighted_total(losses, mask, weight)
    parts = [weighted_total(losses[i : i + 2], mask[i : i + 2], weight[i : i + 2]) for i in range(0, len(rows), 2)]
    assert torch.allclose(torch.stack(parts).sum(), whole)


@pytest.mark.parametrize("over", EVERY)
def test_rows_without_decisions_do_not_exist(over: Aggregation) -> None:
    kept = torch.tensor([0, 1, 3])
    whole = decision_weight(MASK, over, group=GROUP, length=10)
    assert torch.allclose(decision_weight(MASK[kept], over, group=GROUP[kept], length=10), whole[kept])


def test_counts_beyond_single_precision_are_exact() -> None:
    mask = torch.ones(4097, 4096).bool()  # 2^24 + 4096 decisions
    assert decision_weight(mask)[0].item() == pytest.approx(1 / (4097 * 4096), rel=1e-7)


def test_what_is_masked_may_be_anything() -> None:
    losses = torch.full((4, 4), 3.0).masked_fill(~MASK, float("nan")).requires_grad_()
    total = weighted_total(losses, MASK)
    assert total.item() == pytest.approx(3.0)
    assert torch.equal(torch.autograd.grad(total, losses)[0] > 0, MASK)


def test_refusals_say_what_to_give() -> None:
    with pytest.raises(ValueError, match=r"rollouts\.group"):
        decision_weight(MASK, "group")
    for length in (None, 0.0, -1.0, float("nan")):
        with pytest.raises(ValueError, match="positive length"):
            decision_weight(MASK, "fixed_length", length=length)
    with pytest.raises(ValueError, match="choose token, sequence, group or fixed_length"):
        inspect.unwrap(decision_weight)(MASK, "mean")  # behind the check of types in the tests
    for bad in (-1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="at least 0"):
            entry_weight(torch.zeros(2), torch.tensor([1.0, bad]))


def test_means_and_variance_by_hand() -> None:
    values, weight = torch.tensor([1.0, 4.0, float("nan")]), torch.tensor([2.0, 1.0, 0.0])
    assert weighted_mean(values, weight).item() == 2.0
    assert weighted_variance(torch.tensor([1.0, 4.0]), torch.tensor([2.0, 1.0])).item() == pytest.approx(2.0)
    assert masked_mean(values, torch.tensor([True, True, False])).item() == 2.5
    assert masked_mean(values, torch.zeros(3).bool()).item() == 0.0


def test_rounding_is_no_variance_but_a_small_spread_is() -> None:
    weight = torch.tensor([0.3, 0.1, 0.7, 0.9, 0.2])
    same = torch.full((5,), 0.1)
    assert (same - weighted_mean(same, weight)).abs().max() > 0  # or this test would show nothing
    assert weighted_variance(same, weight) == 0
    assert weighted_variance(same + 1e-5 * torch.arange(5), weight) > 0
