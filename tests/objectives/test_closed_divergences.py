"""Divergences in closed form: by hand, against torch, against sums and integrals."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.distributions import Categorical, Normal, kl_divergence

from trueward.objectives.divergence import categorical_chi2, categorical_kl, gaussian_chi2, gaussian_kl


def logs(*p: float) -> torch.Tensor:
    return torch.tensor([p], dtype=torch.float64).log()


def numbers(*given: float) -> list[torch.Tensor]:
    return [torch.tensor([[one]], dtype=torch.float64) for one in given]


def test_by_hand() -> None:
    p, q = logs(0.75, 0.25), logs(0.5, 0.5)
    assert categorical_chi2(p, q).item() == pytest.approx(0.25)  # 2 · 0.25² / 0.5
    assert categorical_kl(p, q).item() == pytest.approx(0.75 * math.log(1.5) + 0.25 * math.log(0.5))
    # Equal deviations 1, means apart by 1: c = 1, χ² = e − 1, KL = ½.
    assert gaussian_chi2(*numbers(1.0, 0.0, 0.0, 0.0)).item() == pytest.approx(math.e - 1)
    assert gaussian_kl(*numbers(1.0, 0.0, 0.0, 0.0)).item() == pytest.approx(0.5)
    # Half as wide around the same mean: c = 2 − ¼, χ² = 1 / (½ √1.75) − 1.
    assert gaussian_chi2(*numbers(0.0, math.log(0.5), 0.0, 0.0)).item() == pytest.approx(2 / math.sqrt(1.75) - 1)


def test_kl_is_that_of_torch() -> None:
    torch.manual_seed(0)
    a, b = torch.randn(8, 5, dtype=torch.float64), torch.randn(8, 5, dtype=torch.float64)
    p, q = a.log_softmax(-1), b.log_softmax(-1)
    torch.testing.assert_close(categorical_kl(p, q), kl_divergence(Categorical(logits=a), Categorical(logits=b)))
    s, t = torch.randn(8, 5, dtype=torch.float64), torch.randn(8, 5, dtype=torch.float64)
    theirs = kl_divergence(Normal(a, s.exp()), Normal(b, t.exp())).sum(-1)
    torch.testing.assert_close(gaussian_kl(a, s, b, t), theirs)


@given(st.lists(st.floats(-3, 3), min_size=3, max_size=3), st.lists(st.floats(-3, 3), min_size=3, max_size=3))
@settings(max_examples=60, deadline=None)
def test_chi2_is_the_variance_of_the_ratio_and_bounds_the_kl(a: list[float], b: list[float]) -> None:
    p, q = (
        torch.tensor([a], dtype=torch.float64).log_softmax(-1),
        torch.tensor([b], dtype=torch.float64).log_softmax(-1),
    )
    found = categorical_chi2(p, q).item()
    ratio = (p - q).exp()
    assert found == pytest.approx(float((q.exp() * (ratio - 1).square()).sum()), abs=1e-12)
    # KL ≤ log(1 + χ²), by Jensen.
    assert -1e-12 <= categorical_kl(p, q).item() <= math.log1p(found) + 1e-12


def test_gaussian_chi2_is_the_integral() -> None:
    x = np.linspace(-40, 40, 400_001)

    def density(mean: float, deviation: float) -> np.ndarray:
        scaled = (x - mean) / deviation
        return np.exp(-0.5 * scaled**2) / (deviation * math.sqrt(2 * math.pi))

    for m1, s1, m2, s2 in [(0.3, 0.7, 0.0, 1.0), (-1.0, 1.2, 0.5, 1.1), (0.0, 1.0, 0.0, 0.8)]:
        integral = float(np.trapezoid(density(m1, s1) ** 2 / np.maximum(density(m2, s2), 1e-300), x)) - 1
        found = gaussian_chi2(*numbers(m1, math.log(s1), m2, math.log(s2))).item()
        assert found == pytest.approx(integral, rel=1e-6)


def test_dimensions_multiply() -> None:
    one = gaussian_chi2(*numbers(1.0, -0.2, 0.0, 0.1)).item()
    two = gaussian_chi2(*(value.expand(1, 2) for value in numbers(1.0, -0.2, 0.0, 0.1))).item()
    assert two == pytest.approx((1 + one) ** 2 - 1)


def test_infinite_where_it_is_infinite_and_without_gradient_there() -> None:
    wide = torch.tensor([[0.0], [0.0]], requires_grad=True)
    log_deviation = torch.tensor([[math.log(1.5)], [0.1]], requires_grad=True)
    found = gaussian_chi2(wide, log_deviation, torch.zeros(2, 1), torch.zeros(2, 1))
    assert torch.isinf(found[0]) and torch.isfinite(found[1])
    found[1].backward()
    assert log_deviation.grad is not None and torch.isfinite(log_deviation.grad).all()
    logits = torch.tensor([[0.0, 0.0], [0.0, 1.0]], requires_grad=True)
    ruled_out = torch.tensor([[0.0, -torch.inf], [-1.0, -0.5]]).log_softmax(-1)
    found = categorical_chi2(logits.log_softmax(-1), ruled_out)
    assert torch.isinf(found[0]) and torch.isfinite(found[1])
    found[1].backward()
    assert logits.grad is not None and torch.isfinite(logits.grad).all()
    assert torch.isinf(categorical_kl(logits.log_softmax(-1), ruled_out)[0])


def test_a_choice_that_both_rule_out_adds_nothing() -> None:
    logits = torch.tensor([[0.0, -torch.inf, 1.0]], requires_grad=True)
    p = logits.log_softmax(-1)
    q = torch.tensor([[0.5, -torch.inf, 0.0]]).log_softmax(-1)
    for found in (categorical_chi2(p, q), categorical_kl(p, q)):
        assert torch.isfinite(found).all() and found.item() > 0
        found.sum().backward(retain_graph=True)
    assert logits.grad is not None and torch.isfinite(logits.grad).all()


def test_equal_distributions_are_at_distance_zero_to_the_last_digit() -> None:
    p = torch.randn(6, 4).log_softmax(-1)
    assert torch.equal(categorical_chi2(p, p), torch.zeros(6))
    near = categorical_chi2((p + 1e-4 * torch.randn(6, 4)).log_softmax(-1), p)
    assert ((near > 0) & (near < 1e-6)).all()
