"""Training a flow policy. Needs `trueward[flow]`.

In: a flow policy and an update. Out: a trained policy and its running average, and what happened on the way, with gold
beside it.

- `loop`: `train_flow`, the same for every update; resumable to the bit. `settings`: how.
- `update`: what an update and a hook are.
- `matching`: flow matching: pre-training, supervised fine-tuning, best of n.
- `online`: rollouts, scores, clipped surrogate: Flow-GRPO, DanceGRPO, Euphonium; `online_settings`, `online_loss`.
- `process_watch`: whether a process reward agrees with outcomes at each step.
- `refreshing`: a judge that is shown what the policy does now.
- `pool`: a pool of scored images, and GDRO on it; `pool_file`: such a pool from a file.
- `preference`: Diffusion-DPO on given pairs, and the loss that it shares with SePPO.
- `self_sampling`: SePPO and SPIN-Diffusion; the pool of checkpoints.
- `early_stopping`: keeps the best policy by its error on held-out samples.
"""

from trueward.training.flow.loop import FlowTrained, train_flow
from trueward.training.flow.matching import FlowMatchingUpdate
from trueward.training.flow.online import OnlineSettings, OnlineUpdate
from trueward.training.flow.settings import FlowSettings
from trueward.training.flow.update import FlowHook, FlowUpdate
from trueward.training.hooks import StopRun

__all__ = [
    "FlowHook",
    "FlowMatchingUpdate",
    "FlowSettings",
    "FlowTrained",
    "FlowUpdate",
    "OnlineSettings",
    "OnlineUpdate",
    "StopRun",
    "train_flow",
]
