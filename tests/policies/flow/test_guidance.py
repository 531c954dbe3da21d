"""Guidance of samples: by gradients with and without a differentiable reward, and classifier-free."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from trueward.policies.flow.guidance import ClassifierFree, null_class
from trueward.policies.flow.guided import Guidance, spsa_gradient
from trueward.policies.flow.network import FlowMLP

W = torch.tensor([3.0, -4.0])


def linear(x: Tensor, t: Tensor, condition: object) -> tuple[Tensor, Tensor]:
    return x @ W, W.expand_as(x)


def shift_of(guidance: Guidance, *, sigma: float = 0.5, dt: float = 0.1) -> Tensor:
    x, v = torch.tensor([[1.0, 2.0]]), torch.tensor([[0.5, 0.5]])
    return guidance.shift(x, v, torch.tensor([0.4]), dt, sigma, torch.zeros(1))[0][0]


def test_coefficient_and_beta_by_hand() -> None:
    torch.testing.assert_close(shift_of(Guidance(linear, coefficient=0.01)), 0.01 * 0.1 * W)
    torch.testing.assert_close(shift_of(Guidance(linear, beta=2.0)), 0.25 / 4 * 0.1 * W)
    # g = σ² / 2β: what a coefficient of 0.01 is at η = 0.25 is β = 3.125.
    torch.testing.assert_close(
        shift_of(Guidance(linear, coefficient=0.01)), shift_of(Guidance(linear, beta=3.125), sigma=0.25)
    )


def test_normalised_and_clipped_gradients() -> None:
    torch.testing.assert_close(shift_of(Guidance(linear, coefficient=1.0, normalise=True)), 0.1 * W / 5)
    torch.testing.assert_close(shift_of(Guidance(linear, coefficient=1.0, clip_norm=2.0)), 0.1 * W * 2 / 5)
    torch.testing.assert_close(shift_of(Guidance(linear, coefficient=1.0, clip_norm=9.0)), 0.1 * W)


def test_a_gradient_that_is_not_finite_moves_nothing() -> None:
    def broken(x: Tensor, t: Tensor, condition: object) -> tuple[Tensor, Tensor]:
        return x.sum(1), torch.full_like(x, torch.nan)

    for given in ({}, {"normalise": True}, {"clip_norm": 1.0}):
        assert shift_of(Guidance(broken, coefficient=1.0, **given)).tolist() == [0.0, 0.0]  # type: ignore[arg-type]


def test_the_gradient_is_taken_where_it_is_asked() -> None:
    def square(x: Tensor, t: Tensor, condition: object) -> tuple[Tensor, Tensor]:
        held = x.requires_grad_(True)
        value = held.square().sum(1) / 2
        return value, torch.autograd.grad(value.sum(), held)[0]

    torch.testing.assert_close(shift_of(Guidance(square, coefficient=1.0)), 0.1 * torch.tensor([1.0, 2.0]))
    # x − t v = (1 − 0.2, 2 − 0.2).
    on_clean = shift_of(Guidance(square, coefficient=1.0, on="clean"))
    torch.testing.assert_close(on_clean, 0.1 * torch.tensor([0.8, 1.8]))


def test_beta_does_nothing_without_noise_and_a_coefficient_does() -> None:
    assert not Guidance(linear, beta=1.0).acts(0, 0.0)
    assert Guidance(linear, coefficient=1.0).acts(0, 0.0)
    windowed = Guidance(linear, coefficient=1.0, window=(2, 3))
    assert [windowed.acts(step, 1.0) for step in range(5)] == [False, False, True, True, False]


@pytest.mark.parametrize("given", [{}, {"beta": 1.0, "coefficient": 1.0}, {"beta": 0.0}])
def test_exactly_one_strength(given: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="exactly one"):
        Guidance(linear, **given)  # type: ignore[arg-type]


def test_spsa_of_a_linear_reward_is_exact_along_its_direction() -> None:
    gradient = spsa_gradient(lambda x, c: x @ W, generator=torch.Generator().manual_seed(0))
    x = torch.tensor([[1.0, 2.0]])
    value, found = gradient(x, torch.tensor([0.3]), torch.zeros(1))
    u = torch.randn(1, 1, 2, generator=torch.Generator().manual_seed(0))[0, 0]
    torch.testing.assert_close(found[0], (W @ u) * u, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(value, x @ W, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("form", ["linear", "quadratic"])
def test_spsa_has_the_gradient_as_its_mean(form: str) -> None:
    centre, x = torch.tensor([0.5, -1.0]), torch.tensor([1.0, 2.0])

    def reward(points: Tensor, condition: Tensor) -> Tensor:
        return points @ W if form == "linear" else -(points - centre).square().sum(1)

    # Central differences are exact for both, so only the directions are random.
    analytic = W if form == "linear" else -2 * (x - centre)
    gradient = spsa_gradient(reward, size=0.05, generator=torch.Generator().manual_seed(1))
    n = 40000
    found = gradient(x.expand(n, 2), torch.zeros(n), torch.zeros(n))[1].double()
    error = (found.mean(dim=0) - analytic) / (found.std(dim=0) / n**0.5)
    assert error.abs().max() < 4.5
    assert (found.std(dim=0) / n**0.5).max() < 0.06


def test_more_draws_are_the_mean_of_so_many_and_decoding_is_seen() -> None:
    many = spsa_gradient(lambda x, c: x @ W, draws=2000, generator=torch.Generator().manual_seed(2))
    x = torch.zeros(1, 2)
    torch.testing.assert_close(many(x, torch.zeros(1), torch.zeros(1))[1][0], W, rtol=0, atol=0.7)
    decoded = spsa_gradient(
        lambda image, c: image @ W, lambda x: 3 * x, draws=2000, generator=torch.Generator().manual_seed(2)
    )
    torch.testing.assert_close(decoded(x, torch.zeros(1), torch.zeros(1))[1][0], 3 * W, rtol=0, atol=2.1)


def test_spsa_gives_each_row_its_own_condition() -> None:
    gradient = spsa_gradient(lambda x, c: c * x[:, 0], size=0.1, draws=3, generator=torch.Generator().manual_seed(3))
    value, found = gradient(torch.ones(2, 2), torch.zeros(2), torch.tensor([0.0, 5.0]))
    torch.testing.assert_close(value, torch.tensor([0.0, 5.0]))
    assert found[0].tolist() == [0.0, 0.0]
    assert found[1].abs().sum() > 0


def network() -> FlowMLP:
    made = FlowMLP((1, 2, 2), classes=3, width=16, blocks=1, seed=1)
    torch.nn.init.normal_(made.leave.weight, generator=torch.Generator().manual_seed(2))
    return made


def test_classifier_free_guidance_by_hand() -> None:
    policy, x, t, classes = network(), torch.randn(4, 1, 2, 2), torch.rand(4), torch.tensor([0, 1, 2, 0])
    with torch.no_grad():
        plain, none = policy(x, t, classes), policy(x, t, torch.full((4,), 3))
        assert not torch.allclose(plain, none)
        for scale, expected in ((1.0, plain), (0.0, none), (4.0, none + 4 * (plain - none))):
            found = ClassifierFree(policy, scale, null_class(3))(x, t, classes)
            torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_scale_one_asks_the_policy_once_and_plainly() -> None:
    sizes = []

    class Counted(torch.nn.Module):
        def forward(self, x: Tensor, t: Tensor, condition: Tensor) -> Tensor:
            sizes.append(len(x))
            return x

    for scale in (1.0, 2.0):
        ClassifierFree(Counted(), scale, null_class(3))(
            torch.zeros(4, 1), torch.zeros(4), torch.zeros(4, dtype=torch.long)
        )
    assert sizes == [4, 8]
