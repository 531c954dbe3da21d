"""The loop for flow policies: averages, schedules, what is written, and going on to the bit."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from trueward.batch import Context, Rollouts, Scores
from trueward.errors import TrainingError
from trueward.policies.flow import FlowMLP
from trueward.training.flow import FlowHook, FlowMatchingUpdate, FlowSettings, FlowUpdate, StopRun, train_flow
from trueward.training.flow.update import Losses


class Constant(nn.Module):
    """One number, whatever it is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.number = nn.Parameter(torch.tensor([2.0]))
        self.frozen = nn.Parameter(torch.tensor([7.0]), requires_grad=False)

    def forward(self, x: Tensor, t: Tensor, condition: Any) -> Tensor:
        return x * 0 + self.number


class Down(FlowUpdate):
    """Losses whose gradient is as told, so that AdamW moves down by the learning rate each time."""

    def __init__(self, losses: int = 1) -> None:
        self.count = losses
        self.seen_at: list[float] = []

    def losses(self, policy: nn.Module, step: int, generator: torch.Generator) -> Losses:
        for _ in range(self.count):
            self.seen_at.append(policy.number.item())  # type: ignore[union-attr, operator]
            yield policy.number.sum() * 1.0, {"step_told": step}  # type: ignore[union-attr, operator]


class Watch(FlowHook):
    """Keeps the number after each update."""

    def __init__(self, policy: Constant, stop: int = 10**9) -> None:
        self.policy, self.stop = policy, stop
        self.numbers: list[float] = []

    def after_update(self, rollouts: Rollouts | None, scores: Scores | None, context: Context) -> Mapping[str, float]:
        assert rollouts is None and scores is None
        self.numbers.append(self.policy.number.item())
        if context.step == self.stop:
            raise StopRun("far enough")
        return {"number": self.policy.number.item()}


def settings(**given: Any) -> FlowSettings:
    return FlowSettings(**{"steps": 4, "learning_rate": 0.1, "ema": 0.5, "gradient_clip": 1e9, **given})


def test_every_loss_is_one_optimiser_step_before_the_next_is_asked_for() -> None:
    policy, update = Constant(), Down(losses=2)
    trained = train_flow(policy, update, settings=settings(steps=2))
    assert update.seen_at == pytest.approx([2.0, 1.9, 1.8, 1.7], abs=1e-5)
    assert policy.number.item() == pytest.approx(1.6, abs=1e-5)
    assert policy.frozen.item() == 7.0
    assert trained.metrics[-1]["update/optimizer_steps"] == 2
    assert trained.metrics[-1]["update/step_told"] == 2


def test_draws_depend_on_seed_and_step_alone() -> None:
    class Draws(Down):
        def losses(self, policy: nn.Module, step: int, generator: torch.Generator) -> Losses:
            self.seen_at.append(torch.rand(1, generator=generator).item())
            self.seen_at.append(torch.rand(1).item())
            yield policy.number.sum(), {}  # type: ignore[union-attr, operator]

    first, second, other = Draws(), Draws(), Draws()
    train_flow(Constant(), first, settings=settings())
    torch.rand(3)
    train_flow(Constant(), second, settings=settings())
    train_flow(Constant(), other, settings=settings(seed=1))
    assert first.seen_at == second.seen_at
    assert len({*first.seen_at, *other.seen_at}) == 16


def test_the_average_by_hand() -> None:
    policy = Constant()
    watch = Watch(policy)
    trained = train_flow(policy, Down(), settings=settings(), hooks=[watch])
    average = 2.0
    for number in watch.numbers:
        average = 0.5 * average + 0.5 * number
    assert trained.average is not policy
    assert trained.average.number.item() == pytest.approx(average, abs=1e-6)  # type: ignore[union-attr, operator]
    assert train_flow(Constant(), Down(), settings=settings(ema=None)).average.number.item() == pytest.approx(
        1.6, abs=1e-5
    )  # type: ignore[union-attr, operator]


def test_the_learning_rate_falls_along_half_a_cosine() -> None:
    trained = train_flow(Constant(), Down(), settings=settings(cosine=True))
    rates = [line["update/learning_rate"] for line in trained.metrics[1:]]
    assert rates == pytest.approx([0.1 * 0.5 * (1 + math.cos(math.pi * place / 4)) for place in range(4)])
    assert rates[0] == 0.1 and rates[2] == pytest.approx(0.05)


def test_gradients_are_clipped_and_their_norm_is_told() -> None:
    class Steep(Down):
        def losses(self, policy: nn.Module, step: int, generator: torch.Generator) -> Losses:
            yield policy.number.sum() * 30.0, {}  # type: ignore[union-attr, operator]

    policy = Constant()
    optimised = train_flow(policy, Steep(), settings=settings(steps=1, gradient_clip=2.0))
    assert optimised.metrics[-1]["update/gradient_norm"] == 30.0


def test_parts_of_a_loss_add_up() -> None:
    class InParts(Down):
        def losses(self, policy: nn.Module, step: int, generator: torch.Generator) -> Losses:
            assert policy.number.grad is None  # type: ignore[union-attr]
            (policy.number.sum() * 3.0).backward()  # type: ignore[union-attr, operator]
            yield policy.number.sum() * 4.0, {}  # type: ignore[union-attr, operator]

    trained = train_flow(Constant(), InParts(), settings=settings(steps=3))
    assert [line["update/gradient_norm"] for line in trained.metrics[1:]] == [7.0] * 3


def test_evaluation_sees_the_average_in_evaluation_mode_and_is_only_written() -> None:
    seen: list[tuple[int, float, bool]] = []

    def evaluate(model: nn.Module, step: int) -> dict[str, float]:
        seen.append((step, model.number.item(), model.training))  # type: ignore[union-attr, operator]
        return {"gold": float(step)}

    policy = Constant()
    trained = train_flow(policy, Down(), settings=settings(evaluate_every=3), evaluate=evaluate)
    assert [step for step, _, _ in seen] == [0, 3, 4]
    assert not any(training for _, _, training in seen)
    assert policy.training
    assert seen[0][1] == 2.0 and seen[1][1] > 1.7
    assert [line.get("gold") for line in trained.metrics] == [0.0, None, None, 3.0, 4.0]


def test_a_hook_ends_the_run_and_it_stays_ended(tmp_path: Path) -> None:
    policy = Constant()
    trained = train_flow(policy, Down(), settings=settings(), directory=tmp_path, hooks=[Watch(policy, stop=2)])
    assert trained.stopped == "far enough"
    assert [line["step"] for line in trained.metrics] == [0, 1, 2]
    again = Constant()
    ended = train_flow(again, Down(), settings=settings(), directory=tmp_path, hooks=[Watch(again, stop=2)])
    assert ended.stopped == "far enough"
    assert again.number.item() == policy.number.item()


def digits(**given: Any) -> FlowMatchingUpdate:
    generator = torch.Generator().manual_seed(0)
    samples = torch.randn(20, 4, generator=generator)
    return FlowMatchingUpdate(samples, torch.arange(20) % 3, batch=8, **given)


def run(steps: int, directory: Path | None, evaluate_every: int = 2, **given: Any) -> tuple[nn.Module, nn.Module]:
    network = FlowMLP((4,), 3, width=8, blocks=1)
    chosen = FlowSettings(steps=steps, checkpoint_every=2, evaluate_every=evaluate_every, ema=0.9, **given)
    trained = train_flow(
        network, digits(), settings=chosen, directory=directory, evaluate=lambda model, step: {"proxy": float(step)}
    )
    return trained.policy, trained.average


def test_a_killed_run_goes_on_to_the_bit(tmp_path: Path) -> None:
    whole = run(7, tmp_path / "whole")
    run(3, tmp_path / "killed")
    # What was written after the last checkpoint is done again.
    with (tmp_path / "killed" / "metrics.jsonl").open("a") as file:
        file.write('{"step": 4, "update/loss": 99}\n{"ste')
    killed = run(7, tmp_path / "killed")
    for first, second in zip(whole, killed, strict=True):
        for name, values in first.state_dict().items():
            assert values.equal(second.state_dict()[name]), name
    lines = [
        [json.loads(line) for line in (tmp_path / name / "metrics.jsonl").read_text().splitlines()]
        for name in ("whole", "killed")
    ]
    ignored = {"proxy"}
    stripped = [[{k: v for k, v in line.items() if k not in ignored} for line in each] for each in lines]
    assert stripped[0] == stripped[1]
    assert [line["step"] for line in lines[0]] == list(range(8))


def test_without_a_directory_it_is_the_same_run(tmp_path: Path) -> None:
    for first, second in zip(run(4, tmp_path), run(4, None), strict=True):
        assert all(values.equal(second.state_dict()[name]) for name, values in first.state_dict().items())


def test_evaluating_more_often_changes_nothing() -> None:
    first, second = run(4, None, evaluate_every=1), run(4, None, evaluate_every=4)
    assert all(values.equal(second[0].state_dict()[name]) for name, values in first[0].state_dict().items())


def test_a_directory_of_another_run_is_refused(tmp_path: Path) -> None:
    run(2, tmp_path)
    with pytest.raises(TrainingError, match="not this one"):
        run(2, tmp_path, learning_rate=0.5)
    with pytest.raises(TrainingError, match="not this one"):
        run(4, tmp_path, cosine=True)


def test_settings_and_policies_that_cannot_be() -> None:
    with pytest.raises(TrainingError, match=r"steps=0 .*ema=1\.0"):
        FlowSettings(steps=0, ema=1.0)
    frozen = Constant().requires_grad_(False)
    with pytest.raises(TrainingError, match="nothing to train"):
        train_flow(frozen, Down(), settings=settings())
