"""Transforms: `(scores, rollouts, context) -> scores`. They may look at the whole batch."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

from trueward.batch import Context, Part, Rollouts, Scores, Text
from trueward.errors import RewardError
from trueward.status import Status

Transform = Callable[[Scores, Rollouts, Context], Scores]


def clip(low: float, high: float) -> Transform:
    """Every value into [low, high]; the range becomes the part's declared range.

    r' = min(max(r, low), high).

    Raises:
        ValueError: low is not below high.
    """
    if not low < high:
        raise ValueError(f"clip({low!r}, {high!r}): low must be below high")

    def apply(scores: Scores, rollouts: Rollouts, context: Context) -> Scores:
        return _each(
            scores, lambda part: dataclasses.replace(part, values=part.values.clip(low, high), low=low, high=high)
        )

    return apply


def centre() -> Transform:
    """Rollout parts minus the mean of the usable values of the same group.

    r'_i = r_i − mean{r_j : group_j = group_i, status_j ok}. Without groups the batch is one group. Rows that are not
    ok keep their status, so they do not move the mean. The declared range no longer holds and is dropped.
    """

    def apply(scores: Scores, rollouts: Rollouts, context: Context) -> Scores:
        groups = np.zeros(len(scores), dtype=int) if rollouts.group is None else np.asarray(rollouts.group)
        _, index = np.unique(groups, return_inverse=True)

        def centred(part: Part) -> Part:
            if part.level != "rollout":
                return part
            ok = part.ok
            counts = np.bincount(index[ok], minlength=index.max() + 1)
            sums = np.bincount(index[ok], weights=part.values[ok], minlength=index.max() + 1)
            means = sums / np.maximum(counts, 1)
            return dataclasses.replace(part, values=part.values - means[index], low=None, high=None)

        return _each(scores, centred)

    return apply


def overlong(limit: int, cache: int, penalty: float = -1.0) -> Transform:
    """Adds a part that punishes completions beyond a soft limit.

    With length |y| in decisions of the policy (the mask), or characters where rollouts have none:
    0 for |y| ≤ limit − cache, falling linearly to `penalty` at `limit`, and `penalty` beyond.

    Raises:
        ValueError: not 0 <= cache <= limit, or a positive penalty.

    Reference: DAPO, arXiv 2503.14476, equation 13.
    """
    if not 0 <= cache <= limit or penalty > 0:
        raise ValueError(f"overlong({limit!r}, {cache!r}, {penalty!r}): need 0 <= cache <= limit and penalty <= 0")

    def apply(scores: Scores, rollouts: Rollouts, context: Context) -> Scores:
        over = lengths(rollouts) - (limit - cache)
        share = np.clip(over / cache, 0.0, 1.0) if cache else (over > 0).astype(float)
        part = Part(penalty * share, [Status.OK] * len(scores), low=penalty, high=0.0)
        return Scores({**scores.parts, "overlong": part})

    return apply


def lengths(rollouts: Rollouts) -> np.ndarray:
    """Length of each rollout: decisions of the policy where there is a mask, else characters of the completion."""
    if rollouts.mask is not None:
        counts: np.ndarray = np.asarray(rollouts.mask).sum(axis=1).astype(np.float64)
        return counts
    if not isinstance(rollouts.content, Text):
        raise RewardError("the length of rollouts without a mask is known for text only: give rollouts.mask")
    return np.array([len(_plain(completion)) for completion in rollouts.content.completions], dtype=np.float64)


def _plain(completion: object) -> str:
    if isinstance(completion, str):
        return completion
    if isinstance(completion, list | tuple):
        return "\n".join(str(message.get("content", "")) for message in completion)
    raise RewardError(f"a completion must be text or a list of messages, not {type(completion).__name__}")


def _each(scores: Scores, change: Callable[[Part], Part]) -> Scores:
    return Scores({name: change(part) for name, part in scores.parts.items()})
