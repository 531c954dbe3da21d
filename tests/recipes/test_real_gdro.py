"""GDRO on diffusers: two steps with tiny random pipelines, on a pool that is drawn and on one in a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from trueward.adapters.diffusers.lora import trained
from trueward.errors import TrainingError
from trueward.recipes.real import gdro

torch.set_num_threads(1)
PROMPTS = ["a dark room", "a bright room", "a sign"]


def brightness(prompts: list[str], images: list[Any]) -> list[float]:
    return [float(np.asarray(image).mean()) / 255 for image in images]


@pytest.mark.parametrize("kind", ["sd3", "flux"])
def test_two_steps_on_a_pool_that_is_drawn(kind: Any, tmp_path: Path) -> None:
    training = gdro.build(prompts=PROMPTS, reward=brightness, directory=tmp_path, tiny=kind)
    before = [weight.detach().clone() for weight in trained(training.policy)]
    told = training.train()
    assert any(not torch.equal(one, two) for one, two in zip(before, trained(told.policy), strict=True))
    assert [line["step"] for line in told.metrics] == [0, 1, 2]
    assert all(np.isfinite(line["update/loss"]) and line["update/informative"] == 1.0 for line in told.metrics[1:])
    # Before the first update the implied rewards are 0; then they are not.
    assert told.metrics[1]["update/spread"] == pytest.approx(0.0, abs=1e-5) and told.metrics[2]["update/spread"] > 1e-5
    assert {"proxy", "proxy/brightness"} <= told.metrics[0].keys() & told.metrics[2].keys()
    assert (tmp_path / "lora" / "pytorch_lora_weights.safetensors").is_file()
    assert [path.name for path in sorted((tmp_path / "samples").iterdir())] == ["step-000000.png", "step-000002.png"]


def test_two_steps_on_a_file_of_scored_images(tmp_path: Path) -> None:
    lines = []
    for number in range(6):
        pixels = np.full((20, 24, 3), 40 * number, dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
        lines.append(json.dumps({"prompt": PROMPTS[number % 2], "image": f"{number}.png", "score": number / 6}))
    (tmp_path / "pool.jsonl").write_text("\n".join(lines))
    training = gdro.build(pool=tmp_path / "pool.jsonl", directory=tmp_path / "run", tiny="sd3")
    assert training.update.pool.samples.shape == (6, 4, 8, 8)
    told = training.train()
    # Rewards in [0, 1] by the range of the file; the best images are numbers 4 and 5.
    assert told.metrics[2]["update/pool_best"] == pytest.approx((4 / 6 + 5 / 6) / 2)


def test_a_run_goes_on_where_it_was(tmp_path: Path) -> None:
    whole = gdro.build(
        prompts=PROMPTS, reward=brightness, directory=tmp_path / "whole", tiny="sd3", settings={"steps": 3}
    ).train()
    for steps in (1, 3):
        settings = {"steps": steps, "checkpoint_every": 1}
        parts = gdro.build(
            prompts=PROMPTS, reward=brightness, directory=tmp_path / "parts", tiny="sd3", settings=settings
        ).train()
    for one, two in zip(trained(whole.policy), trained(parts.policy), strict=True):
        assert torch.equal(one, two)


def test_a_pool_that_was_drawn_is_kept_with_its_run(tmp_path: Path) -> None:
    first = gdro.build(prompts=PROMPTS, reward=brightness, directory=tmp_path, tiny="sd3").update.pool

    def refuses(prompts: list[str], images: list[Any]) -> list[float]:
        raise AssertionError("nothing is scored again")

    refuses.__name__ = "brightness"
    again = gdro.build(prompts=PROMPTS, reward=refuses, directory=tmp_path, tiny="sd3").update.pool
    assert torch.equal(first.samples, again.samples) and first.rewards.tolist() == again.rewards.tolist()
    assert all(torch.allclose(first.condition[name], again.condition[name]) for name in first.condition)
    refuses.__name__ = "another"
    with pytest.raises(TrainingError, match="3 prompts scored by brightness, and 3 prompts scored by another"):
        gdro.build(prompts=PROMPTS, reward=refuses, directory=tmp_path, tiny="sd3")
    (tmp_path / "pool.safetensors").write_bytes(b"torn")
    with pytest.raises(TrainingError, match="cannot be read"):
        gdro.build(prompts=PROMPTS, reward=brightness, directory=tmp_path, tiny="sd3")


def test_something_to_learn_from_is_needed(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="a pool of scored images, or prompts and a reward"):
        gdro.build(directory=tmp_path, tiny="sd3")
