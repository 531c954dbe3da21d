"""Errors of velocities and divergences of steps, by hand and against torch."""

from __future__ import annotations

import inspect

import pytest
import torch

from trueward.objectives.flow.matching import denoising_error, flow_matching, kernel_divergence, velocity_divergence
from trueward.policies.flow.kernels import step_mean


def test_errors_by_hand() -> None:
    prediction, target = torch.tensor([[1.0, 2.0], [0.0, 0.0]]), torch.tensor([[0.0, 0.0], [3.0, 0.0]])
    assert denoising_error(prediction, target).tolist() == [2.5, 4.5]
    assert denoising_error(prediction, target, "sum").tolist() == [5.0, 9.0]
    with pytest.raises(ValueError, match="choose mean or sum"):
        inspect.unwrap(denoising_error)(prediction, target, "max")  # behind the check of types in the tests


def test_differences_of_errors_survive_half_precision() -> None:
    # In half precision both errors are 4096 or so, and their difference is lost.
    target = torch.zeros(1, 4, dtype=torch.float16)
    first, second = target + 64.0, target + 64.0625
    gap = denoising_error(second, target) - denoising_error(first, target)
    assert gap.item() == pytest.approx(64.0625**2 - 64.0**2)


def test_flow_matching_by_hand() -> None:
    prediction, target = torch.tensor([[1.0], [2.0], [5.0]]), torch.zeros(3, 1)
    loss, metrics = flow_matching(prediction, target)
    assert loss.item() == metrics["error"].item() == 10.0
    weighted, metrics = flow_matching(prediction, target, torch.tensor([3.0, 1.0, 0.0]))
    assert weighted.item() == pytest.approx((3 * 1 + 4) / 4)
    assert metrics["error"].item() == 2.5
    with pytest.raises(ValueError, match="at least 0"):
        flow_matching(prediction, target, torch.tensor([-1.0, 1.0, 1.0]))


def test_what_weighs_nothing_may_be_anything() -> None:
    prediction = torch.tensor([[1.0], [torch.nan]], requires_grad=True)
    loss, _ = flow_matching(prediction, torch.tensor([[0.0], [torch.inf]]), torch.tensor([1.0, 0.0]))
    loss.backward()
    assert loss.item() == 1.0
    assert prediction.grad is not None and prediction.grad.flatten().tolist() == [2.0, 0.0]


def test_flow_matching_without_samples_is_zero() -> None:
    loss, _ = flow_matching(torch.zeros(0, 2), torch.zeros(0, 2))
    assert loss.item() == 0.0


def test_no_gradient_into_the_reference() -> None:
    v, v_ref = torch.ones(1, 2, requires_grad=True), torch.zeros(1, 2, requires_grad=True)
    velocity_divergence(v, v_ref).sum().backward()
    assert v.grad is not None and v.grad.tolist() == [[1.0, 1.0]]
    assert v_ref.grad is None


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_kernel_divergence_is_that_of_two_gaussian_steps(reduction: str) -> None:
    generator = torch.Generator().manual_seed(0)
    x, v, v_ref = (torch.randn(6, 3, generator=generator) for _ in range(3))
    t, dt, sigma = (torch.rand(6, generator=generator) * 0.8 + 0.1 for _ in range(3))
    deviation = (sigma * dt.sqrt()).unsqueeze(1).expand(6, 3)
    steps = [torch.distributions.Normal(step_mean(x, one, t, dt, sigma), deviation) for one in (v, v_ref)]
    each = torch.distributions.kl_divergence(*steps)
    expected = each.mean(dim=1) if reduction == "mean" else each.sum(dim=1)
    found = kernel_divergence(v, v_ref, t, dt, sigma, reduction)  # type: ignore[arg-type]
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_kernel_divergence_is_zero_with_zero_gradient_at_the_reference() -> None:
    v = torch.randn(4, 3, requires_grad=True)
    some = torch.full((4,), 0.5)
    found = kernel_divergence(v, v, some, some, some)
    found.sum().backward()
    assert found.tolist() == [0.0] * 4
    assert v.grad is not None and (v.grad == 0).all()


def test_steps_without_noise_have_no_divergence() -> None:
    v, some = torch.zeros(2, 3), torch.full((2,), 0.5)
    with pytest.raises(ValueError, match="without noise"):
        kernel_divergence(v, v, some, some, torch.tensor([0.5, 0.0]))
