"""Policy losses for verl: Trueward's objectives under the names of its registry, averaged as verl averages.

verl calls a loss once per micro-batch with log-probabilities, advantages and mask [B, T], and says in the actor's
configuration over what is averaged and how large the whole batch is on all workers. A loss here is a row weight times
the sum of the row's decisions, so that all of it goes into the weight.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from trueward.errors import TrainingError
from trueward.objectives.aggregation import Aggregation, decision_weight, masked_mean
from trueward.objectives.policy_loss import PolicyLoss
from trueward.objectives.ratios import log_ratio

VerlLoss = Callable[..., tuple[Tensor, dict[str, float]]]

# What verl averages, and how the same is called here.
_OVER: Mapping[str, Aggregation] = {
    "token-mean": "token",
    "seq-mean-token-mean": "sequence",
    "seq-mean-token-sum": "fixed_length",
    "seq-mean-token-sum-norm": "fixed_length",
}
# verl's own names where there is one, so that runs can be compared in its logs.
_NAMES = {
    "clip_share_dual": "actor/pg_clipfrac_lower",
    "approx_kl": "actor/approx_kl",
    "ratio_mean": "actor/ratio_mean",
    "ratio_max": "actor/ratio_max",
    "logprob_mean": "actor/logprob_mean",
}


def clip(config: Any) -> PolicyLoss:
    """verl's `vanilla`: the ratio of each token, bounded; where the advantage is negative also by `clip_ratio_c`."""
    low, high = _bounds(config)
    return PolicyLoss(low=low, high=high, dual=float(config.clip_ratio_c))


def sequence(config: Any) -> PolicyLoss:
    """GSPO-token: the geometric mean of a row's ratios, bounded; every token keeps its own advantage."""
    low, high = _bounds(config)
    return PolicyLoss(low=low, high=high, ratio="sequence")


def reinforce(config: Any) -> PolicyLoss:
    """REINFORCE: no ratio, right for one update per batch of rollouts.

    Raises:
        TrainingError: `ppo_epochs` asks for several.
    """
    if config.ppo_epochs != 1:
        raise TrainingError(
            "trueward_reinforce has no ratio and cannot learn twice from a rollout: "
            f"actor.ppo_epochs={config.ppo_epochs} must be 1, or choose trueward_clip"
        )
    return PolicyLoss(clipped=False)


LOSSES: Mapping[str, Callable[[Any], PolicyLoss]] = {
    "trueward_clip": clip,
    "trueward_sequence": sequence,
    "trueward_reinforce": reinforce,
}


def register_losses() -> None:
    """Put them into verl's registry."""
    from verl.trainer.ppo.core_algos import register_policy_loss

    for name, objective in LOSSES.items():
        register_policy_loss(name)(policy_loss(objective, name))


def policy_loss(objective: Callable[[Any], PolicyLoss], name: str) -> VerlLoss:
    """A loss in the form of verl's registry.

    Divergence and entropy stay out of it: verl adds `actor.use_kl_loss` and `actor.entropy_coeff` itself.

    Args:
        objective: from the actor's configuration to the objective.
        name: of the loss.
    """

    def compute(
        old_log_prob: Float[Tensor, "b t"],
        log_prob: Float[Tensor, "b t"],
        advantages: Float[Tensor, "b t"],
        response_mask: Bool[Tensor, "b t"],
        loss_agg_mode: str = "token-mean",
        config: Any = None,
        rollout_is_weights: Float[Tensor, "b t"] | None = None,
    ) -> tuple[Tensor, dict[str, float]]:
        mask = response_mask.bool()
        weight = row_weight(mask, loss_agg_mode, **config.global_batch_info)
        if rollout_is_weights is not None:
            # Every term is linear in the size of its advantage, and these weights are never negative.
            advantages = advantages * rollout_is_weights
        loss, metrics = objective(config)(log_prob, old_log_prob, advantages, mask, weight)
        return loss, _told(metrics, log_ratio(log_prob, old_log_prob, mask).detach(), mask)

    compute.__name__ = compute.__qualname__ = name
    compute.__doc__ = f"{name} of Trueward; see trueward.adapters.verl.losses."
    return compute


def row_weight(
    mask: Bool[Tensor, "b t"],
    loss_agg_mode: str,
    dp_size: int = 1,
    batch_num_tokens: float | Tensor | None = None,
    global_batch_size: float | Tensor | None = None,
    loss_scale_factor: float | None = None,
) -> Float[Tensor, " b"]:
    """Weight of each decision of a row, with which the loss is what verl's `agg_loss` makes of it.

    `decision_weight` of this micro-batch, times its share in the whole batch, times the number of data-parallel
    workers, whose gradients are averaged.

    Args:
        mask: the policy's tokens.
        loss_agg_mode: one of verl's.
        dp_size, batch_num_tokens, global_batch_size, loss_scale_factor: as verl gives them to `agg_loss`; None where
            the micro-batch is all there is.

    Raises:
        TrainingError: an unknown mode, or several workers without the size of the whole batch.
    """
    if loss_agg_mode == "token-sum":
        return mask.any(dim=1) * float(dp_size)
    if loss_agg_mode not in _OVER:
        raise TrainingError(f"loss_agg_mode={loss_agg_mode!r} is unknown here; choose token-sum, {', '.join(_OVER)}")
    length = 1.0
    if loss_agg_mode == "seq-mean-token-sum-norm":
        length = mask.shape[1] if loss_scale_factor is None else loss_scale_factor
    by_token = loss_agg_mode == "token-mean"
    whole = batch_num_tokens if by_token else global_batch_size
    if whole is None and dp_size > 1:
        missing = "batch_num_tokens" if by_token else "global_batch_size"
        raise TrainingError(f"loss_agg_mode={loss_agg_mode} on {dp_size} workers needs {missing} from verl")
    here = mask.sum() if by_token else mask.any(dim=1).sum()
    share = 1.0 if whole is None else here / whole
    return decision_weight(mask, _OVER[loss_agg_mode], length=length) * share * dp_size


def _bounds(config: Any) -> tuple[float, float]:
    low = config.clip_ratio if config.clip_ratio_low is None else config.clip_ratio_low
    high = config.clip_ratio if config.clip_ratio_high is None else config.clip_ratio_high
    return float(low), float(high)


def _told(metrics: Mapping[str, Tensor], ratios: Float[Tensor, "b t"], mask: Bool[Tensor, "b t"]) -> dict[str, float]:
    told = {_NAMES[name]: value for name, value in metrics.items() if name in _NAMES}
    told["actor/ppo_kl"] = masked_mean(-ratios, mask)
    if "clip_share_low" in metrics:
        told["actor/pg_clipfrac"] = metrics["clip_share_low"] + metrics["clip_share_high"]
    # One transfer from the device for all of them.
    values = torch.stack([value.detach().float() for value in told.values()]).tolist()
    return dict(zip(told, values, strict=True))
