"""The loop for flow policies: update → hooks → evaluation, whatever the update is.

One process, CPU or one GPU, readable in one sitting, resumable exactly.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from trueward.batch import Context
from trueward.errors import TrainingError
from trueward.training import checkpoint
from trueward.training.ended import Ended
from trueward.training.flow.settings import FlowSettings
from trueward.training.flow.update import FlowHook, FlowUpdate
from trueward.training.hooks import StopRun
from trueward.training.metric_lines import Laps, MetricLines, read_metrics
from trueward.training.seeds import stream, stream_number, torch_stream

Evaluate: TypeAlias = Callable[[nn.Module, int], Mapping[str, float]]


@dataclass(frozen=True)
class FlowTrained:
    """A run that has ended.

    Attributes:
        policy: trained.
        average: with the running average of the weights; the policy itself where there is none.
        metrics: one mapping per step, from step 0 (the evaluation before any update).
        directory: with its files; None where none were written.
        stopped: why it ended early; "" where it did not.
    """

    policy: nn.Module
    average: nn.Module
    metrics: list[dict[str, float]]
    directory: Path | None = None
    stopped: str = ""


def train_flow(
    policy: nn.Module,
    update: FlowUpdate,
    *,
    settings: FlowSettings,
    directory: str | Path | None = None,
    evaluate: Evaluate | None = None,
    hooks: Sequence[FlowHook] = (),
) -> FlowTrained:
    """Train a flow policy; a run that was killed goes on where it was, to the bit-identical result.

    Args:
        policy: trained in place, its parameters that require gradients. A run that goes on needs the same first
            weights: its checkpoint says so.
        update: what a step learns from.
        settings: everything else.
        directory: of the run; None to write nothing.
        evaluate: (the averaged policy, or the policy where there is no average; updates done) → numbers, such as
            "proxy" and "gold". They are written down and never read by anything that trains. The policy is in
            evaluation mode.
        hooks: see `FlowHook`.

    Raises:
        TrainingError: nothing in the policy can be trained, or the directory holds another run.
    """
    run = _Run(policy, update, settings, evaluate, hooks)
    return run.go(None if directory is None else Path(directory))


@dataclass
class _Run:
    """A run with all its parts."""

    policy: nn.Module
    update: FlowUpdate
    settings: FlowSettings
    evaluate: Evaluate | None
    hooks: Sequence[FlowHook]
    parameters: list[nn.Parameter] = field(init=False)
    optimizer: torch.optim.Optimizer = field(init=False)
    averaged: AveragedModel | None = field(init=False)
    ended: Ended = field(init=False)

    def __post_init__(self) -> None:
        settings = self.settings
        self.parameters = [values for values in self.policy.parameters() if values.requires_grad]
        if not self.parameters:
            raise TrainingError("no parameter of the policy requires a gradient: there is nothing to train")
        self.optimizer = torch.optim.AdamW(
            self.parameters, lr=settings.learning_rate, weight_decay=settings.weight_decay, fused=True
        )
        self.averaged, self.ended = None, Ended()
        if settings.ema is not None:
            decay = get_ema_multi_avg_fn(settings.ema)  # type: ignore[no-untyped-call]
            self.averaged = AveragedModel(self.policy, multi_avg_fn=decay)
            # The first call copies: the average begins at the first weights, not at those after the first step.
            self.averaged.update_parameters(self.policy)

    @property
    def average(self) -> nn.Module:
        return self.policy if self.averaged is None else self.averaged.module

    def go(self, directory: Path | None) -> FlowTrained:
        """All steps that are not done yet."""
        settings = self.settings
        self.update.begin(self.policy, settings)
        kept = self._kept()
        folder = None if directory is None else directory / "checkpoints"
        found = None if folder is None else checkpoint.latest(folder)
        done = 0 if found is None else checkpoint.restore(found, kept)
        # Without a checkpoint not even the first evaluation counts as recorded.
        record = _Record(directory, step=-1 if found is None else done, tensorboard=settings.tensorboard)
        try:
            if found is None:
                record.write(0, self._evaluated(0), {})
                if folder is not None:
                    checkpoint.save(folder, 0, kept)
            for step in range(done + 1, settings.steps + 1):
                if self.ended.why:
                    break
                self._step(step, record)
                last = step == settings.steps or bool(self.ended.why)
                if folder is not None and (last or step % settings.checkpoint_every == 0):
                    checkpoint.save(folder, step, kept)
        finally:
            record.close()
        return FlowTrained(self.policy, self.average, record.metrics(), directory, self.ended.why)

    def _kept(self) -> checkpoint.Resumable:
        modules: dict[str, nn.Module] = {"policy": self.policy}
        if self.averaged is not None:
            modules["average"] = self.averaged
        optimizers = {"policy": self.optimizer}
        states: dict[str, Any] = {"ended": self.ended}
        parts: dict[str, FlowUpdate | FlowHook] = {"update": self.update}
        parts |= {f"hook {place}": hook for place, hook in enumerate(self.hooks)}
        for name, part in parts.items():
            states[name] = part
            modules |= {f"{name} {inner}": network for inner, network in part.modules().items()}
            optimizers |= {f"{name} {inner}": optimizer for inner, optimizer in part.optimizers().items()}
        # What falls to 0 over the run depends on its length.
        free = set() if self.settings.cosine else {"steps"}
        free |= {"evaluate_every", "checkpoint_every", "tensorboard"}
        identity = {
            "settings": {key: value for key, value in dataclasses.asdict(self.settings).items() if key not in free},
            "first weights": checkpoint.fingerprint(self.policy),
            "update": type(self.update).__name__,
            "of the update": dict(self.update.identity()),
            "hooks": [type(hook).__name__ for hook in self.hooks],
        }
        return checkpoint.Resumable(modules, optimizers, states, identity)

    def _step(self, step: int, record: _Record) -> None:
        lap = Laps()
        settings = self.settings
        # Networks with dropout draw from torch's own generator.
        torch.manual_seed(stream_number(settings.seed, "dropout", step))
        metrics = self._learn(step)
        lap("update")
        metrics |= self._after_update(step)
        lap("hooks")
        if step % settings.evaluate_every == 0 or step == settings.steps or self.ended.why:
            metrics |= self._evaluated(step)
            lap("evaluate")
        record.write(step, metrics, lap.seconds)

    def _learn(self, step: int) -> dict[str, float]:
        settings = self.settings
        rate = settings.learning_rate
        if settings.cosine:
            rate *= 0.5 * (1 + math.cos(math.pi * (step - 1) / settings.steps))
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        told: dict[str, list[Tensor]] = {}
        taken = 0
        # Not before each backward pass: an update that goes through its rows in parts has taken gradients already.
        self.optimizer.zero_grad(set_to_none=True)
        for loss, metrics in self.update.losses(self.policy, step, torch_stream(settings.seed, "update", step)):
            loss.backward()  # type: ignore[no-untyped-call]
            norm = nn.utils.clip_grad_norm_(self.parameters, settings.gradient_clip)
            self.optimizer.step()
            self.optimizer.zero_grad(set_to_none=True)
            if self.averaged is not None:
                self.averaged.update_parameters(self.policy)
            taken += 1
            for name, value in {"loss": loss.detach(), "gradient_norm": norm, **metrics}.items():
                told.setdefault(name, []).append(torch.as_tensor(value, dtype=torch.float64).detach().cpu())
        means = {f"update/{name}": float(torch.stack(values).mean()) for name, values in told.items()}
        return {**means, "update/optimizer_steps": float(taken), "update/learning_rate": rate}

    def _after_update(self, step: int) -> dict[str, float]:
        metrics: dict[str, float] = {}
        seen = self.update.seen
        rollouts, scores = (None, None) if seen is None else seen
        generator = stream(self.settings.seed, "hooks", step)
        context = Context(step, self.settings.steps, True, self.policy, None, generator)
        for hook in self.hooks:
            try:
                told = hook.after_update(rollouts, scores, context)
            except StopRun as request:
                self.ended.why = str(request) or type(hook).__name__
            else:
                metrics |= {f"hook/{name}": float(value) for name, value in told.items()}
        return metrics

    def _evaluated(self, step: int) -> dict[str, float]:
        if self.evaluate is None:
            return {}
        measured, training = self.average, self.average.training
        measured.eval()
        try:
            with torch.no_grad():
                return {name: float(value) for name, value in self.evaluate(measured, step).items()}
        finally:
            measured.train(training)


class _Record:
    """The lines of a run, in files or in memory."""

    def __init__(self, directory: Path | None, *, step: int, tensorboard: bool) -> None:
        self._directory = directory
        self._in_memory: list[dict[str, float]] = []
        self._lines = None if directory is None else MetricLines(directory, step, tensorboard=tensorboard)

    def write(self, step: int, metrics: Mapping[str, float], seconds: Mapping[str, float]) -> None:
        if self._lines is None:
            self._in_memory.append({"step": step, **metrics})
        else:
            self._lines.write(step, metrics, seconds)

    def metrics(self) -> list[dict[str, float]]:
        return self._in_memory if self._directory is None else read_metrics(self._directory)

    def close(self) -> None:
        if self._lines is not None:
            self._lines.close()
