"""The monitor that verl's configuration asks for, in the section `trueward`.

+trueward.monitor.gold=checks.py:strict +trueward.monitor.budget=8
+trueward.monitor.directory=runs/mine +trueward.monitor.stop_on_alarm=true
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from trueward.adapters.verl.settings import names_of, refuse_unknown, section
from trueward.errors import TrainingError

if TYPE_CHECKING:
    from trueward.audit.monitor.monitor import Monitor
    from trueward.audit.monitor.notice import Notice

_logger = logging.getLogger(__name__)
_GIVEN_HERE = frozenset({"detectors", "report"})


def monitor_of(config: Any) -> Monitor | None:
    """The monitor, or None where none is asked for.

    `directory` is the trainer's `default_local_dir` unless it is set.

    Raises:
        TrainingError: an unknown setting.
    """
    whole = section(config)
    refuse_unknown(whole, {"monitor"}, "trueward")
    settings = whole.get("monitor")
    if settings is None or settings is False:
        return None
    if settings is True:
        settings = {}
    from trueward.audit.monitor.monitor import Monitor

    known = names_of(Monitor) - _GIVEN_HERE
    if not isinstance(settings, dict):
        raise TrainingError(
            f"trueward.monitor={settings!r} must be true, false, or set any of {', '.join(sorted(known))}"
        )
    refuse_unknown(settings, known, "trueward.monitor")
    directory = settings.pop("directory", None) or config.trainer.default_local_dir
    return Monitor(**settings, directory=directory, report=_say)


def _say(notice: Notice) -> None:
    level = logging.WARNING if notice.kind == "alarm" else logging.INFO
    _logger.log(level, "step %d, %s: %s", notice.step, notice.source, notice.message)
