"""Settings that would contradict what the trainer is given, or be ignored without a word."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

from trueward.errors import TrainingError

_OF_THE_LOSS = {
    "loss_type": "the objective is the loss: PolicyLoss(over=…)",
    "epsilon": "PolicyLoss(low=…, high=…)",
    "epsilon_high": "PolicyLoss(high=…)",
    "delta": "PolicyLoss(dual=…)",
    "importance_sampling_level": "PolicyLoss(ratio=…)",
    "use_bias_correction_kl": "PolicyLoss(kl_estimator=…)",
    "entropy_coef": "PolicyLoss(entropy=…)",
    "use_adaptive_entropy": "PolicyLoss(entropy=…), which is constant",
    "top_entropy_quantile": "no objective has it",
    "off_policy_mask_threshold": "no objective has it",
}
_OF_THE_ADVANTAGES = {
    "scale_rewards": "GroupRelative(statistic=…)",
    "normalize_advantages": "no credit has it",
    "reward_clip_range": "reward.transform(clip(low, high))",
}


def check_settings(args: Any, credit: Any, objective: Any, kl_in_reward: bool) -> None:
    """Refuse what contradicts.

    Args:
        args: of the trainer.
        credit, objective: as given; None for TRL's own.
        kl_in_reward: TRL's own estimator takes a divergence out of the reward, as RLOO's does.

    Raises:
        TrainingError: with every setting that stands in the way, and what to write in its place.
    """
    wrong = []
    if getattr(args, "multi_objective_aggregation", "sum_then_normalize") != "sum_then_normalize":
        wrong.append(
            f"multi_objective_aggregation={args.multi_objective_aggregation!r}: parts are compared apart by "
            "credit=GroupRelative(separately=True)"
        )
    if credit is not None:
        wrong += [f"{told} with credit: {instead}" for told, instead in _changed(args, _OF_THE_ADVANTAGES.items())]
        if kl_in_reward and args.beta:
            wrong.append(
                f"beta={args.beta} with credit: the divergence in the reward is credit's, "
                f"GroupRelative('leave_one_out', kl={args.beta}); set beta=0"
            )
    if objective is not None:
        wrong += [f"{told} with objective: {instead}" for told, instead in _changed(args, _OF_THE_LOSS.items())]
        if args.beta and not kl_in_reward:
            wrong.append(
                f"beta={args.beta} with objective: the divergence in the loss is the objective's, "
                f"PolicyLoss(kl={args.beta}); set beta=0"
            )
    if credit is not None or objective is not None:
        for name in ("use_liger_kernel", "use_liger_loss"):
            if getattr(args, name, False):
                wrong.append(
                    f"{name}=True: where Liger fuses the loss it takes the place of credit and objective, and TRL "
                    "gives it up: set model_init_kwargs={'use_kernels': True}"
                )
    if wrong:
        raise TrainingError("settings that cannot hold together:\n- " + "\n- ".join(wrong))


def _changed(args: Any, settings: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Settings that are not at their default, and what to write in their place."""
    defaults = {field.name: field.default for field in dataclasses.fields(args)}
    return [
        (f"{name}={getattr(args, name)!r}", instead)
        for name, instead in settings
        if name in defaults and getattr(args, name) != defaults[name]
    ]


def check_sharding(trainer: Any, needs: frozenset[str]) -> None:
    """Hidden states are read outside of TRL's own forward passes, which cannot be where weights are sharded.

    Raises:
        TrainingError: they are.
    """
    plugin = getattr(trainer.accelerator.state, "deepspeed_plugin", None)
    sharded = trainer.is_fsdp_enabled or (plugin is not None and plugin.zero_stage == 3)
    if sharded and needs & {"hidden", "errors"}:
        raise TrainingError(
            "credit needs hidden states, and FSDP or ZeRO-3 keep a part of the weights on each process: train with "
            "plain data parallelism or ZeRO-2"
        )


def check_text(rows: Iterable[Any]) -> None:
    """Rollouts hold text.

    Raises:
        TrainingError: a row has images.
    """
    for row in rows:
        if row.get("images") or row.get("image") is not None:
            raise TrainingError(
                "a row has images: rollouts, rewards and losses hold text here. Train vision-language models with "
                "TRL's own trainer, whose reward_funcs take every Trueward reward"
            )
