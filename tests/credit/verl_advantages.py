"""Runs in an environment of verl: verl's estimators on the arrays of one file, their results in another.

python verl_advantages.py GIVEN.npz RESULTS.npz
"""

from __future__ import annotations

import sys

import numpy as np
import torch
from verl.trainer.ppo import core_algos as verl

given = np.load(sys.argv[1])
rewards, values, mask = (torch.from_numpy(given[name]).float() for name in ("rewards", "values", "mask"))
group, greedy = given["group"], torch.from_numpy(given["greedy"]).float()
results: dict[str, np.ndarray] = {}


def keep(name: str, made: tuple[torch.Tensor, torch.Tensor]) -> None:
    results[name], results[name + "_returns"] = (tensor.numpy() for tensor in made)


keep("z_score", verl.compute_grpo_outcome_advantage(rewards, mask, group))
keep("z_score_vectorized", verl.compute_grpo_vectorized_outcome_advantage(rewards, mask, group))
keep("centre", verl.compute_grpo_outcome_advantage(rewards, mask, group, norm_adv_by_std_in_grpo=False))
keep("leave_one_out", verl.compute_rloo_outcome_advantage(rewards, mask, group))
keep("leave_one_out_vectorized", verl.compute_rloo_vectorized_outcome_advantage(rewards, mask, group))
keep("greedy", verl.compute_remax_outcome_advantage(rewards, greedy, mask))
keep("gae", verl.compute_gae_advantage_return(rewards, values, mask, 0.97, 0.9))
parts = {"first": given["first"], "second": given["second"]}
attention = torch.cat([torch.ones(len(mask), 1), mask], dim=1).long()
keep(
    "gdpo",
    verl.compute_gdpo_outcome_advantage(
        rewards,
        mask,
        group,
        config={"gdpo_reward_keys": list(parts), "gdpo_reward_weights": [1.0, 0.5]},
        non_tensor_batch=parts,
        batch={"prompts": torch.ones(len(mask), 1), "attention_mask": attention},
    ),
)
np.savez(sys.argv[2], **results)
