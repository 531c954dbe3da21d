"""A watch over a run of TRL: every step's rollouts are shown to a monitor."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from transformers import TrainerCallback

from trueward.batch import Context, Rollouts, Scores
from trueward.errors import TrainingError
from trueward.training.hooks import StopRun

if TYPE_CHECKING:
    from trueward.audit.monitor.monitor import Monitor
    from trueward.audit.monitor.notice import Notice


class AuditCallback(TrainerCallback):
    """Watches whether the reward is still true, in a `TruewardGRPOTrainer` or `TruewardRLOOTrainer`.

    Its numbers join the trainer's log as `monitor/…`; lines with notices and the rollouts that caused them are written
    to `output_dir/monitor.jsonl`, which `trueward watch` shows. With several processes one of them checks. A run that
    goes on from a checkpoint goes on being watched as if it had not stopped.

    Gold never reaches training, but that an alarm stops the run where `stop_on_alarm` is set.

    Args:
        gold: the stricter check, as `GoldProbe` takes it; None for detectors alone.
        budget: rollouts of a step that are checked.
        margin: by how much mean gold may fall.
        detectors: without gold; None for the default ones.
        stop_on_alarm: end the run after an alarm.
    """

    def __init__(
        self,
        gold: Any = None,
        *,
        budget: int = 8,
        margin: float = 0.05,
        detectors: Sequence[Any] | None = None,
        stop_on_alarm: bool = False,
    ) -> None:
        self._settings: dict[str, Any] = {
            "budget": budget,
            "margin": margin,
            "detectors": detectors,
            "stop_on_alarm": stop_on_alarm,
        }
        self._gold = gold
        self._last = 0
        self._resumed: Mapping[str, Any] | None = None
        self.attached = False
        self.stopped = ""
        self.monitor: Monitor | None = None

    @property
    def notices(self) -> list[Notice]:
        """What has been found so far; on the main process."""
        return [] if self.monitor is None else self.monitor.notices

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Make the monitor.

        Raises:
            TrainingError: the trainer does not show rollouts.
        """
        if not self.attached:
            raise TrainingError(
                "AuditCallback sees no rollouts in this trainer, and a log that is silent would look like a healthy "
                "run: use TruewardGRPOTrainer or TruewardRLOOTrainer of trueward.adapters.trl"
            )
        if not state.is_world_process_zero:
            return
        from trueward.audit.monitor.monitor import Monitor

        self.monitor = Monitor(self._gold, directory=args.output_dir, **self._settings)
        self.stopped = ""
        if self._resumed is None:
            self._last = 0
        else:
            self._last = int(self._resumed["last"])
            self.monitor.load_state_dict(self._resumed["monitor"])
            self._resumed = None

    def observe(self, rollouts: Rollouts, scores: Scores, context: Context) -> Mapping[str, float]:
        """Show the monitor a batch; numbers to log.

        Steps are numbered as the trainer counts updates. Where several batches are sampled for one update, each has a
        number of its own.
        """
        if self.monitor is None:
            return {}
        self._last = max(self._last + 1, context.step)
        try:
            told: Mapping[str, float] = self.monitor.after_rollouts(
                rollouts, scores, dataclasses.replace(context, step=self._last)
            )
            return told
        except StopRun as request:
            self.stopped = str(request) or "the monitor ends the run"
            return {}

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """End the run where the monitor said so."""
        if self.stopped:
            control.should_training_stop = True

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {"last": self._last, "monitor": {} if self.monitor is None else self.monitor.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take that back when the run begins."""
        self._resumed = state
