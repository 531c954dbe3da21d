"""Advantages of a batch: credit runs over the rows of all processes, and each keeps those of its own."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trueward.adapters.trl.gathering import fitted, gathered_rows
from trueward.adapters.trl.passes import hidden_passes, keep_passes, token_passes
from trueward.batch import Context, Rollouts, Scores
from trueward.credit.estimators import Credited


@dataclass(frozen=True)
class ScoredBatch:
    """A generation batch of all processes with its scores.

    Attributes:
        rollouts: of all processes.
        scores: of all rollouts.
        context: where training stood.
        own: the rows of this process.
        credited: their advantages; None where TRL's own estimator is used.
    """

    rollouts: Rollouts
    scores: Scores
    context: Context
    own: slice
    credited: Credited | None = None


def loss_mask(output: dict[str, Any]) -> Tensor:
    """True on tokens that are learnt from: of the policy itself, and not of a completion that TRL masks as cut off."""
    mask: Tensor = output["completion_mask"].bool()
    tool = output.get("tool_mask")
    return mask if tool is None else mask & tool.bool()


def with_learnt_mask(trainer: Any, batch: ScoredBatch, output: dict[str, Any]) -> ScoredBatch:
    """The batch with what is learnt from as its mask."""
    rollouts = batch.rollouts
    width = np.asarray(rollouts.mask).shape[1]
    mask = gathered_rows(trainer.accelerator, loss_mask(output), width).cpu().numpy()
    segments = None if rollouts.segments is None else np.where(mask, rollouts.segments, -1)
    return dataclasses.replace(batch, rollouts=dataclasses.replace(rollouts, mask=mask, segments=segments))


def with_features(trainer: Any, batch: ScoredBatch, output: dict[str, Any], needs: frozenset[str]) -> ScoredBatch:
    """The batch with what credit needs of the policy.

    Args:
        trainer: with policy and reference.
        batch: with the mask that is learnt from.
        output: TRL's batch of this process.
        needs: of credit.
    """
    rollouts = batch.rollouts
    width = np.asarray(rollouts.mask).shape[1]
    tokens = {"reference", "logprobs"} if "reference" in needs else set()
    tokens |= {"entropy"} if "entropy" in needs else set()
    local = token_passes(trainer, output, tokens) if tokens else {}
    if trainer.policy_objective is not None:
        keep_passes(output, local)
    if needs & {"hidden", "errors"}:
        found = hidden_passes(trainer, rollouts, batch.own, width)
        local |= {name: found[name] for name in needs & {"hidden", "errors"}}
    whole = {
        name: gathered_rows(trainer.accelerator, rows, width).float().cpu().numpy()
        for name, rows in sorted(local.items())
    }
    kept = {name: rows for name, rows in whole.items() if name not in ("logprobs", "reference")}
    rollouts = dataclasses.replace(
        rollouts,
        logprobs=whole.get("logprobs", rollouts.logprobs),
        ref_logprobs=whole.get("reference", rollouts.ref_logprobs),
        features={**rollouts.features, **kept},
    )
    return dataclasses.replace(batch, rollouts=rollouts)


def with_known_logprobs(trainer: Any, batch: ScoredBatch, output: dict[str, Any]) -> ScoredBatch:
    """The batch with the log-probabilities that TRL has computed anyway; no pass is made for them."""
    known = output.get("old_per_token_logps")
    if known is None or batch.rollouts.logprobs is not None:
        return batch
    width = np.asarray(batch.rollouts.mask).shape[1]
    logprobs = gathered_rows(trainer.accelerator, known, width).float().cpu().numpy()
    return dataclasses.replace(batch, rollouts=dataclasses.replace(batch.rollouts, logprobs=logprobs))


def own_advantages(batch: ScoredBatch, like: Tensor) -> Tensor:
    """The advantages of this process's rows, [n] or [n, t] with the columns of `like`."""
    assert batch.credited is not None
    mine = torch.from_numpy(np.ascontiguousarray(batch.credited.advantages[batch.own]))
    mine = mine if mine.ndim == 1 else fitted(mine, like.shape[1])
    return mine.to(device=like.device, dtype=torch.float32)


def per_row(batch: ScoredBatch) -> np.ndarray:
    """One advantage per row to log: the mean over its decisions."""
    assert batch.credited is not None
    values = np.asarray(batch.credited.advantages)
    if values.ndim == 1:
        return values
    mask = np.asarray(batch.rollouts.mask, dtype=bool)
    means: np.ndarray = np.where(mask, values, 0.0).sum(axis=1) / np.maximum(mask.sum(axis=1), 1)
    return means
