"""Is the score of a run still true? Watched while it goes on, one training step after the other.

Enters: rollouts with their scores, step by step (`Step`), from a training loop, an engine's callback, or a log. Leaves:
numbers to log and notices, each with the rollouts that caused it. Nothing goes back into training, but that an alarm
may stop the run.

- `step`: what is seen of a training step.
- `notice`: what a watcher says.
"""

from trueward.audit.monitor.notice import Example, Kind, Notice
from trueward.audit.monitor.step import Step, step_of

__all__ = ["Example", "Kind", "Notice", "Step", "step_of"]
