"""The estimators on a distribution small enough to enumerate; entropy."""

from __future__ import annotations

import inspect
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from trueward.objectives.divergence import Estimator, entropy, entropy_bonus, kl_estimate, kl_penalty

V = 5
EVERY: tuple[Estimator, ...] = ("k1", "k2", "k3")


def tables() -> tuple[Tensor, Tensor, Tensor]:
    """Logits of a policy, log-probabilities of a reference and of another sampler, over V choices."""
    seed = torch.Generator().manual_seed(5)
    logits, ref, old = torch.randn(3, V, generator=seed, dtype=torch.float64)
    return logits.requires_grad_(), ref.log_softmax(0), old.log_softmax(0)


def kl(p: Tensor, q: Tensor) -> Tensor:
    return (p.exp() * (p - q)).sum()


def estimates(logits: Tensor, ref: Tensor, estimator: Estimator) -> Tensor:
    mask = torch.ones(V, 1).bool()
    return kl_estimate(logits.log_softmax(0)[:, None], ref[:, None], mask, estimator)[:, 0]


def mean_gradient(logits: Tensor, ref: Tensor, estimator: Estimator, old: Tensor | None = None) -> Tensor:
    """Mean over the sampler's choices of the gradient of the loss: one row per choice, its probability as weight."""
    policy = logits.log_softmax(0)
    sampler = policy.detach() if old is None else old
    weight = sampler.exp()
    loss, _ = kl_penalty(
        policy[:, None],
        ref[:, None],
        torch.ones(V, 1).bool(),
        weight,
        estimator=estimator,
        old_logprobs=None if old is None else old[:, None],
    )
    return torch.autograd.grad(loss, logits)[0]


def gradient(value: Tensor, logits: Tensor) -> Tensor:
    return torch.autograd.grad(value, logits)[0]


def test_by_hand() -> None:
    new, ref = torch.tensor([[-1.0, -2.0]]), torch.tensor([[-2.0, -9.0]])
    mask = torch.tensor([[True, False]])
    assert kl_estimate(new, ref, mask, "k1").tolist() == [[1.0, 0.0]]
    assert kl_estimate(new, ref, mask, "k2").tolist() == [[0.5, 0.0]]
    assert kl_estimate(new, ref, mask, "k3")[0].tolist() == pytest.approx([math.exp(-1), 0.0])


def test_k1_and_k3_are_unbiased_and_k2_is_not() -> None:
    logits, ref, _ = tables()
    policy = logits.detach().log_softmax(0)
    exact = kl(policy, ref).item()
    means = {name: (policy.exp() * estimates(logits.detach(), ref, name)).sum().item() for name in EVERY}
    assert means["k1"] == pytest.approx(exact, rel=1e-12)
    assert means["k3"] == pytest.approx(exact, rel=1e-12)
    assert abs(means["k2"] - exact) > 0.01


def test_k2_is_nearly_unbiased_for_near_policies() -> None:
    logits, _, _ = tables()
    policy = logits.detach().log_softmax(0)

    def bias(distance: float) -> float:
        ref = (policy + distance * torch.linspace(-1, 1, V, dtype=torch.float64)).log_softmax(0)
        value = (policy.exp() * estimates(policy, ref, "k2")).sum()
        return abs((value - kl(policy, ref)).item())

    assert bias(0.1) / bias(0.05) == pytest.approx(8, rel=0.2)  # third order


def test_k3_varies_less_than_k1_between_near_policies() -> None:
    logits, ref, _ = tables()
    near = (logits.detach() + 0.1 * ref).log_softmax(0)
    p = near.exp()
    spread = {}
    for name in ("k1", "k3"):
        values = estimates(near, logits.detach().log_softmax(0), name)
        spread[name] = (p * values.square()).sum() - (p * values).sum().square()
    assert spread["k3"] < spread["k1"] / 100


def test_the_gradient_of_k2_is_that_of_the_divergence() -> None:
    logits, ref, _ = tables()
    exact = gradient(kl(logits.log_softmax(0), ref), logits)
    assert torch.allclose(mean_gradient(logits, ref, "k2"), exact, atol=1e-12)


def test_the_gradient_of_k3_is_that_of_the_reverse_divergence() -> None:
    logits, ref, _ = tables()
    reverse = gradient(kl(ref, logits.log_softmax(0)), logits)
    found = mean_gradient(logits, ref, "k3")
    assert torch.allclose(found, reverse, atol=1e-12)
    assert not torch.allclose(found, gradient(kl(logits.log_softmax(0), ref), logits), atol=1e-2)


def test_the_gradient_of_k1_alone_is_nothing_and_is_refused() -> None:
    logits, ref, _ = tables()
    policy = logits.log_softmax(0)
    loss = (policy.detach().exp() * estimates(logits, ref, "k1")).sum()
    assert torch.allclose(gradient(loss, logits), torch.zeros(V, dtype=torch.float64), atol=1e-12)
    with pytest.raises(ValueError, match="mean 0"):
        kl_penalty(policy[:, None], ref[:, None], torch.ones(V, 1).bool(), estimator="k1")


@pytest.mark.parametrize("estimator", ["k1", "k3"])
def test_corrected_for_the_sampler_they_have_the_value_and_gradient_of_the_divergence(estimator: Estimator) -> None:
    logits, ref, old = tables()
    policy = logits.log_softmax(0)
    exact = kl(policy, ref)
    mask = torch.ones(V, 1).bool()
    loss, _ = kl_penalty(policy[:, None], ref[:, None], mask, old.exp(), estimator=estimator, old_logprobs=old[:, None])
    assert loss.item() == pytest.approx(exact.item(), rel=1e-12)
    assert torch.allclose(mean_gradient(logits, ref, estimator, old), gradient(exact, logits), atol=1e-12)
    uncorrected, _ = kl_penalty(policy[:, None], ref[:, None], mask, old.exp())
    assert abs(uncorrected.item() - exact.item()) > 0.01


@given(st.floats(-100, 0), st.floats(-100, 0))
def test_k2_and_k3_are_never_negative_and_zero_only_for_equals(new: float, ref: float) -> None:
    for dtype in (torch.float32, torch.float64):
        one, other = torch.tensor([[new]], dtype=dtype), torch.tensor([[ref]], dtype=dtype)
        for estimator in ("k2", "k3"):
            value = kl_estimate(one, other, torch.ones(1, 1).bool(), estimator).item()
            assert value >= 0
            assert kl_estimate(one, one, torch.ones(1, 1).bool(), estimator).item() == 0
            if abs(new - ref) > 1e-3:
                assert value > 0


def test_metrics_by_hand() -> None:
    new = torch.tensor([[-1.0, -1.0], [-3.0, -1.0]])
    mask = torch.tensor([[True, True], [True, False]])
    _, found = kl_penalty(new, torch.full((2, 2), -1.0), mask, estimator="k2")
    assert found["kl"].item() == pytest.approx(2 / 3)
    assert found["kl_max"].item() == 2.0


def test_an_unknown_estimator_is_refused() -> None:
    with pytest.raises(ValueError, match="choose k1, k2 or k3"):
        inspect.unwrap(kl_estimate)(torch.zeros(1, 1), torch.zeros(1, 1), torch.ones(1, 1).bool(), "k4")


def test_entropy_by_hand_and_against_torch() -> None:
    assert entropy(torch.zeros(4)).item() == pytest.approx(math.log(4))
    assert entropy(torch.tensor([3.0, -math.inf])).item() == 0.0
    assert entropy(torch.tensor([1.0, 1.0, -math.inf])).item() == pytest.approx(math.log(2))
    logits = torch.randn(3, 4, 7, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    assert torch.allclose(entropy(logits), torch.distributions.Categorical(logits=logits).entropy())


def test_choices_that_are_ruled_out_have_no_gradient() -> None:
    logits = torch.tensor([[[0.5, -math.inf, -1.0]]], requires_grad=True)
    (found,) = torch.autograd.grad(entropy_bonus(logits, torch.ones(1, 1).bool())[0], logits)
    assert found.isfinite().all() and found[0, 0, 1] == 0
    without = logits.detach()[..., [0, 2]].requires_grad_()
    (smaller,) = torch.autograd.grad(entropy_bonus(without, torch.ones(1, 1).bool())[0], without)
    assert torch.allclose(found[..., [0, 2]], smaller)


def test_following_the_bonus_raises_the_entropy() -> None:
    logits = torch.tensor([[[2.0, 0.0, -1.0]]], requires_grad=True)
    loss, metrics = entropy_bonus(logits, torch.ones(1, 1).bool())
    (found,) = torch.autograd.grad(loss, logits)
    assert loss.item() == pytest.approx(-metrics["entropy"].item())
    assert entropy(logits - 0.1 * found).item() > metrics["entropy"].item()
