"""ArtifactReward on diffusers: two steps with a tiny random pipeline and a judge; the folder of labelled images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from trueward.adapters.diffusers.lora import LoraReference, trained
from trueward.errors import DataError, TrainingError
from trueward.recipes.real import artifact_reward
from trueward.rewards.models.images.artefact import ArtefactJudge, Classified
from trueward.rewards.models.images.classifier import ClassifierSettings

torch.set_num_threads(1)
PROMPTS = ["a cat", "two cats"]


def brightness(prompts: list[str], images: list[Any]) -> list[float]:
    return [float(np.asarray(image).mean()) / 255 for image in images]


def labelled(folder: Path) -> Path:
    rng = np.random.default_rng(0)
    for number in range(4):
        for kind, spread in (("clean", 5), ("artefact", 120)):
            (folder / kind).mkdir(parents=True, exist_ok=True)
            pixels = np.clip(128 + spread * rng.standard_normal((12, 14, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / kind / f"{number}.png")
    return folder


def judge(folder: Path) -> ArtefactJudge:
    scorer = Classified(settings=ClassifierSettings(steps=20, batch=8))
    return ArtefactJudge(scorer).fit(*artifact_reward.labelled_images(labelled(folder), 16))


def test_two_steps_on_a_base_reward_and_the_judge(tmp_path: Path) -> None:
    training = artifact_reward.build(
        prompts=PROMPTS,
        rewards=[brightness],
        judge=judge(tmp_path / "labelled"),
        weight=3.0,
        directory=tmp_path / "run",
        tiny="sd3",
    )
    before = [weight.detach().clone() for weight in trained(training.policy)]
    update: Any = training.update
    assert isinstance(update.reference, LoraReference)
    told = training.train()
    assert any(not torch.equal(one, two) for one, two in zip(before, trained(told.policy), strict=True))
    first, second = told.metrics[1], told.metrics[2]
    for line in (first, second):
        assert line["update/reward"] == pytest.approx(
            line["update/part/brightness"] + 3 * line["update/part/artefact"], abs=1e-6
        )
    # At the first step policy and reference are one.
    assert first["update/kl"] == pytest.approx(0.0, abs=1e-6) and second["update/kl"] > 0
    assert (tmp_path / "run" / "lora" / "pytorch_lora_weights.safetensors").is_file()


def test_labelled_images_of_a_folder(tmp_path: Path) -> None:
    images, labels = artifact_reward.labelled_images(labelled(tmp_path), 16)
    assert images.shape == (8, 3, 16, 16) and images.min() >= 0 and images.max() <= 1
    assert sorted(labels.tolist()) == [0] * 4 + [1] * 4
    noisy = images.reshape(8, -1).std(axis=1)
    assert noisy[labels == 1].min() > noisy[labels == 0].max()
    (tmp_path / "other").mkdir()
    Image.new("RGB", (16, 16)).save(tmp_path / "other" / "0.png")
    with pytest.raises(DataError, match="clean and artefact"):
        artifact_reward.labelled_images(tmp_path, 16)


def test_what_is_missing_is_told(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="a judge of artefacts"):
        artifact_reward.build(prompts=PROMPTS, rewards=[brightness], directory=tmp_path, tiny="sd3")


def test_a_served_judge_begins_at_the_instruction_given() -> None:
    made: Any = artifact_reward.served_judge("http://127.0.0.1:9/v1", instruction="Is it broken?")
    assert made.scorer.instruction == "Is it broken?"
