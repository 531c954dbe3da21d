"""How much each decision counts: weights per row, and masked sums and means."""

from __future__ import annotations

from typing import Literal, TypeAlias

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

Metrics: TypeAlias = dict[str, Shaped[Tensor, ""]]
Loss: TypeAlias = tuple[Float[Tensor, ""], Metrics]
Aggregation = Literal["token", "sequence", "group", "fixed_length"]


def decision_weight(
    mask: Bool[Tensor, "n t"],
    over: Aggregation = "token",
    *,
    group: Int[Tensor, " n"] | None = None,
    length: int | float | None = None,
) -> Float[Tensor, " n"]:
    """Weight of each decision of a row in the loss of the batch: one number per row is all that the usual means need.

    loss = Σ_i w_i Σ_t m_it l_it, with the mask m, the losses l of the decisions, n_i = Σ_t m_it, and over the rows that
    have a decision (n_i > 0), R of them in G groups:

    - token: w_i = 1 / Σ_j n_j. Every decision counts alike (DAPO as released; TRL `bnpo`; verl `token-mean`).
    - sequence: w_i = 1 / (R n_i). Every row counts alike, so decisions of long rows count less (GRPO).
    - group: w_i = 1 / (G Σ_{j in the group of i} n_j). Every prompt counts alike, its decisions alike (DAPO, Eq. 8).
    - fixed_length: w_i = 1 / (R L). Decisions count alike, whatever the lengths in this batch (Dr. GRPO).

    The denominators come from the mask alone: a decision whose advantage is zero still counts. Rows without a decision
    do not exist, as in verl; TRL counts them. Weights made from a whole batch may be cut into micro-batches, whose
    losses then sum to that of the batch, and may be shared by objectives that each take their own part of the mask
    (rows of several sources).

    Args:
        mask: True on decisions that the policy made itself.
        over: what is averaged.
        group: rows with the same number belong to one prompt; needed by "group".
        length: L, such as the longest completion that may be sampled; needed by "fixed_length".

    Returns:
        Weights w; 0 on rows without a decision. Single precision.

    Raises:
        ValueError: unknown `over`; `group` or `length` is missing, or the length is not positive.

    Reference: Shao et al. 2024 (GRPO) Eq. 3; Yu et al. 2025 (DAPO) Eq. 8; Liu et al. 2025 (Dr. GRPO) §3.2.
    """
    counts = mask.sum(dim=1)
    exists = counts > 0
    rows = exists.sum()
    if over == "token":
        share = counts.sum().expand_as(counts)
    elif over == "sequence":
        share = rows * counts
    elif over == "fixed_length":
        if length is None or not length > 0:
            raise ValueError(f'over="fixed_length" needs a positive length, got {length!r}; give the sampling limit')
        share = (rows * length).expand_as(counts)
    elif over == "group":
        if group is None:
            raise ValueError('over="group" needs the group of each row, got None; give rollouts.group')
        names, place = torch.unique(group, return_inverse=True)
        sums = counts.new_zeros(len(names)).index_add(0, place, counts)
        share = (sums > 0).sum() * sums[place]
    else:
        raise ValueError(f"over={over!r} is unknown; choose token, sequence, group or fixed_length")
    return torch.where(exists, 1.0 / torch.where(exists, share, 1), 0.0)


def weighted_total(
    losses: Float[Tensor, "n t"], mask: Bool[Tensor, "n t"], weight: Float[Tensor, " n"] | None = None
) -> Float[Tensor, ""]:
    """Loss of the batch: Σ_i w_i Σ_t m_it l_it.

    Args:
        losses: loss of each decision; what is masked may be anything.
        mask: True on what counts.
        weight: weight per decision of each row, from `decision_weight`; by default the mean over all decisions.
    """
    weight = decision_weight(mask) if weight is None else weight
    return (torch.where(mask, losses, 0.0).sum(dim=1) * weight.to(losses.dtype)).sum()


def weighted_mean(values: Float[Tensor, "*shape"], weight: Float[Tensor, "*shape"]) -> Float[Tensor, ""]:
    """Σ w x / Σ w over all entries; 0 when nothing has weight. Entries without weight may be anything."""
    total = weight.sum()
    summed = (torch.where(weight > 0, values, 0.0) * weight).sum()
    return summed / torch.where(total > 0, total, 1.0)


def masked_mean(values: Float[Tensor, "*shape"], mask: Bool[Tensor, "*shape"]) -> Float[Tensor, ""]:
    """Mean over the entries where the mask is True; 0 when there are none."""
    return weighted_mean(values, mask.to(values.dtype))


def weighted_variance(values: Float[Tensor, "*shape"], weight: Float[Tensor, "*shape"]) -> Float[Tensor, ""]:
    """Σ w (x − mean)² / Σ w; exactly 0 where the values differ by no more than rounding."""
    variance = weighted_mean((values - weighted_mean(values, weight)).square(), weight)
    rounding = (8 * torch.finfo(values.dtype).eps) ** 2 * weighted_mean(values.detach().square(), weight)
    return torch.where(variance > rounding, variance, 0.0)


def entry_weight(values: Float[Tensor, "*shape"], weight: Float[Tensor, "*shape"] | None) -> Float[Tensor, "*shape"]:
    """The weight of each entry in the precision of the values: 1 where none is given.

    Raises:
        ValueError: a weight is negative or not finite.
    """
    if weight is None:
        return torch.ones_like(values)
    if not bool(((weight >= 0) & torch.isfinite(weight)).all()):
        raise ValueError("weights must be finite and at least 0; leave a row out with weight 0")
    return weight.to(values.dtype)
