"""Rewards of images: conventions, failures, combination, workers."""

from pathlib import Path

import numpy as np
import pytest

from trueward.batch import Context, Denoising, Rollouts, Text
from trueward.errors import RewardError
from trueward.rewards.base import as_reward
from trueward.rewards.image_functions import as_image, encoded
from trueward.rewards.images import as_image_reward, images_of, pil_images, rollouts_of
from trueward.rewards.models.ensemble import Ensemble
from trueward.rewards.runner import WorkerPool
from trueward.rewards.transforms import clip
from trueward.status import Status

LEVELS = np.array([0.0, 0.2, 1.0], dtype=np.float32)
IMAGES = np.broadcast_to(LEVELS[:, None, None, None], (3, 1, 4, 4))
ROLLOUTS = rollouts_of(IMAGES, ["a", "b", "c"], reference=[{"factor": 1.0}, {"factor": 2.0}, {"factor": 3.0}])


def brightness(image) -> float:
    return float(np.asarray(image, dtype=np.float64).mean() / 255)


def scores(reward, rollouts=ROLLOUTS):
    return as_image_reward(reward).score(rollouts, Context(training=False))


def test_batch_function_gets_prompts_rgb_images_and_columns():
    def score(prompts, images, factor):
        assert prompts == ["a", "b", "c"]
        assert [(image.mode, image.size) for image in images] == [("RGB", (4, 4))] * 3
        return [brightness(image) * by for image, by in zip(images, factor, strict=True)]

    assert scores(score).total() == pytest.approx([0.0, 0.4, 3.0])


def test_convention_of_diffusion_trainers():
    def reward(images, prompts, metadata):
        return np.array([one["factor"] for one in metadata]), {"seen": len(images)}

    assert scores(reward).total().tolist() == [1.0, 2.0, 3.0]


def test_two_scores_are_no_pair_of_scores_and_details():
    two = rollouts_of(IMAGES[:2], ["a", "b"])
    assert scores(lambda images: (0.25, 0.5), two).total().tolist() == [0.25, 0.5]


def test_one_image_per_call():
    def score(image, prompt, factor=0.0):
        return brightness(image) + (10 if prompt == "c" else 0) + factor

    assert scores(score).total() == pytest.approx([1.0, 2.2, 14.0])


def test_missing_column_is_said():
    found = as_image_reward(lambda images, caption: [0.0] * len(images))
    with pytest.raises(RewardError, match="caption"):
        found.score(rollouts_of(IMAGES, ["a", "b", "c"]), Context(training=False))


def test_an_image_that_breaks_the_reward_taints_no_other():
    def score(images):
        if any(brightness(image) == 1.0 for image in images):
            raise ValueError("too bright")
        return [brightness(image) for image in images]

    part = scores(score).parts["score"]
    assert part.status == [Status.OK, Status.OK, Status.RAISED]
    assert "too bright" in part.details[2]
    assert as_image_reward(score, low=-1.0).score(ROLLOUTS, Context(training=False)).total()[2] == -1.0


def test_nan_and_none_are_no_scores():
    status = scores(lambda images: [None, float("nan"), 1.0]).status
    assert status == [Status.ABSTAINED, Status.NOT_FINITE, Status.OK]


def test_an_image_that_nobody_could_show_is_not_asked_about():
    seen = []

    def score(images):
        seen.append(len(images))
        return [brightness(image) for image in images]

    broken = np.array(IMAGES)
    broken[0, 0, 0, 0], broken[2, 0, 1, 1] = np.nan, np.inf
    part = scores(score, rollouts_of(broken, ["a", "b", "c"])).parts["score"]
    assert part.status == [Status.NOT_FINITE, Status.OK, Status.NOT_FINITE] and seen == [1]
    assert part.values[1] == pytest.approx(0.2) and np.isnan(part.filled()[[0, 2]]).all()


def test_combines_like_every_reward():
    def bright(images):
        return [brightness(image) for image in images]

    def one(images):
        return [1.0] * len(images)

    joined = 2 * as_image_reward(bright) + as_image_reward(one).transform(clip(0, 0.5))
    assert joined.score(ROLLOUTS, Context(training=False)).total() == pytest.approx([0.5, 0.9, 2.5])
    ensemble = Ensemble([as_image_reward(bright), as_image_reward(one)], "min")
    assert ensemble.score(ROLLOUTS, Context(training=False)).total() == pytest.approx([0.0, 0.2, 1.0])


def test_images_travel_to_workers_unchanged(tmp_path: Path):
    (tmp_path / "scorer.py").write_text(
        "def score(prompts, images):\n    return [sum(image.getpixel((1, 2))) + len(image.mode) for image in images]\n"
    )
    noise = np.random.default_rng(0).random((3, 3, 5, 4), dtype=np.float32)
    rollouts = rollouts_of(noise, ["", "", ""])
    reward = as_image_reward(f"{tmp_path}/scorer.py:score")
    here = reward.score(rollouts, Context(training=False)).total()
    with WorkerPool(1) as pool:
        assert reward.use(pool)
        there = reward.score(rollouts, Context(training=False)).total()
    assert here.tolist() == there.tolist() == (np.rint(noise[:, :, 2, 1] * 255).sum(axis=1) + 3).tolist()


def test_encoding_loses_nothing():
    image = pil_images(np.random.default_rng(1).random((1, 3, 7, 5)))[0]
    assert as_image(encoded(image)).tobytes() == image.tobytes()
    with pytest.raises(RewardError, match="no image"):
        as_image("a cat")


def test_pixels():
    content = Denoising([""], np.array([-3.0, -1.0, 0.0, 1.0], dtype=np.float32).reshape(1, 1, 1, 2, 2))
    assert images_of(content).ravel().tolist() == [0.0, 0.0, 0.5, 1.0]
    assert np.asarray(pil_images(images_of(content))[0])[..., 0].ravel().tolist() == [0, 0, 128, 255]


def test_decoded_images_stand_for_latents():
    latents = Denoising([""], np.zeros((1, 2, 4, 1, 1)), decoded=np.ones((1, 3, 2, 2)))
    assert images_of(latents).tolist() == np.ones((1, 3, 2, 2)).tolist()
    with pytest.raises(RewardError, match=r"\(1, 16, 1, 1\)"):
        images_of(Denoising([""], np.zeros((1, 2, 16, 1, 1))))


def test_the_wrong_kind_of_content_or_reward_is_refused():
    with pytest.raises(RewardError, match="scores text: none of its parameters"):
        as_image_reward(lambda completion: 1.0)
    with pytest.raises(RewardError, match="hold Text"):
        as_reward(lambda images: [1.0]).score(Rollouts(Text([""], [""])), Context(training=False))
    with pytest.raises(RewardError, match="hold Denoising"):
        as_reward(lambda completion: 1.0).score(ROLLOUTS, Context(training=False))
    with pytest.raises(ValueError, match="1 prompts for 3 images"):
        rollouts_of(IMAGES, ["a"])
