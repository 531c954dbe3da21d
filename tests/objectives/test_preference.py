"""Losses on pairs: by hand, reduced to Bradley–Terry, DPO, SimPO, POWER and SePPO, against torch."""

from __future__ import annotations

import inspect
import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, logsigmoid, softplus

from trueward.objectives.aggregation import decision_weight
from trueward.objectives.preference import bradley_terry, log_probability_gap, logistic_preference
from trueward.objectives.supervised import negative_log_likelihood


def drawn(count: int, n: int = 9) -> tuple[Tensor, ...]:
    return tuple(torch.randn(count, n, generator=torch.Generator().manual_seed(count), dtype=torch.float64))


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def one(gap: float, **settings: Any) -> float:
    tensors = {name: torch.tensor([value]) if name == "label" else value for name, value in settings.items()}
    return logistic_preference(torch.tensor([gap]), **tensors)[0].item()


def test_by_hand() -> None:
    assert one(0.0) == pytest.approx(math.log(2))
    assert one(2.0) == pytest.approx(-math.log(sigmoid(2)))
    assert one(2.0, label=0.0) == pytest.approx(-math.log(sigmoid(-2)))
    assert one(2.0, margin=0.5) == pytest.approx(-math.log(sigmoid(1.5)))
    assert one(2.0, label=0.0, margin=0.5) == pytest.approx(-math.log(sigmoid(-2.5)))
    assert one(2.0, smoothing=0.1) == pytest.approx(-0.9 * math.log(sigmoid(2)) - 0.1 * math.log(sigmoid(-2)))
    assert one(2.0, label=0.3) == pytest.approx(-0.3 * math.log(sigmoid(2)) - 0.7 * math.log(sigmoid(-2)))


def test_plain_bradley_terry_is_logsigmoid() -> None:
    a, b = drawn(2)
    assert torch.equal(bradley_terry(a, b)[0], logistic_preference(a - b)[0])
    assert torch.allclose(bradley_terry(a, b)[0], -logsigmoid(a - b).mean())


def test_soft_labels_are_binary_cross_entropy_of_the_gap() -> None:
    gap, raw, weight = drawn(3)
    label, weight = raw.sigmoid(), weight.abs()
    theirs = binary_cross_entropy_with_logits(gap, label, weight=weight, reduction="sum") / weight.sum()
    assert torch.allclose(logistic_preference(gap, label, weight=weight)[0], theirs)


@given(st.floats(-5, 5), st.floats(0, 1), st.floats(0, 3), st.floats(0, 0.49))
def test_which_is_called_a_is_nothing(gap: float, label: float, margin: float, smoothing: float) -> None:
    forward = one(gap, label=label, margin=margin, smoothing=smoothing)
    assert one(-gap, label=1 - label, margin=margin, smoothing=smoothing) == pytest.approx(forward, rel=1e-4, abs=1e-6)


def test_a_stationary_label_does_not_pull() -> None:
    gap = torch.tensor([1.5, -0.5], dtype=torch.float64, requires_grad=True)
    loss, metrics = logistic_preference(gap, gap.detach().sigmoid())
    assert torch.autograd.grad(loss, gap)[0].abs().max() < 1e-12
    assert metrics["active_pairs"].item() == pytest.approx(0, abs=1e-12)


def test_the_gradient_by_hand() -> None:
    gap = torch.tensor([1.0, -2.0], dtype=torch.float64, requires_grad=True)
    label = torch.tensor([0.9, 0.2], dtype=torch.float64)
    loss, _ = logistic_preference(gap, label, weight=torch.tensor([3.0, 1.0]))
    by_hand = [-(0.9 - sigmoid(1)) * 3 / 4, -(0.2 - sigmoid(-2)) / 4]
    assert torch.autograd.grad(loss, gap)[0].tolist() == pytest.approx(by_hand)


def test_metrics_by_hand() -> None:
    gap = torch.tensor([2.0, -1.0, 0.0, 3.0, 5.0])
    label = torch.tensor([1.0, 0.2, 1.0, 0.5, 0.0])
    _, found = logistic_preference(gap, label, weight=torch.tensor([1.0, 1.0, 1.0, 1.0, 0.0]))
    assert found["accuracy"].item() == pytest.approx((1 + 1 + 0.5) / 3)  # the tie and the row without weight are out
    assert found["gap_mean"].item() == pytest.approx(1.0)
    by_hand = (1 - sigmoid(2)) + (sigmoid(-1) - 0.2) + 0.5 + (sigmoid(3) - 0.5)
    assert found["active_pairs"].item() == pytest.approx(by_hand)


@pytest.mark.parametrize(("centre", "level"), [("sum", (1 + 2) ** 2), ("each", 1 + 4)])
def test_centring_by_hand(centre: Any, level: float) -> None:
    a, b = torch.tensor([1.0]), torch.tensor([2.0])
    loss, metrics = bradley_terry(a, b, centring=0.1, centre=centre)
    assert loss.item() == pytest.approx(-math.log(sigmoid(-1)) + 0.1 * level)
    assert metrics["centring"].item() == level
    assert metrics["score_mean"].item() == 1.5


def test_only_centring_sees_the_level() -> None:
    a, b = drawn(2)
    assert torch.allclose(bradley_terry(a + 5, b + 5)[0], bradley_terry(a, b)[0])
    assert bradley_terry(a + 5, b + 5, centring=0.01)[0] > bradley_terry(a, b, centring=0.01)[0] + 0.5
    a, b = (scores.requires_grad_() for scores in (a, b))
    summed = torch.autograd.grad(bradley_terry(a, b, centring=1.0)[0] - bradley_terry(a, b)[0], [a, b])
    assert torch.allclose(*summed)  # the sum moves both alike, so it leaves the gap alone


def test_dpo() -> None:
    a, b, ref_a, ref_b = drawn(4)
    gap = log_probability_gap(a, b, ref_a, ref_b, beta=0.1)
    assert torch.allclose(gap, 0.1 * ((a - ref_a) - (b - ref_b)))
    assert torch.allclose(
        logistic_preference(gap, smoothing=0.2)[0],
        (-0.8 * logsigmoid(gap) - 0.2 * logsigmoid(-gap)).mean(),
    )
    assert torch.equal(log_probability_gap(a, b, beta=0.1), 0.1 * (a - b))


def test_dno_has_soft_policy_iteration_as_its_optimum() -> None:
    """One context, three answers, all pairs drawn alike: the minimiser is π_t exp(r/η) / Z (Rosset et al. Eq. 9)."""
    eta, reward = 0.5, torch.tensor([0.9, 0.4, 0.1], dtype=torch.float64)
    last = torch.tensor([0.2, 0.5, 0.3], dtype=torch.float64).log()
    best = (last + reward / eta).log_softmax(0).requires_grad_()
    i, j = torch.tensor([(i, j) for i in range(3) for j in range(3) if i != j]).T
    gap = log_probability_gap(best[i], best[j], last[i], last[j], beta=eta)
    loss, metrics = logistic_preference(gap, (reward[i] - reward[j]).sigmoid())
    assert torch.autograd.grad(loss, best)[0].abs().max() < 1e-12
    assert metrics["active_pairs"].item() == pytest.approx(0, abs=1e-12)


def test_simpo() -> None:
    a, b = (-logprob.abs() for logprob in drawn(2))
    length_a, length_b = torch.arange(1, 10).double(), torch.arange(9, 0, -1).double()
    gap = log_probability_gap(a, b, beta=2.0, scale_a=1 / length_a, scale_b=1 / length_b)
    theirs = -logsigmoid(2.0 * (a / length_a - b / length_b) - 1.6).mean()
    assert torch.allclose(logistic_preference(gap, margin=1.6)[0], theirs)


def test_power_dl() -> None:
    """mean ℓ(l) − η β mean log π(y⁺)/|y⁺|, ℓ on β[log π(y⁺)/n⁺ − log π(y⁻)/n⁻ + 1/n⁺ − 1/n⁻]."""
    beta, eta = 2.0, 0.01
    tokens_a, tokens_b = -torch.rand(2, 3, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    mask_a = torch.arange(4) < torch.tensor([[4], [2], [3]])
    mask_b = torch.arange(4) < torch.tensor([[1], [4], [2]])
    label = torch.tensor([1.0, 0.7, 0.2], dtype=torch.float64)
    n_a, n_b = mask_a.sum(1), mask_b.sum(1)
    a, b = (tokens_a * mask_a).sum(1), (tokens_b * mask_b).sum(1)

    gap = log_probability_gap(a, b, beta=beta, scale_a=1 / n_a.double(), scale_b=1 / n_b.double())
    pairs, _ = logistic_preference(gap + beta * (1 / n_a.double() - 1 / n_b.double()), label)
    likelihood, _ = negative_log_likelihood(tokens_a, mask_a, decision_weight(mask_a, "sequence"))

    d = beta * (a / n_a - b / n_b + 1 / n_a - 1 / n_b)
    by_hand = -(label * logsigmoid(d) + (1 - label) * logsigmoid(-d)).mean() - eta * beta * (a / n_a).mean()
    assert torch.allclose(pairs + eta * beta * likelihood, by_hand)


def test_seppo() -> None:
    """softplus(β T ω (δ_w − a δ_r)) with the flipper a = ±1, from denoising errors."""
    errors = [error.square() for error in drawn(4)]
    won, own, ref_won, ref_own = errors
    flip = (ref_won - won).sign()
    gap = log_probability_gap(-won, -own, -ref_won, -ref_own, beta=10.0, scale_b=flip)
    theirs = softplus(10.0 * ((won - ref_won) - flip * (own - ref_own))).mean()
    assert torch.allclose(logistic_preference(gap)[0], theirs)
    assert set(flip.tolist()) == {-1.0, 1.0}


def test_nothing_flows_into_the_reference_or_the_label() -> None:
    a, b, ref_a, ref_b = (part.requires_grad_() for part in drawn(4))
    label = torch.full((9,), 0.5, dtype=torch.float64, requires_grad=True)
    loss, _ = logistic_preference(log_probability_gap(a, b, ref_a, ref_b, beta=1.0), label)
    found = torch.autograd.grad(loss, [a, ref_a, ref_b, label], allow_unused=True)
    assert found[0].abs().sum() > 0 and found[1:] == (None, None, None)


def test_refusals() -> None:
    a, b = drawn(2)
    with pytest.raises(ValueError, match=r"outside \[0, 1\]"):
        logistic_preference(a, torch.full((9,), 1.1, dtype=torch.float64))
    with pytest.raises(ValueError, match=r"outside \[0, 1\]"):
        logistic_preference(a, torch.full((9,), math.nan, dtype=torch.float64))
    for smoothing in (-0.1, 0.5):
        with pytest.raises(ValueError, match="smoothing"):
            logistic_preference(a, smoothing=smoothing)
    with pytest.raises(ValueError, match="at least 0"):
        logistic_preference(a, weight=-torch.ones(9))
    with pytest.raises(ValueError, match="give both, or none"):
        log_probability_gap(a, b, ref_logprob_a=a, beta=1.0)
    with pytest.raises(ValueError, match="centring"):
        bradley_terry(a, b, centring=-0.1)
    with pytest.raises(ValueError, match="choose sum or each"):
        inspect.unwrap(bradley_terry)(a, b, centre="difference")
