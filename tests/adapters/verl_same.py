"""The rollouts of `same_rollouts` through verl's reward manager, queue, trainer and registry."""

from __future__ import annotations

import types

import numpy as np
from verl_batches import fetched, put, rows_for, trainer_of
from verl_configuration import FOLDER, say

CASES = {
    "z_score": ("trueward_z_score", "both", {}),
    "leave_one_out": ("trueward_leave_one_out", "both", {}),
    "segment_returns": ("trueward_segment_returns", "steps", {"discount": 0.9}),
    "grpo_lambda": ("trueward_grpo_lambda", "correct", {"fraction": 0.5, "alpha": 0.6}),
    "thr": ("trueward_thr", "correct", {"p": -0.1}),
    "separately": ("trueward_separately", "both", {}),
    "switched": ("trueward_z_score", "switched", {}),
}
SAME = """
import numpy as np

from same_rollouts import SEGMENTS, Column

from trueward.rewards.transforms import grpo_lambda

correct = Column("correct")
switched = correct.transform(grpo_lambda(0.5, 0.6))
both = correct + 0.5 * Column("style")
steps = correct + 0.3 * Column("process", fine=True)


def segment(rollouts):
    mask = np.asarray(rollouts.mask, dtype=bool)
    lengths = np.maximum(mask.sum(axis=1, keepdims=True), 1)
    return np.where(mask, np.minimum(np.arange(mask.shape[1]) * SEGMENTS // lengths, SEGMENTS - 1), -1)
"""


def same_rollouts() -> None:
    """Advantages of the fixture through verl's trainer, queue, reward manager and registry."""
    given = dict(np.load(FOLDER / "same.npz"))
    width = given["mask"].shape[1]
    written = {}
    for case, (name, reward, settings) in CASES.items():
        same = FOLDER / "same_rewards.py"
        same.write_text(SAME)
        changes: dict[str, object] = {f"algorithm__trueward__{key}": value for key, value in settings.items()}
        changes |= {"reward__custom_reward_function__path": str(same), "reward__custom_reward_function__name": reward,
                    "reward__trueward__self_test": False, "reward__trueward__workers": 0}  # fmt: skip
        if reward == "steps":
            changes["reward__trueward__segment"] = f"{same}:segment"
        trainer = trainer_of(name, trainer__rollout_data_dir=str(FOLDER / "rollouts"), **changes)
        rows, keys = rows_for(case, trainer, given, reward == "steps")
        batch, metrics = put(rows, keys), {}
        trainer._compute_advantage(batch, metrics)
        written[f"advantages/{case}"] = fetched(keys, "advantages", width)
        written[f"totals/{case}"] = fetched(keys, "rm_scores", width).sum(axis=1)
        filling = [key for key in batch.keys if key.startswith("pad")]
        say("same", case=case, metrics={key: value for key, value in metrics.items() if isinstance(value, float)},
            padding=float(np.abs(fetched(filling, "advantages", 1)).max()), filled=len(filling))  # fmt: skip
        if case == "z_score":
            metrics_of(trainer, batch)
    written |= losses(given, written)
    np.savez(FOLDER / "verl.npz", **written)


# How verl averages, and the bounds of its ratio: what each case's objective means in its configuration. It has no mean
# over prompts, which the objective of grpo_lambda takes.
OBJECTIVES = {
    "z_score": ("seq-mean-token-mean", {"clip_ratio_low": 0.1, "clip_ratio_high": 0.3}),
    "leave_one_out": ("seq-mean-token-sum-norm", {"loss_scale_factor": 9}),
    "segment_returns": ("token-mean", {}),
    "grpo_lambda": ("token-mean", {}),
    "thr": ("token-mean", {}),
}


def losses(given: dict[str, np.ndarray], written: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The registered loss on the advantages that came out of verl's queue."""
    import torch
    from omegaconf import OmegaConf
    from verl.trainer.ppo.core_algos import get_policy_loss_fn
    from verl.workers.config import ActorConfig

    from trueward.policies.language import LanguagePolicy

    mask = torch.from_numpy(given["mask"])
    ids = torch.from_numpy(np.concatenate([given["prompt_ids"], given["completion_ids"]], axis=1))
    attention = torch.from_numpy(np.concatenate([given["prompt_mask"], given["mask"]], axis=1))
    policy = LanguagePolicy.load(FOLDER / "policy")
    with torch.no_grad():
        new = policy.likelihood(ids, attention, mask.shape[1], temperature=float(given["temperature"])).logprobs
    old = torch.from_numpy(given["old_logprobs"])
    found = {"new_logprobs": new.numpy()}
    for case, (mode, settings) in OBJECTIVES.items():
        config = ActorConfig(strategy="fsdp", rollout_n=1, ppo_micro_batch_size_per_gpu=1, clip_ratio_c=1e6,
                             optim=OmegaConf.create({"lr": 1e-6}), **settings)  # fmt: skip
        config.global_batch_info["loss_scale_factor"] = config.loss_scale_factor
        advantages = torch.from_numpy(written[f"advantages/{case}"]).float()
        loss, _ = get_policy_loss_fn("trueward_clip")(old, new, advantages, mask, mode, config)
        found[f"loss/{case}"] = loss.numpy()
    return found


def metrics_of(trainer: object, batch: object) -> None:
    """verl's own statistics, where a row has no reward, and its file of rollouts."""
    from trueward.tasks.text.rollout_formats import read_rollouts

    trainer.resource_pool_manager = types.SimpleNamespace(get_n_gpus=lambda: 1)
    metrics: dict[str, object] = {}
    trainer._compute_metrics(batch, metrics, {"step": 1.0, "gen": 0.5}, global_steps=1, epoch=0)
    infos = {"reward": [1.0, float("nan"), 0.0], "score": [1.0, float("nan"), 0.0], "status": ["ok", "abstained", "ok"]}
    validated = trainer._val_metrics_update(["sums"] * 3, ["a", "b", "c"], infos, [2, 2, 2])
    trainer._init_dump_executor()
    trainer._log_rollout_data(batch, {}, str(FOLDER / "rollouts"))
    trainer._shutdown_dump_executor()
    read = [one for one in read_rollouts(FOLDER / "rollouts").completions if one.columns["status"] is not None]
    say("metrics", score={key: value for key, value in metrics.items() if key.startswith("critic/score")},
        validated={key: float(value) for key, value in validated.items()}, rows=len(read),
        lost=[one.rewards["score"] for one in read if one.columns["status"] == "abstained"],
        styles=sorted(one.columns["reward/style"] for one in read))  # fmt: skip
