"""What Clip and Delta are put to the test on, and everything else that they are compared with at scale "full"."""

from __future__ import annotations

from collections.abc import Mapping

from trueward.evidence.recipe import Arm, Settings

# fmt: off
SETTINGS: Settings = {
    "task.modulus": 4, "task.operations": [2, 2], "task.max_new_tokens": 48,
    "habits.slip": 0.12, "habits.restatement": 0.15,
    "policy.layers": 2, "policy.width": 64, "policy.heads": 4, "policy.positions": 112,
    "policy.demonstrations": 6000, "policy.steps": 800, "policy.batch_size": 64, "policy.learning_rate": 2e-3,
    "process.samples": 10000, "process.completions": 4,
    "process.epochs": 6, "process.learning_rate": 8e-4, "process.pool": 150,
    "rows.train": 2000, "rows.held out": 200,
    "reward.shape": "none", "reward.weight": 1.0, "reward.threshold": "question mean", "reward.cost": 0.5,
    "reward.shuffled": False,
    "credit.kind": "critic", "credit.trace": 1.0, "credit.kl": 0.01,
    "train.steps": 100, "train.prompts": 16, "train.group": 4, "train.learning_rate": 5e-4, "train.minibatches": 2,
    "train.evaluate_every": 10, "train.checkpoint_every": 60, "train.tensorboard": False,
    "sampling.max_new_tokens": 48,
}

SCALES: Mapping[str, Settings] = {
    "smoke": {
        "policy.width": 16, "policy.demonstrations": 200, "policy.steps": 30, "process.samples": 24,
        "process.completions": 1, "process.epochs": 1, "process.pool": 8, "rows.train": 16, "rows.held out": 8,
        "train.steps": 2, "train.prompts": 4, "train.evaluate_every": 1,
    },
    "small": {},
    "full": {"train.steps": 300, "train.prompts": 64, "process.samples": 20000, "rows.held out": 400},
}

FULL_ARMS = (
    Arm("outcome", "an outcome reward model beside the verifier", "reference", {"reward.shape": "outcome"}, full=True),
    Arm("normed", "process rewards divided by the number of steps", "reference", {"reward.shape": "normed"}, full=True),
    Arm("cost", "process rewards minus a cost per step", "reference", {"reward.shape": "cost"}, full=True),
    Arm("min", "the worst step decides (PURE)", "reference", {"reward.shape": "min"}, full=True),
    Arm("clip_delta_frozen", "the method, its threshold frozen after the first batches", "reference",
        {"reward.shape": "clip delta", "reward.threshold": "frozen"}, full=True),
    Arm("clip_delta_quantile", "the method, its threshold a quantile of the batch", "reference",
        {"reward.shape": "clip delta", "reward.threshold": "quantile"}, full=True),
    Arm("sr_free", "the verifier alone, without a critic", "reference",
        {"reward.shape": "none", "credit.kind": "critic free"}, full=True),
    Arm("pr_free", "summed process rewards, without a critic", "reference",
        {"reward.shape": "sum", "credit.kind": "critic free"}, full=True),
    Arm("clip_delta_free", "the method, without a critic", "reference",
        {"reward.shape": "clip delta", "credit.kind": "critic free"}, full=True),
)
# fmt: on
