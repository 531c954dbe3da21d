"""What a monitor sees of one training step, wherever it comes from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from trueward.batch import Context, Rollouts, Scores, Text
from trueward.rewards.transforms.length import lengths
from trueward.status import Status


@dataclass(frozen=True)
class Step:
    """N scored rollouts of one training step.

    Attributes:
        number: of the step; steps are shown to a monitor in order, each once.
        prompts: text or chat messages.
        completions: text or chat messages.
        reward: total reward; NaN where there is none.
        parts: what each paid part adds to the total, weight included; NaN where it has no value.
        seen: values of parts that are not paid (weight 0), such as a raw score or an ensemble's disagreement.
        status: what became of each row.
        length: in decisions of the policy, or characters where those are not known.
        group: rollouts with the same number answer the same prompt; None where it is not known.
        finished: True where the completion ended by itself; None where it is not known.
        logprobs: mean log-probability of the row's decisions under the policy that sampled it; None where it is not
            known.
        columns: one mapping per row with what a check may read (answer, tests, …).
    """

    number: int
    prompts: Sequence[Any]
    completions: Sequence[Any]
    reward: Float[np.ndarray, " n"]
    parts: Mapping[str, Float[np.ndarray, " n"]]
    status: Sequence[Status]
    length: Float[np.ndarray, " n"]
    group: Int[np.ndarray, " n"] | None = None
    finished: Bool[np.ndarray, " n"] | None = None
    logprobs: Float[np.ndarray, " n"] | None = None
    seen: Mapping[str, Float[np.ndarray, " n"]] = field(default_factory=dict)
    columns: Sequence[Mapping[str, Any]] = ()

    def __len__(self) -> int:
        """Number of rollouts."""
        return len(self.reward)

    @cached_property
    def scored(self) -> int:
        """Number of rollouts with a reward."""
        return int(np.count_nonzero(self.reward == self.reward))

    @cached_property
    def starts(self) -> Int[np.ndarray, " g"] | None:
        """First row of each group, where the rows of every group stand together; else None, as where none are known."""
        if self.group is None or not len(self):
            return None
        begins = np.ones(len(self), dtype=bool)
        np.not_equal(self.group[1:], self.group[:-1], out=begins[1:])
        starts: np.ndarray = begins.nonzero()[0]
        return starts if len(set(self.group[starts].tolist())) == len(starts) else None

    def row(self, place: int) -> Mapping[str, Any]:
        """The columns of a row; {} where there are none."""
        return self.columns[place] if self.columns else {}


def step_of(rollouts: Rollouts, scores: Scores, context: Context) -> Step:
    """The step that a training loop has just scored.

    Raises:
        TypeError: the rollouts are not text.
    """
    content = rollouts.content
    if not isinstance(content, Text):
        raise TypeError(f"a monitor reads text; the rollouts hold {type(content).__name__}")
    paid = scores.paid
    finished = rollouts.features.get("finished")
    return Step(
        number=context.step,
        prompts=content.prompts,
        completions=content.completions,
        reward=scores.total(),
        parts={name: part.weight * _per_row(part.filled()) for name, part in paid.items()},
        seen={name: _per_row(part.filled()) for name, part in scores.parts.items() if name not in paid},
        status=scores.status,
        length=lengths(rollouts),
        group=None if rollouts.group is None else np.asarray(rollouts.group),
        finished=None if finished is None else np.asarray(finished, dtype=bool),
        logprobs=_mean_logprobs(rollouts),
        columns=rollouts.reference,
    )


def _per_row(values: np.ndarray) -> np.ndarray:
    flat: np.ndarray = values if values.ndim == 1 else values.sum(axis=1)
    return flat


def _mean_logprobs(rollouts: Rollouts) -> np.ndarray | None:
    if rollouts.logprobs is None or rollouts.mask is None:
        return None
    mask = np.asarray(rollouts.mask, dtype=bool)
    summed: np.ndarray = np.where(mask, np.asarray(rollouts.logprobs, dtype=np.float64), 0.0).sum(axis=1)
    means: np.ndarray = summed / np.maximum(mask.sum(axis=1), 1)
    return means
