"""Training a policy of control: PPO on any Gymnasium vector environment. Needs `trueward[control]`.

In: an environment, a reward, a policy. Out: a trained policy, and what happened on the way, with gold beside it.

- `loop`: `train_policy`. `settings`: how. `evaluation`: whole episodes of a policy that is not learning.
- `collecting`: act, step, score. `collected`: what one update learns from.
- `update`: advantages, loss, minibatches.
- `hooks`: what may go along: change the reward of what was collected, train, watch, stop; penalties of the policy.
- `action_divergence`: the penalty for leaving a reference policy, per state.
- `occupancy_penalty`: the price on going where a reference does not go, learned; `regularised`: the same exactly.
- `stopping`: the end of a run at a divergence from the reference.
- `episodes`: what each episode earned by every measure. `record`: what is written down.
"""

from trueward.training.control.collected import Collected
from trueward.training.control.episodes import Episodes, read_episodes
from trueward.training.control.evaluation import evaluate
from trueward.training.control.hooks import ControlHook, PolicyPenalty, ReferencePolicy
from trueward.training.control.loop import ControlTrained, train_policy
from trueward.training.control.settings import ControlSettings
from trueward.training.hooks import StopRun

__all__ = [
    "Collected",
    "ControlHook",
    "ControlSettings",
    "ControlTrained",
    "Episodes",
    "PolicyPenalty",
    "ReferencePolicy",
    "StopRun",
    "evaluate",
    "read_episodes",
    "train_policy",
]
