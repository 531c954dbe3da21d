"""The monitor of a control run: an episode is a rollout, its return the reward, its true return the gold."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from trueward.audit.monitor.episodes import episode_steps
from trueward.audit.monitor.gold_probe import GoldProbe
from trueward.audit.monitor.monitor import Monitor
from trueward.audit.monitor.notice import Notice
from trueward.audit.monitor.replay import logged_gold
from trueward.batch import Context
from trueward.errors import AuditError
from trueward.training.control.collected import Collected
from trueward.training.control.episodes import EpisodeSums
from trueward.training.control.hooks import ControlHook
from trueward.training.hooks import StopRun


class ControlMonitor(ControlHook):
    """Watches a run of `train_policy` with the gold probe; the run must measure gold: `train_policy(…, gold=…)`.

    One observation is the true return of one episode that ended in the step, brought to [0, 1] by the range that is
    given; what lies outside counts as its end. For the words of the guarantee (`GoldProbe`): the start of an episode is
    its prompt, each episode has its own, and "mean gold of a step" is over the episodes that end in it. Where episodes
    are longer than a collection or differ much in length, those that end together are no fair sample of those that
    begin together: take a horizon of several episodes.

    Args:
        low, high: true returns that count as worthless (0) and as all that was wanted (1). They scale the margin: a
            fall of `margin` is one of margin · (high − low) in the return.
        stop_on_alarm, directory, report: see `Monitor`.
        probe: settings of `GoldProbe`: budget, margin, level, window, reference_budget, seed.

    Raises:
        AuditError: high is not above low; see also `GoldProbe`.
    """

    def __init__(
        self,
        low: float,
        high: float,
        *,
        stop_on_alarm: bool = False,
        directory: str | Path | None = None,
        report: Callable[[Notice], None] | None = None,
        **probe: Any,
    ) -> None:
        if not low < high:
            raise AuditError(f"the true return needs a range: low={low!r} is not below high={high!r}")
        self._low, self._high = low, high
        # Detectors read texts and groups, which episodes do not have.
        self._monitor = Monitor(GoldProbe(logged_gold, **probe), detectors=(), directory=directory, report=report)
        self._stop_on_alarm = stop_on_alarm
        self._sums: EpisodeSums | None = None

    @property
    def notices(self) -> list[Notice]:
        """All so far."""
        return self._monitor.notices

    def state_dict(self) -> Mapping[str, Any]:
        """What the monitor keeps. Episodes that are open are not kept: a run that goes on begins new ones."""
        return self._monitor.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take that back."""
        self._monitor.load_state_dict(state)

    def after_update(self, collected: Collected, context: Context) -> Mapping[str, float]:
        """Look at the episodes that ended; returns numbers to log.

        Raises:
            StopRun: an alarm came and it is to stop the run.
            AuditError: the run measures no gold.
        """
        if collected.gold is None:
            raise AuditError("the gold probe of a control run needs its true reward: train_policy(…, gold=true_reward)")
        if self._sums is None:
            self._sums = EpisodeSums(len(collected.source))
        before = len(self.notices)
        metrics: Mapping[str, float] = {}
        for step in episode_steps(self._sums.take(collected, context.step), low=self._low, high=self._high):
            metrics = self._monitor.observe(step)
        alarm = next((notice for notice in self.notices[before:] if notice.kind == "alarm"), None)
        if self._stop_on_alarm and alarm is not None:
            raise StopRun(f"alarm of the {alarm.source} at step {alarm.step}: {alarm.message}")
        return metrics
