"""Divergences of whole answers: by hand, against exact sums over answers, and what their gradient is and is not."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from trueward.objectives.aggregation import decision_weight
from trueward.objectives.policy_loss import PolicyLoss
from trueward.objectives.sequence_divergence import NearReference, sequence_divergence

LOGS = st.lists(st.floats(-2, 2), min_size=3, max_size=3)


def logs(*p: float) -> torch.Tensor:
    return torch.tensor([p], dtype=torch.float64).log()


def test_by_hand() -> None:
    # ρ = (.5 · .8) / (.25 · .4) = 4: χ² term 3 + (¼ − 1), KL term log 4 + ¼ − 1; the masked token says nothing.
    logprobs, ref = logs(0.5, 0.8, 0.9), logs(0.25, 0.4, 0.1)
    mask = torch.tensor([[True, True, False]])
    assert sequence_divergence(logprobs, ref, mask).item() == pytest.approx(2.25)
    assert sequence_divergence(logprobs, ref, mask, "kl").item() == pytest.approx(math.log(4) - 0.75)


@given(LOGS, LOGS)
def test_means_over_answers_are_the_divergences(a: list[float], b: list[float]) -> None:
    """Answers of two tokens out of three: every answer counted with its probability."""
    p, q = (torch.tensor(x, dtype=torch.float64).log_softmax(-1) for x in (a, b))
    answers = torch.tensor(list(itertools.product(range(3), repeat=2)))
    log_p, log_q = p[answers], q[answers]
    mask = torch.ones_like(answers, dtype=torch.bool)
    probability = log_p.sum(dim=1).exp()
    exact_p, exact_q = log_p.sum(dim=1), log_q.sum(dim=1)
    chi2 = float((exact_q.exp() * ((exact_p - exact_q).exp() - 1).square()).sum())
    kl = float((exact_p.exp() * (exact_p - exact_q)).sum())
    assert float(probability @ sequence_divergence(log_p, log_q, mask)) == pytest.approx(chi2, rel=1e-6, abs=1e-9)
    assert float(probability @ sequence_divergence(log_p, log_q, mask, "kl")) == pytest.approx(kl, abs=1e-9)


@given(st.floats(-40, 40))
def test_no_sample_is_negative_and_far_ones_grow_linearly(total: float) -> None:
    logprobs = torch.tensor([[total]], dtype=torch.float64)
    mask = torch.ones(1, 1, dtype=torch.bool)
    found = sequence_divergence(logprobs, torch.zeros(1, 1, dtype=torch.float64), mask).item()
    assert found >= 0
    if total > 11:
        expected = math.exp(10) * (1 + total - 10) - 1 + math.exp(-10) * 0 + math.expm1(-total)
        assert found == pytest.approx(expected)


def test_what_its_gradient_is() -> None:
    """(ρ − 1/ρ) ∇ log π in each sample, whose mean under π is half the gradient of χ² and a pull to the reference."""
    theta = torch.tensor([0.3, -0.2, 0.5], dtype=torch.float64, requires_grad=True)
    q = torch.tensor([0.1, 0.4, -0.3], dtype=torch.float64).log_softmax(-1)
    p = theta.log_softmax(-1)
    mask = torch.ones(3, 1, dtype=torch.bool)
    estimate = sequence_divergence(p[:, None], q[:, None], mask)
    (found,) = torch.autograd.grad((p.detach().exp() * estimate).sum(), theta, retain_graph=True)
    ratio = (p - q).exp()
    (of_chi2,) = torch.autograd.grad((q.exp() * (ratio - 1).square()).sum(), theta, retain_graph=True)
    (of_likelihood,) = torch.autograd.grad((q.exp() * p).sum(), theta)
    assert found == pytest.approx((of_chi2 / 2 - of_likelihood).numpy())


def test_what_does_not_count_changes_nothing() -> None:
    logprobs = torch.tensor([[-1.0, math.nan], [-math.inf, math.nan]], requires_grad=True)
    mask = torch.tensor([[True, False], [False, False]])
    value = sequence_divergence(logprobs, torch.zeros(2, 2), mask)
    assert value[1] == 0
    value.sum().backward()  # type: ignore[no-untyped-call]
    assert logprobs.grad is not None and logprobs.grad[0, 0] != 0
    assert logprobs.grad.isfinite().all() and logprobs.grad[1].abs().sum() == 0


def _batch(rows: int = 6) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    old = -torch.rand(rows, 4, generator=generator)
    return {
        "logprobs": (old + 0.1 * torch.randn(rows, 4, generator=generator)).requires_grad_(),
        "old_logprobs": old,
        "advantages": torch.randn(rows, generator=generator),
        "mask": torch.arange(4) < torch.randint(1, 5, (rows, 1), generator=generator),
    }


def test_near_reference_adds_the_root_to_the_loss() -> None:
    batch = _batch()
    plain = PolicyLoss()
    weight = decision_weight(batch["mask"])
    ref = batch["old_logprobs"] - 0.3
    alone, _ = plain(**batch, weight=weight)
    loss, metrics = NearReference(0.5)(**batch, weight=weight, ref_logprobs=ref)
    chi2 = sequence_divergence(batch["logprobs"], ref, batch["mask"]).mean()
    assert loss.item() == pytest.approx((alone + 0.5 * chi2.sqrt()).item())
    assert metrics["sequence_divergence"].item() == pytest.approx(chi2.item())
    assert {"ratio_mean", "sequence_log_ratio"} <= set(metrics)
    without, _ = NearReference(0.0)(**batch, weight=weight, ref_logprobs=ref)
    assert without.item() == pytest.approx(alone.item())


@pytest.mark.parametrize("kind", ["chi2", "kl"])
def test_parts_of_a_batch_add_up_where_there_is_no_root(kind: str) -> None:
    batch = _batch(8)
    batch["mask"] = torch.ones(8, 4, dtype=torch.bool)
    ref, weight = batch["old_logprobs"] - 0.3, decision_weight(batch["mask"])
    objective = NearReference(0.5, kind)  # type: ignore[arg-type]
    whole, _ = objective(**batch, weight=weight, ref_logprobs=ref)
    halves = [
        objective(**{k: v[rows] for k, v in batch.items()}, weight=weight[rows], ref_logprobs=ref[rows])[0]
        for rows in (slice(0, 4), slice(4, 8))
    ]
    assert sum(half.item() for half in halves) == pytest.approx(whole.item())


def test_at_the_reference_itself_the_gradient_is_that_of_the_loss() -> None:
    batch = _batch()
    weight = decision_weight(batch["mask"])
    ref = batch["logprobs"].detach()
    (plain,) = torch.autograd.grad(PolicyLoss()(**batch, weight=weight)[0], batch["logprobs"])
    (held,) = torch.autograd.grad(NearReference(5.0)(**batch, weight=weight, ref_logprobs=ref)[0], batch["logprobs"])
    assert torch.allclose(plain, held)


def test_refusals() -> None:
    batch = _batch()
    with pytest.raises(ValueError, match="ref_logprobs"):
        NearReference(1.0)(**batch, weight=decision_weight(batch["mask"]))
    with pytest.raises(ValueError, match="coefficient"):
        NearReference(-1.0)
    assert NearReference(1.0).needs == {"reference"}
