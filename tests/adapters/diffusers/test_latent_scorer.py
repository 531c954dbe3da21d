"""The process reward on latents learns what finished images are worth, and its gradient leads there."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from trueward.adapters.diffusers.latent_scorer import LatentScorer, conditions_of, fit_latent_scorer
from trueward.errors import TrainingError
from trueward.rewards.models.images.process import LatentProcessReward
from trueward.training.flow.pool import Pool

torch.set_num_threads(1)
PROMPTS = ["a", "b"]
CONDITION = {"encoder_hidden_states": torch.tensor([[[1.0, 0.0]], [[0.0, 1.0]]])}


def pool(count: int = 200) -> Pool:
    """Worth is the mean of the first channel for prompt a, and of the second for prompt b."""
    generator = torch.Generator().manual_seed(0)
    level = torch.randn(count, 2, 1, 1, generator=generator)
    samples = level + 0.3 * torch.randn(count, 2, 8, 8, generator=generator)
    prompt = np.arange(count) % 2
    rewards = samples.mean(dim=(2, 3))[torch.arange(count), torch.from_numpy(prompt)].double().numpy()
    return Pool(PROMPTS, CONDITION, samples, 5 + 10 * rewards, prompt)


@pytest.fixture(scope="module")
def fitted() -> LatentScorer:
    scorer = LatentScorer(2, 2, width=8, halvings=2)
    losses = fit_latent_scorer(
        scorer, pool(), steps=300, batch=32, learning_rate=5e-3, generator=torch.Generator().manual_seed(0)
    )
    assert np.mean(losses[:5]) > 0.8 and np.mean(losses[-30:]) < 0.6
    return scorer


def test_it_tells_good_from_bad_until_noise_is_all_there_is(fitted: LatentScorer) -> None:
    scorer, held = fitted, pool(400)
    noise = torch.randn(held.samples.shape, generator=torch.Generator().manual_seed(9))
    told: Any = {name: value[torch.from_numpy(held.prompt)] for name, value in CONDITION.items()}
    found = []
    for t in (0.0, 0.5, 0.999):
        value = scorer((1 - t) * held.samples + t * noise, torch.full((400,), t), told)
        found.append(np.corrcoef(value.numpy(), held.rewards)[0, 1])
    assert found[0] > 0.8 and found[1] > 0.8 and abs(found[2]) < 0.3
    reward = LatentProcessReward("process", scorer, conditions_of(PROMPTS, CONDITION))
    x, t = held.samples[:2], torch.tensor([0.1, 0.1])
    _, gradient = reward.gradient(x, t, {name: value for name, value in CONDITION.items()})
    # Prompt a is about channel 0, prompt b about channel 1.
    pull = gradient.mean(dim=(2, 3))
    assert pull[0, 0] > pull[0, 1].abs() and pull[1, 1] > pull[1, 0].abs()


def test_a_scorer_that_was_fitted_learns_no_more(fitted: LatentScorer) -> None:
    assert not any(weight.requires_grad for weight in fitted.parameters())


def test_prompts_find_their_condition() -> None:
    found: Any = conditions_of(PROMPTS, CONDITION)(["b", "a", "b"])
    assert found["encoder_hidden_states"][:, 0].tolist() == [[0.0, 1.0], [1.0, 0.0], [0.0, 1.0]]


def test_equal_rewards_teach_nothing() -> None:
    flat = Pool(PROMPTS, CONDITION, torch.zeros(4, 2, 8, 8), np.ones(4), np.array([0, 0, 1, 1]))
    with pytest.raises(TrainingError, match="all rewards of the pool are equal"):
        fit_latent_scorer(LatentScorer(2, 2, width=8), flat, generator=torch.Generator())
