"""GDRO's loss: by hand on two updates, against brute force, reduced to Diffusion-DPO, and its stabiliser."""

from __future__ import annotations

import inspect
import itertools
import math

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from trueward.credit.softmax_targets import RankingTargets, softmax_targets
from trueward.objectives.flow.preference import diffusion_preference
from trueward.objectives.flow.ranking import beta_for_spread, direct_group_reward, group_ranking, implicit_reward


def drawn(groups: int, size: int, seed: int = 0) -> Tensor:
    return torch.rand(groups, size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def targets_of(rewards: Tensor, **settings: object) -> RankingTargets:
    return softmax_targets(rewards.numpy(), np.random.default_rng(0), **settings)


def tensors_of(targets: RankingTargets) -> tuple[Tensor, Tensor, int]:
    return torch.from_numpy(targets.order), torch.from_numpy(targets.mass), targets.choices


def test_implied_rewards_by_hand() -> None:
    scores = implicit_reward(torch.tensor([0.4, 0.7]), torch.tensor([0.5, 0.5]), beta=10.0)
    assert scores.tolist() == pytest.approx([1.0, -2.0])
    halves = torch.tensor([0.4, 0.7]).bfloat16()
    assert implicit_reward(halves, halves, beta=1.0).dtype == torch.float32


def test_two_members_by_hand() -> None:
    """Rewards (0.2, 0.5), τ = 0.3: the better one is wanted with σ(1). Scores (1, −1): −log σ(∓2)."""
    targets = targets_of(torch.tensor([[0.2, 0.5]], dtype=torch.float64), temperature=0.3)
    loss, metrics = group_ranking(torch.tensor([[1.0, -1.0]]), *tensors_of(targets))
    wanted = 1 / (1 + math.exp(-1))
    by_hand = wanted * math.log(1 + math.exp(2)) + (1 - wanted) * math.log(1 + math.exp(-2))
    assert loss.item() == pytest.approx(by_hand, rel=1e-6)
    assert metrics["first_right"].item() == 0.0
    assert metrics["spread"].item() == pytest.approx(1.0) and metrics["gap"].item() == pytest.approx(-2.0)


def test_cross_entropy_choice_by_choice() -> None:
    """Plackett–Luce and its first choice, group by group and choice by choice, with torch's own cross-entropy."""
    rewards, scores = drawn(5, 4, 1), 4 * drawn(5, 4, 2) - 2
    for kind, choices in (("pl", 3), ("top1", 1)):
        expected = []
        for reward, score in zip(rewards, scores, strict=True):
            order = reward.argsort(descending=True)
            expected.append(
                sum(
                    cross_entropy(score[order[i:]], torch.softmax(reward[order[i:]] / 0.2, dim=0))
                    for i in range(choices)
                )
            )
        loss, _ = group_ranking(scores, *tensors_of(targets_of(rewards, temperature=0.2, kind=kind)))
        assert loss.item() == pytest.approx(torch.stack(expected).mean().item(), rel=1e-12)


def test_hard_targets_are_the_likelihood_of_a_ranking() -> None:
    """exp(−loss) of every possible ranking of four members: together they make 1."""
    scores = torch.tensor([[0.3, -1.0, 0.8, 0.1]], dtype=torch.float64)
    total = 0.0
    for ranks in itertools.permutations(range(4)):
        targets = targets_of(torch.tensor([ranks], dtype=torch.float64), kind="rank")
        total += math.exp(-group_ranking(scores, *tensors_of(targets))[0].item())
    assert total == pytest.approx(1.0)


@pytest.mark.parametrize("kind", ["pl", "top1"])
def test_it_is_least_where_scores_are_rewards_over_temperature(kind: str) -> None:
    rewards = drawn(6, 5, 3)
    scores = (rewards / 0.3 + drawn(6, 1, 4)).requires_grad_()
    loss, _ = group_ranking(scores, *tensors_of(targets_of(rewards, temperature=0.3, kind=kind)))
    assert torch.autograd.grad(loss, scores)[0].abs().max() < 1e-12


def test_pairs_are_diffusion_dpo() -> None:
    """k = 2, τ → 0, γ = 0: value and gradient are those of the preference loss with denoising errors."""
    errors, ref_errors, rewards = drawn(7, 2, 5), drawn(7, 2, 6), drawn(7, 2, 7)
    mine, theirs = errors.clone().requires_grad_(), errors.clone().requires_grad_()
    targets = tensors_of(targets_of(rewards, kind="rank"))
    loss, metrics = direct_group_reward(mine, ref_errors, *targets, beta=8.0, stabiliser=0.0)
    own, reference = theirs.gather(1, targets[0]), ref_errors.gather(1, targets[0])
    expected, told = diffusion_preference(own[:, 0], own[:, 1], reference[:, 0], reference[:, 1], beta=8.0)
    assert torch.allclose(loss, expected, rtol=1e-14)
    assert torch.allclose(torch.autograd.grad(loss, mine)[0], torch.autograd.grad(expected, theirs)[0], rtol=1e-12)
    assert metrics["gap"].item() == pytest.approx(told["gap_mean"].item())
    assert metrics["first_right"].item() == pytest.approx(told["accuracy"].item())
    assert metrics["best_delta"].item() == pytest.approx(told["winner_delta"].item())
    assert metrics["worst_delta"].item() == pytest.approx(told["other_delta"].item())


def two_updates(stabiliser: float) -> list[float]:
    """One number θ predicts v. Best at v = 1, other at v = 3, reference at 0, θ starts at 2; β = 1/2, rate 1/4."""
    theta, seen = torch.tensor(2.0, dtype=torch.float64, requires_grad=True), []
    target, rewards = torch.tensor([[3.0, 1.0]], dtype=torch.float64), torch.tensor([[0.0, 1.0]], dtype=torch.float64)
    targets = tensors_of(targets_of(rewards, kind="rank"))
    for _ in range(2):
        error, ref_error = (target - theta).square(), target.square()
        loss, _ = direct_group_reward(error, ref_error, *targets, beta=0.5, stabiliser=stabiliser)
        (gradient,) = torch.autograd.grad(loss, theta)
        with torch.no_grad():
            theta -= 0.25 * gradient
        seen.append(theta.item())
    return seen


def test_two_updates_by_hand() -> None:
    """s = −½((v − θ)² − v²), so s_1 − s_2 = −2θ and l = log(1 + e^{2θ}) + γ(1 − θ)², l' = 2σ(2θ) + 2γ(θ − 1)."""
    for stabiliser in (0.0, 0.5):
        theta, expected = 2.0, []
        for _ in range(2):
            theta -= 0.25 * (2 / (1 + math.exp(-2 * theta)) + 2 * stabiliser * (theta - 1))
            expected.append(theta)
        assert two_updates(stabiliser) == pytest.approx(expected, rel=1e-12)


def test_the_stabiliser_keeps_the_best_likely() -> None:
    """Best at 0, other at 3, reference at 0: to lose less on the best than on the other θ runs to −∞, unless held."""
    ends = {}
    for stabiliser in (0.0, 0.5):
        theta = torch.zeros((), dtype=torch.float64, requires_grad=True)
        targets = tensors_of(targets_of(torch.tensor([[1.0, 0.0]], dtype=torch.float64), kind="rank"))
        for _ in range(300):
            target = torch.tensor([[0.0, 3.0]], dtype=torch.float64)
            error = (target - theta).square()
            loss, metrics = direct_group_reward(error, target.square(), *targets, beta=1.0, stabiliser=stabiliser)
            (gradient,) = torch.autograd.grad(loss, theta)
            with torch.no_grad():
                theta -= 0.05 * gradient
        ends[stabiliser] = metrics["best_delta"].item()
    assert ends[0.0] > 0.5 > 0.25 > ends[0.5] > 0.0


def test_the_stabiliser_looks_at_the_best_alone() -> None:
    error = torch.tensor([[0.5, 0.25, 0.75]], requires_grad=True)
    targets = tensors_of(targets_of(torch.tensor([[0.1, 0.9, 0.3]], dtype=torch.float64)))
    with_it, metrics = direct_group_reward(error, torch.ones(1, 3), *targets, beta=1e-12, stabiliser=2.0)
    assert metrics["best_error"].item() == 0.25
    assert torch.autograd.grad(with_it, error)[0].tolist()[0] == pytest.approx([0.0, 2.0, 0.0], abs=1e-9)


def test_groups_without_weight_say_nothing_whatever_they_hold() -> None:
    errors, ref_errors, rewards = drawn(3, 4, 8), drawn(3, 4, 9), drawn(3, 4, 10)
    lost = errors.clone()
    lost[1] = math.nan
    lost.requires_grad_()
    targets, weight = targets_of(rewards), torch.tensor([1.0, 0.0, 1.0])
    order, mass, choices = tensors_of(targets)
    loss, metrics = direct_group_reward(
        lost, ref_errors, order, mass, choices, beta=5.0, weight=weight, stabilised=weight
    )
    kept = torch.tensor([0, 2])
    alone, _ = direct_group_reward(errors[kept], ref_errors[kept], order[kept], mass[kept], choices, beta=5.0)
    assert torch.allclose(loss, alone) and all(torch.isfinite(value) for value in metrics.values())
    gradient = torch.autograd.grad(loss, lost)[0]
    assert torch.isfinite(gradient).all() and gradient[1].tolist() == [0.0] * 4
    nothing, _ = direct_group_reward(lost, ref_errors, order, mass, choices, beta=5.0,
                                     weight=torch.zeros(3), stabilised=torch.zeros(3))  # fmt: skip
    assert nothing.item() == 0.0 and torch.autograd.grad(nothing, lost)[0].abs().sum() == 0.0


def test_no_gradient_reaches_the_reference_and_a_shift_of_a_group_changes_nothing() -> None:
    errors, ref_errors = drawn(4, 3, 11), drawn(4, 3, 12).requires_grad_()
    targets = tensors_of(targets_of(drawn(4, 3, 13)))
    error = errors.clone().requires_grad_()
    loss, _ = direct_group_reward(error, ref_errors, *targets, beta=3.0)
    loss.backward()
    assert ref_errors.grad is None
    shifted, _ = group_ranking(-3.0 * (errors - ref_errors.detach()) + drawn(4, 1, 14), *targets)
    plain, _ = group_ranking(-3.0 * (errors - ref_errors.detach()), *targets)
    assert torch.allclose(shifted, plain)


def test_large_scores_stay_finite() -> None:
    scores = torch.tensor([[300.0, -300.0, 0.0]], requires_grad=True)
    loss, _ = group_ranking(scores, *tensors_of(targets_of(torch.tensor([[0.0, 1.0, 0.5]], dtype=torch.float64))))
    assert torch.isfinite(loss) and torch.isfinite(torch.autograd.grad(loss, scores)[0]).all()


def test_beta_follows_the_spread() -> None:
    assert beta_for_spread(12.0, 0.05) == pytest.approx(240.0)
    assert beta_for_spread(12.0, 3.0, wanted=0.5) == pytest.approx(2.0)
    with pytest.raises(ValueError, match="train a few steps"):
        beta_for_spread(12.0, 0.0)


def test_what_is_refused() -> None:
    targets = tensors_of(targets_of(drawn(2, 3)))
    with pytest.raises(ValueError, match="choices=3 among groups of 3"):
        group_ranking(torch.zeros(2, 3), *targets[:2], 3)
    with pytest.raises(ValueError, match=r"beta=0\.0"):
        direct_group_reward(torch.zeros(2, 3), torch.zeros(2, 3), *targets, beta=0.0)
    with pytest.raises(ValueError, match=r"stabiliser=-1\.0"):
        direct_group_reward(torch.zeros(2, 3), torch.zeros(2, 3), *targets, beta=1.0, stabiliser=-1.0)


@pytest.mark.parametrize("function", [implicit_reward, group_ranking, direct_group_reward, beta_for_spread])
def test_every_argument_is_documented(function: object) -> None:
    documented = inspect.getdoc(function)
    assert all(name in documented for name in inspect.signature(function).parameters)
