"""Preference losses from denoising errors: by hand on two steps, reduced to DPO and SPIN."""

from __future__ import annotations

import inspect
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import softplus

from trueward.objectives.flow.preference import anchor_flip, diffusion_preference
from trueward.objectives.preference import log_probability_gap, logistic_preference


def errors(n: int = 9, seed: int = 0) -> tuple[Tensor, ...]:
    """E_θ of winner and other image, E_ref of both."""
    return tuple(torch.rand(4, n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64))


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def test_the_flipper_by_hand() -> None:
    own, reference = torch.tensor([1.0, 3.0, 2.0]), torch.tensor([2.0, 2.0, 2.0])
    assert anchor_flip(own, reference).tolist() == [1.0, -1.0, 0.0]
    assert anchor_flip(own, reference, "indicator").tolist() == [1.0, 0.0, 0.0]
    assert anchor_flip(own, reference, "none").tolist() == [1.0, 1.0, 1.0]


def test_two_rows_by_hand() -> None:
    """δ_w = (−0.1, 0.2), δ_o = (0.3, −0.4), so a = (1, −1) and β(δ_w − a δ_o) = 10 · (−0.4, −0.2)."""
    winner, other = torch.tensor([0.4, 0.7]), torch.tensor([0.8, 0.1])
    ref_winner, ref_other = torch.tensor([0.5, 0.5]), torch.tensor([0.5, 0.5])
    flip = anchor_flip(winner, ref_winner)
    loss, metrics = diffusion_preference(winner, other, ref_winner, ref_other, beta=10.0, flip=flip)
    assert loss.item() == pytest.approx(-(math.log(sigmoid(4)) + math.log(sigmoid(2))) / 2, rel=1e-5)
    assert metrics["winner_delta"].item() == pytest.approx(0.05)
    assert metrics["other_delta"].item() == pytest.approx(-0.05)
    assert (metrics["losers"].item(), metrics["winners"].item()) == (0.5, 0.5)
    assert metrics["gap_mean"].item() == pytest.approx(3.0, rel=1e-5)


def test_two_updates_by_hand() -> None:
    """One number θ predicts v. Winner at v = 1, other at −1, reference at 0; β = 1/2, rate 1, start at 0.

    E = (v − θ)², so δ_w = θ² − 2θ and δ_o = θ² + 2θ. Step 1: both are 0, a = 0, σ = ½, ∂l/∂θ = β σ · ∂δ_w = ¼ · (−2):
    θ = ½. Step 2: δ_w = −¾ < 0, so a = 1: β(δ_w − δ_o) = −2θ = −1, ∂l/∂θ = −2 σ(−1).
    """
    theta = torch.zeros((), dtype=torch.float64, requires_grad=True)
    reference = torch.ones(1, dtype=torch.float64)
    for expected in (-0.5, -2 * sigmoid(-1)):
        winner, other = (1 - theta).square().reshape(1), (-1 - theta).square().reshape(1)
        flip = anchor_flip(winner, reference)
        loss, _ = diffusion_preference(winner, other, reference, reference, beta=0.5, flip=flip)
        (gradient,) = torch.autograd.grad(loss, theta)
        assert gradient.item() == pytest.approx(expected)
        theta = (theta - gradient).detach().requires_grad_()
    assert theta.item() == pytest.approx(0.5 + 2 * sigmoid(-1))


def test_always_a_loser_is_dpo() -> None:
    winner, other, ref_winner, ref_other = errors()
    gap = log_probability_gap(-winner, -other, -ref_winner, -ref_other, beta=5.0)
    plain = diffusion_preference(winner, other, ref_winner, ref_other, beta=5.0)[0]
    assert torch.equal(plain, logistic_preference(gap)[0])
    for flip in (torch.ones(9, dtype=torch.float64), anchor_flip(winner, ref_winner, "none")):
        assert torch.equal(diffusion_preference(winner, other, ref_winner, ref_other, beta=5.0, flip=flip)[0], plain)
    theirs = softplus(5.0 * ((winner - ref_winner) - (other - ref_other))).mean()
    assert torch.allclose(plain, theirs)


@pytest.mark.parametrize(("flip", "direction"), [(1.0, -1), (0.0, 0), (-1.0, 1)])
def test_which_way_the_other_image_is_moved(flip: float, direction: int) -> None:
    """The sign of ∂loss/∂E: the winner's error always falls, the other's rises, stays or falls."""
    winner, other, ref_winner, ref_other = errors()
    winner.requires_grad_(), other.requires_grad_()
    loss, _ = diffusion_preference(winner, other, ref_winner, ref_other, beta=5.0, flip=torch.full((9,), flip))
    on_winner, on_other = torch.autograd.grad(loss, [winner, other])
    assert bool((on_winner > 0).all()) and bool((on_other.sign() == direction).all())
    if flip:
        assert torch.allclose(on_other.abs(), on_winner)


def test_a_model_that_is_its_reference_learns_from_winners_alone() -> None:
    same = torch.full((4,), 0.3, requires_grad=True)
    other = torch.full((4,), 0.5, requires_grad=True)
    flip = anchor_flip(same, same)
    loss, metrics = diffusion_preference(same, other, same.detach(), other.detach(), beta=50.0, flip=flip)
    on_winner, on_other = torch.autograd.grad(loss, [same, other])
    assert loss.item() == pytest.approx(math.log(2)) and on_other.tolist() == [0.0] * 4
    assert on_winner.tolist() == pytest.approx([50 * 0.5 / 4] * 4)
    assert metrics["losers"].item() == metrics["winners"].item() == 0.0


def test_nothing_flows_into_the_flipper_or_the_reference() -> None:
    winner, other, ref_winner, ref_other = (part.requires_grad_() for part in errors())
    flip = anchor_flip(winner, ref_winner)
    assert not flip.requires_grad
    flip = flip.requires_grad_()
    loss, _ = diffusion_preference(winner, other, ref_winner, ref_other, beta=5.0, flip=flip)
    found = torch.autograd.grad(loss, [winner, ref_winner, ref_other, flip], allow_unused=True)
    assert found[0] is not None and found[1:] == (None, None, None)


@given(st.integers(0, 50), st.floats(0.1, 50))
def test_with_equal_signs_the_order_of_the_rows_is_nothing(seed: int, beta: float) -> None:
    parts = errors(seed=seed)
    flip = anchor_flip(parts[0], parts[2])
    order = torch.randperm(9, generator=torch.Generator().manual_seed(seed))
    forward = diffusion_preference(*parts, beta=beta, flip=flip)[0]
    moved = diffusion_preference(*(part[order] for part in parts), beta=beta, flip=flip[order])[0]
    assert torch.allclose(forward, moved)
    assert torch.equal(anchor_flip(parts[0][order], parts[2][order]), flip[order])


def test_beyond_the_limit_nothing_is_unlearnt() -> None:
    winner, ref = torch.full((2,), 0.4), torch.full((2,), 0.5)
    other = torch.tensor([0.6, 0.9], requires_grad=True)  # δ_o = 0.1 and 0.4
    loss, metrics = diffusion_preference(winner, other, ref, ref, beta=10.0, limit=0.2)
    (gradient,) = torch.autograd.grad(loss, other)
    assert gradient[0] < 0 and gradient[1] == 0
    assert loss.item() == pytest.approx(-(math.log(sigmoid(2)) + math.log(sigmoid(3))) / 2, rel=1e-5)
    assert metrics["other_delta"].item() == pytest.approx(0.25)  # told as it is, not as it counts
    free = diffusion_preference(winner, other, ref, ref, beta=10.0)[0]
    assert torch.equal(diffusion_preference(winner, other, ref, ref, beta=10.0, limit=9.0)[0], free)


def test_rows_without_weight_may_hold_anything() -> None:
    parts = [part.clone().requires_grad_() for part in errors(3)]
    weight = torch.tensor([2.0, 1.0, 0.0], dtype=torch.float64)
    broken = [torch.cat([part.detach()[:2], torch.tensor([math.nan])]).requires_grad_() for part in parts]
    flips = [anchor_flip(some[0], some[2]) for some in (parts, broken)]
    told = [
        diffusion_preference(*some, beta=5.0, flip=flip, limit=0.5, weight=weight)
        for some, flip in zip((parts, broken), flips, strict=True)
    ]
    assert torch.equal(told[0][0], told[1][0])
    assert {name: value.item() for name, value in told[0][1].items()} == {
        name: value.item() for name, value in told[1][1].items()
    }
    first, second = (torch.autograd.grad(t[0], s[:2]) for t, s in zip(told, (parts, broken), strict=True))
    assert all(torch.equal(one, other) for one, other in zip(first, second, strict=True))


def test_half_precision_is_computed_in_single() -> None:
    parts = [part.to(torch.bfloat16) for part in errors()]
    loss, _ = diffusion_preference(*parts, beta=50.0, flip=anchor_flip(parts[0], parts[2]))
    single = [part.float() for part in parts]
    assert loss.dtype == torch.float32
    assert torch.equal(loss, diffusion_preference(*single, beta=50.0, flip=anchor_flip(single[0], single[2]))[0])


def test_refusals() -> None:
    parts = errors()
    with pytest.raises(ValueError, match="choose sign, indicator or none"):
        inspect.unwrap(anchor_flip)(parts[0], parts[2], "soft")
    with pytest.raises(ValueError, match="largest δ"):
        diffusion_preference(*parts, beta=1.0, limit=0.0)
    with pytest.raises(ValueError, match="at least 0"):
        diffusion_preference(*parts, beta=1.0, weight=-torch.ones(9))
