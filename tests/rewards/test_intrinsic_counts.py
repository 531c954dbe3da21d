"""Exact counts, running statistics of bonuses, and a novelty as a reward."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trueward.batch import Transitions
from trueward.errors import RewardError
from trueward.rewards.control import EnvironmentReward
from trueward.rewards.intrinsic import Bonus, BonusNormaliser, CountNovelty, ObservationNormaliser


def rows(*numbers):
    return np.array(numbers, dtype=np.float32)[:, None]


def test_counts_by_hand():
    novelty = CountNovelty(power=0.5)
    assert novelty.bonus(rows(7, 8)).tolist() == [1.0, 1.0]
    novelty.observe(rows(7, 7, 8))
    assert novelty.bonus(rows(7, 8, 9)) == pytest.approx([3**-0.5, 2**-0.5, 1.0])
    assert novelty.counts(rows(7, 8, 9)).tolist() == [2.0, 1.0, 0.0]
    assert CountNovelty(power=1.0).bonus(rows(1)).tolist() == [1.0]


def test_asking_changes_nothing_and_a_visit_does():
    novelty = CountNovelty(power=1.0)
    before = [novelty.bonus(rows(1))[0] for _ in range(3)]
    novelty.observe(rows(1))
    assert before == [1.0, 1.0, 1.0] and novelty.bonus(rows(1))[0] == 0.5


def test_a_key_says_what_tells_states_apart():
    novelty = CountNovelty(lambda observation: observation[:, :1], power=1.0)
    novelty.observe(np.array([[1.0, 5.0], [1.0, 6.0], [2.0, 5.0]]))
    assert novelty.bonus(np.array([[1.0, 9.0], [2.0, 9.0]])) == pytest.approx([1 / 3, 1 / 2])
    with pytest.raises(RewardError, match="1 keys for 2 observations"):
        CountNovelty(lambda observation: observation[:1]).bonus(rows(1, 2))


def test_counts_survive_json():
    novelty = CountNovelty()
    novelty.observe(rows(1, 1, 2))
    again = CountNovelty()
    again.load_state_dict(json.loads(json.dumps(novelty.state_dict())))
    assert again.bonus(rows(1, 2, 3)).tolist() == novelty.bonus(rows(1, 2, 3)).tolist()
    assert again.total == 3
    with pytest.raises(RewardError, match="not that of counts"):
        again.load_state_dict({"seen": 3})


def test_what_is_logged_is_the_mean_bonus_when_it_was_paid():
    novelty = CountNovelty(power=1.0)
    novelty.observe(rows(1))
    novelty.observe(rows(1))
    assert novelty.learn() == {"raw_bonus": 0.75, "states": 1.0}
    assert novelty.learn()["raw_bonus"] == 0.0


@pytest.mark.parametrize("power", [0.0, -1.0, float("nan")])
def test_a_bonus_that_does_not_fall_is_refused(power):
    with pytest.raises(RewardError, match="a power above 0"):
        CountNovelty(power=power)


def test_normalised_by_the_deviation_of_the_discounted_sum_by_hand():
    normaliser = BonusNormaliser(0.5)
    # One environment: R = 2, then 0.5 · 2 + 2 = 3; mean 2.5, deviation 0.5.
    assert normaliser.update(np.array([[2.0], [2.0]])).tolist() == [[4.0], [4.0]]
    # R = 3.5; of 2, 3 and 3.5 the deviation is √(7/18).
    assert normaliser.update(np.array([[2.0]]))[0, 0] == pytest.approx(2.0 / np.sqrt(7 / 18))


def test_a_reset_in_place_of_a_step_does_not_move_the_sum():
    plain, with_reset = BonusNormaliser(0.5), BonusNormaliser(0.5)
    plain.update(np.array([[2.0], [2.0]]))
    with_reset.update(np.array([[2.0], [9.0], [2.0]]), np.array([[True], [False], [True]]))
    assert with_reset.state_dict() == plain.state_dict()


@given(st.lists(st.floats(0.0, 10.0), min_size=2, max_size=30), st.integers(1, 29), st.floats(0.1, 10.0))
def test_normalising_in_pieces_and_on_another_scale(bonuses, cut, factor):
    values = np.array(bonuses)[:, None]
    whole, pieces, scaled = BonusNormaliser(0.9), BonusNormaliser(0.9), BonusNormaliser(0.9)
    whole.update(values)
    for piece in (values[:cut], values[cut:]):
        if len(piece):
            pieces.update(piece)
    assert pieces.scale == pytest.approx(whole.scale, rel=1e-6, abs=1e-9)
    if whole.seen.squares > 1e-9:
        assert scaled.update(values * factor) == pytest.approx(values / whole.scale, rel=1e-5, abs=1e-9)


def test_normaliser_survives_json_and_refuses_other_environments():
    normaliser, again = BonusNormaliser(), BonusNormaliser()
    normaliser.update(np.array([[1.0, 2.0]]))
    again.load_state_dict(json.loads(json.dumps(normaliser.state_dict())))
    later = np.array([[3.0, 1.0]])
    assert again.update(later).tolist() == normaliser.update(later).tolist()
    with pytest.raises(RewardError, match="bonuses of 3 environments"):
        normaliser.update(np.ones((1, 3)))


def test_observations_are_scaled_by_what_the_warm_up_saw_and_by_nothing_later():
    normaliser = ObservationNormaliser(warm_up=4, clip=5.0)
    normaliser.update(np.array([[0.0], [2.0]]))
    normaliser.update(np.array([[0.0], [2.0]]))
    normaliser.update(np.array([[1000.0]]))
    assert normaliser(np.array([[1.0], [3.0], [99.0], [-99.0]]))[:, 0].tolist() == [0.0, 2.0, 5.0, -5.0]


def test_without_a_warm_up_observations_stay_as_they_are():
    normaliser = ObservationNormaliser(0)
    normaliser.update(np.array([[3.0]]))
    assert normaliser(np.array([[100.0]])).tolist() == [[100.0]]


def transitions(observed, exists=None):
    count = len(observed)
    nothing = np.zeros(count, dtype=bool)
    return Transitions(
        observation=rows(*observed), action=np.zeros(count, dtype=np.int64), reward=np.ones(count),
        next_observation=rows(*observed), terminated=nothing, truncated=nothing, exists=exists,
    )  # fmt: skip


def test_a_bonus_is_a_part_beside_the_reward_and_no_part_of_what_is_wanted():
    reward = EnvironmentReward() + Bonus(CountNovelty(power=1.0), 0.5)
    first, second = reward.score(transitions([4, 4])), reward.score(transitions([4, 5]))
    assert first.value.tolist() == [1.5, 1.5]
    assert second.value == pytest.approx([1 + 0.5 / 3, 1.5])
    assert second.raw.tolist() == [1.0, 1.0]
    assert second.parts["count bonus"] == pytest.approx([0.5 / 3, 0.5])


def test_evaluation_counts_nothing():
    novelty = CountNovelty(power=1.0)
    bonus = Bonus(novelty, normaliser=BonusNormaliser())
    values = [bonus.score(transitions([1]), training=False).value[0] for _ in range(3)]
    assert values == [1.0, 1.0, 1.0] and novelty.total == 0 and bonus.normaliser.seen.count == 0


def test_a_fixed_penalty_does_not_grow_used_to_what_it_penalises():
    novelty = CountNovelty(power=1.0)
    novelty.observe(rows(1, 1, 1))
    penalty = Bonus(novelty, -0.5, fixed=True)
    for _ in range(2):
        assert penalty.score(transitions([1, 2])).value.tolist() == [-0.125, -0.5]
    assert novelty.total == 3


def test_a_row_that_was_reset_is_neither_paid_nor_counted():
    novelty = CountNovelty(power=1.0)
    scores = Bonus(novelty).score(transitions([1, 2], np.array([True, False])))
    assert scores.value.tolist() == [1.0, 0.0] and novelty.counts(rows(1, 2)).tolist() == [1.0, 0.0]


def test_a_bonus_learns_by_itself_every_so_many_steps():
    bonus = Bonus(CountNovelty(), every=2)
    bonus.score(transitions([1]))
    assert bonus.metrics == {}
    bonus.score(transitions([2]))
    assert bonus.metrics["states"] == 2.0


def test_a_bonus_survives_json():
    bonus = Bonus(CountNovelty(), normaliser=BonusNormaliser())
    again = Bonus(CountNovelty(), normaliser=BonusNormaliser())
    for observed in ([1, 1], [1, 2]):
        bonus.score(transitions(observed))
    again.load_state_dict(json.loads(json.dumps(bonus.state_dict())))
    step = transitions([1, 3])
    assert again.score(step).value.tolist() == bonus.score(step).value.tolist()
    with pytest.raises(RewardError, match="saved with a normaliser"):
        Bonus(CountNovelty()).load_state_dict(bonus.state_dict())
