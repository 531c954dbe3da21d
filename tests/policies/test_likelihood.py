"""Likelihood against one unpadded row at a time, TRL, and finite differences."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from trl.trainer.utils import selective_log_softmax

from trueward.batch import Rollouts
from trueward.policies.language import LanguagePolicy
from trueward.policies.sampling import Sampling
from trueward.tasks.text.vocabulary import Vocabulary

torch.set_num_threads(1)
WORDS = Vocabulary("words", tuple("abcdefgh"))
PROMPTS = ["a b c", "h", "", "d e f g h a b", "h"]
τ = 0.8


@pytest.fixture(scope="module")
def policy() -> LanguagePolicy:
    return LanguagePolicy.tiny(WORDS, width=32, heads=2, positions=32, seed=3)


@pytest.fixture(scope="module")
def rollouts(policy: LanguagePolicy) -> Rollouts:
    sampling = Sampling(12, temperature=τ)
    return policy.sample(PROMPTS, sampling, torch.Generator().manual_seed(0), want=["entropy", "hidden"])


def tensors(rollouts: Rollouts) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    content = rollouts.content
    return torch.from_numpy(content.token_ids), torch.from_numpy(content.attention), torch.from_numpy(rollouts.mask)


def test_it_is_what_the_sampler_said(policy: LanguagePolicy, rollouts: Rollouts) -> None:
    ids, attention, mask = tensors(rollouts)
    found = policy.likelihood(ids, attention, mask.shape[1], temperature=τ, want=["entropy", "hidden"])
    m = rollouts.mask
    assert 0 < m.sum() < m.size  # there is padding on the right
    assert found.logprobs.detach().numpy()[m] == pytest.approx(rollouts.logprobs[m], abs=1e-5)
    assert found.entropy.detach().numpy()[m] == pytest.approx(rollouts.features["entropy"][m], abs=1e-5)
    assert found.hidden.detach().numpy()[m] == pytest.approx(rollouts.features["hidden"][m], abs=1e-5)
    assert policy.likelihood(ids, attention, mask.shape[1]).entropy is None
    off = policy.likelihood(ids, attention, mask.shape[1]).logprobs.detach().numpy()[m]
    assert np.abs(off - rollouts.logprobs[m]).max() > 0.05  # of another temperature


def test_it_is_what_each_row_gives_alone(policy: LanguagePolicy, rollouts: Rollouts) -> None:
    ids, attention, mask = tensors(rollouts)
    found = policy.likelihood(ids, attention, mask.shape[1], temperature=τ).logprobs
    for row in range(len(ids)):
        real = ids[row][attention[row]]
        count = int(mask[row].sum())
        logits = policy.model(real[None]).logits[0, -count - 1 : -1] / τ
        assert torch.allclose(selective_log_softmax(logits, real[-count:]), found[row, :count], atol=1e-5)


def test_gradients_are_those_of_each_row_alone(policy: LanguagePolicy, rollouts: Rollouts) -> None:
    ids, attention, mask = tensors(rollouts)
    parameters = list(policy.parameters())
    found = policy.likelihood(ids, attention, mask.shape[1], want=["entropy"])
    total = found.logprobs[mask].sum() + found.entropy[mask].sum()
    together = torch.autograd.grad(total, parameters)
    apart = [torch.zeros_like(parameter) for parameter in parameters]
    for row in range(len(ids)):
        real = ids[row][attention[row]]
        count = int(mask[row].sum())
        logprobs = policy.model(real[None]).logits[0, -count - 1 : -1].log_softmax(-1)
        of_row = logprobs.gather(1, real[-count:, None]).sum() - (logprobs.exp() * logprobs).sum()
        for sum_, gradient in zip(apart, torch.autograd.grad(of_row, parameters), strict=True):
            sum_ += gradient
    for one, other in zip(together, apart, strict=True):
        assert torch.allclose(one, other, atol=1e-4, rtol=1e-4)
    assert max(float(gradient.abs().max()) for gradient in together) > 0.1


def test_padding_may_hold_anything(policy: LanguagePolicy, rollouts: Rollouts) -> None:
    ids, attention, mask = tensors(rollouts)
    other = torch.where(attention, ids, 7)
    wider = torch.nn.functional.pad(ids, (3, 0)), torch.nn.functional.pad(attention, (3, 0))
    expected = policy.likelihood(ids, attention, mask.shape[1]).logprobs[mask]
    assert torch.allclose(policy.likelihood(other, attention, mask.shape[1]).logprobs[mask], expected, atol=1e-6)
    assert torch.allclose(policy.likelihood(*wider, mask.shape[1]).logprobs[mask], expected, atol=1e-5)


def test_probabilities_sum_to_one(policy: LanguagePolicy) -> None:
    every = torch.arange(len(policy.tokenizer))
    ids = torch.stack([torch.ones_like(every), torch.full_like(every, 5), every], dim=1)
    found = policy.likelihood(ids, torch.ones_like(ids, dtype=torch.bool), 1, temperature=τ, want=["entropy"])
    p = found.logprobs.exp().squeeze(1)
    assert float(p.sum().detach()) == pytest.approx(1, abs=1e-6)
    assert found.entropy[0, 0].item() == pytest.approx(float(-(p * p.log()).sum().detach()), abs=1e-5)


def test_half_precision_still_gives_single() -> None:
    policy = LanguagePolicy.tiny(WORDS, width=32, heads=2)
    policy.model.bfloat16()
    ids = torch.tensor([[1, 3, 4, 5]])
    assert policy.likelihood(ids, torch.ones_like(ids, dtype=torch.bool), 2).logprobs.dtype == torch.float32
    assert policy.sample(["a"], Sampling(3), torch.Generator(), want=["hidden"]).logprobs.dtype == np.float32


def test_what_is_refused(policy: LanguagePolicy) -> None:
    ids = torch.tensor([[1, 3]])
    attention = torch.ones_like(ids, dtype=torch.bool)
    with pytest.raises(ValueError, match="2 decisions in 2 columns"):
        policy.likelihood(ids, attention, 2)
    with pytest.raises(ValueError, match="'logits'"):
        policy.likelihood(ids, attention, 1, want=["logits"])
