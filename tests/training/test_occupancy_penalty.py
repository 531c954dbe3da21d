"""A learned price on going elsewhere: by hand, against exact ratios, at the ends of episodes, and its controls."""

from __future__ import annotations

import copy
import dataclasses
import math

import numpy as np
import pytest
import torch
from gymnasium import spaces

from trueward.batch import Context
from trueward.errors import TrainingError
from trueward.rewards.models.density_ratio import DensityRatio
from trueward.training.control.collected import Collected
from trueward.training.control.occupancy_penalty import OccupancyPenalty, PenaltyKind, occupancy_terms, trimmed_mean
from trueward.training.density_ratio import RatioSettings, Steps, fit_density_ratio

STATES, ACTIONS = 6, 3


def _one_hot(states: np.ndarray) -> np.ndarray:
    return np.eye(STATES, dtype=np.float32)[states]


def _steps(seed: int, mu: np.ndarray, count: int) -> Steps:
    drawn = np.random.default_rng(seed).choice(mu.size, count, p=mu.ravel())
    return Steps(_one_hot(drawn // ACTIONS), drawn % ACTIONS)


def _occupancies() -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    return tuple(generator.dirichlet(np.full(STATES * ACTIONS, 3.0)).reshape(STATES, ACTIONS) for _ in range(2))  # type: ignore[return-value]


def _ratio(actions: bool = True, **given: object) -> DensityRatio:
    space = spaces.Discrete(ACTIONS) if actions else None
    return DensityRatio((STATES,), space, (64, 64), seed=1, **given)  # type: ignore[arg-type]


@pytest.mark.parametrize("actions", [True, False])
def test_the_classifier_finds_the_ratio(actions: bool) -> None:
    mu, nu = _occupancies()
    ratio = _ratio(actions)
    optimizer = torch.optim.Adam(ratio.parameters(), lr=3e-3)
    told = fit_density_ratio(
        ratio, optimizer, _steps(1, mu, 20000), _steps(2, nu, 20000), RatioSettings(epochs=4), np.random.default_rng(0)
    )
    assert told["accuracy"] > 0.55
    states, choices = np.divmod(np.arange(STATES * ACTIONS), ACTIONS)
    found = ratio.log_ratio(_one_hot(states), choices if actions else None)
    exact = np.log(mu / nu).ravel() if actions else np.log(mu.sum(1) / nu.sum(1))[states]
    assert np.abs(found - exact).mean() < 0.12
    assert np.corrcoef(found, exact)[0, 1] > 0.95


def test_the_cap_holds_where_the_policies_share_nothing() -> None:
    apart = [Steps(_one_hot(np.full(500, state)), np.zeros(500, dtype=int)) for state in (0, 1)]
    ratio = _ratio(cap=2.0)
    fit_density_ratio(
        ratio,
        torch.optim.Adam(ratio.parameters(), lr=1e-2),
        *apart,
        RatioSettings(epochs=100),
        np.random.default_rng(0),
    )
    assert 1.5 < ratio.log_ratio(apart[0].observation, apart[0].action)[0] <= 2.0
    smooth = _ratio(cap=None)
    fit_density_ratio(
        smooth,
        torch.optim.Adam(smooth.parameters(), lr=1e-2),
        *apart,
        RatioSettings(epochs=100, smoothing=0.1),
        np.random.default_rng(0),
    )
    assert smooth.log_ratio(apart[0].observation, apart[0].action)[0] == pytest.approx(math.log(9), abs=0.1)


def test_boxes_and_several_choices_are_read() -> None:
    box = DensityRatio((2,), spaces.Box(-1, 1, (3,)), (8,))
    assert box.joined(torch.zeros(4, 2), torch.ones(4, 3)).tolist() == [[0, 0, 1, 1, 1]] * 4
    several = DensityRatio((1,), spaces.MultiDiscrete([2, 3]), (8,))
    assert several.joined(torch.zeros(1, 1), torch.tensor([[1, 2]])).tolist() == [[0, 0, 1, 0, 0, 1]]
    with pytest.raises(ValueError, match="reads actions"):
        box.joined(torch.zeros(4, 2))


def test_terms_by_hand() -> None:
    d = np.log(np.array([2.0, 4.0, 0.5, 1.0]))
    # x = 1, 3, −.5, 0 with mean .875
    assert occupancy_terms(d, "chi2").values == pytest.approx([1, 3, -0.5, 0])
    root = occupancy_terms(d, "sqrt_chi2")
    assert (root.divergence, root.divisor) == pytest.approx((0.875, math.sqrt(0.875)))
    assert root.values == pytest.approx(np.array([1, 3, -0.5, 0]) / math.sqrt(0.875))
    assert occupancy_terms(d, "kl").values == pytest.approx(d)
    assert occupancy_terms(d, "tv").values.tolist() == [1, 1, -1, 0]
    assert occupancy_terms(-np.abs(d) - 1, "sqrt_chi2").divisor == 1.0
    assert occupancy_terms(np.full(3, 1e-9), "sqrt_chi2").divisor == pytest.approx(1e-2)


def test_the_trim_of_few_values_is_nothing_and_not_everything() -> None:
    values = np.arange(50.0)
    assert trimmed_mean(values, 0.01) == pytest.approx(24.5)
    heavy = np.concatenate([np.zeros(198), [1e9, 1e9]])
    assert trimmed_mean(heavy, 0.01) == 0.0
    assert math.isnan(trimmed_mean(np.zeros(0), 0.01))


def test_what_is_not_finite_is_charged_nothing_and_counted() -> None:
    terms = occupancy_terms(np.array([0.0, math.log(2), 1000.0, math.nan]), "chi2")
    assert terms.values.tolist() == pytest.approx([0, 1, 0, 0])
    assert (terms.lost, terms.divergence) == (2, pytest.approx(0.5))


def _collected(
    own: np.ndarray, other: np.ndarray, reward: np.ndarray, terminated: np.ndarray | None = None
) -> Collected:
    """States of the policy's and of the reference's environments, [T, N] each; actions all 0."""
    states = np.concatenate([own, other], axis=1)
    steps, count = states.shape
    nothing = np.zeros((steps, count))
    return Collected(
        observation=_one_hot(states),
        action=np.zeros((steps, count), dtype=np.int64),
        logprobs=nothing,
        values=nothing[..., None],
        reward=reward.copy(),
        raw=reward,
        parts={},
        environment=reward,
        bonus=None,
        next_observation=_one_hot(states),
        terminated=np.zeros((steps, count), dtype=bool) if terminated is None else terminated,
        truncated=np.zeros((steps, count), dtype=bool),
        exists=np.ones((steps, count), dtype=bool),
        source=np.repeat([0, 1], [own.shape[1], other.shape[1]]),
        last_observation=_one_hot(states[-1]),
    )


def _drawn(seed: int = 0, terminated: np.ndarray | None = None) -> Collected:
    """The policy is in state 0 with probability .6, the reference with .2; state 1 the other way round; 2 the same."""
    generator = np.random.default_rng(seed)
    own = generator.choice(3, (64, 64), p=[0.6, 0.2, 0.2])
    other = generator.choice(3, (64, 64), p=[0.2, 0.6, 0.2])
    return _collected(own, other, generator.normal(1.0, 2.0, (64, 128)), terminated)


def _after(
    hook: OccupancyPenalty, rounds: int = 8, terminated: np.ndarray | None = None
) -> tuple[Collected, Collected]:
    for step in range(rounds):
        before = _drawn(step, terminated)
        after = hook.after_collecting(before, Context(step=step))
    return before, after


def _charges(before: Collected, after: Collected) -> list[float]:
    charge = (after.reward - before.reward)[before.learns]
    state = before.observation[before.learns].argmax(axis=1)
    return [float(charge[state == number].mean()) for number in range(3)]


def test_charges_are_those_of_the_exact_ratio() -> None:
    hook = OccupancyPenalty(_ratio(), 0.5, "chi2", discount=0.9, learning_rate=3e-3)
    before, after = _after(hook)
    # −c σ (ρ − 1) with σ = 2: ρ is 3, 1/3 and 1.
    assert _charges(before, after) == pytest.approx([-2.0, 2 / 3, 0.0], abs=0.25)
    assert hook.weight == pytest.approx(1.0, abs=0.05)
    assert (after.reward == before.reward)[:, 64:].all()
    assert after.parts["occupancy penalty"] == pytest.approx(after.reward - before.reward)
    told = hook.after_update(after, Context())
    # χ² = .6·2 + .2·(−2/3) = 1.07
    assert told["divergence"] == pytest.approx(1.07, abs=0.2)
    assert told["lost"] == 0 and told["ratio/accuracy"] > 0.65


def test_the_root_divides_by_the_root() -> None:
    before, after = _after(OccupancyPenalty(_ratio(), 0.5, "sqrt_chi2", learning_rate=3e-3))
    assert _charges(before, after) == pytest.approx([-2.0 / 1.033, 0.645, 0.0], abs=0.25)


@pytest.mark.parametrize("kind", ["kl", "tv", "wasserstein"])
def test_other_kinds_charge_for_being_where_the_reference_is_not(kind: PenaltyKind) -> None:
    loss = {"kl": "logistic", "tv": "variation", "wasserstein": "wasserstein"}[kind]
    cap = None if kind == "wasserstein" else 8.0
    hook = OccupancyPenalty(
        _ratio(cap=cap),
        0.5,
        kind,
        settings=RatioSettings(loss=loss),
        learning_rate=3e-3,  # type: ignore[arg-type]
    )
    charges = _charges(*_after(hook))
    assert charges[0] < charges[1] - 1e-6


def test_shuffled_labels_charge_nothing_in_particular() -> None:
    charges = _charges(*_after(OccupancyPenalty(_ratio(), 0.5, "chi2", learning_rate=3e-3, shuffled=True)))
    assert max(abs(charge) for charge in charges) < 0.35


def test_the_clip_is_counted() -> None:
    hook = OccupancyPenalty(_ratio(), 0.5, "chi2", learning_rate=3e-3, clip=0.5)
    before, after = _after(hook)
    assert np.abs(after.reward - before.reward).max() == pytest.approx(0.5 * 2.0, rel=0.1)
    assert hook.after_update(after, Context())["clipped"] > 0.5


def _ending(own: float, other: float) -> np.ndarray:
    generator = np.random.default_rng(5)
    return np.concatenate([generator.random((64, 64)) < own, generator.random((64, 64)) < other], axis=1)


def test_ends_as_often_as_the_reference_cost_nothing() -> None:
    hook = OccupancyPenalty(_ratio(), 0.5, "chi2", discount=0.9, learning_rate=3e-3)
    before, after = _after(hook, terminated=_ending(0.1, 0.1))
    ends = before.terminated & before.learns
    apart = (after.reward - before.reward)[ends].mean() - (after.reward - before.reward)[before.learns & ~ends].mean()
    assert abs(apart) < 1.5
    assert _charges(before, after) == pytest.approx([-2.0, 2 / 3, 0.0], abs=0.7)


def test_not_ending_does_not_pay_for_itself() -> None:
    """The policy never ends, the reference does: time that the reference spends after its end lowers its share here."""
    hook = OccupancyPenalty(_ratio(), 0.5, "chi2", discount=0.9, learning_rate=3e-3)
    before, after = _after(hook, terminated=_ending(0.0, 0.2))
    # κ_ref = 9 · .2 = 1.8: every ratio within the episode is 2.8 times that of the steps.
    assert _charges(before, after) == pytest.approx([-(3 * 2.8 - 1), -(2.8 / 3 - 1), -1.8], abs=1.0)


def test_ending_more_often_is_charged_on_the_step_that_ends() -> None:
    hook = OccupancyPenalty(_ratio(), 0.5, "chi2", discount=0.9, learning_rate=3e-3)
    before, after = _after(hook, terminated=_ending(0.2, 0.05))
    charge = after.reward - before.reward
    ends = before.terminated & before.learns
    # κ = 1.8 against .45: ρ = (1.8 / .45)(1.45 / 2.8) = 2.07, for 9 steps' worth of time.
    apart = charge[ends].mean() - charge[before.learns & ~ends].mean()
    assert apart == pytest.approx(-9 * 1.07, rel=0.35)


def test_a_log_serves_as_reference() -> None:
    before = _drawn()
    log = Steps(before.observation[:, 64:].reshape(-1, STATES), before.action[:, 64:].ravel())
    own = dataclasses.replace(before, source=np.zeros(128, dtype=np.int64))
    hook = OccupancyPenalty(_ratio(), 0.5, "chi2", deviation=2.0, logged=log, learning_rate=3e-3)
    assert hook.after_collecting(own, Context()).reward.shape == own.reward.shape
    with pytest.raises(TrainingError, match="deviation"):
        OccupancyPenalty(_ratio(), 0.5, logged=log)


def test_says_what_is_missing() -> None:
    own = dataclasses.replace(_drawn(), source=np.zeros(128, dtype=np.int64))
    with pytest.raises(TrainingError, match="steps of both policies"):
        OccupancyPenalty(_ratio(), 0.5).after_collecting(own, Context())
    with pytest.raises(TrainingError, match="with its loss"):
        OccupancyPenalty(_ratio(), 0.5, "tv")
    with pytest.raises(TrainingError, match="coefficient"):
        OccupancyPenalty(_ratio(), -0.5)


def test_goes_on_from_its_state() -> None:
    hook, other = (OccupancyPenalty(_ratio(), 0.5, learning_rate=3e-3) for _ in range(2))
    _after(hook, 2)
    other.load_state_dict(hook.state_dict())
    for name, network in hook.modules().items():
        other.modules()[name].load_state_dict(network.state_dict())
    other.optimizer.load_state_dict(copy.deepcopy(hook.optimizer.state_dict()))
    before = _drawn(9)
    one, two = (h.after_collecting(before, Context(step=9)).reward for h in (hook, other))
    assert (one == two).all()
