"""Losses that verl computes on tensors from standard input; runs in the environment of verl, without this package."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable

import torch
from omegaconf import OmegaConf
from verl.trainer.ppo import core_algos
from verl.workers.config import ActorConfig

given = {name: torch.tensor(values) for name, values in json.load(sys.stdin).items()}
mask = given["mask"].float()
advantages = given["advantages"][:, None].expand(mask.shape)


def say(name: str, leaf: torch.Tensor, compute: Callable[[torch.Tensor], tuple[torch.Tensor, dict]]) -> None:
    leaf = leaf.clone().requires_grad_()
    loss, metrics = compute(leaf)
    (gradient,) = torch.autograd.grad(loss, leaf)
    print(json.dumps({"name": name, "loss": loss.item(), "gradient": gradient.tolist(), "metrics": metrics}))


def config(dual: float) -> ActorConfig:
    return ActorConfig(
        strategy="fsdp",
        rollout_n=1,
        ppo_micro_batch_size_per_gpu=1,
        clip_ratio=0.2,
        clip_ratio_low=0.2,
        clip_ratio_high=0.28,
        clip_ratio_c=dual,
        optim=OmegaConf.create({"lr": 1e-6}),
    )


for mode in ("token-mean", "seq-mean-token-mean", "seq-mean-token-sum-norm"):
    for dual in (1.5, 1e6):
        say(
            f"surrogate {mode} {dual}",
            given["logprobs"],
            lambda new, mode=mode, dual=dual: core_algos.compute_policy_loss_vanilla(
                given["old"], new, advantages, mask, mode, config(dual)
            ),
        )
say(
    "sequences",
    given["logprobs"],
    lambda new: core_algos.compute_policy_loss_gspo(given["old"], new, advantages, mask, config=config(3.0)),
)


def value(values: torch.Tensor) -> tuple[torch.Tensor, dict]:
    loss, share = core_algos.compute_value_loss(values, given["returns"], given["old"], mask, 0.2)
    return loss, {"clip_share": share.item()}


say("value", given["logprobs"], value)
for estimator in ("k1", "k2", "k3"):
    say(
        estimator,
        given["logprobs"],
        lambda new, estimator=estimator: (
            core_algos.agg_loss(core_algos.kl_penalty(new, given["ref"], estimator), mask, "token-mean"),
            {},
        ),
    )
