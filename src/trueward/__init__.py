"""Trueward: rewards that stay true under optimisation.

`trueward.audit(reward, data)` tells what a reward pays that it should not, and how it fails. Everything is loaded when
it is first used, so that importing the package costs next to nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from trueward.audit.api import audit as audit
    from trueward.batch import Context as Context
    from trueward.batch import Part as Part
    from trueward.batch import Rollouts as Rollouts
    from trueward.batch import Scores as Scores
    from trueward.rewards.base import Reward as Reward
    from trueward.rewards.base import as_reward as as_reward
    from trueward.rewards.base import gate as gate
    from trueward.rewards.harden import harden as harden
    from trueward.status import Status as Status

_LAZY = {
    "Context": "trueward.batch",
    "Part": "trueward.batch",
    "Rollouts": "trueward.batch",
    "Scores": "trueward.batch",
    "Reward": "trueward.rewards.base",
    "as_reward": "trueward.rewards.base",
    "gate": "trueward.rewards.base",
    "harden": "trueward.rewards.harden",
    "Status": "trueward.status",
}

__all__ = ["__version__", "adapters", "audit", *_LAZY]


def __getattr__(name: str) -> Any:
    """Loads what is asked for; `audit` is the package `trueward.audit`, which can be called."""
    if name in ("audit", "adapters"):
        return importlib.import_module(f"{__name__}.{name}")
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'trueward' has no attribute {name!r}")
