"""Gold of generated digits."""

from __future__ import annotations

import dataclasses
import inspect
from pathlib import Path

import numpy as np
import pytest
import torch

from trueward.measures.images import nearest_distance
from trueward.tasks.flow.digits import digits
from trueward.tasks.flow.judge import GoldJudge, JudgeSettings, _shifted

SPLITS = digits()
REAL = SPLITS.heldout
SETTINGS = JudgeSettings(networks=2, steps=120)


@pytest.fixture(scope="module")
def judge() -> GoldJudge:
    return GoldJudge.fit(SPLITS.judge, REAL, settings=SETTINGS, seed=3)


def test_real_digits_are_recognised_and_rank_in_the_middle(judge):
    gold = judge.judge(REAL.images, REAL.labels)
    assert gold.means()["gold"] > 0.8
    assert gold.means()["second_opinion"] > 0.9
    assert gold.means()["realism"] == pytest.approx(0.5)


def test_other_real_images_are_as_real(judge):
    """The generator's images were used for nothing: their rank is .5 up to chance (deviation .01) and the split."""
    assert judge.realism(SPLITS.generator.images).mean() == pytest.approx(0.5, abs=0.06)


def test_what_was_made_for_another_digit_is_not_wanted(judge):
    wrong = judge.judge(REAL.images, (REAL.labels + 1) % 10).means()
    assert wrong["gold"] < 0.03 and wrong["second_opinion"] < 0.03
    assert wrong["realism"] == pytest.approx(0.5)  # it looks real all the same


def test_noise_and_one_pixel_of_shift_do_not_fool_it(judge):
    noise = 0.3 * np.random.default_rng(0).standard_normal(REAL.images.shape)
    moved = np.roll(REAL.images, 1, axis=3)
    moved[..., 0] = -1.0
    for changed in (REAL.images + noise, moved):
        assert judge.probability(changed.astype(np.float32), REAL.labels).mean() > 0.7


def test_what_looks_like_nothing_real_has_no_realism(judge):
    grid = np.broadcast_to((-1.0) ** np.indices((8, 8)).sum(axis=0), (4, 1, 8, 8))
    assert (judge.realism(grid) == 0).all()
    assert judge.realism(np.clip(3 * REAL.images, -1, 1)).mean() < 0.25


def test_realism_is_the_rank_of_the_distance(judge):
    images = SPLITS.proxy.images[:20]
    distances = nearest_distance(images, SPLITS.judge.images)
    real = nearest_distance(REAL.images, SPLITS.judge.images)
    expected = [np.mean(real > one) + np.mean(real == one) / 2 for one in distances]
    assert judge.realism(images) == pytest.approx(np.array(expected))


def test_images_are_judged_as_they_are_shown(judge):
    """What lies outside of [−1, 1] cannot be seen."""
    raw = 4 * REAL.images[:30]
    shown, labels = np.clip(raw, -1, 1), REAL.labels[:30]
    a, b = judge.judge(raw, labels), judge.judge(shown, labels)
    assert (a.values == b.values).all() and all((a.measures[name] == b.measures[name]).all() for name in a.measures)


def test_the_probability_is_the_mean_of_the_networks(judge):
    seen = torch.as_tensor(REAL.images[:7])
    shares = [network(seen).softmax(1).double().numpy()[np.arange(7), REAL.labels[:7]] for network in judge.networks]
    assert judge.probability(REAL.images[:7], REAL.labels[:7]) == pytest.approx(np.mean(shares, axis=0), abs=1e-6)


def test_it_comes_back_from_files_without_pickle(judge, tmp_path: Path):
    judge.save(tmp_path)
    again = GoldJudge.load(tmp_path)
    a, b = judge.judge(REAL.images, REAL.labels), again.judge(REAL.images, REAL.labels)
    assert (a.values == b.values).all() and all((a.measures[name] == b.measures[name]).all() for name in a.measures)
    with np.load(tmp_path / "arrays.npz", allow_pickle=False) as arrays:
        assert {arrays[name].dtype.kind for name in arrays.files} == {"f"}


def test_the_seed_is_all_there_is_to_it():
    quick = dataclasses.replace(SETTINGS, networks=1, steps=5)
    a, b, c = (
        GoldJudge.fit(SPLITS.judge, REAL, settings=quick, seed=seed).probabilities(REAL.images) for seed in (1, 1, 2)
    )
    assert (a == b).all() and (a != c).any()


def test_shifts_move_whole_images_and_bring_in_paper():
    image = torch.arange(1.0, 10.0).reshape(1, 1, 3, 3)
    seen = {tuple(_shifted(image, 1, torch.Generator().manual_seed(seed)).flatten().tolist()) for seed in range(60)}
    assert len(seen) == 9
    assert tuple(image.flatten().tolist()) in seen
    # One down and one to the right.
    assert (-1.0, -1.0, -1.0, -1.0, 1.0, 2.0, -1.0, 4.0, 5.0) in seen


def test_nothing_that_trains_takes_gold():
    """The judge has no method that a reward has."""
    assert not {"score", "use", "value", "gradient"} & {name for name, _ in inspect.getmembers(GoldJudge)}
