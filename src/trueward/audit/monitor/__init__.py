"""Is the score of a run still true? Watched while it goes on, one training step after the other.

Enters: rollouts with their scores, step by step (`Step`), from a training loop, an engine's callback, or a log. Leaves:
numbers to log and notices, each with the rollouts that caused it. Nothing goes back into training, but that an alarm
may stop the run.

- `monitor`: the watchers of a run together, as a hook of the built-in loop.
- `step`: what is seen of a training step. `watcher`: what looks at it. `notice`: what it says.
- `gold_probe`: checks a few rollouts of each step (`drawn`) with `gold_check`; the test is in `measures.sequential`,
  its notice without a guarantee in `proxy_up`.
- `detectors`: watchers that see no gold.
- `control`: the monitor of a control run, whose rollouts are episodes (`episodes`: those of a recorded run).
- `growing_log`, `logged_steps`, `replay`, `watched_document`: a run seen from the files that it writes.
"""

from trueward.audit.monitor.gold_check import GoldCheck
from trueward.audit.monitor.gold_probe import GoldProbe
from trueward.audit.monitor.monitor import Monitor
from trueward.audit.monitor.notice import Example, Kind, Notice
from trueward.audit.monitor.step import Step, step_of
from trueward.audit.monitor.watcher import Watcher

__all__ = ["Example", "GoldCheck", "GoldProbe", "Kind", "Monitor", "Notice", "Step", "Watcher", "step_of"]
