"""A trained scorer as a process reward: the probability that each step is right, read at its last token.

    r_k = σ(z at the last token of step k),  k = 1…K

from one forward pass. Steps are those of `rollouts.segments`. How a completion falls into steps is the policy's choice,
and so a way to cheat: one that avoids delimiters is judged once, one that writes nothing but delimiters is paid by the
step. The first is told in `details`, and against the second `most_steps` is a cap.

Reference: Lightman et al. 2023, "Let's verify step by step"; Gao et al. 2024, arXiv 2410.15115, §3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int

from trueward.batch import Context, Part, Rollouts, Scores, Text
from trueward.errors import RewardError
from trueward.rewards.base import Reward
from trueward.rewards.models.learned import evaluating, finite_status, probability
from trueward.rewards.models.learned_inputs import Packed, most_tokens, packed
from trueward.rewards.runner import Runner
from trueward.status import Status
from trueward.tasks.text.procedural.steps import segment_ends

if TYPE_CHECKING:
    from trueward.policies.scorer import TokenScorer


class StepScorer(Reward):
    """A `TokenScorer` as a reward for each step of a rollout.

    Attributes:
        scorer: outputs at every token.
        tokenizer: of the scorer and of the policy, whose own tokens are read.
        most_steps: steps of a rollout that are judged. Those beyond have probability 0: more steps than a solution can
            need are never paid.
        output: which output is the logit.
        batch_size: rows of a forward pass.
    """

    def __init__(
        self,
        name: str,
        scorer: TokenScorer,
        tokenizer: Any,
        *,
        most_steps: int = 64,
        output: int = 0,
        batch_size: int = 128,
    ) -> None:
        if not name or not 0 <= output < scorer.outputs or batch_size < 1 or most_steps < 1:
            raise RewardError(
                f"step reward {name!r} with most_steps={most_steps}, output={output}, batch_size={batch_size}: "
                f"expected a name, at least one step and row, and an output of the scorer's {scorer.outputs}"
            )
        self._name = name
        self.scorer = scorer
        self.tokenizer = tokenizer
        self.most_steps = most_steps
        self.output = output
        self.batch_size = batch_size

    @property
    def name(self) -> str:
        """Name of its part."""
        return self._name

    def use(self, runner: Runner) -> bool:
        """It has no address: it stays in this process."""
        return False

    def score(self, rollouts: Rollouts, context: Context) -> Scores:
        """One segment part [N, S], S the number of the last segment of the batch plus 1.

        A rollout without a step is the answer's fault (`UNPARSABLE`). `details` says where a rollout is a single step,
        and where it has steps beyond the cap.

        Raises:
            RewardError: the rollouts have no tokens or no segments.
        """
        ends = step_ends(rollouts)
        exists = ends >= 0
        rows = packed(rollouts, self.tokenizer, None, most_tokens(self.scorer))
        read = exists & (np.cumsum(exists, axis=1) <= self.most_steps)
        logits = step_logits(self.scorer, rows, np.where(read, ends, -1), self.output, self.batch_size)
        values = np.where(exists, np.where(read, probability(logits), 0.0), 0.0)
        counted = [_told(int(steps), self.most_steps) for steps in exists.sum(axis=1)]
        status = [
            Status.UNPARSABLE if one.ok and not steps.any() else one
            for one, steps in zip(rows.status, exists, strict=True)
        ]
        status = finite_status(np.where(exists, values, 0.0).sum(axis=1), status)
        ok = np.array([one.ok for one in status], dtype=bool)
        details = [why or said for why, said in zip(rows.details, counted, strict=True)]
        part = Part(
            np.where(ok[:, None], values, np.nan), status, "segment", exists=exists, low=0.0, high=1.0, details=details
        )
        return Scores({self.name: part})


def _told(steps: int, most: int) -> str:
    if steps == 0:
        return "there is no step in it"
    if steps == 1:
        return "no delimiter inside: the whole completion is one step"
    return f"{steps - most} of {steps} steps are beyond the cap" if steps > most else ""


def step_ends(rollouts: Rollouts) -> Int[np.ndarray, "n s"]:
    """Where each step ends: the place of its last token among the tokens of its row, padding not counted.

    Decisions outside the mask end no step. S is the highest segment number plus 1.

    Returns:
        Places from 0; −1 where a rollout has no such step.

    Raises:
        RewardError: the rollouts have no tokens or no segments.
    """
    content = rollouts.content
    if not isinstance(content, Text) or content.token_ids is None or content.attention is None:
        raise RewardError("steps are read at tokens: give text rollouts with token_ids and attention")
    if rollouts.segments is None:
        raise RewardError("steps are those of rollouts.segments, which is None: cut the completions into steps first")
    segments = np.asarray(rollouts.segments)
    attention = np.asarray(content.attention, dtype=bool)
    place = (np.cumsum(attention, axis=1) - 1)[:, attention.shape[1] - segments.shape[1] :]
    inside = attention[:, attention.shape[1] - segments.shape[1] :]
    if rollouts.mask is not None:
        inside = inside & np.asarray(rollouts.mask, dtype=bool)
    columns, exists = segment_ends(np.where(inside, segments, -1))
    ends = np.full((len(segments), max(1, int(segments.max(initial=-1)) + 1)), -1, dtype=np.int64)
    ends[:, : exists.shape[1]] = np.where(exists, np.take_along_axis(place, columns, axis=1), -1)
    return ends


def step_logits(
    scorer: TokenScorer, rows: Packed, ends: Int[np.ndarray, "n s"], output: int, batch_size: int
) -> Float[np.ndarray, "n s"]:
    """One output of a scorer at the end of each step; NaN where there is none or the row cannot be scored."""
    values = np.full(ends.shape, np.nan)
    exists: Bool[np.ndarray, "n s"] = ends >= 0
    with evaluating(scorer) as device:
        for places in rows.batches(batch_size):
            token_ids, attention = (torch.from_numpy(array).to(device) for array in rows.rows(places))
            outputs = scorer(token_ids, attention)[..., output].double().cpu().numpy()
            found = np.take_along_axis(outputs, np.where(exists[places], ends[places], 0), axis=1)
            values[places] = np.where(exists[places], found, np.nan)
    return values
