"""Why a run ended early."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass
class Ended:
    """Kept with a run, so that it does not go on when it is started again.

    Attributes:
        why: "" while it has not ended.
    """

    why: str = ""

    def state_dict(self) -> dict[str, str]:
        """The reason."""
        return {"why": self.why}

    def load_state_dict(self, state: Mapping[str, str]) -> None:
        """Take it back."""
        self.why = state["why"]
