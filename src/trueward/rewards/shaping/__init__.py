"""Shaping: what is added to a control reward, or done to its scale, for the sake of learning.

Enters: a `ControlReward`. Leaves: another one, whose `raw` is still what the reward itself says.

- `potential`: differences of a potential, which leave the optimal policies as they are. They know the discount, where
  an episode terminated, where it was only cut off, and where an environment was reset.
- `free`: any other addition, refused unless it is named what it is.
- `scaling`: rewards divided by the running deviation of their returns; clipping.
- `discounts`: whether shaping and training discount alike.
- `invariance`: exact test of shaping on a finite MDP.
"""

from trueward.rewards.shaping.discounts import check_discount
from trueward.rewards.shaping.free import FreeShaping
from trueward.rewards.shaping.invariance import Invariance, check_policy_invariance
from trueward.rewards.shaping.potential import PotentialShaping, network_potential
from trueward.rewards.shaping.scaling import Clipped, ReturnStatistics, ScaledByReturn

__all__ = [
    "Clipped",
    "FreeShaping",
    "Invariance",
    "PotentialShaping",
    "ReturnStatistics",
    "ScaledByReturn",
    "check_discount",
    "check_policy_invariance",
    "network_potential",
]
