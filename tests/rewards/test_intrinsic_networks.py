"""Bonuses out of networks: what they count, what they reduce to, and that a run can go on from what they save."""

from __future__ import annotations

import copy
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from trueward.errors import RewardError
from trueward.measures.bonus_calibration import calibration
from trueward.rewards.intrinsic import (
    CoinFlip,
    DistributionalRND,
    PredictorSettings,
    RandomDistributionDistillation,
    RandomNetworkDistillation,
)
from trueward.rewards.intrinsic.predictor import Predictor

# Threads that wait for each other cost more than such small networks.
torch.set_num_threads(1)

SMALL = PredictorSettings(outputs=8, hidden=(16,), minibatch=16, warm_up=0)
ALL = {
    "RND": lambda **given: RandomNetworkDistillation(3, SMALL, **given),
    "DRND": lambda **given: DistributionalRND(3, SMALL, targets=3, **given),
    "RDD": lambda **given: RandomDistributionDistillation(3, replace(SMALL, averaging=2.0), **given),
    "coin flip": lambda **given: CoinFlip(3, replace(SMALL, averaging=2.0), **given),
}


def observations(count, seed=0, size=3):
    return np.random.default_rng(seed).standard_normal((count, size)).astype(np.float32)


class Table(nn.Module):
    """One row of outputs for each of S one-hot observations: what is trained on one says nothing of the others."""

    def __init__(self, states, outputs):
        super().__init__()
        self.rows = nn.Parameter(torch.zeros(states, outputs))

    def forward(self, observation):
        return observation @ self.rows


def tabular(learning_rate, outputs=4096, visits=64, *, decay_by_count=False, averaging=None, redraw=False, epochs=1):
    """Bonus of one state after each visit, f a table trained by SGD with a step size for (f − c)² of η/2 · gradient."""
    settings = PredictorSettings(outputs=outputs, minibatch=1, warm_up=0, averaging=averaging, epochs=epochs)
    novelty = RandomDistributionDistillation(
        1, settings, mean="const", network=lambda: Table(1, outputs), redraw=redraw
    )
    # The loss is a mean over the outputs, so its gradient is 2 (f − c) / d.
    novelty.predictor.optimizer = torch.optim.SGD(novelty.predictor.net.parameters(), lr=1.0)
    found = []
    novelty.predictor.settings = replace(settings, gradient_clip=1e9)
    for n in range(1, visits + 1):
        rate = 1.0 / n if decay_by_count else learning_rate
        novelty.predictor.settings = replace(novelty.predictor.settings, learning_rate=rate * outputs / 2)
        novelty.observe(np.ones((1, 1)))
        novelty.learn()
        found.append(novelty.bonus(np.ones((1, 1)))[0])
    return np.array(found)


def test_a_step_size_of_one_over_n_gives_one_over_n():
    """f is then the mean of n draws, so E b = σ²/n; over 4,096 entries the relative error is √(2/4096) ≈ 0.022."""
    bonus = tabular(0.0, decay_by_count=True)
    assert bonus == pytest.approx(1.0 / np.arange(1, 65), rel=0.12)


@pytest.mark.parametrize("rate", [0.5, 0.1])
def test_a_constant_step_size_has_a_floor_of_rate_over_two_minus_rate(rate):
    bonus = tabular(rate, visits=80)
    assert bonus[-20:].mean() == pytest.approx(rate / (2 - rate), rel=0.08)


def test_the_average_of_iterates_goes_below_that_floor():
    """Averaged over t^p the deviation falls like 1/n again: at 80 visits far below 0.33, and near (p+1)²/(2p+1) / n."""
    bonus = tabular(0.5, visits=80, averaging=1.0)
    assert bonus[-1] == pytest.approx(4 / 3 / 80, rel=0.15)
    assert np.polyfit(np.log(np.arange(10, 81)), np.log(bonus[9:]), 1)[0] == pytest.approx(-1.0, abs=0.1)


def test_drawing_anew_at_each_gradient_step_counts_gradient_steps():
    """Four passes over a visit fit one draw when it is stored; with fresh draws they are four visits."""
    stored = tabular(0.1, visits=40, epochs=4)[-10:].mean()
    fresh = tabular(0.1, visits=40, epochs=4, redraw=True)[-10:].mean()
    assert fresh == pytest.approx(0.1 / 1.9, rel=0.1)
    # Four steps on one draw are one step of 1 − 0.9⁴ = 0.344.
    assert stored == pytest.approx(0.3439 / (2 - 0.3439), rel=0.1)


@pytest.mark.parametrize("averaging", [None, 2.0])
def test_without_noise_it_is_random_network_distillation(averaging):
    settings = replace(SMALL, averaging=averaging)
    one = RandomNetworkDistillation(3, settings, seed=4)
    other = RandomDistributionDistillation(3, settings, sigma=0.0, mean="net", seed=4)
    for round in range(3):
        seen = observations(40, round)
        assert one.bonus(seen).tolist() == other.bonus(seen).tolist()
        for novelty in (one, other):
            novelty.observe(seen)
            novelty.learn()
    noisy = RandomDistributionDistillation(3, settings, sigma=0.1, mean="net", seed=4)
    noisy.observe(observations(40))
    noisy.learn()
    assert one.bonus(observations(5)).tolist() != noisy.bonus(observations(5)).tolist()


def test_every_state_begins_at_one_with_a_mean_of_unit_size():
    settings = replace(SMALL, start="zero")
    seen = observations(50) * np.exp(np.linspace(-2, 2, 50))[:, None].astype(np.float32)
    assert RandomDistributionDistillation(3, settings).bonus(seen) == pytest.approx(np.ones(50), rel=1e-4)
    assert RandomDistributionDistillation(3, settings, mean="const").bonus(seen) == pytest.approx(np.ones(50))
    uneven = RandomDistributionDistillation(3, settings, mean="net").bonus(seen)
    assert uneven.max() / uneven.min() > 10
    assert CoinFlip(3, settings).bonus(seen) == pytest.approx(np.ones(50), rel=1e-4)


def test_moments_of_distributional_rnd_by_hand():
    """Two targets that say 1 and 3, f = 0: μ = 2, B = 5, variance 1; 4 α + (1 − α) √clip(4 / 1)."""
    novelty = DistributionalRND(1, PredictorSettings(outputs=1, warm_up=0), targets=2, alpha=0.75)
    constants(novelty, [1.0, 3.0], 0.0)
    assert novelty.bonus(np.zeros((1, 1)))[0] == pytest.approx(0.75 * 4 + 0.25)
    # f = 1.9: distance 0.01, |3.61 − 4| / 1 = 0.39.
    constants(novelty, [1.0, 3.0], 1.9)
    assert novelty.bonus(np.zeros((1, 1)))[0] == pytest.approx(0.75 * 0.01 + 0.25 * 0.39**0.5, rel=1e-4)


def constants(novelty, targets, predicted):
    class Says(nn.Module):
        def __init__(self, number):
            super().__init__()
            self.number = number

        def forward(self, inputs):
            return torch.full((len(inputs), 1), self.number)

    novelty.targets = nn.ModuleList([Says(number) for number in targets])
    novelty.predictor.net = Says(predicted)


def test_targets_that_agree_give_a_finite_bonus():
    novelty = DistributionalRND(1, PredictorSettings(outputs=1, warm_up=0), targets=2, alpha=0.5)
    constants(novelty, [2.0, 2.0], 2.0)
    assert novelty.bonus(np.zeros((1, 1)))[0] == pytest.approx(0.5 * 1e-3)
    constants(novelty, [2.0, 2.0], 0.0)
    assert novelty.bonus(np.zeros((1, 1)))[0] == pytest.approx(0.5 * 4 + 0.5)


def test_coin_flips_count():
    """The square of the mean of n flips is 1/n on average; SGD with a step of 1/n on a table is that mean."""
    outputs = 4096
    settings = PredictorSettings(outputs=outputs, minibatch=1, warm_up=0, start="zero", gradient_clip=1e9)
    novelty = CoinFlip(1, settings, network=lambda: Table(1, outputs))
    # The frozen network of this test says 0, which has no direction: it stays 0.
    novelty.predictor.optimizer = torch.optim.SGD(novelty.predictor.net.parameters(), lr=1.0)
    for n in range(1, 33):
        novelty.predictor.settings = replace(settings, learning_rate=outputs / (2 * n))
        novelty.observe(np.ones((1, 1)))
        novelty.learn()
    assert novelty.bonus(np.ones((1, 1)))[0] == pytest.approx(1 / 32, rel=0.1)


@pytest.mark.parametrize("name", ALL)
def test_asking_changes_nothing(name):
    novelty = ALL[name]()
    before = json.dumps(novelty.state_dict())
    weights = [value.clone() for module in novelty.modules().values() for value in module.state_dict().values()]
    first, again = novelty.bonus(observations(9)), novelty.bonus(observations(9))
    after = [value for module in novelty.modules().values() for value in module.state_dict().values()]
    assert first.tolist() == again.tolist() and json.dumps(novelty.state_dict()) == before
    assert all(torch.equal(one, other) for one, other in zip(weights, after, strict=True))
    assert first.shape == (9,) and (first >= 0).all()


@pytest.mark.parametrize("name", ALL)
def test_one_observation_is_worth_the_same_alone_and_among_others(name):
    novelty = ALL[name]()
    seen = observations(6)
    alone = [novelty.bonus(seen[row : row + 1])[0] for row in range(6)]
    assert novelty.bonus(seen) == pytest.approx(alone, rel=1e-5)


@pytest.mark.parametrize("name", ALL)
def test_what_was_seen_often_is_worth_less_than_what_was_not(name):
    novelty = ALL[name]()
    novelty.predictor.settings = replace(novelty.predictor.settings, learning_rate=3e-3)
    known, unknown = observations(1) * 2, -observations(1) * 2
    for _ in range(60):
        novelty.observe(np.repeat(known, 32, axis=0))
        novelty.learn()
    assert novelty.bonus(known)[0] < 0.5 * novelty.bonus(unknown)[0]


@pytest.mark.parametrize("name", ALL)
def test_a_run_goes_on_to_the_same_numbers(name):
    novelty, again = ALL[name](seed=3), ALL[name](seed=3)
    for round in range(2):
        novelty.observe(observations(40, round))
        novelty.learn()
    again.load_state_dict(json.loads(json.dumps(novelty.state_dict())))
    for key, module in novelty.modules().items():
        again.modules()[key].load_state_dict(module.state_dict())
    for key, optimizer in novelty.optimizers().items():
        again.optimizers()[key].load_state_dict(copy.deepcopy(optimizer.state_dict()))
    for one in (novelty, again):
        one.observe(observations(40, 9))
        one.learn()
    assert again.bonus(observations(5)).tolist() == novelty.bonus(observations(5)).tolist()


@pytest.mark.parametrize("name", ALL)
def test_seeds_decide_and_torch_does_not(name):
    torch.manual_seed(1)
    one = ALL[name](seed=5)
    torch.manual_seed(2)
    before = torch.get_rng_state()
    other, third = ALL[name](seed=5), ALL[name](seed=6)
    assert torch.equal(before, torch.get_rng_state())
    for novelty in (one, other, third):
        novelty.observe(observations(20))
        novelty.learn()
    seen = observations(5, 1)
    assert one.bonus(seen).tolist() == other.bonus(seen).tolist() != third.bonus(seen).tolist()


def test_visits_that_were_not_learnt_from_are_not_lost_silently():
    novelty = ALL["RND"]()
    novelty.observe(observations(3))
    with pytest.raises(RewardError, match="call learn before state_dict"):
        novelty.state_dict()
    assert novelty.learn()["loss"] > 0 and novelty.learn() == {}


def test_only_a_share_of_the_visits_is_trained_on():
    whole = RandomNetworkDistillation(3, replace(SMALL, minibatch=10))
    quarter = RandomNetworkDistillation(3, replace(SMALL, minibatch=10, proportion=0.25))
    for novelty in (whole, quarter):
        novelty.observe(observations(80))
    assert whole.learn()["steps"] == 8 and quarter.learn()["steps"] == 2


def test_weights_of_the_average_by_hand():
    """Iterates 1, 2, 3 with p = 1: weights 1, 2/3 and 1/2, so 1, 1 + 2/3, and (5/3 + 3) / 2."""
    net = nn.Linear(1, 1, bias=False)
    predictor = Predictor(net, PredictorSettings(averaging=1.0))
    for number, expected in ((1.0, 1.0), (2.0, 5 / 3), (3.0, 7 / 3)):
        nn.init.constant_(net.weight, number)
        predictor.averaged.update_parameters(net)
        assert predictor.averaged.module.weight.item() == pytest.approx(expected)


def test_images_go_through_a_network_of_ones_own():
    def network():
        return nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(2 * 9, 8))

    novelty = RandomDistributionDistillation((1, 5, 5), SMALL, network=network)
    images = np.random.default_rng(0).random((4, 1, 5, 5), dtype=np.float32)
    novelty.observe(images)
    novelty.learn()
    assert novelty.bonus(images).shape == (4,)
    with pytest.raises(RewardError, match=r"made for observations of shape \(1, 5, 5\); it got \(5, 5\)"):
        novelty.observe(images[:, 0])


def test_a_normaliser_that_moves_stops_after_the_warm_up():
    novelty = RandomNetworkDistillation(3, replace(SMALL, warm_up=40))
    novelty.observe(observations(40) * 100)
    novelty.learn()
    frozen = novelty.normaliser.state_dict()
    novelty.observe(observations(40, 1))
    assert novelty.normaliser.state_dict() == frozen


def test_as_a_penalty_it_tells_what_a_reward_model_was_not_trained_on():
    """Anti-exploration: −β · b on embeddings, f trained on those of the reward model's own training prompts."""
    generator = np.random.default_rng(0)
    known, strange = (generator.standard_normal((256, 16)).astype(np.float32) + shift for shift in (0.0, 3.0))
    novelty = RandomDistributionDistillation(16, PredictorSettings(averaging=3.0, learning_rate=3e-3, minibatch=32,
                                                                   warm_up=256, start="zero"))  # fmt: skip
    for _ in range(8):
        novelty.observe(known)
        novelty.learn()
    fresh = generator.standard_normal((256, 16)).astype(np.float32)
    assert np.median(novelty.bonus(strange)) > 2 * np.quantile(novelty.bonus(fresh), 0.9)


def test_averaged_networks_count_where_plain_ones_do_not():
    """The experiment of the card at the scale of seconds: 60 states, Zipf, 6,000 visits."""
    generator = np.random.default_rng(0)
    states, shares = generator.standard_normal((60, 16)).astype(np.float32), 1.0 / np.arange(1, 61)
    settings = PredictorSettings(hidden=(128,), learning_rate=3e-3, minibatch=16, warm_up=0, start="zero")
    found = {}
    for name, chosen in {"averaged": replace(settings, averaging=3.0), "plain": settings}.items():
        novelty, visits = RandomDistributionDistillation(16, chosen), np.zeros(60)
        draws = np.random.default_rng(1)
        for _ in range(24):
            seen = draws.choice(60, 250, p=shares / shares.sum())
            visits += np.bincount(seen, minlength=60)
            novelty.observe(states[seen])
            novelty.learn()
        found[name] = calibration(novelty.bonus(states), visits)
    assert found["averaged"].rank > 0.85 and -1.25 < found["averaged"].slope < -0.75
    assert found["plain"].slope > found["averaged"].slope + 0.2
    assert found["plain"].floor > 3 * found["averaged"].floor


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"outputs": 0}, "outputs=0"),
        ({"proportion": 1.5}, "proportion=1.5"),
        ({"decay": 0.0}, r"decay=0\.0"),
        ({"averaging": -1.0}, r"averaging=-1\.0"),
        ({"start": "one"}, "start='one'"),
    ],
)
def test_settings_that_make_no_sense_are_refused(given, says):
    with pytest.raises(RewardError, match=says):
        PredictorSettings(**given)


def test_unknown_means_and_alphas_are_refused():
    with pytest.raises(RewardError, match="mean='zero'"):
        RandomDistributionDistillation(3, mean="zero")
    with pytest.raises(RewardError, match="targets=1"):
        DistributionalRND(3, targets=1)


def test_a_decaying_step_size_halves_after_so_many_steps():
    novelty = RandomNetworkDistillation(3, replace(SMALL, decay=4.0, learning_rate=0.1, minibatch=1))
    novelty.observe(observations(5))
    novelty.learn()
    assert novelty.optimizers()["predictor"].param_groups[0]["lr"] == pytest.approx(0.1 * 4 / 8)
