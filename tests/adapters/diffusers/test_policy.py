"""Policies: batches in parts, memory, precision, devices, what is refused."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
import torch

from trueward.adapters.diffusers import DiffusersDenoiser, DiffusersFlow, TextToImage, add_lora, tiny_pipeline
from trueward.adapters.diffusers.lora import trained
from trueward.errors import TrainingError
from trueward.policies.flow.kernels import flow_grpo
from trueward.policies.flow.likelihood import trajectory_logprobs
from trueward.policies.flow.sampling import sample

torch.set_num_threads(1)


def made(kind: Any = "sd3", **options: Any) -> tuple[TextToImage, Any]:
    parts = TextToImage(tiny_pipeline(kind), height=16, width=16, length=16)
    return parts, add_lora(parts.policy(**options), 2)


def asked(parts: TextToImage, count: int = 5) -> tuple[torch.Tensor, torch.Tensor, dict[str, torch.Tensor]]:
    generator = torch.Generator().manual_seed(0)
    x, t = torch.randn(count, *parts.shape, generator=generator), torch.rand(count, generator=generator)
    return x, t, parts.encode([str(number) for number in range(count)])


@pytest.mark.parametrize("kind", ["sd3", "flux", "sd15"])
@pytest.mark.parametrize("options", [{"rows": 2}, {"checkpointing": True}, {"rows": 2, "checkpointing": True}])
def test_parts_and_checkpoints_change_memory_and_not_the_result(kind: Any, options: dict[str, Any]) -> None:
    parts, whole = made(kind)
    _, other = made(kind, **options)
    x, t, told = asked(parts)
    for policy in (whole, other):
        policy.train()
        generator = torch.Generator().manual_seed(7)
        with torch.no_grad():
            for weight in trained(policy):
                weight += 0.1 * torch.randn(weight.shape, generator=generator)
        policy(x, t, told).square().sum().backward()
    assert torch.allclose(whole(x, t, told), other(x, t, told), atol=1e-5)
    for one, two in zip(trained(whole), trained(other), strict=True):
        assert torch.allclose(one.grad, two.grad, rtol=1e-3, atol=1e-4)


def test_parts_keep_the_activations_of_one_part_only() -> None:
    def kept(policy: Any, count: int) -> int:
        seen: dict[int, int] = {}

        def pack(tensor: torch.Tensor) -> torch.Tensor:
            seen[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        x, t, told = asked(parts, count)
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            policy(x, t, told)
        return sum(seen.values())

    parts, whole = made()
    _, in_parts = made(rows=1)
    # What grows with the batch are inputs and outputs, and no activations.
    assert kept(whole, 12) - kept(whole, 6) > 10 * (kept(in_parts, 12) - kept(in_parts, 6))


def test_a_model_in_half_precision_gives_single_precision() -> None:
    parts, whole = made()
    half = TextToImage(tiny_pipeline("sd3"))
    half.pipeline.transformer.to(torch.bfloat16)
    policy = add_lora(half.policy(autocast=torch.bfloat16, checkpointing=True), 2)
    assert {weight.dtype for weight in trained(policy)} == {torch.float32}
    x, t, told = asked(parts)
    v = policy(x, t, told)
    assert v.dtype == torch.float32 and torch.allclose(v, whole(x, t, told), atol=0.1)
    v.square().sum().backward()
    assert all(weight.grad is not None and weight.grad.dtype == torch.float32 for weight in trained(policy))
    # log-probabilities of what it sampled are those that it gives again.
    made_here = sample(
        policy, told, shape=parts.shape, times=parts.times(3), kernel=flow_grpo(),
        generator=torch.Generator().manual_seed(0),
    )  # fmt: skip
    assert made_here.logprobs.dtype == torch.float32
    again = trajectory_logprobs(policy, made_here, torch.arange(5), torch.tensor([0, 1]))
    assert torch.allclose(again.logprobs, made_here.logprobs[:, :2], atol=5e-3)


@pytest.mark.parametrize("kind", ["sd3", "flux", "sd15"])
def test_ratios_of_the_first_update_are_one(kind: Any) -> None:
    parts, policy = made(kind)
    _, _, told = asked(parts)
    taken = sample(
        policy, told, shape=parts.shape, times=parts.times(4), kernel=flow_grpo(),
        generator=torch.Generator().manual_seed(0),
    )  # fmt: skip
    steps = torch.arange(3)
    again = trajectory_logprobs(policy, taken, torch.arange(5), steps)
    assert torch.allclose((again.logprobs - taken.logprobs[:, steps]).exp(), torch.ones(5, 3), atol=1e-4)


def test_conditions_may_lie_elsewhere_and_have_another_precision() -> None:
    parts, policy = made()
    x, t, told = asked(parts)
    double = {name: value.double() for name, value in told.items()}
    assert torch.allclose(policy(x.double(), t.double(), double), policy(x, t, told), atol=1e-5)


def test_what_no_model_takes_is_refused() -> None:
    parts, policy = made()
    x, t, _ = asked(parts)
    with pytest.raises(TypeError, match="takes a mapping"):
        policy(x, t, torch.zeros(5))
    with pytest.raises(TrainingError, match="Linear is not among the models that are known"):
        DiffusersFlow(torch.nn.Linear(1, 1))
    with pytest.raises(TrainingError, match="no noise schedule"):
        DiffusersDenoiser(tiny_pipeline("sd15").unet, tiny_pipeline("sd3").scheduler)
    scheduler = tiny_pipeline("sd15").scheduler
    other = type(scheduler).from_config(scheduler.config, prediction_type="sample")
    with pytest.raises(TrainingError, match="epsilon or v_prediction"):
        DiffusersDenoiser(tiny_pipeline("sd15").unet, other)


def test_a_model_that_is_not_known_may_be_called_by_a_function() -> None:
    class Halves(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.ones(()))

        def forward(self, latents: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
            return self.weight * latents * sigma[:, None, None, None]

    policy = DiffusersFlow(Halves(), call=lambda model, x, t, condition, guidance: model(x, t) + condition["c"])
    v = policy(torch.ones(2, 1, 1, 1), torch.tensor([0.5, 0.25]), {"c": torch.ones(2, 1, 1, 1)})
    assert v.flatten().tolist() == [1.5, 1.25]


def test_the_extra_is_named_where_diffusers_is_missing() -> None:
    code = (
        "import sys; sys.modules['diffusers'] = None\n"
        "from trueward.errors import MissingExtra\n"
        "try:\n    import trueward.adapters.diffusers\n"
        "except MissingExtra as error:\n    assert 'trueward[flow]' in str(error), error\n"
        "else:\n    raise AssertionError\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_import_of_the_adapters_loads_no_diffusers() -> None:
    code = (
        "import sys, trueward, trueward.adapters; assert 'diffusers' not in sys.modules and 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
