"""Random distribution distillation in seconds: what it counts, what it finds, and every arm for two updates."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch

from trueward.errors import EvidenceError
from trueward.evidence.counted_car import CountedCar
from trueward.evidence.maze_bed import Coverage, ShuffledNovelty, explore, hard_layout, lucky_episodes
from trueward.evidence.run import Run
from trueward.recipes.beds.rdd import calibrated, novelty_of
from trueward.recipes.rdd import RECIPE
from trueward.rewards.intrinsic import CountNovelty

# Threads that wait for each other cost more than such small models.
torch.set_num_threads(1)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("runs")


def smoke(arm, root, **more):
    settings = {**RECIPE.at("smoke"), **RECIPE.arm(arm).settings, **more}
    directory = root / "rdd" / "smoke" / "seed-2000" / arm
    directory.mkdir(parents=True, exist_ok=True)
    return Run("rdd", arm, "smoke", 2000, settings, directory)


@pytest.mark.parametrize("arm", [arm.name for arm in RECIPE.arms])
def test_every_arm_runs(arm, root):
    run = smoke(arm, root)
    found = RECIPE.run(run)
    assert set(found) == {metric.name for metric in RECIPE.metrics}
    unknown = {name for name, value in found.items() if not math.isfinite(value)}
    mazes = set() if arm.endswith("_other") else {"log_coverage_2", "log_coverage_3"}
    bonus = {"rank", "slope", "floor", "unevenness", "maze_rank", "maze_slope"} if arm == "no_bonus" else set()
    assert unknown == mazes | bonus
    lines = [json.loads(line) for line in (run.directory / "metrics.jsonl").read_text().splitlines()]
    assert all(0.0 <= line["gold"] <= 1.0 for line in lines)


def test_a_run_that_is_repeated_says_the_same(root):
    run = smoke("rdd", root)
    assert RECIPE.run(run) == pytest.approx(RECIPE.run(run), nan_ok=True)


def test_averaged_draws_count_better_than_a_constant_step_size(root):
    sizes = {"calibration.states": 60, "calibration.visits": 8000, "bonus.hidden": [128], "calibration.spread": 0.0}
    averaged, constant = (calibrated(smoke(arm, root, **sizes)) for arm in ("rdd", "rdd_constant"))
    assert averaged["rank"] > 0.8 and averaged["slope"] < -0.7
    assert constant["floor"] > 2 * averaged["floor"]


def test_exact_counts_find_more_states_than_no_bonus(tmp_path):
    """The upper reference in 15,360 steps: the direction, not the size."""
    settings = {**RECIPE.at("small"), "train.environments": 16, "train.horizon": 32, "train.steps": 30}
    settings |= {"train.learning_rate": 3e-3}
    found = {}
    for power in (None, 1.0):
        found[power] = explore(
            settings,
            "MiniGrid-KeyCorridorS3R3-v0",
            lambda size, key, power=power: None if power is None else CountNovelty(key, power),
            layout=3,
            seed=5,
            directory=tmp_path / str(power),
        )
    assert found[1.0].log_coverage > found[None].log_coverage + math.log(1.1)
    assert len(found[1.0].coverage.visits) > 1.2 * len(found[None].coverage.visits)
    assert found[None].bonus_and_visits() is None
    bonus, visits = found[1.0].bonus_and_visits()
    assert bonus == pytest.approx(1.0 / (visits + 1.0)) and visits.sum() == 15_360


def test_a_layout_is_hard_and_all_arms_share_it(root):
    steps = {"maze.random_steps": 2000}
    name = "MiniGrid-DoorKey-5x5-v0"
    layout = hard_layout(smoke("rdd", root, **steps), name)
    assert layout == hard_layout(smoke("count", root, **steps), name)
    easy = [seed for seed in range(20) if lucky_episodes(name, seed, 2000, 0)]
    assert easy
    chosen = smoke("rdd", root, **steps)
    assert lucky_episodes(name, layout, 2000, chosen.seed_for("random steps") % 2**31) == 0


def collected(states, terminated=(), truncated=(), watching=0.0):
    """What the hook reads of a collection of T steps of N environments."""
    shape = np.array(states).shape[:2]
    ends = [np.zeros(shape, dtype=bool) for _ in range(2)]
    for end, places in zip(ends, (terminated, truncated), strict=True):
        for place in places:
            end[place] = True

    class Steps:
        features = {"state": np.array(states, dtype=float), "watching": np.full(shape, watching)}  # noqa: RUF012
        next_observation = np.array(states, dtype=np.float32)

    Steps.terminated, Steps.truncated = ends
    return Steps


def test_coverage_by_hand():
    coverage = Coverage()
    coverage.after_update(collected([[[1], [1]], [[2], [1]]], terminated=[(1, 0)]), None)
    coverage.after_update(collected([[[2], [3]], [[3], [4]]], truncated=[(1, 1)], watching=1.0), None)
    assert coverage.curve == [1.5, 3.5] and coverage.visits == [3, 2, 2, 1]
    assert coverage.observations == [[1.0], [2.0], [3.0], [4.0]]
    assert coverage.ended == [[1, 1], [0, 1]] and coverage.watching == [0.0, 1.0]
    # One success of one ended episode counts as one of two, because there are two environments.
    assert coverage.successes.tolist() == [0.5, 0.0] + [0.0] * 8


def test_coverage_goes_on_after_a_kill():
    coverage, again = Coverage(), Coverage()
    coverage.after_update(collected([[[1], [2]]]), None)
    again.load_state_dict(json.loads(json.dumps(coverage.state_dict())))
    for one in (coverage, again):
        one.after_update(collected([[[2], [5]]]), None)
    assert again.state_dict() == coverage.state_dict() and again.visits == [1, 2, 1]


def test_a_shuffled_bonus_pays_the_same_sum_to_somebody_else():
    novelty = ShuffledNovelty(CountNovelty(power=1.0), seed=0)
    rows = np.arange(50, dtype=np.float32)[:, None]
    for visits in range(1, 4):
        novelty.observe(rows[: 10 * visits])
    right, paid = novelty.inner.bonus(rows), novelty.bonus(rows)
    assert sorted(paid) == pytest.approx(sorted(right)) and paid.tolist() != right.tolist()
    assert novelty.bonus(rows).tolist() == paid.tolist()
    again = ShuffledNovelty(CountNovelty(power=1.0), seed=0)
    again.load_state_dict(json.loads(json.dumps(novelty.state_dict())))
    assert again.bonus(rows).tolist() == paid.tolist()


def test_the_car_tells_its_cell():
    car = CountedCar(2)
    observation, info = car.reset(seed=0)
    assert car.single_observation_space.contains(observation[0])
    # Positions −0.6 … −0.4 of −1.2 … 0.6 lie in the cells 6 to 8 of 20; at rest is the middle.
    assert set(info["state"][:, 0]) <= {6.0, 7.0, 8.0} and set(info["state"][:, 1]) <= {9.0, 10.0}


def test_unknown_bonuses_are_refused_by_name():
    with pytest.raises(EvidenceError, match="'icm'; expected one of none, count, rnd, drnd, rdd, coin flip"):
        novelty_of({**RECIPE.at("smoke"), "bonus.kind": "icm"}, 3, lambda seen: seen, 0)


def test_the_ablation_differs_from_the_method_in_its_noise_alone():
    method, ablation = RECIPE.arm("rdd").settings, RECIPE.arm("no_noise").settings
    assert {**method, "bonus.sigma": 0.0} == ablation
