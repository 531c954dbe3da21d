"""Rewards of control: one step of N environments in, one number per environment out.

- `base`: the protocol, `StepScores`, sums.
- `functions`: a user's functions, and the environment's own reward.

What is added for the sake of learning lies in `trueward.rewards.shaping` and `trueward.rewards.intrinsic`.
"""

from trueward.rewards.control.base import ControlReward, ControlSum, StepScores
from trueward.rewards.control.functions import EnvironmentReward, FunctionReward, as_control_reward, per_step

__all__ = [
    "ControlReward",
    "ControlSum",
    "EnvironmentReward",
    "FunctionReward",
    "StepScores",
    "as_control_reward",
    "per_step",
]
