"""Sampling: the ODE and both SDEs have the marginals of a Gaussian target; log-probabilities belong to the steps."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from trueward.policies.flow.base import condition_device
from trueward.policies.flow.kernels import Kernel, dance_grpo, flow_grpo, ode, step_deviation, step_mean, time_grid
from trueward.policies.flow.likelihood import trajectory_logprobs
from trueward.policies.flow.network import FlowMLP
from trueward.policies.flow.sampling import Guidance, Trajectories, sample, starting_noise

MEAN, DEVIATION = 0.6, 0.4


def variance(t: Tensor) -> Tensor:
    """Of x_t where x₀ ~ N(MEAN, DEVIATION²)."""
    return (1 - t) ** 2 * DEVIATION**2 + t**2


def exact(x: Tensor, t: Tensor, condition: object) -> Tensor:
    """E[ε − x₀ | x_t] of that target."""
    at = t.reshape(-1, *[1] * (x.ndim - 1))
    return -MEAN + (at - (1 - at) * DEVIATION**2) / variance(at) * (x - (1 - at) * MEAN)


def drawn(kernel: Kernel, steps: int = 200, n: int = 20000, policy: Callable[..., Tensor] = exact) -> Trajectories:
    generator = torch.Generator().manual_seed(5)
    return sample(policy, torch.zeros(n), shape=(1,), times=time_grid(steps), kernel=kernel, generator=generator)


def apart(found: Trajectories) -> tuple[Tensor, Tensor]:
    """Differences of the moments at each t from those of the path, in standard errors."""
    states, n = found.states[..., 0].double(), len(found)
    wanted = variance(found.times.double())
    mean = (states.mean(dim=0) - (1 - found.times.double()) * MEAN) / (wanted / n).sqrt()
    spread = (states.var(dim=0) / wanted - 1) / (2 / n) ** 0.5
    return mean.abs(), spread.abs()


@pytest.mark.parametrize("kernel", [ode(), flow_grpo(0.3), dance_grpo(0.7), dance_grpo(0.7, clean_end=False)], ids=str)
def test_marginals_at_every_t(kernel: Kernel) -> None:
    mean, spread = apart(drawn(kernel))
    # 201 times, neighbours dependent: 4.5 standard errors, and room for the error of 200 steps.
    assert mean.max() < 4.5
    assert spread.max() < 5.5


def test_the_first_step_of_flow_grpo_widens_by_a_known_share_whatever_the_number_of_steps() -> None:
    # σ² Δ is a² at t = 1: (1 − a² / 2)² + a² = 1 + a⁴ / 4. Later steps forget it.
    for steps in (50, 400):
        found = drawn(flow_grpo(0.7), steps=steps)
        first = found.states[:, 1, 0].var() - (variance(found.times[1]) - 1)
        assert abs(first - (1 + 0.7**4 / 4)) < 4.5 * (2 / 20000) ** 0.5 + 2 / steps
    mean, spread = apart(found)
    assert spread[200:].max() < 4.5
    assert mean.max() < 4.5


def test_marginals_are_missed_without_the_score() -> None:
    # The control: noise whose drift is not taken out makes the samples too wide.
    generator = torch.Generator().manual_seed(5)
    x, times = torch.randn(20000, 1, generator=generator), time_grid(200)
    for t, after in itertools.pairwise(times):
        noise = torch.randn(x.shape, generator=generator)
        x = step_mean(x, exact(x, t.expand(len(x)), None), t, t - after, 0.0) + step_deviation(t - after, 0.7) * noise
    assert (x.var() / DEVIATION**2 - 1) / (2 / 20000) ** 0.5 > 20


def moments(kernel: Kernel, steps: int) -> tuple[float, float]:
    """Mean and variance at t = 0, exactly: steps of a linear velocity keep Gaussians Gaussian."""
    times = time_grid(steps)
    mean, spread = torch.zeros(1, 1), torch.ones(1, 1)
    for t, after, sigma in zip(times[:-1], times[1:], kernel.sigma(times), strict=True):
        slope = step_mean(torch.ones(1, 1), exact(torch.ones(1, 1), t.reshape(1), None), t, t - after, sigma)
        offset = step_mean(torch.zeros(1, 1), exact(torch.zeros(1, 1), t.reshape(1), None), t, t - after, sigma)
        mean = (slope - offset) * mean + offset
        spread = (slope - offset) ** 2 * spread + sigma**2 * (t - after)
    return mean.item(), spread.item()


@pytest.mark.parametrize("kernel", [ode(), flow_grpo(0.7), dance_grpo(0.5)], ids=str)
def test_the_error_of_finite_steps_goes_away(kernel: Kernel) -> None:
    errors = [abs(moments(kernel, steps)[1] / DEVIATION**2 - 1) for steps in (50, 100, 1600)]
    assert errors[0] > 1.5 * errors[1]
    assert errors[2] < 0.006
    assert moments(kernel, 1600)[0] == pytest.approx(MEAN, abs=0.003)


def test_strong_noise_with_guidance_ends_at_the_tilted_target() -> None:
    # p̃₀ ∝ N(m, s²) exp(w x / β) = N(m + s² w / β, s²). Noise that mixes faster than t falls keeps to the tilted path.
    w, beta, kernel, times = 1.5, 0.5, dance_grpo(6.0, clean_end=False), time_grid(4000)
    guidance = Guidance(lambda x, t, c: (w * x.sum(1), torch.full_like(x, w)), beta=beta)
    mean = torch.zeros(1, 1)
    for t, after, sigma in zip(times[:-1], times[1:], kernel.sigma(times).tolist(), strict=True):
        at, v = t.reshape(1), exact(mean, t.reshape(1), None)
        shift, _ = guidance.shift(mean, v, at, float(t - after), sigma, torch.zeros(1))
        mean = step_mean(mean, v, at, t - after, sigma) + shift
    assert mean.item() == pytest.approx(MEAN + DEVIATION**2 * w / beta, abs=0.01)


def test_ode_by_hand() -> None:
    # v = 2 everywhere: from 1 to 1 − 2.
    found = sample(
        lambda x, t, c: torch.full_like(x, 2.0), torch.zeros(1), shape=(1,), times=time_grid(4), noise=torch.ones(1, 1)
    )
    assert found.states.flatten().tolist() == [1.0, 0.5, 0.0, -0.5, -1.0]
    assert found.final.tolist() == [[-1.0]]
    assert not found.decisions.any()
    assert found.logprobs.tolist() == [[0.0] * 4]


def test_the_policy_sees_state_time_and_condition_of_each_row() -> None:
    seen = []

    def policy(x: Tensor, t: Tensor, condition: dict[str, Tensor]) -> Tensor:
        seen.append((t.tolist(), condition["a"].tolist()))
        return condition["a"].unsqueeze(1) * torch.ones_like(x)

    noise = torch.zeros(2, 1)
    found = sample(policy, {"a": torch.tensor([1.0, 3.0])}, shape=(1,), times=time_grid(2), noise=noise)
    assert seen == [([1.0, 1.0], [1.0, 3.0]), ([0.5, 0.5], [1.0, 3.0])]
    assert found.final.tolist() == [[-1.0], [-3.0]]


def network_and(kernel: Kernel, **given: object) -> tuple[FlowMLP, Trajectories]:
    network = FlowMLP((1, 2, 2), classes=3, width=16, blocks=1, seed=1)
    torch.nn.init.normal_(network.leave.weight, std=0.3, generator=torch.Generator().manual_seed(2))
    found = sample(
        network,
        torch.tensor([0, 1, 2, 0, 1]),
        shape=(1, 2, 2),
        times=time_grid(6),
        kernel=kernel,
        generator=torch.Generator().manual_seed(3),
        **given,  # type: ignore[arg-type]
    )
    return network, found


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_log_probabilities_are_those_of_the_steps_taken(reduction: str) -> None:
    network, found = network_and(flow_grpo(), reduction=reduction)
    for step in range(6):
        x, t = found.states[:, step], found.times[step].expand(5)
        mean = step_mean(x, network(x, t, found.condition), t, found.dt[step], found.sigma[step])
        each = torch.distributions.Normal(mean, found.sigma[step] * found.dt[step] ** 0.5).log_prob(
            found.states[:, step + 1]
        )
        rows = each.flatten(1)
        expected = rows.mean(dim=1) if reduction == "mean" else rows.sum(dim=1)
        torch.testing.assert_close(found.logprobs[:, step], expected.detach(), rtol=1e-4, atol=1e-4)


def test_one_pass_gives_what_sampling_recorded() -> None:
    network, found = network_and(flow_grpo())
    rows, steps = torch.tensor([4, 0, 2]), torch.tensor([5, 1])
    likelihoods = trajectory_logprobs(network, found, rows, steps)
    torch.testing.assert_close(likelihoods.logprobs, found.logprobs[rows][:, steps], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(likelihoods.velocities, found.velocities[rows][:, steps], rtol=1e-5, atol=1e-5)
    likelihoods.logprobs.sum().backward()
    assert network.leave.weight.grad is not None


def test_every_row_may_have_steps_of_its_own() -> None:
    network, found = network_and(flow_grpo())
    rows, steps = torch.tensor([1, 3]), torch.tensor([[0, 4], [2, 1]])
    own = trajectory_logprobs(network, found, rows, steps).logprobs
    torch.testing.assert_close(own, found.logprobs[rows].gather(1, steps), rtol=1e-5, atol=1e-5)


def test_steps_without_noise_have_no_density() -> None:
    network, found = network_and(dance_grpo())
    assert found.decisions.tolist() == [True] * 5 + [False]
    with pytest.raises(ValueError, match=r"steps \[5\] have no noise"):
        trajectory_logprobs(network, found, torch.tensor([0]), torch.tensor([4, 5]))


def test_with_guidance_both_densities_are_kept() -> None:
    gradient = torch.tensor([1.0, -2.0, 0.5, 0.0]).reshape(1, 2, 2)
    guidance = Guidance(lambda x, t, c: ((x * gradient).sum((1, 2, 3)), gradient.expand_as(x)), beta=0.5, window=(2, 4))
    network, found = network_and(flow_grpo(), guidance=guidance)
    assert found.shifts is not None and found.values is not None and found.guided_logprobs is not None
    expected = found.sigma[3] ** 2 / (2 * 0.5) * found.dt[3] * gradient
    torch.testing.assert_close(found.shifts[1, 3], expected)
    assert torch.isnan(found.values[:, [0, 1, 5]]).all()
    torch.testing.assert_close(found.values[:, 3], (found.states[:, 3] * gradient).sum((1, 2, 3)))
    assert (found.shifts[:, [0, 1, 5]] == 0).all()
    rows, steps = torch.arange(5), torch.arange(6)
    plain = trajectory_logprobs(network, found, rows, steps).logprobs
    shifted = trajectory_logprobs(network, found, rows, steps, shifted=True).logprobs
    torch.testing.assert_close(plain, found.logprobs, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(shifted, found.guided_logprobs, rtol=1e-4, atol=1e-4)
    assert (plain[:, 2:5] - shifted[:, 2:5]).abs().mean() > 0.05
    torch.testing.assert_close(plain[:, :2], shifted[:, :2])


def test_rollouts_say_which_steps_are_decisions() -> None:
    _, found = network_and(dance_grpo())
    rollouts = found.rollouts(list("abcde"), torch.arange(5).numpy())
    assert rollouts.mask is not None and rollouts.logprobs is not None
    assert rollouts.mask.tolist() == [[True] * 5 + [False]] * 5
    assert tuple(rollouts.content.samples.shape) == (5, 7, 1, 2, 2)
    assert rollouts.content.final.equal(found.final)
    assert rollouts.logprobs.equal(found.logprobs)


def test_rows_do_not_know_of_each_other() -> None:
    network, together = network_and(ode())
    for row in range(5):
        alone = sample(
            network,
            together.condition[row : row + 1],  # type: ignore[index]
            shape=(1, 2, 2),
            times=time_grid(6),
            noise=together.states[row : row + 1, 0],
        )
        torch.testing.assert_close(alone.final[0], together.final[row], rtol=1e-5, atol=1e-5)


def test_shared_noise() -> None:
    noise = starting_noise(3, (2,), torch.Generator().manual_seed(0), repeat=2)
    assert noise[0].equal(noise[1]) and noise[4].equal(noise[5])
    assert not noise[0].equal(noise[2])


def test_says_what_is_wrong() -> None:
    with pytest.raises(ValueError, match="times must fall"):
        sample(exact, torch.zeros(2), shape=(1,), times=torch.tensor([0.0, 1.0]))
    with pytest.raises(ValueError, match="need a generator"):
        sample(exact, torch.zeros(2), shape=(1,), times=time_grid(2), kernel=flow_grpo(), noise=torch.zeros(2, 1))
    with pytest.raises(ValueError, match="noise has shape"):
        sample(exact, torch.zeros(2), shape=(1,), times=time_grid(2), noise=torch.zeros(3, 1))
    assert condition_device({"a": torch.zeros(1)}).type == "cpu"
