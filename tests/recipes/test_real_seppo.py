"""SePPO on diffusers: steps with tiny random pipelines of noise and of velocity; past policies are adapters."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from trueward.adapters.diffusers import TextToImage, tiny_pipeline
from trueward.adapters.diffusers.lora import trained
from trueward.policies.flow.guidance import ClassifierFree
from trueward.recipes.real import seppo
from trueward.training.flow.pool import Pool
from trueward.training.flow.preference import PreferenceSettings

torch.set_num_threads(1)
PROMPTS = ["a cat", "two cats"]


def pool(kind: Any) -> Pool:
    """Three images of each prompt; number 2 and number 3 are the best."""
    parts = TextToImage(tiny_pipeline(kind), height=16, width=16, length=16)
    images = torch.rand(6, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    scores = np.array([0.1, 0.2, 0.9, 0.8, 0.3, 0.0])
    return Pool(PROMPTS, parts.encode(PROMPTS), parts.latents(images), scores, np.array([0, 0, 0, 1, 1, 1]))


@pytest.mark.parametrize("kind", ["sd15", "sd3"])
def test_two_steps_against_samples_of_its_past(kind: Any, tmp_path: Path) -> None:
    images = pool(kind)
    method = seppo.METHOD if kind == "sd15" else replace(seppo.METHOD, preference=PreferenceSettings(flip="sign"))
    training = seppo.build(images=images, directory=tmp_path, method=method, tiny=kind)
    update: Any = training.update
    assert torch.equal(update.winners, images.samples[[2, 3]])
    before = [weight.detach().clone() for weight in trained(training.policy)]
    told = training.train()
    assert any(not torch.equal(one, two) for one, two in zip(before, trained(told.policy), strict=True))
    first, second = told.metrics[1], told.metrics[2]
    # The first reference is the policy itself: no sign, δ = 0 and a loss of log 2.
    assert first["update/loss"] == pytest.approx(np.log(2), rel=1e-4) and first["update/reference_age"] == 0
    assert np.isfinite(second["update/loss"]) and first["update/losers"] == first["update/winners"] == 0.0
    assert len(update.pool) == 3 and isinstance(update._sampler, ClassifierFree)
    adapters = sum(weight.numel() for weight in trained(told.policy))
    assert sum(value.numel() for value in update.pool.buffers()) == 3 * adapters
    assert (tmp_path / "lora" / "pytorch_lora_weights.safetensors").is_file()


def test_past_samples_come_with_guidance(tmp_path: Path) -> None:
    training = seppo.build(images=pool("sd15"), directory=tmp_path, tiny="sd15", scale=7.5)
    update: Any = training.update
    update.begin(training.policy, training.settings)
    x, t = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0)), torch.tensor([0.6])
    told = training.prepared.parts.encode(["a cat"])
    nothing = training.prepared.parts.encode([""])
    with torch.no_grad():
        conditional, empty = training.policy(x, t, told), training.policy(x, t, nothing)
        guided = update._sampler(x, t, told)
    assert torch.allclose(guided, empty + 7.5 * (conditional - empty), atol=1e-4)
