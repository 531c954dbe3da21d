"""Something that watches a run, one training step after the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from trueward.audit.monitor.notice import Notice
from trueward.audit.monitor.step import Step


class Watcher(Protocol):
    """A gold probe or a detector.

    Attributes:
        name: for readers and logs; no two watchers of a monitor share one.
    """

    @property
    def name(self) -> str:
        """For readers and logs."""
        ...

    def observe(self, step: Step) -> tuple[Mapping[str, float], Sequence[Notice]]:
        """Look at a step; called once per step, in order.

        Returns:
            Numbers to log, under names that hold the watcher's own, and what was found.
        """
        ...

    def state_dict(self) -> dict[str, Any]:
        """Everything that it keeps, as JSON values: a run that goes on with it goes on exactly."""
        ...

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take that back."""
        ...
