"""Policies of control: distributions against torch's own, draws, spaces, the scale of observations."""

from __future__ import annotations

import math
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces
from torch.distributions import Categorical as TorchCategorical
from torch.distributions import Normal

from trueward.errors import TrainingError
from trueward.policies.control import ActorCritic, Categorical, DiagonalGaussian, MultiCategorical, ObservationScale
from trueward.policies.control.spaces import executed

torch.set_num_threads(1)
LOGITS = torch.tensor([[0.0, math.log(3.0)], [2.0, 2.0], [-1.0, 5.0]])


def test_categorical_by_hand_and_against_torch() -> None:
    ours, theirs = Categorical.from_logits(LOGITS), TorchCategorical(logits=LOGITS)
    assert ours.log_prob(torch.tensor([1, 0, 1]))[0].exp() == pytest.approx(0.75)
    assert ours.entropy()[1] == pytest.approx(math.log(2.0))
    action = torch.tensor([0, 1, 1])
    torch.testing.assert_close(ours.log_prob(action), theirs.log_prob(action))
    torch.testing.assert_close(ours.entropy(), theirs.entropy())
    assert ours.mode().tolist() == [1, 0, 1]


def test_a_choice_that_is_ruled_out_is_never_drawn_and_has_no_gradient() -> None:
    logits = torch.tensor([[0.0, -torch.inf, 0.0]] * 2000, requires_grad=True)
    ours = Categorical.from_logits(logits)
    drawn = ours.sample(np.random.default_rng(0))
    assert set(drawn.tolist()) == {0, 2}
    assert ours.entropy()[0].item() == pytest.approx(math.log(2.0))
    ours.entropy().sum().backward()
    assert logits.grad is not None and torch.isfinite(logits.grad).all()


def test_draws_have_the_probabilities_that_they_are_given() -> None:
    count = 40_000
    probabilities = torch.tensor([0.1, 0.2, 0.3, 0.4])
    drawn = Categorical(probabilities.log().expand(count, 4)).sample(np.random.default_rng(1)).numpy()
    expected = count * probabilities.numpy()
    chi2 = float((((np.bincount(drawn, minlength=4) - expected) ** 2) / expected).sum())
    assert chi2 < 16.3  # the 0.1 % point of χ² with 3 degrees of freedom
    normal = DiagonalGaussian(torch.full((count, 1), 3.0), torch.full((count, 1), math.log(0.5)))
    drawn = normal.sample(np.random.default_rng(2)).numpy()
    assert drawn.mean() == pytest.approx(3.0, abs=4 * 0.5 / math.sqrt(count))
    assert drawn.std() == pytest.approx(0.5, abs=4 * 0.5 / math.sqrt(2 * count))


def test_gaussian_by_hand_and_against_torch() -> None:
    standard = DiagonalGaussian(torch.zeros(1, 2), torch.zeros(1, 2))
    assert standard.log_prob(torch.zeros(1, 2))[0] == pytest.approx(-math.log(2 * math.pi))
    assert standard.entropy()[0] == pytest.approx(1 + math.log(2 * math.pi))
    mean, log_deviation, action = torch.randn(5, 3), torch.randn(5, 3), torch.randn(5, 3)
    ours, theirs = DiagonalGaussian(mean, log_deviation), Normal(mean, log_deviation.exp())
    torch.testing.assert_close(ours.log_prob(action), theirs.log_prob(action).sum(dim=1))
    torch.testing.assert_close(ours.entropy(), theirs.entropy().sum(dim=1))
    torch.testing.assert_close(ours.mode(), mean)


def test_several_choices_are_independent() -> None:
    first, second = Categorical.from_logits(LOGITS), Categorical.from_logits(LOGITS.flip(1))
    both = MultiCategorical((first, second))
    action = torch.tensor([[0, 1], [1, 1], [1, 0]])
    torch.testing.assert_close(both.log_prob(action), first.log_prob(action[:, 0]) + second.log_prob(action[:, 1]))
    torch.testing.assert_close(both.entropy(), first.entropy() + second.entropy())
    assert both.sample(np.random.default_rng(0)).shape == (3, 2)


@pytest.mark.parametrize(
    ("space", "shape"),
    [
        (spaces.Discrete(3), ()),
        (spaces.MultiDiscrete([2, 3]), (2,)),
        (spaces.MultiDiscrete([4]), (1,)),
        (spaces.Box(-1.0, 1.0, (2,)), (2,)),
    ],
)
def test_every_space_is_acted_in(space: spaces.Space[Any], shape: tuple[int, ...]) -> None:
    policy = ActorCritic((4,), space, (8,), value_heads=2)
    observation = np.random.default_rng(0).normal(size=(5, 4))
    action, logprobs, values = policy.act(observation, np.random.default_rng(1))
    assert action.shape == (5, *shape) and logprobs.shape == (5,) and values.shape == (5, 2)
    distribution, again = policy(torch.from_numpy(observation))
    torch.testing.assert_close(distribution.log_prob(torch.from_numpy(action)), torch.from_numpy(logprobs))
    torch.testing.assert_close(again, torch.from_numpy(values))
    torch.testing.assert_close(policy.values(torch.from_numpy(observation)), again)
    same, _, _ = policy.act(observation, np.random.default_rng(1))
    assert (same == action).all()
    greedy, _, _ = policy.act(observation, np.random.default_rng(2), greedy=True)
    assert (greedy == distribution.mode().detach().numpy()).all()
    assert all(space.contains(one.astype(space.dtype)) for one in executed(action, space))


def test_the_first_policy_is_nearly_uniform_and_weights_come_from_the_seed() -> None:
    policy = ActorCritic((4,), spaces.Discrete(4), seed=3)
    spread = policy.distribution(torch.randn(64, 4)).entropy()
    assert float(spread.detach().min()) > math.log(4.0) - 1e-3
    weight = policy.actor[0].weight
    torch.testing.assert_close(weight.T @ weight, 2 * torch.eye(4), atol=1e-5, rtol=0)
    assert torch.equal(weight, ActorCritic((4,), spaces.Discrete(4), seed=3).actor[0].weight)
    assert not torch.equal(weight, ActorCritic((4,), spaces.Discrete(4), seed=4).actor[0].weight)


def test_an_encoder_is_shared_by_actions_and_values() -> None:
    encoder = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.ReLU(), torch.nn.Flatten())
    policy = ActorCritic((1, 5, 5), spaces.Discrete(2), (8,), encoder=encoder)
    distribution, values = policy(torch.randn(3, 1, 5, 5))
    (distribution.entropy().sum() + values.sum()).backward()
    assert encoder[0].weight.grad is not None and float(encoder[0].weight.grad.abs().sum()) > 0


def test_actions_are_executed_within_their_space() -> None:
    box = spaces.Box(np.array([-1.0, 0.0], dtype=np.float32), np.array([1.0, 2.0], dtype=np.float32))
    assert executed(np.array([[-3.0, 1.0], [0.5, 9.0]]), box).tolist() == [[-1.0, 1.0], [0.5, 2.0]]
    assert executed(np.array([[0.5, 1.0]]), box).dtype == np.float32
    assert executed(np.array([0, 2]), spaces.Discrete(3, start=5)).tolist() == [5, 7]
    assert executed(np.array([[0, 1]]), spaces.MultiDiscrete([2, 3], start=[1, -1])).tolist() == [[1, 0]]


def test_networks_for_the_spaces_of_an_environment() -> None:
    lake = gymnasium.make_vec("FrozenLake-v1", 2, vectorization_mode="sync")
    policy = ActorCritic.for_spaces(lake, (8,))
    observation, _ = lake.reset(seed=0)
    values = policy.values(torch.arange(16))
    assert policy.act(observation, np.random.default_rng(0))[0].shape == (2,)
    # Sixteen states, and no order among them: as many values as states, none between two others by construction.
    assert len({round(float(v), 6) for v in values[:, 0].detach()}) == 16
    cart = gymnasium.make("CartPole-v1")
    assert ActorCritic.for_spaces(cart).act(np.zeros((1, 4)), np.random.default_rng(0))[2].shape == (1, 1)


def test_what_it_cannot_act_in_is_refused() -> None:
    with pytest.raises(TrainingError, match="cannot be drawn"):
        ActorCritic((4,), spaces.Box(-1.0, 1.0, (2, 2)))
    with pytest.raises(TrainingError, match="cannot be drawn"):
        ActorCritic((4,), spaces.Text(3))
    env = gymnasium.Env()
    env.observation_space = spaces.Dict(a=spaces.Discrete(2))
    env.action_space = spaces.Discrete(2)
    with pytest.raises(TrainingError, match="Dict are not arrays"):
        ActorCritic.for_spaces(env)


def test_the_scale_of_observations_is_that_of_all_that_was_observed() -> None:
    rng = np.random.default_rng(0)
    seen = rng.normal(5.0, [1.0, 100.0], size=(300, 2))
    scale = ObservationScale((2,), clip=2.0)
    torch.testing.assert_close(scale(torch.tensor([[7.0, 7.0]])), torch.tensor([[7.0, 7.0]]))
    for part in np.split(seen, [1, 1, 50, 200]):
        scale.observe(part)
    np.testing.assert_allclose(scale.mean.numpy(), seen.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(scale.variance.numpy(), seen.var(axis=0), rtol=1e-12)
    one = seen.mean(axis=0) + [0.5, 1.5] * seen.std(axis=0)
    scaled = scale(torch.tensor(one[None], dtype=torch.float32))
    np.testing.assert_allclose(scaled.numpy(), [[0.5, 1.5]], atol=1e-5)
    assert scale(torch.tensor([[1e6, -1e6]])).tolist() == [[2.0, -2.0]]
    copy = ObservationScale((2,), clip=2.0)
    copy.load_state_dict(scale.state_dict())
    torch.testing.assert_close(copy(torch.tensor([[1.0, 2.0]])), scale(torch.tensor([[1.0, 2.0]])))


def test_looking_does_not_move_the_scale() -> None:
    policy = ActorCritic((2,), spaces.Discrete(2), (4,), scale_observations=True)
    assert policy.scale is not None
    policy.scale.observe(np.array([[0.0, 10.0], [2.0, 30.0]]))
    before = policy.scale.mean.clone()
    first = policy.act(np.array([[1.0, 20.0]]), np.random.default_rng(0), greedy=True)[2]
    policy.act(np.array([[100.0, 100.0]]), np.random.default_rng(0))
    assert torch.equal(policy.scale.mean, before)
    assert (policy.act(np.array([[1.0, 20.0]]), np.random.default_rng(0), greedy=True)[2] == first).all()
