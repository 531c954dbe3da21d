"""What GRPO-λ is put to the test on, how its rewards are named, and what it is compared with at scale "full"."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from trueward.evidence.recipe import Arm, Settings

if TYPE_CHECKING:
    from trueward.rewards.transforms import Transform

# fmt: off
SETTINGS: Settings = {
    "task.modulus": 5, "task.operations": 5, "task.tiers": [1, 3, 5], "task.max_new_tokens": 40,
    "scratchpad.skip": 0.2, "scratchpad.recheck": 0.85, "scratchpad.slip": 0.02,
    "policy.layers": 2, "policy.width": 64, "policy.heads": 4, "policy.positions": 80,
    "policy.demonstrations": 16000, "policy.steps": 1500, "policy.batch_size": 64, "policy.learning_rate": 4e-3,
    "rows.train": 4000, "rows.held out": 600,
    "reward.shape": "none", "reward.alpha": 0.6, "reward.weight": 0.5, "reward.budget": 18, "reward.over": "right",
    "switch.select": "none", "switch.fraction": 0.2, "switch.threshold": 1.0, "switch.rank": "ratio",
    "train.steps": 120, "train.prompts": 15, "train.group": 8, "train.learning_rate": 1e-3,
    "train.evaluate_every": 10, "train.checkpoint_every": 50, "train.tensorboard": False,
    "sampling.max_new_tokens": 40,
}

SCALES: Mapping[str, Settings] = {
    "smoke": {
        "policy.width": 16, "policy.demonstrations": 200, "policy.steps": 30, "rows.train": 16, "rows.held out": 30,
        "train.steps": 2, "train.prompts": 4, "train.group": 4, "train.evaluate_every": 1,
    },
    "small": {},
    "full": {"train.steps": 400, "train.prompts": 64, "train.evaluate_every": 20, "rows.held out": 1200},
}

LP: Settings = {"reward.shape": "sigmoid"}
SWITCHED: Settings = {**LP, "switch.select": "top_fraction"}

FULL_ARMS = (
    *(
        Arm(f"lambda_{share * 100:.0f}", f"the method with the best {share:.0%} of the groups", "reference",
            {**SWITCHED, "switch.fraction": share}, full=True)
        for share in (0.1, 0.5, 1.0)
    ),
    Arm("threshold_75", "the switch by a threshold: groups with three right answers of four", "reference",
        {**LP, "switch.select": "threshold", "switch.threshold": 0.75}, full=True),
    Arm("threshold_100", "the switch by a threshold: groups without a wrong answer", "reference",
        {**LP, "switch.select": "threshold", "switch.threshold": 1.0}, full=True),
    Arm("lp_20", "the penalty on all groups, α = 0.2", "reference", {**LP, "reward.alpha": 0.2}, full=True),
    Arm("lp_60", "the penalty on all groups, α = 0.6", "reference", {**LP, "reward.alpha": 0.6}, full=True),
    Arm("tlmre", "the penalty on all groups, against the lengths of wrong answers too", "reference",
        {**LP, "reward.over": "all"}, full=True),
    Arm("budget", "nothing for answers beyond a length", "reference", {"reward.shape": "budget"}, full=True),
    Arm("kimi", "a bonus that falls linearly with length", "reference", {"reward.shape": "linear"}, full=True),
)
# fmt: on


def transforms_of(settings: Mapping[str, Any]) -> tuple[Transform, ...]:
    """What an arm makes of the verifier's reward: `reward.shape`, in the groups that `switch.select` names."""
    from trueward.rewards.transforms import group_switch, length_budget, linear_length, sigmoid_length

    shape = settings["reward.shape"]
    if shape == "none":
        return ()
    inner = {
        "sigmoid": lambda: sigmoid_length(settings["reward.alpha"], settings["reward.over"]),
        "budget": lambda: length_budget(settings["reward.budget"]),
        "linear": lambda: linear_length(settings["reward.weight"]),
    }[shape]()
    if settings["switch.select"] == "none":
        return (inner,)
    return (
        group_switch(
            inner,
            select=settings["switch.select"],
            fraction=settings["switch.fraction"],
            threshold=settings["switch.threshold"],
            rank=settings["switch.rank"],
        ),
    )
