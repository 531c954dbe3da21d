"""Parts of the loop for control: sums of episodes, evaluation, the penalty for leaving a reference."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from trueward.batch import Transitions
from trueward.errors import TrainingError
from trueward.policies.control import ActorCritic, Categorical, DiagonalGaussian, MultiCategorical
from trueward.rewards.control import ControlReward, StepScores, as_control_reward
from trueward.tasks.control.arrays import ArrayEnv, CartPole
from trueward.training.control import Collected, evaluate
from trueward.training.control.action_divergence import ActionDivergence, action_divergence
from trueward.training.control.episodes import EpisodeSums, joined

torch.set_num_threads(1)


def collected(
    reward: np.ndarray, terminated: np.ndarray, truncated: np.ndarray, exists: np.ndarray, source: np.ndarray
) -> Collected:
    t, n = reward.shape
    seen = np.zeros((t, n, 1))
    return Collected(
        observation=seen, action=np.zeros((t, n)), logprobs=np.zeros((t, n)), values=np.zeros((t, n, 1)),
        reward=reward, raw=2 * reward, parts={"one": reward}, environment=np.ones((t, n)), bonus=None,
        next_observation=seen, terminated=terminated, truncated=truncated, exists=exists, source=source,
        last_observation=seen[0],
    )  # fmt: skip


@given(st.integers(0, 10_000))
@settings(max_examples=60, deadline=None)
def test_episodes_are_what_a_loop_over_all_steps_finds(seed: int) -> None:
    """Over several collections, with resets in place of steps."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 4))
    sums, source = EpisodeSums(n), rng.integers(0, 2, size=n)
    expected: list[tuple[Any, ...]] = []
    running = [[0, 0.0] for _ in range(n)]
    over = np.zeros(n, dtype=bool)
    found = []
    for step in range(1, 4):
        t = int(rng.integers(1, 6))
        reward = rng.integers(-5, 6, size=(t, n)).astype(np.float64)
        terminated, truncated, exists = rng.random((3, t, n)) < 0.3
        for time in range(t):
            exists[time] = ~over
            terminated[time] &= exists[time]
            truncated[time] &= exists[time]
            reward[time] *= exists[time]
            over = terminated[time] | truncated[time]
            for row in range(n):
                running[row][0] += int(exists[time, row])
                running[row][1] += reward[time, row]
                if over[row]:
                    end = "terminated" if terminated[time, row] else "truncated"
                    expected.append((step, row, source[row], end, *running[row]))
                    running[row] = [0, 0.0]
        found.append(sums.take(collected(reward, terminated, truncated, exists, source), step))
    found.append(sums.cut(3, source))
    expected += [(3, row, source[row], "cut", *running[row]) for row in range(n) if running[row][0]]
    table = joined(found)
    columns = [table[name].tolist() for name in ("step", "row", "source", "end", "length", "optimised")]
    assert list(zip(*columns, strict=True)) == expected
    np.testing.assert_allclose(table["proxy"], 2 * table["optimised"])
    np.testing.assert_allclose(table["environment"], table["length"])
    assert len(sums.cut(4, source)["step"]) == 0


def test_tables_with_other_columns_are_joined_and_none_is_empty() -> None:
    one = {"step": np.array([1]), "gold": np.array([2.0])}
    both = joined([one, {"step": np.array([2, 3])}])
    assert both["step"].tolist() == [1, 2, 3]
    assert both["gold"][0] == 2.0 and np.isnan(both["gold"][1:]).all()
    assert {"step", "end", "length", "proxy"} <= joined([]).keys() and len(joined([])["end"]) == 0


class Lasting(ArrayEnv):
    """Environment k ends after k + 1 steps, forever so."""

    def __init__(self, count: int, ends: bool = True) -> None:
        self.ends = ends
        super().__init__(count, gymnasium.spaces.Box(0, 1, (1,)), gymnasium.spaces.Discrete(2), horizon=None)

    def begin(self, generator: np.random.Generator, count: int) -> np.ndarray:
        return np.zeros((count, 1))

    def advance(self, state: np.ndarray, action: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        after = state + 1
        over = (after[:, 0] > np.arange(len(state))) & self.ends
        return after, np.full(len(state), 3.0), over

    def observe(self, state: np.ndarray) -> np.ndarray:
        return state.astype(np.float32)


class Counts(ControlReward):
    """Pays how often it was asked in training; keeps what belongs to episodes."""

    def __init__(self) -> None:
        self.asked, self.begun = 0, 0

    @property
    def name(self) -> str:
        return "counts"

    def begin(self, count: int) -> None:
        self.begun += 1

    def score(self, transitions: Transitions, *, training: bool = True) -> StepScores:
        self.asked += training
        value = np.full(len(transitions), 1.0 + self.asked)
        return StepScores(value, value / 2, {"counts": value})


def test_every_environment_gives_as_many_episodes_and_short_ones_are_not_preferred() -> None:
    policy = ActorCritic.for_spaces(Lasting(1), (4,))
    reward = Counts()
    found = evaluate(policy, Lasting(3), reward, episodes=7, seed=0, gold=as_control_reward(None))
    assert found["length"].tolist() == [1, 1, 1, 2, 2, 2, 3, 3, 3]
    np.testing.assert_allclose(found["optimised"], found["length"])
    np.testing.assert_allclose(found["proxy"], found["length"] / 2)
    np.testing.assert_allclose(found["gold"], 3 * found["length"])
    np.testing.assert_allclose(found["environment"], found["gold"])
    assert (found["terminated"] == 1).all()
    # The reward in training neither counted these steps nor lost its episodes.
    assert (reward.asked, reward.begun) == (0, 0)


def test_resets_in_place_of_steps_are_not_counted() -> None:
    vector = gymnasium.make_vec("CartPole-v1", 2, vectorization_mode="sync")
    found = evaluate(ActorCritic.for_spaces(vector), vector, as_control_reward(None), episodes=6, seed=0)
    np.testing.assert_array_equal(found["environment"], found["length"])


def test_an_evaluation_is_the_same_every_time_and_greedy_where_asked() -> None:
    policy = ActorCritic.for_spaces(CartPole(1), (8,), seed=1)
    with torch.no_grad():
        policy.actor[-1].bias.copy_(torch.tensor([0.0, 1.0]))

    def lengths(seed: int, greedy: bool) -> list[float]:
        given: Mapping[str, Any] = {"episodes": 8, "seed": seed, "greedy": greedy}
        return evaluate(policy, CartPole(4), as_control_reward(None), **given)["length"].tolist()

    assert lengths(0, False) == lengths(0, False) != lengths(1, False)
    # Pushing to one side always, the pole falls within 8 to 11 steps.
    assert all(8 <= length <= 11 for length in lengths(0, True))
    assert max(lengths(0, False)) > 11


def test_an_environment_without_an_end_is_told() -> None:
    policy = ActorCritic.for_spaces(Lasting(1), (4,))
    with pytest.raises(TrainingError, match=r"0 of 2 episodes ended within 50 steps.*time limit"):
        evaluate(policy, Lasting(2, ends=False), as_control_reward(None), episodes=2, seed=0, most_steps=50)


HALVES = Categorical(torch.tensor([[0.5, 0.5]]).log())
UNEVEN = Categorical(torch.tensor([[0.75, 0.25]]).log())


def test_penalties_by_hand() -> None:
    policy, nothing = ActorCritic.for_spaces(CartPole(1)), torch.zeros(1, 4)
    kl = 0.75 * math.log(1.5) + 0.25 * math.log(0.5)
    for kind, expected in (("kl", kl), ("chi2", 0.25), ("sqrt_chi2", 0.5)):
        penalty = ActionDivergence(lambda observation: HALVES, weight=0.1, kind=kind, discount=0.95)  # type: ignore[arg-type]
        # 0.1 / (1 − 0.95) = 2.
        assert penalty(policy, nothing, UNEVEN).item() == pytest.approx(2 * expected, rel=1e-5)
        assert penalty(policy, nothing, HALVES).item() <= 2 * 1e-2 + 1e-6


def test_several_choices_multiply_their_squared_ratios() -> None:
    both, reference = MultiCategorical((UNEVEN, UNEVEN)), MultiCategorical((HALVES, HALVES))
    assert action_divergence(both, reference, "chi2").item() == pytest.approx(1.25**2 - 1, rel=1e-5)
    one = action_divergence(UNEVEN, HALVES).item()
    assert action_divergence(both, reference, "kl").item() == pytest.approx(2 * one, rel=1e-5)


def test_where_chi2_is_infinite_the_kl_takes_its_place_with_a_gradient() -> None:
    log_deviation = torch.tensor([[0.5], [0.0]], requires_grad=True)
    mean = torch.ones(2, 1)
    policy = DiagonalGaussian(mean, log_deviation)
    reference = DiagonalGaussian(torch.zeros(2, 1), torch.zeros(2, 1))
    found, kl = action_divergence(policy, reference, "chi2"), action_divergence(policy, reference, "kl")
    assert found[0].item() == kl[0].item()
    assert found[1].item() == pytest.approx(math.e - 1, rel=1e-5)
    found.sum().backward()
    # d KL / d log σ = σ² − 1 in the first row.
    assert log_deviation.grad is not None
    assert log_deviation.grad[0].item() == pytest.approx(math.e - 1, rel=1e-5)
    assert torch.isfinite(log_deviation.grad).all()


def test_different_kinds_of_policies_are_refused() -> None:
    with pytest.raises(TrainingError, match="one kind"):
        action_divergence(HALVES, DiagonalGaussian(torch.zeros(1, 2), torch.zeros(1, 2)))
