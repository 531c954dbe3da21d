"""Adapters: at first nothing changes, the reference never does, and only adapters are copied, kept and written."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.optim.swa_utils import AveragedModel

from trueward.adapters.diffusers import LoraReference, TextToImage, add_lora, load_lora, save_lora, tiny_pipeline
from trueward.adapters.diffusers.lora import trained, without_adapters
from trueward.errors import TrainingError
from trueward.training.flow.self_sampling import CheckpointPool

torch.set_num_threads(1)


def asked(parts: TextToImage) -> tuple[torch.Tensor, torch.Tensor, dict[str, torch.Tensor]]:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(2, *parts.shape, generator=generator), torch.tensor([0.8, 0.3]), parts.encode(["one", "two"])


def made(kind: Any = "sd3", rank: int = 4) -> tuple[TextToImage, Any]:
    parts = TextToImage(tiny_pipeline(kind), height=16, width=16, length=16)
    return parts, add_lora(parts.policy(), rank)


def moved(policy: Any, size: float = 0.1) -> None:
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in trained(policy):
            weight += size * torch.randn(weight.shape, generator=generator)


@pytest.mark.parametrize("kind", ["sd3", "flux", "sd15"])
def test_adapters_change_nothing_at_first_and_the_reference_never_changes(kind: Any) -> None:
    plain = TextToImage(tiny_pipeline(kind), height=16, width=16, length=16)
    parts, policy = made(kind)
    x, t, told = asked(parts)
    base = plain.policy()(x, t, told).detach()
    assert torch.allclose(policy(x, t, told), base, atol=1e-6)
    moved(policy)
    assert not torch.allclose(policy(x, t, told), base, atol=1e-3)
    reference = LoraReference(policy)
    assert torch.allclose(reference(x, t, told), base, atol=1e-6)
    assert not torch.allclose(policy(x, t, told), base, atol=1e-3)
    assert list(reference.parameters()) == [] and dict(reference.state_dict()) == {}


def test_only_adapters_are_trained_and_the_reference_leaves_it_so() -> None:
    parts, policy = made()
    names = {name for name, weight in policy.named_parameters() if weight.requires_grad}
    assert names and all(".lora_" in name for name in names)
    x, t, told = asked(parts)
    (policy(x, t, told) - LoraReference(policy)(x, t, told)).square().sum().backward()
    assert names == {name for name, weight in policy.named_parameters() if weight.requires_grad}
    assert all(weight.grad is None for weight in policy.parameters() if not weight.requires_grad)
    frozen = copy.deepcopy(policy).requires_grad_(False)
    with without_adapters(frozen):
        pass
    assert not any(weight.requires_grad for weight in frozen.parameters())


def test_gradients_flow_past_a_reference_asked_in_between_under_checkpointing() -> None:
    parts = TextToImage(tiny_pipeline("sd3"))
    saving = add_lora(parts.policy(checkpointing=True), 4)
    other = TextToImage(tiny_pipeline("sd3"))
    plain = add_lora(other.policy(), 4)
    moved(saving)
    moved(plain)
    x, t, told = asked(parts)
    for policy in (saving, plain):
        policy.train()
        ours = policy(x, t, told)
        (ours - LoraReference(policy)(x, t, told)).square().sum().backward()
    for one, two in zip(trained(saving), trained(plain), strict=True):
        assert one.grad is not None and torch.allclose(one.grad, two.grad, rtol=1e-4, atol=1e-5)


def test_a_copy_shares_the_base_and_has_adapters_of_its_own() -> None:
    parts, policy = made()
    twin = copy.deepcopy(policy)
    x, t, told = asked(parts)
    before = policy(x, t, told).detach()
    own = dict(twin.named_parameters())
    for name, weight in policy.named_parameters():
        assert (own[name] is weight) == (".lora_" not in name)
    moved(policy)
    assert torch.equal(twin(x, t, told), before) and not torch.equal(policy(x, t, told), before)


def test_without_adapters_a_copy_is_whole() -> None:
    policy = TextToImage(tiny_pipeline("sd3")).policy()
    twin = copy.deepcopy(policy)
    assert not {id(weight) for weight in policy.parameters()} & {id(weight) for weight in twin.parameters()}
    assert len(policy.state_dict()) == len(policy.model.state_dict())


def test_the_state_holds_adapters_only_also_of_averages_and_frozen_copies() -> None:
    parts, policy = made()
    x, t, told = asked(parts)
    assert policy.state_dict() and all(".lora_" in name for name in policy.state_dict())
    averaged = AveragedModel(policy)
    assert {name for name in averaged.state_dict() if ".lora_" not in name} == {"n_averaged"}
    frozen = copy.deepcopy(policy).requires_grad_(False)
    assert frozen.state_dict().keys() == policy.state_dict().keys()
    kept = {name: value.clone() for name, value in policy.state_dict().items()}
    before = policy(x, t, told).detach()
    moved(policy)
    frozen.load_state_dict(policy.state_dict())
    assert torch.equal(frozen(x, t, told), policy(x, t, told))
    policy.load_state_dict(kept)
    assert torch.equal(policy(x, t, told), before)
    with pytest.raises(RuntimeError, match="Missing key"):
        policy.load_state_dict(dict(list(kept.items())[1:]))


def test_a_pool_of_checkpoints_holds_adapters_only() -> None:
    parts, policy = made()
    x, t, told = asked(parts)
    pool, reference, first = CheckpointPool(policy), copy.deepcopy(policy), policy(x, t, told).detach()
    moved(policy)
    pool.append(policy)
    assert len(pool) == 2
    assert sum(value.numel() for value in pool.buffers()) == 2 * sum(weight.numel() for weight in trained(policy))
    pool.put(0, reference)
    assert torch.equal(reference(x, t, told), first)
    pool.put(1, reference)
    assert torch.equal(reference(x, t, told), policy(x, t, told))


def test_a_running_average_is_over_adapters_and_leaves_the_base_alone() -> None:
    _, policy = made()
    averaged = AveragedModel(policy, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.9))
    averaged.update_parameters(policy)
    base = {name: weight.clone() for name, weight in policy.named_parameters() if not weight.requires_grad}
    first = [weight.detach().clone() for weight in trained(policy)]
    moved(policy)
    averaged.update_parameters(policy)
    for start, mean, now in zip(first, trained(averaged), trained(policy), strict=True):
        assert torch.allclose(mean, 0.9 * start + 0.1 * now)
    after = dict(policy.named_parameters())
    assert all(torch.equal(after[name], weight) for name, weight in base.items())


@pytest.mark.parametrize("kind", ["sd3", "flux", "sd15"])
def test_what_is_written_is_read_here_and_by_diffusers(kind: Any, tmp_path: Path) -> None:
    parts, policy = made(kind)
    moved(policy)
    x, t, told = asked(parts)
    wanted = policy(x, t, told).detach()
    save_lora(policy, tmp_path)
    _, other = made(kind)
    load_lora(other, tmp_path)
    assert torch.equal(other(x, t, told), wanted)
    pipeline = tiny_pipeline(kind)
    pipeline.load_lora_weights(tmp_path)
    theirs = TextToImage(pipeline, height=16, width=16, length=16).policy()(x, t, told)
    assert torch.allclose(theirs, wanted, atol=1e-5)


def test_adapters_of_another_shape_are_refused(tmp_path: Path) -> None:
    save_lora(made(rank=4)[1], tmp_path)
    with pytest.raises(TrainingError, match="same model, rank and targets"):
        load_lora(made(rank=2)[1], tmp_path)
    with pytest.raises(TrainingError, match="does not exist"):
        load_lora(made(rank=2)[1], tmp_path / "nowhere")


def test_what_has_no_adapters_is_refused(tmp_path: Path) -> None:
    policy = TextToImage(tiny_pipeline("sd3")).policy()
    with pytest.raises(TrainingError, match="no adapters"):
        LoraReference(policy)
    with pytest.raises(TrainingError, match="no adapters"), without_adapters(policy):
        pass
    with pytest.raises(TrainingError, match="no adapters"):
        save_lora(policy, tmp_path)
    with pytest.raises(TrainingError, match="no layer of SD3Transformer2DModel is named nothing"):
        add_lora(policy, targets=["nothing"])
    with pytest.raises(TrainingError, match="adapters already"):
        add_lora(add_lora(policy, 2), 2)
