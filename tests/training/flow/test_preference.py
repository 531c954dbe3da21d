"""Updates by preference: four errors at shared noise, by hand; the sign over several draws; pairs that are given."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from trueward.errors import TrainingError
from trueward.policies.flow.base import draw_times
from trueward.training.flow.preference import PairsUpdate, PreferenceSettings, anchor_deltas, preference_loss
from trueward.training.flow.settings import FlowSettings


class Watched(nn.Module):
    """v(x, t, c) = w · c + b, which keeps what it was asked."""

    def __init__(self, weight: float, bias: float) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.tensor(weight)), nn.Parameter(torch.tensor(bias))
        self.asked: list[tuple[Tensor, Tensor, Tensor]] = []

    def forward(self, x: Tensor, t: Tensor, condition: Any) -> Tensor:
        self.asked.append((x, t, condition))
        return (self.weight * condition.float() + self.bias)[:, None].expand_as(x)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def images(n: int, seed: int) -> Tensor:
    return torch.rand(n, 5, generator=generator(seed)) * 2 - 1


@pytest.mark.parametrize("flip", ["sign", "indicator", "none"])
def test_four_errors_at_one_noise_by_hand(flip: Any) -> None:
    """Noise is read off what the model was asked, ε = (x_t − (1 − t) x₀) / t, and the loss is worked out from it."""
    policy, reference = Watched(0.3, -0.2), Watched(-0.1, 0.1)
    winners, others, labels = images(40, 1), images(40, 2), torch.arange(40) % 10
    settings = PreferenceSettings(batch=40, beta=7.0, flip=flip)
    loss, metrics = preference_loss(policy, reference, winners, others, labels, settings, generator())

    (state, times, told), (ref_state, ref_times, ref_told) = policy.asked[0], reference.asked[0]
    assert len(policy.asked) == len(reference.asked) == 1
    assert torch.equal(state, ref_state) and torch.equal(times, ref_times) and torch.equal(told, ref_told)
    assert torch.equal(times[:40], times[40:]) and torch.equal(told, labels.repeat(2))
    clean, level = torch.cat([winners, others]), times[:, None]
    noise = (state - (1 - level) * clean) / level
    assert not torch.allclose(noise[:40], noise[40:], atol=0.1)

    def error(module: Watched) -> Tensor:
        return (noise - clean - (module.weight * labels.repeat(2) + module.bias)[:, None]).square().mean(dim=1)

    delta_winner, delta_other = (error(policy) - error(reference)).chunk(2)
    sign = {
        "sign": (-delta_winner).sign(),
        "indicator": (delta_winner < 0).float(),
        "none": torch.ones(40),
    }[flip].detach()
    by_hand = softplus(7.0 * (delta_winner - sign * delta_other)).mean()
    assert torch.allclose(loss, by_hand, rtol=1e-3)
    assert (sign == 1).float().mean() > 0 and metrics["losers"].item() == pytest.approx((sign > 0).float().mean())
    found, expected = (torch.autograd.grad(value, [policy.weight, policy.bias]) for value in (loss, by_hand))
    assert all(torch.allclose(one, other, rtol=1e-2, atol=1e-4) for one, other in zip(found, expected, strict=True))
    assert reference.weight.grad is None


def test_deltas_of_the_anchor_in_closed_form() -> None:
    """E‖ε − x₀ − v‖² = 1 + mean (x₀ + v)², so that δ_w = mean (x₀ + v_θ)² − mean (x₀ + v_ref)²."""
    policy, reference, winners, labels = Watched(0.0, 0.4), Watched(0.0, -0.1), images(3, 1), torch.zeros(3)
    found = anchor_deltas(policy, reference, winners, labels, 4000, generator())
    expected = (winners + 0.4).square().mean(dim=1) - (winners - 0.1).square().mean(dim=1)
    error = found.std(dim=0) / 4000**0.5
    assert found.shape == (4000, 3) and bool(((found.mean(dim=0) - expected).abs() < 4 * error).all())
    assert anchor_deltas(policy, reference, winners, labels, 0, generator()).shape == (0, 3)


def test_more_draws_make_the_sign_surer() -> None:
    """The reference is the better model of every winner here: few signs of one draw say so, nearly all of 64 do."""
    policy, reference = Watched(0.0, 0.3), Watched(0.0, 0.0)
    winners, labels = torch.zeros(400, 5), torch.zeros(400)
    shares = {}
    for draws in (1, 64):
        settings = PreferenceSettings(flip="sign", sign_draws=draws)
        _, metrics = preference_loss(policy, reference, winners, winners, labels, settings, generator())
        shares[draws] = metrics["winners"].item()
    # δ of one draw is N(0.09, 4 · 0.09 / 5): the share below 0 is Φ(−0.335) = 0.37.
    assert shares[1] == pytest.approx(1 - 0.37, abs=0.08) and shares[64] > 0.98


def test_signs_that_are_dealt_out_anew_keep_their_rate() -> None:
    policy, reference = Watched(0.2, 0.0), Watched(0.0, 0.0)
    winners, others, labels = images(200, 1), images(200, 2), torch.arange(200) % 3
    told = [
        preference_loss(
            policy, reference, winners, others, labels, PreferenceSettings(flip="sign", shuffled=shuffled), generator()
        )
        for shuffled in (False, True)
    ]
    assert told[0][1]["losers"] == told[1][1]["losers"] and 0.05 < told[0][1]["losers"] < 0.95
    assert told[0][1]["winner_delta"] == told[1][1]["winner_delta"] and told[0][0] != told[1][0]


def test_pairs_are_drawn_together_and_pulled_apart() -> None:
    """One class per pair tells which winner, loser and condition belong together; the loss is Diffusion-DPO's."""
    policy = Watched(0.0, 0.0)
    labels = torch.arange(6)
    winners = 1000.0 * labels.float()[:, None].expand(6, 5)
    update = PairsUpdate(winners, -winners, labels, PreferenceSettings(batch=50, beta=1e-5))
    update.begin(policy, FlowSettings())
    ((loss, metrics),) = update.losses(policy, 1, generator())
    assert loss.item() == pytest.approx(0.6931, abs=1e-4) and metrics["losers"].item() == 1.0
    state, times, told = policy.asked[0]
    # Images are so strong that noise does not hide whose they are: x_t / (1 − t) is x₀ within t / (1 − t) of noise.
    shown = (state / (1 - times[:, None])).mean(dim=1).div(1000).round().long()
    assert torch.equal(told[:50], told[50:]) and set(told.tolist()) == set(range(6))
    assert torch.equal(shown[:50], told[:50]) and torch.equal(shown[50:], -told[50:])
    loss.backward()
    # The winner of class c lies at v = −1000 c on average, the loser at 1000 c.
    assert policy.weight.grad.item() > 0
    assert update.reference.weight.item() == 0.0 and not update.reference.weight.requires_grad


def test_refusals() -> None:
    labels = torch.arange(6)
    with pytest.raises(TrainingError, match="6 winners, 5 losers and 6 conditions"):
        PairsUpdate(images(6, 1), images(5, 2), labels)
    with pytest.raises(TrainingError, match="sign_draws=0"):
        PreferenceSettings(sign_draws=0)
    with pytest.raises(TrainingError, match="beta=0"):
        PreferenceSettings(beta=0.0)


def test_an_error_of_noise_is_one_of_velocity_times_one_minus_t_squared() -> None:
    def velocity(x: torch.Tensor, t: torch.Tensor, condition: object) -> torch.Tensor:
        return torch.zeros_like(x)

    def said(x: torch.Tensor, t: torch.Tensor, condition: object) -> torch.Tensor:
        # ε̂ = 0 there: v̂ = (ε̂ − x_t) / (1 − t).
        return -x / (1 - t[:, None])

    winners = torch.zeros(2, 3)
    labels = torch.zeros(2, dtype=torch.long)
    drawn = generator()
    levels = draw_times(2, drawn, "uniform")
    noise = torch.randn(2, 3, generator=drawn)
    found = anchor_deltas(said, velocity, winners, labels, 1, generator(), "uniform", "noise")
    # With x₀ = 0 the target is ε; the error of ε̂ = 0 is ε², and v̂ = 0 means ε̂ = x_t = t ε, an error of (1 − t)² ε².
    wanted = noise.square().mean(dim=1) * (1 - (1 - levels).square())
    assert torch.allclose(found[0], wanted, rtol=1e-4)
    with pytest.raises(TrainingError, match="choose velocity or noise"):
        PreferenceSettings(error="sample")
