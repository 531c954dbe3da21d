"""The critic's loss and explained variance by hand."""

from __future__ import annotations

import math

import pytest
import torch

from trueward.objectives.value import clipped_value_loss, explained_variance

ONE = torch.ones(1, 1).bool()


def at(value: float, old: float, target: float, clip: float = 0.2) -> tuple[float, float]:
    values = torch.tensor([[value]], dtype=torch.float64, requires_grad=True)
    fixed = [torch.tensor([[x]], dtype=torch.float64) for x in (old, target)]
    loss, _ = clipped_value_loss(values, *fixed, ONE, clip=clip)
    return loss.item(), torch.autograd.grad(loss, values)[0].item()


@pytest.mark.parametrize(
    ("value", "old", "target", "loss", "slope"),
    [
        (1.1, 1.0, 2.0, 0.405, -0.9),  # inside
        (1.5, 1.0, 2.0, 0.32, 0.0),  # moved .5 towards the target: held at 1.2
        (0.5, 1.0, 2.0, 1.125, -1.5),  # moved away: the error itself is the larger
    ],
)
def test_by_hand(value: float, old: float, target: float, loss: float, slope: float) -> None:
    assert at(value, old, target) == pytest.approx((loss, slope))


def test_without_a_bound_it_is_half_the_squared_error() -> None:
    seed = torch.Generator().manual_seed(2)
    values, old, target = torch.randn(3, 4, 5, generator=seed)
    mask = torch.rand(4, 5, generator=seed) < 0.6
    loss, metrics = clipped_value_loss(values, old, target, mask, clip=math.inf)
    assert torch.allclose(loss, torch.nn.functional.mse_loss(values[mask], target[mask]) / 2)
    assert metrics["clip_share"] == 0
    assert torch.allclose(loss, clipped_value_loss(values, old, target, mask, clip=1e6)[0])


def test_metrics_by_hand() -> None:
    values, old = torch.tensor([[1.5, 1.1, 5.0]]), torch.tensor([[1.0, 1.0, 1.0]])
    mask = torch.tensor([[True, True, False]])
    _, found = clipped_value_loss(values, old, torch.tensor([[2.0, 2.2, 9.0]]), mask)
    assert found["clip_share"].item() == pytest.approx(0.5)
    assert found["value_mean"].item() == pytest.approx(1.3)
    assert found["return_mean"].item() == pytest.approx(2.1)
    # Var(R) = .01, residuals .5 and 1.1: Var = .09.
    assert found["explained_variance"].item() == pytest.approx(1 - 9, rel=1e-4)


def test_explained_variance_at_its_marks() -> None:
    returns = torch.tensor([1.0, 2.0, 4.0, 8.0])
    every = torch.ones(4).bool()
    assert explained_variance(returns, returns, every).item() == 1.0
    assert explained_variance(returns + 3, returns, every).item() == 1.0
    assert explained_variance(torch.full((4,), 2.0), returns, every).item() == 0.0
    assert explained_variance(-returns, returns, every).item() == pytest.approx(-3.0)


def test_explained_variance_agrees_with_numpy() -> None:
    seed = torch.Generator().manual_seed(4)
    values, returns = torch.randn(2, 30, generator=seed, dtype=torch.float64)
    mask = torch.rand(30, generator=seed) < 0.7
    kept, fitted = returns[mask].numpy(), values[mask].numpy()
    assert explained_variance(values, returns, mask).item() == pytest.approx(1 - (kept - fitted).var() / kept.var())


def test_returns_that_do_not_vary_leave_nothing_to_explain() -> None:
    same = torch.full((7,), 0.1)
    assert explained_variance(torch.randn(7), same, torch.ones(7).bool()) == 0


def test_values_need_room() -> None:
    for clip in (0.0, -1.0, math.nan):
        with pytest.raises(ValueError, match=r"math\.inf"):
            at(1.0, 1.0, 1.0, clip=clip)
