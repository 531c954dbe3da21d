"""The monitor of a run: its watchers, what they found, and the file that keeps it."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from trueward.audit.monitor.gold_probe import GoldProbe
from trueward.audit.monitor.notice import Notice
from trueward.audit.monitor.step import Step, step_of
from trueward.audit.monitor.watcher import Watcher
from trueward.batch import Context, Rollouts, Scores
from trueward.errors import AuditError
from trueward.status import Status

if TYPE_CHECKING:
    import torch

FILE = "monitor.jsonl"
"""One line per step in the directory of the run: step, metrics, notices."""


class Monitor:
    """Watches a run step by step: a gold probe, where there is a check, and detectors that see no gold.

    It goes into the built-in loop as a hook, `train(…, hooks=[Monitor(gold)])`; the callbacks of the engines hand it
    the same steps. What it finds goes into `notices`, into `monitor.jsonl` and to `report`, and nowhere else, with one
    exception: with `stop_on_alarm` the alarm of the gold probe ends the run. That is the only channel from gold to
    training: one bit, at most once. Detectors cannot stop a run, because what they say has no guarantee.

    Args:
        gold: a check (see `GoldCheck`), or a `GoldProbe` with settings of its own; None for no probe.
        budget: rollouts that the probe checks per step.
        margin: by how much mean gold may fall.
        detectors: watchers without gold; by default `default_detectors()`.
        stop_on_alarm: end the run at an alarm.
        directory: where `monitor.jsonl` is written; None for nowhere. Lines from this step on that are there already
            are of a run that was cut off, and are removed.
        report: called with each notice when it comes.

    Raises:
        AuditError: two watchers of one name, or `stop_on_alarm` without a probe.
    """

    def __init__(
        self,
        gold: Any = None,
        *,
        budget: int = 8,
        margin: float = 0.05,
        detectors: Sequence[Watcher] | None = None,
        stop_on_alarm: bool = False,
        directory: str | Path | None = None,
        report: Callable[[Notice], None] | None = None,
    ) -> None:
        if detectors is None:
            from trueward.audit.monitor.detectors import default_detectors

            detectors = default_detectors()
        if gold is not None and not isinstance(gold, GoldProbe):
            gold = GoldProbe(gold, budget=budget, margin=margin)
        self._watchers: list[Watcher] = [*([] if gold is None else [gold]), *detectors]
        names = [watcher.name for watcher in self._watchers]
        if len(set(names)) < len(names):
            raise AuditError(f"two watchers of a monitor share a name: {', '.join(sorted(names))}")
        if stop_on_alarm and gold is None:
            raise AuditError("stop_on_alarm needs gold=…: only the gold probe gives alarms, detectors give hints")
        self._stop_on_alarm, self._report = stop_on_alarm, report
        self._path = None if directory is None else Path(directory) / FILE
        self._last: int | None = None
        self._cut = False
        self.notices: list[Notice] = []

    def after_rollouts(self, rollouts: Rollouts, scores: Scores, context: Context) -> dict[str, float]:
        """Look at the rollouts of a training step; returns numbers to log.

        Raises:
            StopRun: an alarm came and it is to stop the run.
        """
        before = len(self.notices)
        metrics = self.observe(step_of(rollouts, scores, context))
        alarm = next((notice for notice in self.notices[before:] if notice.kind == "alarm"), None)
        if self._stop_on_alarm and alarm is not None:
            # Imported here because the training loops need torch, and a monitor does not.
            from trueward.training.hooks import StopRun

            raise StopRun(f"alarm of the {alarm.source} at step {alarm.step}: {alarm.message}")
        return metrics

    def observe(self, step: Step) -> dict[str, float]:
        """Look at a step; returns numbers to log.

        Raises:
            AuditError: the step is not later than the one before.
        """
        if self._last is not None and step.number <= self._last:
            raise AuditError(
                f"a monitor was shown step {step.number} after step {self._last}: steps come in order, each once. A "
                "run that goes on after a stop needs the monitor's saved state, or a new monitor"
            )
        metrics = described(step)
        found: list[Notice] = []
        for watcher in self._watchers:
            numbers, notices = watcher.observe(step)
            metrics.update(numbers)
            found += notices
        self._last = step.number
        self.notices += found
        self._write(step.number, metrics, found)
        if self._report is not None:
            for notice in found:
                self._report(notice)
        return metrics

    def modules(self) -> Mapping[str, torch.nn.Module]:
        """None: it trains nothing."""
        return {}

    def optimizers(self) -> Mapping[str, torch.optim.Optimizer]:
        """None."""
        return {}

    def state_dict(self) -> dict[str, Any]:
        """Everything that it keeps, as JSON values."""
        return {
            "step": self._last,
            "notices": [notice.as_json() for notice in self.notices],
            "watchers": {watcher.name: watcher.state_dict() for watcher in self._watchers},
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take that back.

        Raises:
            AuditError: the state is that of a monitor with other watchers.
        """
        names, saved = [watcher.name for watcher in self._watchers], list(state["watchers"])
        if sorted(names) != sorted(saved):
            raise AuditError(
                f"the saved monitor had the watchers {', '.join(saved) or 'none'}; this one has "
                f"{', '.join(names) or 'none'}. Give the same ones, or start the run anew"
            )
        for watcher in self._watchers:
            watcher.load_state_dict(state["watchers"][watcher.name])
        self._last = None if state["step"] is None else int(state["step"])
        self.notices = [Notice.from_json(notice) for notice in state["notices"]]

    def _write(self, number: int, metrics: Mapping[str, float], notices: Sequence[Notice]) -> None:
        if self._path is None:
            return
        if not self._cut:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            _cut_from(self._path, number)
            self._cut = True
        numbers = {name: value if math.isfinite(value) else None for name, value in metrics.items()}
        line = {"step": number, "metrics": numbers, "notices": [notice.as_json() for notice in notices]}
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


def described(step: Step) -> dict[str, float]:
    """What a step looks like, as numbers: mean reward and its deviation, length, parts, statuses.

    Parts and rewards are means over the rollouts that have them, NaN where none has; `status/…` is the share of
    rollouts with a status that is not ok; `entropy` is estimated by −log p of what was sampled.
    """
    rows = len(step)
    if not rows:
        return {}
    known = step.reward[np.isfinite(step.reward)]
    mean = _mean(known)
    told = {
        "reward": mean,
        "reward_deviation": math.sqrt(_mean((known - mean) ** 2)) if len(known) else math.nan,
        "length": _mean(step.length),
    }
    for name, values in (*step.parts.items(), *step.seen.items()):
        told[f"part/{name}"] = _mean(values)
    if step.status.count(Status.OK) < rows:
        for status in step.status:
            if not status.ok:
                told[f"status/{status.value}"] = told.get(f"status/{status.value}", 0.0) + 1.0 / rows
    if step.finished is not None:
        told["finished"] = np.count_nonzero(step.finished) / rows
    if step.logprobs is not None:
        told["entropy"] = -_mean(step.logprobs)
    return told


def _mean(values: np.ndarray) -> float:
    """Over those that are finite; NaN where none is."""
    total = float(np.add.reduce(values))
    if len(values) and math.isfinite(total):
        return total / len(values)
    known = values[np.isfinite(values)]
    return float(np.add.reduce(known)) / len(known) if len(known) else math.nan


def _cut_from(path: Path, number: int) -> None:
    """Drop lines of this step and later ones, and a last one that was not finished."""
    kept = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else []:
        try:
            if json.loads(line)["step"] < number:
                kept.append(line)
        except (ValueError, KeyError, TypeError):
            continue
    path.write_text("".join(f"{line}\n" for line in kept), encoding="utf-8")
