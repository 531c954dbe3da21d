"""Gymnasium environments whose reward is a Trueward one.

    env = trueward.adapters.gymnasium.RewardWrapper(env, "rewards.py:reach")

Enters: any environment, or vector environment in any of the three ways to reset itself, and a control reward. Leaves:
the same environment, paid by that reward; what the reward says by itself, its parts and the sums of each episode stand
in `info` under `trueward/…`.

- `single`: `RewardWrapper`, which also wraps vector environments.
- `vector`: `VectorRewardWrapper`.
- `told`: the sums of episodes, and what `info` says. `refusals`: what cannot be wrapped.
"""

try:
    import gymnasium as _gymnasium  # noqa: F401
except ImportError as error:
    from trueward.errors import MissingExtra

    raise MissingExtra(f"Gymnasium cannot be imported ({error}): pip install 'trueward[control]'") from error

from trueward.adapters.gymnasium.single import RewardWrapper
from trueward.adapters.gymnasium.vector import VectorRewardWrapper

__all__ = ["RewardWrapper", "VectorRewardWrapper"]
