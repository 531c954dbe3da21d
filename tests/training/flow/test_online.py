"""Learning online: the loss against a plain transcription, credit per part and step, guidance, resumption."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from trueward.batch import Context, Denoising, Part, Rollouts, Scores
from trueward.errors import TrainingError
from trueward.policies.flow import FlowMLP, Guidance, dance_grpo, flow_grpo, ode, time_grid
from trueward.rewards.base import Reward
from trueward.status import Status
from trueward.training.flow import FlowHook, FlowSettings, OnlineSettings, OnlineUpdate, online, train_flow
from trueward.training.flow.online_loss import Credit

SHAPE = (1, 2, 2)


class Of(Reward):
    """Parts from functions of the finished samples [N, …] → [N]; NaN is a row that could not be asked."""

    def __init__(self, **functions: Callable[[np.ndarray], np.ndarray]) -> None:
        self.functions = functions
        self.seen: list[Rollouts] = []

    @property
    def name(self) -> str:
        return "+".join(self.functions)

    def use(self, runner: Any) -> bool:
        return False

    def score(self, rollouts: Rollouts, context: Context) -> Scores:
        self.seen.append(rollouts)
        assert isinstance(rollouts.content, Denoising)
        final = np.asarray(rollouts.content.final, dtype=np.float64)
        parts = {}
        for name, function in self.functions.items():
            values = function(final)
            status = [Status.UNAVAILABLE if np.isnan(value) else Status.OK for value in values]
            parts[name] = Part(values, status)
        return Scores(parts)


class Along(Reward):
    """A process reward: the first number of the state before each step, at the first `steps` of them."""

    def __init__(self, steps: int) -> None:
        self.steps = steps

    @property
    def name(self) -> str:
        return "along"

    def use(self, runner: Any) -> bool:
        return False

    def score(self, rollouts: Rollouts, context: Context) -> Scores:
        assert isinstance(rollouts.content, Denoising)
        values = np.asarray(rollouts.content.samples)[:, :-1].reshape(len(rollouts), -1, 4)[:, :, 0].astype(np.float64)
        exists = np.zeros(values.shape, dtype=bool)
        exists[:, : self.steps] = True
        return Scores({"along": Part(values, [Status.OK] * len(values), level="token", exists=exists)})


def ink(final: np.ndarray) -> np.ndarray:
    summed: np.ndarray = final.reshape(len(final), -1).sum(axis=1)
    return summed


def first_pixel(final: np.ndarray) -> np.ndarray:
    first: np.ndarray = final.reshape(len(final), -1)[:, 0] * 100
    return first


def network(scale: float = 0.3) -> FlowMLP:
    made = FlowMLP(SHAPE, 3, width=16, blocks=1, seed=1)
    nn.init.normal_(made.leave.weight, std=scale, generator=torch.Generator().manual_seed(2))
    return made


def update_of(reward: Reward | None = None, settings: OnlineSettings | None = None, **given: Any) -> OnlineUpdate:
    chosen = settings or OnlineSettings(group=4, prompts=3, steps=5)
    return OnlineUpdate(reward or Of(ink=ink), list("012"), torch.arange(3), chosen, shape=SHAPE, **given)


def losses_of(
    update: OnlineUpdate, policy: nn.Module | None = None, seed: int = 7
) -> list[tuple[Tensor, dict[str, Any]]]:
    model = policy or network()
    update.begin(model, FlowSettings(steps=3))
    return [(loss, dict(told)) for loss, told in update.losses(model, 1, torch.Generator().manual_seed(seed))]


def gradient(loss: Tensor, model: nn.Module) -> Tensor:
    loss.backward()  # type: ignore[no-untyped-call]
    return torch.cat([values.grad.flatten() for values in model.parameters() if values.grad is not None])


def transcribed(model: nn.Module, rollouts: Rollouts, a: float, advantages: np.ndarray, old: Tensor) -> Tensor:
    """Flow-GRPO's loss, sample by sample and step by step, as its paper writes it."""
    assert isinstance(rollouts.content, Denoising)
    states, times = torch.as_tensor(rollouts.content.samples), time_grid(5)
    labels = [int(prompt) for prompt in rollouts.content.prompts]
    total = torch.zeros(())
    for row in range(len(states)):
        for step in range(4):
            t, after = float(times[step]), float(times[step + 1])
            v = model(states[row : row + 1, step], torch.tensor([t]), torch.tensor(labels[row : row + 1]))
            sigma = a * math.sqrt(t / (1 - (after if t == 1 else t)))
            dt = after - t
            x = states[row : row + 1, step]
            mean = x * (1 + sigma**2 / (2 * t) * dt) + v * (1 + sigma**2 * (1 - t) / (2 * t)) * dt
            width = sigma * math.sqrt(-dt)
            density = -((states[row : row + 1, step + 1] - mean) ** 2) / (2 * width**2)
            logprob = (density - math.log(width) - math.log(math.sqrt(2 * math.pi))).mean()
            ratio = torch.exp(logprob - old[row, step])
            clipped = ratio.clamp(1 - 1e-4, 1 + 1e-4)
            total = total - torch.minimum(ratio * advantages[row], clipped * advantages[row])
    return total / (len(states) * 4)


def z_scored(values: np.ndarray, group: int) -> np.ndarray:
    rows = values.reshape(-1, group)
    scored: np.ndarray = (rows - rows.mean(axis=1, keepdims=True)) / (rows.std(axis=1, ddof=1, keepdims=True) + 1e-4)
    return scored.reshape(-1)


def test_loss_and_gradient_are_those_of_a_plain_transcription() -> None:
    model, update = network(), update_of()
    ((loss, _),) = losses_of(update, model)
    found = gradient(loss, model)
    assert update.seen is not None
    rollouts, scores = update.seen
    advantages = z_scored(scores.total(), 4)
    other = network()
    expected = transcribed(other, rollouts, 0.7, advantages, torch.as_tensor(rollouts.logprobs))
    assert loss.item() == pytest.approx(expected.item(), abs=1e-5)
    torch.testing.assert_close(found, gradient(expected, other), rtol=1e-3, atol=1e-6)
    assert found.norm() > 1e-2


def test_ratios_are_one_on_the_first_update_and_leave_it_on_the_second() -> None:
    settings = OnlineSettings(group=4, prompts=3, steps=5, epochs=2, clip_low=0.2, clip_high=0.2, reduction="sum")
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02)
    told = []
    for loss, metrics in update_of(settings=settings).losses(model, 1, torch.Generator().manual_seed(7)):
        told.append(metrics)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    assert float(told[0]["ratio_max"]) == pytest.approx(1.0, abs=1e-4)
    assert float(told[0]["ratio_mean"]) == pytest.approx(1.0, abs=1e-5)
    assert abs(float(told[1]["ratio_max"]) - 1) > 0.01


def test_kl_is_zero_at_the_reference_and_grows_away_from_it() -> None:
    settings = OnlineSettings(group=4, prompts=3, steps=5, kl=0.5)
    reference, moved = network(), network(0.4)
    ((_, at_reference),) = losses_of(update_of(settings=settings, reference=reference), network())
    ((loss, away),) = losses_of(update_of(settings=settings, reference=reference), moved)
    assert float(at_reference["kl"]) == 0.0
    assert float(away["kl"]) > 0.0
    ((without, _),) = losses_of(update_of(), network(0.4))
    assert loss.item() - without.item() == pytest.approx(0.5 * float(away["kl"]), rel=1e-3)


def test_the_first_weights_are_the_reference_where_none_is_given() -> None:
    model, update = network(), update_of(settings=OnlineSettings(group=4, prompts=3, steps=5, kl=0.5))
    update.begin(model, FlowSettings())
    with torch.no_grad():
        model.leave.weight.add_(0.1)
    ((_, told),) = [(loss, told) for loss, told in update.losses(model, 2, torch.Generator().manual_seed(0))]
    assert float(told["kl"]) > 0


def credit_of(monkeypatch: pytest.MonkeyPatch, update: OnlineUpdate) -> tuple[Credit, Any]:
    caught: list[Any] = []

    def caught_learn(policy: Any, reference: Any, trajectories: Any, credit: Credit, learnt: Any, settings: Any) -> Any:
        caught.append((credit, trajectories))
        return torch.zeros((), requires_grad=True), {}

    monkeypatch.setattr(online, "learn", caught_learn)
    losses_of(update)
    return caught[0]  # type: ignore[no-any-return]


def test_advantages_of_the_sum_and_of_each_part(monkeypatch: pytest.MonkeyPatch) -> None:
    for separately in (False, True):
        settings = OnlineSettings(group=4, prompts=3, steps=5, separately=separately, advantage_bound=None)
        update = update_of(Of(ink=ink, first=first_pixel), settings)
        credit, trajectories = credit_of(monkeypatch, update)
        final = trajectories.final.double().numpy()
        parts = [ink(final), first_pixel(final)]
        expected = sum(z_scored(part, 4) for part in parts) if separately else z_scored(sum(parts), 4)  # type: ignore[arg-type]
        np.testing.assert_allclose(credit.outcome.numpy(), expected, rtol=1e-3, atol=1e-4)


def test_statistic_and_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = OnlineSettings(group=4, prompts=3, steps=5, statistic="centre", advantage_bound=0.5)
    credit, trajectories = credit_of(monkeypatch, update_of(settings=settings))
    rows = ink(trajectories.final.double().numpy()).reshape(3, 4)
    expected = np.clip(rows - rows.mean(axis=1, keepdims=True), -0.5, 0.5).reshape(-1)
    np.testing.assert_allclose(credit.outcome.numpy(), expected, atol=1e-5)
    assert (credit.outcome.abs() == 0.5).any()


def test_a_row_without_a_reward_teaches_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def some(final: np.ndarray) -> np.ndarray:
        values = ink(final)
        values[1] = np.nan
        return values

    credit, _ = credit_of(monkeypatch, update_of(Of(some=some)))
    assert credit.scored.tolist() == [row != 1 for row in range(12)]
    assert credit.outcome[1] == 0
    monkeypatch.undo()
    model, other = network(), network()
    ((loss, told),) = losses_of(update_of(Of(some=some)), model)
    assert told["status/unavailable"] == 1.0
    assert float(told["decisions"]) == 11 * 4
    update = update_of(Of(some=some))
    losses_of(update, network())
    assert update.seen is not None
    rollouts, scores = update.seen
    total = scores.total()
    advantages = np.zeros(12)
    kept = ~np.isnan(total)
    advantages[4:] = z_scored(total[4:], 4)
    advantages[:4][kept[:4]] = z_scored(total[:4][kept[:4]], 3)
    expected = transcribed(other, rollouts, 0.7, advantages, torch.as_tensor(rollouts.logprobs)) * 12 / 11
    torch.testing.assert_close(gradient(loss, model), gradient(expected, other), rtol=1e-3, atol=1e-6)


def test_the_process_reward_is_compared_per_step(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = OnlineSettings(group=4, prompts=3, steps=5, process_weight=1.0)
    credit, trajectories = credit_of(monkeypatch, update_of(settings=settings, process=Along(3)))
    assert credit.process is not None and credit.recorded is not None
    values = trajectories.states[:, :-1].double().numpy().reshape(12, 5, 4)[:, :, 0]
    expected = np.stack([z_scored(values[:, step], 4) for step in range(5)], axis=1)
    np.testing.assert_allclose(credit.process[:, :3].numpy(), expected[:, :3], rtol=1e-3, atol=1e-3)
    assert (credit.process[:, 3:] == 0).all()
    assert credit.recorded.tolist() == [[True] * 3 + [False] * 2] * 12


def test_both_clipped_losses_add_with_their_weights() -> None:
    def loss(outcome: float, process: float) -> tuple[Tensor, Tensor]:
        settings = OnlineSettings(
            group=4, prompts=3, steps=5, outcome_weight=outcome, process_weight=process, step_share=0.5
        )
        model = network()
        ((value, _),) = losses_of(update_of(settings=settings, process=Along(5)), model)
        return value.detach(), gradient(value, model)

    both, only_outcome, only_process = loss(2.0, 3.0), loss(1.0, 0.0), loss(0.0, 1.0)
    torch.testing.assert_close(both[1], 2 * only_outcome[1] + 3 * only_process[1], rtol=1e-3, atol=1e-6)
    assert (only_process[1] - only_outcome[1]).norm() > 1e-3


def test_process_advantages_meet_the_ratio_of_their_own_step() -> None:
    # Only step 2 is recorded; whatever share is drawn, what is learnt comes from there.
    class OnlyAt2(Along):
        def score(self, rollouts: Rollouts, context: Context) -> Scores:
            part = super().score(rollouts, context).parts["along"]
            exists = np.zeros(part.values.shape, dtype=bool)
            exists[:, 2] = True
            return Scores({"along": Part(part.values, part.status, level="token", exists=exists)})

    settings = OnlineSettings(group=4, prompts=3, steps=5, outcome_weight=0.0, process_weight=1.0, step_share=0.5)
    update = update_of(settings=settings, process=OnlyAt2(5))
    model, other = network(), network()
    ((loss, told),) = losses_of(update, model)
    generator = torch.Generator().manual_seed(7)
    assert update.seen is not None
    states = torch.as_tensor(update.seen[0].content.samples)  # type: ignore[union-attr]
    advantages = z_scored(states[:, 2].reshape(12, 4)[:, 0].double().numpy(), 4)
    chosen = steps_of(update, generator)
    rows = [row for row in range(12) if 2 in chosen[row].tolist()]
    assert 0 < len(rows) < 12
    assert float(told["process/decisions"]) == len(rows)
    x, after = states[:, 2], states[:, 3]
    labels = torch.tensor([0] * 4 + [1] * 4 + [2] * 4)
    v = other(x, torch.full((12,), 0.6), labels)
    sigma = 0.7 * math.sqrt(0.6 / 0.4)
    mean = x * (1 - sigma**2 / 1.2 * 0.2) - v * (1 + sigma**2 * 0.4 / 1.2) * 0.2
    logprob = (-((after - mean) ** 2) / (2 * sigma**2 * 0.2)).flatten(1).mean(dim=1)
    expected = -(logprob * torch.tensor(advantages, dtype=torch.float32))[rows].mean()
    torch.testing.assert_close(gradient(loss, model), gradient(expected, other), rtol=2e-3, atol=1e-6)


def steps_of(update: OnlineUpdate, generator: torch.Generator) -> Tensor:
    """The steps that an update learns from, from the same draws."""
    update._gathered(network(), 1, generator)
    return update._steps(12, generator)


def test_steps_are_a_share_of_those_with_noise_drawn_for_each_row() -> None:
    settings = OnlineSettings(group=4, prompts=3, steps=10, step_share=0.6)
    chosen = steps_of(update_of(settings=settings), torch.Generator().manual_seed(0))
    assert tuple(chosen.shape) == (12, 5)
    assert (chosen.diff(dim=1) > 0).all()
    assert chosen.max() <= 8
    assert len({tuple(row) for row in chosen.tolist()}) > 6
    everything = OnlineSettings(group=4, prompts=3, steps=5, drop_last_step=False)
    assert steps_of(update_of(settings=everything), torch.Generator()).tolist() == [[0, 1, 2, 3, 4]] * 12
    clean = OnlineSettings(group=4, prompts=3, steps=5, drop_last_step=False, kernel=dance_grpo())
    assert steps_of(update_of(settings=clean), torch.Generator()).tolist() == [[0, 1, 2, 3]] * 12


def test_minibatches_and_epochs_are_optimiser_steps_over_all_rows() -> None:
    settings = OnlineSettings(group=4, prompts=3, steps=5, epochs=2, minibatches=3)
    found = losses_of(update_of(settings=settings))
    assert [float(told["decisions"]) for _, told in found] == [16.0] * 6


@pytest.mark.parametrize("micro_batch", [1, 5])
def test_micro_batches_change_nothing(micro_batch: int) -> None:
    guidance = Guidance(lambda x, t, c: (x.sum((1, 2, 3)), torch.ones_like(x)), beta=1.0, window=(1, 3))
    gradients, values = [], []
    for size in (None, micro_batch):
        settings = OnlineSettings(
            group=4, prompts=3, steps=5, kl=0.3, process_weight=0.5, distill="explicit", micro_batch=size
        )
        model = network()
        update = update_of(settings=settings, guidance=guidance, process=Along(3), reference=network(0.4))
        ((loss, told),) = losses_of(update, model)
        values.append(float(told["loss"]))
        gradients.append(gradient(loss, model))
    assert values[0] == pytest.approx(values[1], rel=1e-4)
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-3, atol=1e-5)


def guided() -> Guidance:
    return Guidance(lambda x, t, c: (x.sum((1, 2, 3)), torch.ones_like(x)), beta=0.1)


def flat(final: np.ndarray) -> np.ndarray:
    return np.zeros(len(final))


def test_explicit_distillation_pulls_the_unguided_step_to_the_guided_one() -> None:
    settings = OnlineSettings(group=4, prompts=3, steps=5, distill="explicit", kernel=dance_grpo())
    model, other = network(), network()
    update = update_of(Of(flat=flat), settings, guidance=guided())
    ((loss, told),) = losses_of(update, model)
    assert update.seen is not None
    states = torch.as_tensor(update.seen[0].content.samples)  # type: ignore[union-attr]
    times, labels, expected = time_grid(5), torch.arange(3).repeat_interleave(4), torch.zeros(())
    for step in range(4):
        t, dt, variance = float(times[step]), 0.2, 0.3**2
        factor = 1 + variance * (1 - t) / (2 * t)
        v = other(states[:, step], torch.full((12,), t), labels)
        star = v.detach() - variance / (2 * 0.1) / factor
        expected = expected + dt / (2 * variance) * factor**2 * (v - star).square().mean() / 4
    # Without differences in reward the distillation is all there is.
    assert loss.item() == pytest.approx(expected.item(), rel=1e-3)
    torch.testing.assert_close(gradient(loss, model), gradient(expected, other), rtol=2e-3, atol=1e-6)
    assert float(told["distilled_steps"]) == 48


def test_only_guided_steps_are_distilled_whichever_are_drawn() -> None:
    guidance = Guidance(lambda x, t, c: (x.sum((1, 2, 3)), torch.ones_like(x)), beta=0.1, window=(1, 2))
    settings = OnlineSettings(group=4, prompts=3, steps=8, distill="explicit", step_share=0.5, minibatches=4)
    update = update_of(settings=settings, guidance=guidance)
    found = losses_of(update, seed=9)
    generator = torch.Generator().manual_seed(9)
    chosen = steps_of(update, generator)
    parts = torch.randperm(12, generator=generator).tensor_split(4)
    expected = [float(((chosen[rows] == 1) | (chosen[rows] == 2)).sum()) for rows in parts]
    assert [float(told["distilled_steps"]) for _, told in found] == expected
    assert len(set(expected)) > 1


@pytest.mark.parametrize("distill", ["none", "implicit", "explicit"])
def test_ratios_are_one_under_either_mean(distill: str) -> None:
    settings = OnlineSettings(group=4, prompts=3, steps=5, distill=distill)  # type: ignore[arg-type]
    ((_, told),) = losses_of(update_of(settings=settings, guidance=guided()))
    assert float(told["ratio_max"]) == pytest.approx(1.0, abs=1e-4)


def test_implicit_is_what_the_unguided_mean_makes_of_the_same_rollouts() -> None:
    found = {}
    for distill in ("none", "implicit"):
        settings = OnlineSettings(group=4, prompts=3, steps=5, distill=distill)  # type: ignore[arg-type]
        model, update = network(), update_of(settings=settings, guidance=guided())
        ((loss, _),) = losses_of(update, model)
        found[distill] = gradient(loss, model)
        if distill == "implicit":
            assert update.seen is not None
            rollouts, scores = update.seen
            other = network()
            advantages = z_scored(scores.total(), 4)
            unguided = unguided_logprobs(other, rollouts)
            expected = transcribed(other, rollouts, 0.7, advantages, unguided)
            torch.testing.assert_close(found[distill], gradient(expected, other), rtol=1e-3, atol=1e-5)
    assert (found["none"] - found["implicit"]).norm() > 0.1 * found["none"].norm()


def unguided_logprobs(model: nn.Module, rollouts: Rollouts) -> Tensor:
    """By the same formula as the transcription, as numbers."""
    assert isinstance(rollouts.content, Denoising)
    states, times = torch.as_tensor(rollouts.content.samples), time_grid(5)
    labels = torch.tensor([int(prompt) for prompt in rollouts.content.prompts])
    rows = []
    with torch.no_grad():
        for step in range(4):
            t, after = float(times[step]), float(times[step + 1])
            v = model(states[:, step], torch.full((12,), t), labels)
            sigma = 0.7 * math.sqrt(t / (1 - (after if t == 1 else t)))
            mean = states[:, step] * (1 - sigma**2 / (2 * t) * (t - after)) - v * (1 + sigma**2 * (1 - t) / (2 * t)) * (
                t - after
            )
            normal = torch.distributions.Normal(mean, sigma * math.sqrt(t - after))
            rows.append(normal.log_prob(states[:, step + 1]).flatten(1).mean(dim=1))
    return torch.stack(rows, dim=1)


def test_prompts_conditions_and_columns_go_together() -> None:
    reward = Of(ink=ink)
    settings = OnlineSettings(group=2, prompts=2, steps=3)
    update = update_of(reward, settings, columns=[{"n": 0}, {"n": 1}, {"n": 2}])
    trajectories, _, _ = update._gathered(network(), 1, torch.Generator().manual_seed(0))
    (rollouts,) = reward.seen
    numbers = trajectories.condition.tolist()  # type: ignore[union-attr]
    assert [int(prompt) for prompt in rollouts.content.prompts] == numbers  # type: ignore[union-attr]
    assert [row["n"] for row in rollouts.reference] == numbers
    assert np.asarray(rollouts.group).tolist() == [0, 0, 1, 1]
    assert numbers[0] == numbers[1] != numbers[2] == numbers[3]


def test_shared_noise_is_shared_in_a_group_and_nowhere_else() -> None:
    for shared in (False, True):
        reward = Of(ink=ink)
        losses_of(update_of(reward, OnlineSettings(group=2, prompts=3, steps=3, share_noise=shared)))
        start = torch.as_tensor(reward.seen[0].content.samples)[:, 0]  # type: ignore[union-attr]
        assert start[0].equal(start[1]) is shared
        assert not start[1].equal(start[2])


def test_what_is_decoded_is_what_the_reward_sees() -> None:
    reward = Of(ink=ink)
    losses_of(update_of(reward, decode=lambda x: x.repeat(1, 3, 4, 4) * 2))
    rollouts = reward.seen[0]
    assert isinstance(rollouts.content, Denoising)
    assert tuple(rollouts.content.final.shape) == (12, 3, 8, 8)
    torch.testing.assert_close(
        rollouts.content.final[:, :, :2, :2], rollouts.content.samples[:, -1].repeat(1, 3, 1, 1) * 2
    )


def test_hooks_see_rollouts_and_scores_of_the_update() -> None:
    told: list[tuple[int, int, Any]] = []

    class Watch(FlowHook):
        def after_update(self, rollouts: Any, scores: Any, context: Context) -> dict[str, float]:
            told.append((len(rollouts), len(scores), context.total_steps))
            return {"best": float(scores.total().max())}

    settings = FlowSettings(steps=2, learning_rate=1e-3)
    trained = train_flow(network(), update_of(), settings=settings, hooks=[Watch()])
    assert told == [(12, 12, 2)] * 2
    assert trained.metrics[-1]["hook/best"] > trained.metrics[-1]["update/reward"]


def test_it_earns_more_reward() -> None:
    model = network()
    update = update_of(settings=OnlineSettings(group=16, prompts=3, steps=5))
    trained = train_flow(model, update, settings=FlowSettings(steps=25, learning_rate=5e-3, ema=None))
    earned = [line["update/reward"] for line in trained.metrics[1:]]
    assert np.mean(earned[-3:]) > np.mean(earned[:3]) + 0.5


def run(steps: int, directory: Path) -> nn.Module:
    model = network()
    settings = OnlineSettings(group=4, prompts=2, steps=4, kl=0.1, epochs=2, minibatches=2, step_share=0.7)
    chosen = FlowSettings(steps=steps, learning_rate=1e-2, ema=0.9, checkpoint_every=2)
    return train_flow(model, update_of(settings=settings), settings=chosen, directory=directory).policy


def test_a_killed_run_goes_on_to_the_bit(tmp_path: Path) -> None:
    whole = run(5, tmp_path / "whole")
    run(3, tmp_path / "killed")
    killed = run(5, tmp_path / "killed")
    assert all(values.equal(killed.state_dict()[name]) for name, values in whole.state_dict().items())
    lines = [(tmp_path / name / "metrics.jsonl").read_text() for name in ("whole", "killed")]
    assert lines[0] == lines[1]


def test_another_reward_or_reference_is_another_run(tmp_path: Path) -> None:
    settings = OnlineSettings(group=2, prompts=3, steps=3, kl=0.1)
    given = {"settings": FlowSettings(steps=1), "directory": tmp_path}
    train_flow(network(), update_of(settings=settings), **given)  # type: ignore[arg-type]
    for other in (
        update_of(Of(other=ink), settings),
        update_of(settings=settings, reference=network(0.9)),
        update_of(settings=settings, guidance=guided()),
        update_of(settings=OnlineSettings(group=2, prompts=3, steps=3, kl=0.2)),
    ):
        with pytest.raises(TrainingError, match="not this one"):
            train_flow(network(), other, **given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"group": 0}, "group=0"),
        ({"kernel": ode()}, "without noise there are no decisions"),
        ({"step_share": 0.0}, "above 0, at most 1"),
        ({"distill": "maybe"}, "none, implicit or explicit"),
        ({"advantage_bound": -1.0}, "above 0, or None"),
    ],
)
def test_settings_that_cannot_be(given: dict[str, Any], message: str) -> None:
    with pytest.raises(TrainingError, match=message):
        OnlineSettings(**given)


def test_parts_that_are_missing() -> None:
    with pytest.raises(TrainingError, match="nothing to distill"):
        update_of(settings=OnlineSettings(distill="explicit"))
    with pytest.raises(TrainingError, match="needs a process reward"):
        update_of(settings=OnlineSettings(process_weight=1.0))
    with pytest.raises(TrainingError, match="same number of rows"):
        OnlineUpdate(Of(ink=ink), ["0"], torch.arange(3))
    with pytest.raises(TrainingError, match="none is left to learn from"):
        update_of(settings=OnlineSettings(steps=1, kernel=flow_grpo()))


def test_the_policy_of_the_run_is_not_copied_where_no_reference_is_needed() -> None:
    update = update_of()
    update.begin(copy.deepcopy(network()), FlowSettings())
    assert update.reference is None
