"""Process rewards of noisy states: gradients against closed forms, failures counted, steps of rollouts by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from trueward.batch import Context, Denoising, Rollouts, Text
from trueward.credit.denoising import process_advantages
from trueward.errors import RewardError
from trueward.rewards.models.images.classifier import ImageClassifier, fit_classifier
from trueward.rewards.models.images.process import ClassEvidence, LatentProcessReward, accuracy_at
from trueward.status import Status


def quadratic(x, t, condition):
    """r = −½ ‖x − c‖² + t, whose gradient is c − x."""
    return -0.5 * (x.flatten(1) - condition[:, None]).square().sum(dim=1) + t


X = torch.tensor([[[1.0, 2.0]], [[0.0, -3.0]]])
T = torch.tensor([0.5, 1.0])
GOAL = torch.tensor([1.0, 0.0])


def test_value_and_gradient_by_hand():
    process = LatentProcessReward("process", quadratic)
    value, gradient = process.gradient(X, T, GOAL)
    assert value.tolist() == [0.0, -3.5] and gradient.tolist() == [[[0.0, -1.0]], [[0.0, 3.0]]]
    assert process.value(X, T, GOAL).tolist() == value.tolist()
    assert not value.requires_grad and not gradient.requires_grad
    assert (process.calls, process.gradient_calls, process.failures) == (4, 2, 0)


def test_it_has_a_gradient_where_gradients_are_switched_off():
    process = LatentProcessReward("process", quadratic)
    with torch.no_grad():
        assert process.gradient(X, T, GOAL)[1].abs().sum() == 4.0


def test_long_gradients_are_scaled_down_and_short_ones_left_alone():
    _, gradient = LatentProcessReward("process", quadratic, clip_norm=2.0).gradient(X, T, GOAL)
    assert gradient.tolist() == [[[0.0, -1.0]], [[0.0, 2.0]]]


class Fails:
    """Works, and raises, and gives NaN, as told."""

    def __init__(self):
        self.how = "works"

    def __call__(self, x, t, condition):
        if self.how == "raises":
            raise RuntimeError("out of room")
        value = quadratic(x, t, condition)
        return torch.where(torch.arange(len(x)) == 1, torch.nan, value) if self.how == "nan" else value


def test_failures_are_no_zeros_and_are_counted():
    model = Fails()
    process = LatentProcessReward("process", model)
    process.value(X, T, GOAL)
    model.how = "nan"
    value, gradient = process.gradient(X, T, GOAL)
    assert value[0] == 0.0 and value[1].isnan() and gradient[1].tolist() == [[0.0, 0.0]]
    assert gradient[0].tolist() == [[0.0, -1.0]]
    assert process.failures == 1 and process.last_failure == "the value is not finite"
    model.how = "raises"
    value, gradient = process.gradient(X, T, GOAL)
    assert value.isnan().all() and (gradient == 0).all()
    assert process.failures == 3 and process.last_failure == "RuntimeError: out of room"
    # And so they leave the comparison within their group.
    compared = process_advantages(torch.stack([value, GOAL], dim=1).double().numpy(), np.zeros(2, int))
    assert compared.valid.tolist() == [[False, True], [False, True]] and (compared.values[:, 0] == 0).all()


def test_a_gradient_that_is_not_finite_is_a_failure():
    process = LatentProcessReward("process", lambda x, t, condition: x.flatten(1).abs().sqrt().sum(dim=1))
    value, gradient = process.gradient(torch.tensor([[0.0, 1.0], [4.0, 1.0]]), T, GOAL)  # the root has none at 0
    assert value[0].isnan() and value[1] == 3.0
    assert gradient.tolist() == [[0.0, 0.0], [0.25, 0.5]] and process.failures == 1


def test_a_model_that_never_worked_is_wired_wrongly():
    model = Fails()
    model.how = "raises"
    with pytest.raises(RuntimeError, match="out of room"):
        LatentProcessReward("process", model).value(X, T, GOAL)
    with pytest.raises(RewardError, match=r"values of shape \(2, 1\) for 2 states"):
        LatentProcessReward("process", lambda x, t, c: t[:, None]).value(X, T, GOAL)


def classifier():
    """Logits 0, x₁ and x₂ · t: log-probabilities are known."""

    class Three(nn.Module):
        def forward(self, x, t):
            return torch.stack([torch.zeros(len(x)), x[:, 0], x[:, 1] * t], dim=1)

    return Three()


def test_the_evidence_of_a_class():
    x, t, label = torch.tensor([[0.0, 2.0], [1.0, 5.0]]), torch.tensor([0.5, 0.0]), torch.tensor([2, 1])
    process = LatentProcessReward("process", ClassEvidence(classifier()))
    value, gradient = process.gradient(x, t, label)
    first, second = math.log(2 + math.e), math.log(2 + math.e)  # logits 0 0 1; 0 1 0
    assert value.tolist() == pytest.approx([1 - first, 1 - second])
    share = math.e / (2 + math.e)
    wanted = [[-1 / (2 + math.e), 0.5 * (1 - share)], [1 - share, 0.0]]
    assert torch.allclose(gradient, torch.tensor(wanted))


def path():
    samples = np.arange(2 * 4 * 2, dtype=np.float32).reshape(2, 4, 2)
    return Denoising(["1", "0"], samples, times=np.array([1.0, 0.75, 0.5, 0.0], dtype=np.float32))


def conditions(prompts):
    return torch.tensor([float(prompt) for prompt in prompts])


@pytest.mark.parametrize("batch_size", [1, 2, 1024])
def test_every_step_of_a_rollout(batch_size):
    process = LatentProcessReward("process", quadratic, conditions, batch_size=batch_size)
    part = process.score(Rollouts(path()), Context()).parts["process"]
    # States (0, 1), (2, 3), (4, 5) against 1, then (8, 9), (10, 11), (12, 13) against 0; the last state is no decision.
    squares = [[1.0, 5.0, 25.0], [145.0, 221.0, 313.0]]
    times = [1.0, 0.75, 0.5]
    assert part.values.tolist() == [[-0.5 * s + t for s, t in zip(row, times, strict=True)] for row in squares]
    assert part.level == "token" and part.exists.all() and all(status.ok for status in part.status)


def test_the_mask_says_which_steps_count_and_a_failure_has_a_status():
    process = LatentProcessReward("process", lambda x, t, c: torch.where(x[:, 0] == 10, torch.nan, x[:, 0]), conditions)
    mask = np.array([[True, False, True], [True, True, True]])
    scores = process.score(Rollouts(path(), mask=mask), Context())
    part = scores.parts["process"]
    assert part.status == [Status.OK, Status.NOT_FINITE] and part.details[1] == "the value is not finite"
    total = scores.total()
    assert total[0] == 4.0 and np.isnan(total[1])
    mask[1, 1] = False
    assert process.score(Rollouts(path(), mask=mask), Context()).total().tolist() == [4.0, 20.0]


def test_what_cannot_be_scored_is_told():
    process = LatentProcessReward("process", quadratic, conditions)
    with pytest.raises(RewardError, match="the rollouts hold Text without times"):
        process.score(Rollouts(Text(["p"], ["c"])), Context())
    with pytest.raises(RewardError, match="the rollouts hold Denoising without times"):
        process.score(Rollouts(Denoising(["1"], np.zeros((1, 3, 2), np.float32))), Context())
    with pytest.raises(RewardError, match="give `conditions`"):
        LatentProcessReward("process", quadratic).score(Rollouts(path()), Context())
    for wrong in ({"clip_norm": 0.0}, {"batch_size": 0}):
        with pytest.raises(RewardError, match="positive norm or None"):
            LatentProcessReward("process", quadratic, **wrong)


def test_counts_go_on_after_a_kill():
    process, again = (LatentProcessReward("process", quadratic) for _ in range(2))
    process.gradient(X, T, GOAL)
    again.load_state_dict(process.state_dict())
    assert again.state_dict() == {"calls": 2, "gradient_calls": 2, "failures": 0}


class NearerSign(nn.Module):
    """Class 1 where the first entry is positive, however noisy."""

    def forward(self, x, t):
        return torch.stack([-x[:, 0], x[:, 0]], dim=1)


def test_accuracy_at_each_noise_level():
    """x_t = (1 − t) · ±1 + t ε has the right sign with probability Φ((1 − t)/t)."""
    labels = np.arange(4000) % 2
    images = (2.0 * labels - 1.0).astype(np.float32)[:, None]
    found = accuracy_at(NearerSign(), images, labels, (0.0, 0.5, 0.75, 1.0))
    normal = torch.distributions.Normal(0.0, 1.0)
    assert found[0.0] == 1.0
    for time in (0.5, 0.75, 1.0):
        assert found[time] == pytest.approx(normal.cdf(torch.tensor((1 - time) / time)).item(), abs=0.015)


def test_a_fitted_classifier_knows_less_the_noisier_the_state():
    generator = np.random.default_rng(0)
    labels = np.arange(300) % 3
    images = (2.0 * np.eye(3, dtype=np.float32)[labels] - 1.0)[:, None, None] * generator.uniform(
        0.7, 1.0, (300, 1, 1, 1)
    )
    model = fit_classifier(ImageClassifier((1, 1, 3), 3, 32, time=True), images.astype(np.float32), labels)
    found = accuracy_at(model, images.astype(np.float32), labels, (0.1, 0.6, 1.0))
    assert found[0.1] > 0.98 > found[0.6] > 0.5 > found[1.0]
    process = LatentProcessReward("process", ClassEvidence(model), lambda prompts: torch.tensor(prompts))
    x = torch.zeros(3, 1, 1, 3)
    value, gradient = process.gradient(x, torch.full((3,), 0.3), torch.arange(3))
    # Towards its class, for each of them.
    assert (gradient[range(3), 0, 0, range(3)] > 0).all() and value.isfinite().all()
