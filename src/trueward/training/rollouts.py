"""Rollouts as the loops gather them: sampled in groups, with everything that rewards and credit asked for."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float, Int

from trueward.batch import Rollouts, Text
from trueward.policies.language import LanguagePolicy
from trueward.policies.prediction_errors import hidden_and_errors
from trueward.policies.sampling import Sampling
from trueward.policies.scorer import TokenScorer
from trueward.tasks.text.rows import Row

if TYPE_CHECKING:
    from torch import Tensor

Segmenter = Callable[[Rollouts], Int[np.ndarray, "n t"]]
"""Cuts rollouts into steps: the segment of each decision, −1 outside; see `Rollouts.segments`."""

ROWS_AT_ONCE = 256  # of a forward pass that keeps no gradients


def gather(
    policy: LanguagePolicy,
    rows: Sequence[Row],
    sampling: Sampling,
    generator: torch.Generator,
    *,
    group: int = 1,
    want: Sequence[str] = (),
    segment: Segmenter | None = None,
) -> Rollouts:
    """Sample a group of rollouts for every row.

    Args:
        policy: what samples.
        rows: prompts.
        sampling: how.
        generator: of the draws.
        group: rollouts per prompt.
        want: features of the policy; see `LanguagePolicy.sample`.
        segment: cuts them into steps.

    Returns:
        N = len(rows) · group rollouts, those of one row together, with what a reward may read in `reference`.
    """
    repeated = [row for row in rows for _ in range(group)]
    rollouts = policy.sample([row.prompt for row in repeated], sampling, generator, want=want)
    rollouts = dataclasses.replace(
        rollouts,
        group=np.repeat(np.arange(len(rows)), group),
        reference=[{**row.columns, "answer": row.answer} for row in repeated],
    )
    return rollouts if segment is None else dataclasses.replace(rollouts, segments=segment(rollouts))


def tokens_of(rollouts: Rollouts) -> tuple[Tensor, Tensor]:
    """Token ids and attention, [N, L].

    Raises:
        ValueError: the rollouts are no tokenized text.
    """
    content = rollouts.content
    if not isinstance(content, Text) or content.token_ids is None or content.attention is None:
        raise ValueError("these rollouts hold no tokens; sample them with LanguagePolicy.sample")
    return torch.from_numpy(np.asarray(content.token_ids)), torch.from_numpy(np.asarray(content.attention))


def logprobs_under(policy: LanguagePolicy, rollouts: Rollouts, temperature: float) -> Float[np.ndarray, "n t"]:
    """Log-probability of each decision under a policy that need not have sampled it."""
    ids, attention = tokens_of(rollouts)
    decisions = np.asarray(rollouts.mask).shape[1]
    found = []
    with torch.inference_mode():
        for part in _some_rows(len(ids)):
            under = policy.likelihood(ids[part], attention[part], decisions, temperature=temperature)
            found.append(under.logprobs.float().cpu().numpy())
    return np.concatenate(found)


def prediction_errors_of(policy: LanguagePolicy, rollouts: Rollouts, temperature: float) -> dict[str, np.ndarray]:
    """The features "hidden" [N, T, D] and "errors" [N, T, K] of whole groups; see `hidden_and_errors`."""
    ids, attention = (tensor.to(policy.device) for tensor in tokens_of(rollouts))
    mask, group = (torch.from_numpy(np.asarray(array)) for array in (rollouts.mask, rollouts.group))
    hidden, errors = hidden_and_errors(policy.model, ids, attention, mask, group, temperature=temperature)
    return {"hidden": hidden.cpu().numpy(), "errors": errors.cpu().numpy()}


def values_of(critic: TokenScorer, rollouts: Rollouts) -> Float[np.ndarray, "n t"]:
    """What a critic expects before each decision."""
    ids, attention = tokens_of(rollouts)
    decisions = np.asarray(rollouts.mask).shape[1]
    with torch.inference_mode():
        found = [
            values_before(critic, ids[part], attention[part], decisions).float().cpu().numpy()
            for part in _some_rows(len(ids))
        ]
    return np.concatenate(found)


def values_before(
    critic: TokenScorer, ids: Int[Tensor, "n l"], attention: Float[Tensor, "n l"], decisions: int
) -> Float[Tensor, "n t"]:
    """The critic's score at the token before each decision, with gradient."""
    device = next(critic.parameters()).device
    scores: Tensor = critic(ids.to(device), attention.to(device))
    return scores[:, -decisions - 1 : -1, 0]


def _some_rows(rows: int) -> Iterator[slice]:
    return (slice(start, start + ROWS_AT_ONCE) for start in range(0, rows, ROWS_AT_ONCE))
