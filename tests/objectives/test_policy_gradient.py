"""The clipped surrogate by hand and reduced to what it must equal."""

from __future__ import annotations

import inspect
import math

import pytest
import torch
from torch import Tensor

from trueward.objectives.aggregation import decision_weight
from trueward.objectives.policy_gradient import clipped_surrogate, reinforce

ONE = torch.ones(1, 1).bool()


def at(ratio: float, advantage: float, **settings: float) -> tuple[float, float, dict[str, float]]:
    """Loss, d loss / d log π, and metrics of one decision with that ratio."""
    logprob = torch.tensor([[math.log(ratio)]], dtype=torch.float64, requires_grad=True)
    advantages = torch.tensor([advantage], dtype=torch.float64)
    loss, metrics = clipped_surrogate(logprob, torch.zeros(1, 1, dtype=torch.float64), advantages, ONE, **settings)
    (slope,) = torch.autograd.grad(loss, logprob)
    return loss.item(), slope.item(), {name: number.item() for name, number in metrics.items()}


@pytest.mark.parametrize(
    ("ratio", "advantage", "loss", "slope"),
    [
        (1.1, 2.0, -2.2, -2.2),  # inside
        (1.5, 2.0, -2.6, 0.0),  # held at 1 + high
        (0.5, 2.0, -1.0, -1.0),  # far below, but worth coming back
        (0.5, -2.0, 1.8, 0.0),  # held at 1 − low
        (1.5, -2.0, 3.0, 3.0),  # far above and bad: never held without dual clip
        (9.0, -2.0, 18.0, 18.0),
        (1.5, 0.0, 0.0, 0.0),
    ],
)
def test_by_hand(ratio: float, advantage: float, loss: float, slope: float) -> None:
    found = at(ratio, advantage, low=0.1, high=0.3)
    assert found[:2] == pytest.approx((loss, slope))


def test_dual_clip_by_hand() -> None:
    assert at(9.0, -2.0, dual=3.0)[:2] == pytest.approx((6.0, 0.0))
    assert at(2.0, -2.0, dual=3.0)[:2] == pytest.approx((4.0, 4.0))
    assert at(9.0, 2.0, dual=3.0)[:2] == pytest.approx((-2.4, 0.0))


def test_metrics_by_hand() -> None:
    ratios = torch.tensor([[0.7, 0.5, 4.0, 0.1], [1.5, 1.6, 1.0, 77.0]])
    mask = torch.tensor([[1, 1, 1, 1], [1, 1, 1, 0]]).bool()
    advantages = torch.tensor([-1.0, 1.0])
    _, found = clipped_surrogate(ratios.log(), torch.zeros(2, 4), advantages, mask, dual=3.0)
    assert found["clip_share_low"].item() == pytest.approx(3 / 7)  # row 0: .7, .5, .1
    assert found["clip_share_high"].item() == pytest.approx(2 / 7)  # row 1: 1.5, 1.6
    assert found["clip_share_dual"].item() == pytest.approx(1 / 7)  # row 0: 4
    assert found["ratio_mean"].item() == pytest.approx(9.4 / 7)
    assert found["ratio_max"].item() == pytest.approx(4.0)
    assert found["decisions"].item() == 7
    by_hand = sum(r - 1 - math.log(r) for r in (0.7, 0.5, 4.0, 0.1, 1.5, 1.6, 1.0)) / 7
    assert found["approx_kl"].item() == pytest.approx(by_hand, rel=1e-5)


def drawn(n: int = 5, t: int = 6, spread: float = 0.5) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    seed = torch.Generator().manual_seed(3)
    old = -torch.rand(n, t, generator=seed, dtype=torch.float64) - 0.1
    new = old + spread * torch.randn(n, t, generator=seed, dtype=torch.float64)
    mask = torch.arange(t) < torch.tensor([[6], [3], [1], [5], [4]])
    return new.requires_grad_(), old, torch.randn(n, generator=seed, dtype=torch.float64), mask


def slope(loss: Tensor, of: Tensor) -> Tensor:
    return torch.autograd.grad(loss, of)[0]


@pytest.mark.parametrize("ratio", ["token", "sequence"])
def test_at_ratio_one_the_gradient_is_that_of_reinforce(ratio: str) -> None:
    new, _, advantages, mask = drawn()
    weight = decision_weight(mask, "sequence")
    surrogate, metrics = clipped_surrogate(new, new.detach(), advantages, mask, weight, ratio=ratio)  # type: ignore[arg-type]
    assert torch.allclose(slope(surrogate, new), slope(reinforce(new, advantages, mask, weight)[0], new))
    assert metrics["clip_share_low"] == metrics["clip_share_high"] == metrics["approx_kl"] == 0


def test_without_bounds_it_is_importance_sampling() -> None:
    new, old, advantages, mask = drawn(spread=2.0)
    free, metrics = clipped_surrogate(new, old, advantages, mask, low=math.inf, high=math.inf)
    plain = -((new - old).exp() * advantages[:, None])[mask].mean()
    assert torch.allclose(free, plain)
    assert torch.allclose(slope(free, new), slope(plain, new))
    assert metrics["clip_share_low"] == metrics["clip_share_high"] == 0
    assert not torch.allclose(clipped_surrogate(new, old, advantages, mask)[0], plain)


def test_a_dual_bound_that_is_never_reached_changes_nothing() -> None:
    new, old, advantages, mask = drawn()
    one, other = (clipped_surrogate(new, old, advantages, mask, dual=dual)[0] for dual in (None, 1e6))
    assert torch.equal(one, other)


def test_sequences_of_one_token_are_tokens() -> None:
    new, old, advantages, _ = drawn()
    first = torch.arange(6).expand(5, 6) == 2
    by_token = clipped_surrogate(new, old, advantages, first)[0]
    by_sequence = clipped_surrogate(new, old, advantages, first, ratio="sequence")[0]
    assert torch.allclose(by_token, by_sequence)
    assert torch.allclose(slope(by_token, new), slope(by_sequence, new))


def test_the_ratio_of_a_sequence_is_the_geometric_mean_by_hand() -> None:
    new = torch.tensor([[1.2, 1.0, 0.0]]).log().clamp(min=-50)
    mask = torch.tensor([[True, True, False]])
    loss, metrics = clipped_surrogate(new, torch.zeros(1, 3), torch.tensor([2.0]), mask, ratio="sequence")
    assert loss.item() == pytest.approx(-2 * math.sqrt(1.2))
    assert metrics["ratio_mean"].item() == pytest.approx(math.sqrt(1.2))


def test_sequence_gradients_are_those_of_the_geometric_mean() -> None:
    """GSPO Eq. 5, differentiated as it stands, against the form that also takes advantages per token."""
    new, old, advantages, mask = drawn()
    weight = decision_weight(mask, "sequence")
    mine, _ = clipped_surrogate(new, old, advantages, mask, weight, ratio="sequence")
    counts = mask.sum(1)
    s = (torch.where(mask, new - old, 0).sum(1) / counts).exp()
    theirs = -torch.minimum(s * advantages, s.clamp(0.8, 1.2) * advantages).mean()
    assert torch.allclose(mine, theirs)
    assert torch.allclose(slope(mine, new), slope(theirs, new), atol=1e-9)


def test_one_advantage_per_row_is_the_same_one_at_every_decision() -> None:
    new, old, advantages, mask = drawn()
    spread = advantages[:, None].expand(5, 6)
    assert torch.equal(clipped_surrogate(new, old, advantages, mask)[0], clipped_surrogate(new, old, spread, mask)[0])
    assert torch.equal(reinforce(new, advantages, mask)[0], reinforce(new, spread, mask)[0])


def test_a_zero_advantage_still_counts_in_the_denominator() -> None:
    """Four decisions, two of them of a row that credit set to zero: half of what the other row alone would give."""
    new = torch.zeros(2, 2, requires_grad=True)
    mask = torch.ones(2, 2).bool()
    both, _ = clipped_surrogate(new, torch.zeros(2, 2), torch.tensor([1.0, 0.0]), mask)
    alone, _ = clipped_surrogate(new[:1], torch.zeros(1, 2), torch.tensor([1.0]), mask[:1])
    assert both.item() == pytest.approx(-0.5)
    assert alone.item() == pytest.approx(-1.0)
    assert slope(both, new).tolist() == [[-0.25, -0.25], [0.0, 0.0]]


def test_sources_with_settings_of_their_own_add_up() -> None:
    new, old, advantages, mask = drawn()
    weight = decision_weight(mask, "sequence")
    source = torch.tensor([0, 1, 0, 1, 0])
    whole = clipped_surrogate(new, old, advantages, mask, weight)[0]
    parts = [clipped_surrogate(new, old, advantages, mask & (source == s)[:, None], weight)[0] for s in (0, 1)]
    assert torch.allclose(parts[0] + parts[1], whole)


def test_nothing_flows_into_the_sampler_and_the_advantage() -> None:
    new, old, advantages, mask = drawn()
    old, advantages = old.requires_grad_(), advantages.requires_grad_()
    loss, _ = clipped_surrogate(new, old, advantages, mask)
    found = torch.autograd.grad(loss, [new, old, advantages], allow_unused=True)
    assert found[0].abs().sum() > 0 and found[1] is None and found[2] is None


def test_a_probability_of_zero_at_padding_is_harmless() -> None:
    new = torch.tensor([[0.0, -math.inf]], requires_grad=True)
    loss, _ = clipped_surrogate(new, torch.tensor([[0.0, -math.inf]]), torch.ones(1), torch.tensor([[True, False]]))
    assert slope(loss, new).tolist() == [[-1.0, 0.0]]


def test_refusals() -> None:
    new, old, advantages, mask = drawn()
    for settings in ({"low": -0.1}, {"high": float("nan")}):
        with pytest.raises(ValueError, match="at least 0"):
            clipped_surrogate(new, old, advantages, mask, **settings)
    with pytest.raises(ValueError, match="above 1"):
        clipped_surrogate(new, old, advantages, mask, dual=1.0)
    with pytest.raises(ValueError, match="choose token or sequence"):
        inspect.unwrap(clipped_surrogate)(new, old, advantages, mask, ratio="group")
