"""A small classifier, and how readable it finds images."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from trueward.batch import Context, Denoising, Rollouts, Text
from trueward.errors import RewardError
from trueward.rewards.models.images.classifier import (
    ClassifierSettings,
    ImageClassifier,
    Readability,
    class_of,
    fit_classifier,
)
from trueward.status import Status


class Pixels(nn.Module):
    """Logits are the pixels themselves: three classes for three pixels."""

    def forward(self, images):
        return images.flatten(1)


def rollouts(images, prompts, decoded=None):
    samples = torch.as_tensor(images, dtype=torch.float32).reshape(len(prompts), 1, 1, 1, 3)
    return Rollouts(Denoising(prompts, samples, decoded=decoded))


def blobs(count, seed, classes=3):
    """Images of 1×2×2 pixels around one bright pixel per class."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, classes, count)
    images = 0.15 * generator.standard_normal((count, 4)) - 0.5
    images[np.arange(count), labels] += 1.0
    return images.reshape(count, 1, 2, 2).astype(np.float32), labels


def test_values_by_hand():
    images, labels = torch.tensor([[0.2, -0.3, 0.9], [0.2, -0.3, 0.9]]).reshape(2, 1, 1, 3), torch.tensor([2, 0])
    shares = np.exp([0.2, -0.3, 0.9]) / np.exp([0.2, -0.3, 0.9]).sum()
    assert Readability(Pixels(), "prob").value(images, labels).numpy() == pytest.approx(shares[[2, 0]], abs=1e-6)
    assert Readability(Pixels(), "margin").value(images, labels).tolist() == pytest.approx([0.7, -0.7])


def test_a_margin_is_paid_for_what_cannot_be_shown_unless_clamped():
    images, labels = torch.tensor([[-5.0, 0.5, 9.0]]).reshape(1, 1, 1, 3), torch.tensor([2])
    assert Readability(Pixels(), "margin").value(images, labels).item() == pytest.approx(8.5)
    assert Readability(Pixels(), "margin", clamp=True).value(images, labels).item() == pytest.approx(0.5)
    share = math.exp(1.0) / (math.exp(-1.0) + math.exp(0.5) + math.exp(1.0))
    assert Readability(Pixels(), "prob").value(images, labels).item() == pytest.approx(share)


def test_gradients_reach_the_image_and_stop_where_it_is_clamped():
    images = torch.tensor([[0.2, -0.3, 4.0]]).reshape(1, 1, 1, 3).requires_grad_()
    Readability(Pixels(), "margin", clamp=True).value(images, torch.tensor([0])).sum().backward()
    # Its own logit counts 1; the rival is beyond the range, where nothing changes.
    assert images.grad.flatten().tolist() == [1.0, 0.0, 0.0]
    images.grad = None
    Readability(Pixels(), "margin").value(images, torch.tensor([0])).sum().backward()
    assert images.grad.flatten().tolist() == [1.0, 0.0, -1.0]


def test_scores_are_read_at_the_end_of_the_path():
    found = Readability(Pixels(), "margin").score(rollouts([[0.1, 0.2, 0.3], [0.3, 0.2, 0.1]], ["2", " 0 "]), Context())
    part = found.parts["readability"]
    assert found.total().tolist() == [pytest.approx(0.1), pytest.approx(0.1)]
    assert (part.low, part.high) == (None, None)
    shares = Readability(Pixels(), name="read").score(rollouts([[0.1, 0.2, 0.3]], ["1"]), Context()).parts["read"]
    assert (shares.low, shares.high) == (0.0, 1.0)


def test_the_last_sample_counts_and_decoded_images_before_it():
    path = torch.tensor([[5.0, 0.0, 0.0], [0.0, 0.5, 0.0]]).reshape(1, 2, 1, 1, 3)
    reward = Readability(Pixels(), "margin")
    assert reward.score(Rollouts(Denoising(["1"], path)), Context()).total().tolist() == [0.5]
    decoded = torch.tensor([0.0, 0.25, 0.0]).reshape(1, 1, 1, 3)
    assert reward.score(Rollouts(Denoising(["1"], path, decoded=decoded)), Context()).total().tolist() == [0.25]


def test_an_image_that_is_not_finite_earns_nothing_and_not_zero():
    part = (
        Readability(Pixels())
        .score(rollouts([[0.1, math.nan, 0.3], [math.inf, 0.2, 0.1], [0.1, 0.2, 0.3]], ["2", "0", "1"]), Context())
        .parts["readability"]
    )
    assert list(part.status) == [Status.NOT_FINITE, Status.NOT_FINITE, Status.OK]
    assert np.isnan(part.filled()).tolist() == [True, True, False]


def test_no_rollouts_have_no_scores():
    assert len(Readability(Pixels()).score(rollouts(np.zeros((0, 3)), []), Context()).total()) == 0


@pytest.mark.parametrize("prompt", ["3", "-1", "a seven", "", "1.0"])
def test_prompts_are_classes(prompt):
    with pytest.raises(RewardError, match="names no class"):
        Readability(Pixels()).score(rollouts([[0.1, 0.2, 0.3]], [prompt]), Context())
    assert class_of("07", 10) == 7 and class_of(2, 3) == 2


def test_wrong_content_and_settings_are_said():
    with pytest.raises(RewardError, match="scores images"):
        Readability(Pixels()).score(Rollouts(Text(["a"], ["b"])), Context())
    with pytest.raises(RewardError, match="prob or margin"):
        Readability(Pixels(), "logit")  # type: ignore[arg-type]


def test_rewards_combine():
    pair = Readability(Pixels(), "margin") + 2.0 * Readability(Pixels(), "margin", name="again")
    assert pair.score(rollouts([[0.1, 0.2, 0.4]], ["2"]), Context()).total().tolist() == [pytest.approx(0.6)]


def test_it_learns_and_what_means_nothing_is_not_learnt():
    images, labels = blobs(600, 0)
    unseen, wanted = blobs(200, 1)
    settings = ClassifierSettings(steps=60, batch=32, learning_rate=1e-2)

    def accuracy(taught):
        model = fit_classifier(ImageClassifier((1, 2, 2), 3, 16), images, taught, settings=settings)
        assert not model.training and not any(values.requires_grad for values in model.parameters())
        return np.mean(model(torch.as_tensor(unseen)).argmax(1).numpy() == wanted)

    assert accuracy(labels) > 0.95
    assert accuracy(np.random.default_rng(2).permutation(labels)) < 0.6


def test_told_the_noise_it_knows_less_the_more_of_it_there_is():
    images, labels = blobs(200, 0)
    settings = ClassifierSettings(steps=300, batch=64, learning_rate=1e-2)
    model = fit_classifier(ImageClassifier((1, 2, 2), 3, 32, time=True), images, labels, settings=settings)
    unseen, wanted = blobs(400, 1)
    noise = torch.randn(unseen.shape, generator=torch.Generator().manual_seed(0))
    right = {}
    for t in (0.0, 0.5, 1.0):
        shown = (1 - t) * torch.as_tensor(unseen) + t * noise
        logits = model(shown, torch.full((400,), t))
        right[t] = np.mean(logits.argmax(1).numpy() == wanted)
    assert right[0.0] > 0.95 and right[0.0] > right[0.5] + 0.1 and right[0.5] > right[1.0] + 0.1
    # Of pure noise nothing can be known, and it says so: one in three on average.
    assert logits.softmax(1).max(dim=1).values.mean().item() < 0.55


def test_noise_levels_can_be_chosen():
    images, labels = blobs(50, 0)
    asked = []

    def late(count, generator):
        asked.append(count)
        return torch.full((count,), 0.9)

    settings = ClassifierSettings(steps=3, batch=8)
    fit_classifier(ImageClassifier((1, 2, 2), 3, 4, time=True), images, labels, settings=settings, times=late)
    assert asked == [8, 8, 8]


def test_a_classifier_says_what_it_lacks():
    images = torch.zeros(2, 1, 2, 2)
    with pytest.raises(ValueError, match="give t"):
        ImageClassifier((1, 2, 2), 3, time=True)(images)
    with pytest.raises(ValueError, match="no noise level"):
        ImageClassifier((1, 2, 2), 3)(images, torch.zeros(2))


def test_the_seed_makes_weights_and_fit():
    images, labels = blobs(50, 0)
    settings = ClassifierSettings(steps=5, batch=8)

    def weights(seed, fit):
        model = fit_classifier(ImageClassifier((1, 2, 2), 3, 4, seed=seed), images, labels, settings=settings, seed=fit)
        return nn.utils.parameters_to_vector(model.parameters())

    before = torch.get_rng_state()
    assert torch.equal(weights(1, 1), weights(1, 1))
    assert not torch.equal(weights(1, 1), weights(2, 1)) and not torch.equal(weights(1, 1), weights(1, 2))
    assert torch.equal(before, torch.get_rng_state())  # what others draw is not touched
