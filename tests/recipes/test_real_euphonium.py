"""Euphonium on diffusers: a process reward that is learnt from a pool, two guided steps, what is distilled."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from trueward.adapters.diffusers.lora import trained
from trueward.errors import TrainingError
from trueward.recipes.real import euphonium

torch.set_num_threads(1)
PROMPTS = ["a cat", "two cats"]


def brightness(prompts: list[str], images: list[Any]) -> list[float]:
    return [float(np.asarray(image).mean()) / 255 for image in images]


def rising(x: torch.Tensor, t: torch.Tensor, condition: Any) -> torch.Tensor:
    """A process reward whose gradient is 1 everywhere."""
    return x.flatten(1).sum(dim=1)


def test_two_guided_steps_with_a_process_reward_that_is_learnt(tmp_path: Path) -> None:
    training = euphonium.build(prompts=PROMPTS, reward=brightness, directory=tmp_path, tiny="sd3")
    before = [weight.detach().clone() for weight in trained(training.policy)]
    told = training.train()
    assert any(not torch.equal(one, two) for one, two in zip(before, trained(told.policy), strict=True))
    for line in told.metrics[1:]:
        assert np.isfinite(line["update/loss"]) and np.isfinite(line["update/process/reward"])
        assert -1.0 <= line["hook/process_agreement_1"] <= 1.0 and line["hook/process_failures"] == 0.0
    assert "proxy/brightness" in told.metrics[2]
    assert (tmp_path / "lora" / "pytorch_lora_weights.safetensors").is_file()


def test_rollouts_are_shifted_by_the_gradient(tmp_path: Path) -> None:
    """shift = σ² / (2β) ∇r Δ, here with ∇r = 1."""
    training = euphonium.build(
        prompts=PROMPTS, reward=brightness, process=rising, beta=0.5, clip_norm=None, directory=tmp_path, tiny="sd3"
    )
    update: Any = training.update
    update.begin(training.policy, training.settings)
    trajectories, _ = update._rollouts(training.policy, torch.Generator().manual_seed(0))
    for step in range(2):
        wanted = 0.25**2 / (2 * 0.5) * float(trajectories.dt[step])
        assert torch.allclose(trajectories.shifts[:, step], torch.tensor(wanted), atol=1e-6)
    told = training.train()
    assert told.metrics[1]["update/distillation_target"] > 0


def test_a_run_goes_on_with_the_process_reward_that_it_learnt(tmp_path: Path) -> None:
    first: Any = euphonium.build(prompts=PROMPTS, reward=brightness, directory=tmp_path, tiny="sd3").update
    [file] = tmp_path.glob("process-*.safetensors")
    written = file.stat().st_mtime_ns
    again: Any = euphonium.build(prompts=PROMPTS, reward=brightness, directory=tmp_path, tiny="sd3").update
    assert file.stat().st_mtime_ns == written
    for one, two in zip(first.process.model.parameters(), again.process.model.parameters(), strict=True):
        assert torch.equal(one, two) and not two.requires_grad


def test_prompts_and_a_reward_are_needed(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="prompts and a reward"):
        euphonium.build(directory=tmp_path, tiny="sd3")
