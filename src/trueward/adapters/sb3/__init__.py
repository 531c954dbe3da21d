"""Stable-Baselines3 with Trueward's rewards and bonuses.

    model = PPO("MlpPolicy", trueward.adapters.sb3.wrap(venv, reward, bonus=RandomDistributionDistillation(…)))
    model.learn(1_000_000, callback=RewardCallback())

Enters: any vector environment of SB3. Leaves: the same one, paid by a control reward; every algorithm of SB3 takes it.

- `wrapper`: `wrap`. `callback`: `RewardCallback`, what is logged and checked.
- `two_heads`: `TwoHeadPPO`, which keeps reward and bonus apart.
- `statistics`: what rewards have learnt, in files and from one environment to another.
- `occupancy`: `OccupancyCallback`, a penalty for leaving the states of a reference policy.

What was checked, what is refused and why: docs/control.md.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

try:
    import stable_baselines3 as _stable_baselines3  # noqa: F401
except ImportError as error:
    from trueward.errors import MissingExtra

    raise MissingExtra(f"Stable-Baselines3 cannot be imported ({error}): pip install 'trueward[control]'") from error

if TYPE_CHECKING:
    from trueward.adapters.sb3.callback import RewardCallback
    from trueward.adapters.sb3.occupancy import Driven, OccupancyCallback
    from trueward.adapters.sb3.statistics import load_statistics, save_statistics, sync_eval
    from trueward.adapters.sb3.two_heads import TwoHeadPolicy, TwoHeadPPO
    from trueward.adapters.sb3.wrapper import RewardVecEnv, wrap

_WHERE = {
    "Driven": "occupancy",
    "OccupancyCallback": "occupancy",
    "RewardCallback": "callback",
    "RewardVecEnv": "wrapper",
    "TwoHeadPPO": "two_heads",
    "TwoHeadPolicy": "two_heads",
    "load_statistics": "statistics",
    "save_statistics": "statistics",
    "sync_eval": "statistics",
    "wrap": "wrapper",
}

__all__ = [
    "Driven",
    "OccupancyCallback",
    "RewardCallback",
    "RewardVecEnv",
    "TwoHeadPPO",
    "TwoHeadPolicy",
    "load_statistics",
    "save_statistics",
    "sync_eval",
    "wrap",
]


def __getattr__(name: str) -> Any:
    """Loads what is asked for."""
    if name in _WHERE:
        return getattr(importlib.import_module(f"trueward.adapters.sb3.{_WHERE[name]}"), name)
    raise AttributeError(f"module 'trueward.adapters.sb3' has no attribute {name!r}")
