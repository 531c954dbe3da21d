"""Transforms that make length cost something."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from trueward.batch import Context, Part, Rollouts, Scores, Text
from trueward.errors import RewardError
from trueward.rewards.transforms.guarantees import Guarantee
from trueward.rewards.transforms.parts import Transform, only_part, replaced
from trueward.status import Status

_NONE: frozenset[Guarantee] = frozenset()


@dataclass(frozen=True)
class Overlong:
    """A part that punishes completions beyond a soft limit; see `overlong`."""

    limit: int
    cache: int
    penalty: float
    name: str = "overlong"
    guarantees: frozenset[Guarantee] = _NONE

    def __call__(self, scores: Scores, rollouts: Rollouts, context: Context) -> Scores:
        """The scores, and the part "overlong"."""
        over = lengths(rollouts) - (self.limit - self.cache)
        share = np.clip(over / self.cache, 0.0, 1.0) if self.cache else (over > 0).astype(float)
        part = Part(self.penalty * share, [Status.OK] * len(scores), low=self.penalty, high=0.0)
        return Scores({**scores.parts, "overlong": part})


@dataclass(frozen=True)
class LengthPenalty:
    """A cost per token beyond a free length; see `length_penalty`."""

    per_token: float
    free: int
    part: str | None = None
    name: str = "length_penalty"
    guarantees: frozenset[Guarantee] = _NONE

    def __call__(self, scores: Scores, rollouts: Rollouts, context: Context) -> Scores:
        """The scores, with the penalty taken off one rollout part."""
        name = only_part(scores, self.part, "rollout", self.name)
        part = scores.parts[name]
        penalty = self.per_token * np.maximum(lengths(rollouts) - self.free, 0.0)
        # The longest answer of the batch might have been the worst one: a failure must not earn more than that.
        low = None if part.low is None else part.low - float(penalty.max(initial=0.0))
        return Scores({**scores.parts, name: replaced(part, part.values - penalty, low, part.high)})


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
    return Overlong(limit, cache, penalty)


def length_penalty(per_token: float = 0.01, free: int = 300, *, part: str | None = None) -> Transform:
    """Takes a price per token off a rollout part, so that later transforms see the reward with its penalty.

    r' = r − per_token · max(0, |y| − free), with |y| as in `lengths`. It belongs after a `ceiling` and before
    everything that bounds or compares; reference rewards must have been stored with the same penalty.

    Args:
        per_token: price of one token.
        free: length up to which nothing is paid.
        part: name of the part; needed where several rollout parts are paid.

    Raises:
        ValueError: a negative price or length.

    Reference: Fu et al. 2025, "Reward shaping to mitigate reward hacking in RLHF", arXiv 2502.18770 (0.01, 300).
    """
    if per_token < 0 or free < 0:
        raise ValueError(f"length_penalty({per_token!r}, {free!r}): neither may be negative")
    return LengthPenalty(float(per_token), free, part)


def lengths(rollouts: Rollouts) -> Float[np.ndarray, " n"]:
    """Length of each rollout: decisions of the policy where there is a mask, else characters of the completion.

    Raises:
        RewardError: there is no mask, and the rollouts are not text.
    """
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
