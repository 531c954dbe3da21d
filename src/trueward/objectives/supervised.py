"""Losses against known targets: labels, numbers, tokens."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, log_softmax

from trueward.objectives.aggregation import Loss, entry_weight, masked_mean, weighted_mean, weighted_total
from trueward.objectives.ratios import at_least_single


def binary_cross_entropy(
    logits: Float[Tensor, "*shape"],
    target: Float[Tensor, "*shape"],
    weight: Float[Tensor, "*shape"] | None = None,
    *,
    positive_weight: float = 1.0,
) -> Loss:
    """Binary cross-entropy with logits, for verifiers and process scorers.

    l = −[p y log σ(s) + (1 − y) log(1 − σ(s))]; loss = Σ w l / Σ w.

    Args:
        logits: s, one per rollout or per step.
        target: y in [0, 1]; may be soft, such as the share of roll-outs of a step that succeed.
        weight: w; 0 leaves an entry out, whatever it holds. By default 1.
        positive_weight: p, for classes of different size; negatives / positives balances them.

    Returns:
        Loss, and weighted metrics: `accuracy` (share where s > 0 exactly if y > ½; y = ½ does not count),
        `positive_share` (mean target), `probability_mean` (mean σ(s)).

    Raises:
        ValueError: a target outside [0, 1], a weight that is negative or not finite, p not positive.
    """
    if not positive_weight > 0:
        raise ValueError(f"positive_weight={positive_weight!r} must be positive; 1 weighs both classes alike")
    logits = at_least_single(logits)
    weight = entry_weight(logits, weight)
    logits = torch.where(weight > 0, logits, 0.0)
    target = torch.where(weight > 0, target.detach().to(logits.dtype), 0.0)
    if not bool(((target >= 0) & (target <= 1)).all()):
        raise ValueError("a target is outside [0, 1]: targets are probabilities; give an unknown one weight 0")
    losses = binary_cross_entropy_with_logits(
        logits, target, reduction="none", pos_weight=logits.new_tensor(positive_weight)
    )
    right = ((logits.detach() > 0) == (target > 0.5)).to(logits.dtype)
    metrics = {
        "accuracy": weighted_mean(right, weight * (target != 0.5)),
        "positive_share": weighted_mean(target, weight),
        "probability_mean": weighted_mean(logits.detach().sigmoid(), weight),
    }
    return weighted_mean(losses, weight), metrics


def squared_error(
    prediction: Float[Tensor, "*shape"],
    target: Float[Tensor, "*shape"],
    weight: Float[Tensor, "*shape"] | None = None,
) -> Loss:
    """Mean squared error: loss = Σ w (ŷ − y)² / Σ w.

    Args:
        prediction: ŷ.
        target: y; no gradient flows into it.
        weight: w; 0 leaves an entry out, whatever it holds. By default 1.

    Returns:
        Loss, and weighted metrics: `prediction_mean`, `target_mean`.

    Raises:
        ValueError: a weight is negative or not finite.
    """
    prediction = at_least_single(prediction)
    weight = entry_weight(prediction, weight)
    prediction = torch.where(weight > 0, prediction, 0.0)
    target = target.detach().to(prediction.dtype)
    metrics = {
        "prediction_mean": weighted_mean(prediction.detach(), weight),
        "target_mean": weighted_mean(target, weight),
    }
    return weighted_mean((prediction - target).square(), weight), metrics


def negative_log_likelihood(
    logprobs: Float[Tensor, "n t"], mask: Bool[Tensor, "n t"], weight: Float[Tensor, " n"] | None = None
) -> Loss:
    """Supervised fine-tuning on tokens whose log-probabilities are known already.

    loss = −Σ_i w_i Σ_t m_it log π(y_it). Averaged over all tokens by default, over rows with
    `decision_weight(mask, "sequence")`: then a short answer counts as much as a long one, and −loss is the mean
    length-normalised log-likelihood (the regulariser of POWER-DL).

    Args:
        logprobs: log-probability of each target token under the policy in training.
        mask: True on the tokens to learn: the answer, not the prompt.
        weight: weight per token of each row, from `decision_weight`; by default the mean over all tokens.

    Returns:
        Loss, and metrics over the tokens: `nll` (mean, nats), `tokens` (how many).
    """
    known = torch.where(mask, at_least_single(logprobs), 0.0)
    metrics = {"nll": masked_mean(-known.detach(), mask), "tokens": mask.sum()}
    return weighted_total(-known, mask, weight), metrics


def cross_entropy(
    logits: Float[Tensor, "n t v"],
    target: Int[Tensor, "n t"],
    mask: Bool[Tensor, "n t"],
    weight: Float[Tensor, " n"] | None = None,
) -> Loss:
    """Supervised fine-tuning on tokens: `negative_log_likelihood` of softmax(logits).

    Args:
        logits: of the policy in training, at the position that predicts each target (shifted already).
        target: token ids; masked ones may be anything.
        mask: True on the tokens to learn.
        weight: weight per token of each row, from `decision_weight`; by default the mean over all tokens.

    Returns:
        Loss, and metrics over the tokens: `nll` (mean, nats), `tokens` (how many), `accuracy` (share where the target
        has the highest logit).
    """
    known = torch.where(mask.unsqueeze(-1), at_least_single(logits), 0.0)
    tokens = torch.where(mask, target, 0)
    logprobs = log_softmax(known, dim=-1).gather(-1, tokens.unsqueeze(-1)).squeeze(-1)
    loss, metrics = negative_log_likelihood(logprobs, mask, weight)
    right = (known.detach().argmax(dim=-1) == tokens).to(logprobs.dtype)
    return loss, metrics | {"accuracy": masked_mean(right, mask)}
