"""Transforms of step rewards: clip, delta, by number of steps, cost per step, min-form.

A process reward summed over steps pays for more steps. Each transform here takes that away in another way. r_1 … r_K
are the rewards of the K steps of one rollout that exist, in order, wherever they stand among its S columns. All of them
change the one paid part at level "segment".

    reward = correct + 0.1 * process.transform(step_clip(), step_delta())       # PR-Clip-Delta

Delta is exact with undiscounted returns per step. A sum over steps, as in a group-relative estimator of whole rollouts,
takes its differences back, and the process reward judges the first step alone.

Reference: Gao, Xu et al. 2024, "On designing effective RL reward at training time for LLM reasoning", arXiv 2410.15115.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from trueward.batch import Context, Part, Rollouts, Scores
from trueward.rewards.transforms.guarantees import Guarantee
from trueward.rewards.transforms.parts import Transform, group_index, only_part, replaced
from trueward.rewards.transforms.thresholds import Frozen, QuestionMean, Threshold

_NONE: frozenset[Guarantee] = frozenset()
_SPARSE, _DENSE = 0.05, 0.60  # outside of this share of punished steps a threshold hardly tells steps apart

Rewards = Float[np.ndarray, "n s"]
Present = Bool[np.ndarray, "n s"]


@dataclass
class StepClip:
    """What exceeds a threshold becomes 0; see `step_clip`.

    Attributes:
        threshold: η, a number or what finds it.
        tolerance: a reward that is less than this below η is as good as η.
        part: name of the part; None where only one segment part is paid.
    """

    threshold: float | Threshold
    tolerance: float
    part: str | None = None
    name: str = field(default="step_clip", init=False)
    guarantees: frozenset[Guarantee] = field(default=_NONE, init=False)

    def __call__(self, scores: Scores, rollouts: Rollouts, context: Context) -> Scores:
        """The scores, with one segment part clipped, and the share of its steps that are not 0 beside it."""
        name = only_part(scores, self.part, "segment", self.name)
        part = scores.parts[name]
        present = part.present
        if isinstance(self.threshold, float | int):
            threshold = np.full(len(present), float(self.threshold))
        else:
            threshold = self.threshold(part.values, present, group_index(rollouts)[0], context.training)
        below = np.where(present, part.values, 0.0) - threshold[:, None]
        clipped = np.where(below > -self.tolerance, 0.0, below)
        low = None if part.low is None else min(0.0, part.low - float(threshold.max(initial=-np.inf)))
        share = _share_of_steps(name, part, clipped != 0.0, context.training)
        return Scores({**scores.parts, name: replaced(part, clipped, low, 0.0), f"{name} (share of steps)": share})

    def state_dict(self) -> dict[str, Any]:
        """What a frozen threshold has learned; {} for any other."""
        return self.threshold.state_dict() if isinstance(self.threshold, Frozen) else {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` gave."""
        if isinstance(self.threshold, Frozen):
            self.threshold.load_state_dict(state)


@dataclass(frozen=True)
class StepMap:
    """A function of the step rewards of each rollout, applied to one segment part.

    Attributes:
        name: what it is called.
        function: from rewards [N, S], 0 where there is none, moved to the front of their row; which exist; and which
            rows go on after their last step, to rewards [N, S].
        bounds: from the lowest and highest reward of a step, and the largest number of steps, to those after it.
        part: name of the part; None where only one segment part is paid.
        guarantees: what it keeps.
    """

    name: str
    function: Callable[[Rewards, Present, np.ndarray], Rewards]
    bounds: Callable[[float, float, int], tuple[float, float]]
    part: str | None = None
    guarantees: frozenset[Guarantee] = _NONE

    def __call__(self, scores: Scores, rollouts: Rollouts, context: Context) -> Scores:
        """The scores, with one segment part changed."""
        name = only_part(scores, self.part, "segment", self.name)
        part = scores.parts[name]
        present = part.present
        order = np.argsort(~present, axis=1, kind="stable")
        there = np.take_along_axis(present, order, axis=1)
        packed = np.where(there, np.take_along_axis(part.values, order, axis=1), 0.0)
        changed = np.empty_like(packed)
        np.put_along_axis(changed, order, self.function(packed, there, _goes_on(part, rollouts)), axis=1)
        low, high = None, None
        if part.low is not None and part.high is not None:
            low, high = self.bounds(part.low, part.high, max(1, int(present.sum(axis=1).max(initial=1))))
        return Scores({**scores.parts, name: replaced(part, changed, low, high)})


def step_clip(
    threshold: float | Threshold | None = None, *, tolerance: float = 1e-6, part: str | None = None
) -> Transform:
    """PR-Clip: a step that is good enough earns nothing, any other is punished.

        c_k = min(r_k − η, 0)

    Every sum of c is at most 0, so more steps never earn more. A part of weight 0, "… (share of steps)", says which
    share of its steps each rollout is punished for; a warning says when it leaves 5 … 60 % in training.

    Args:
        threshold: η; `QuestionMean()` when None.
        tolerance: rewards that differ from η by rounding are no bad steps.
        part: name of the part; needed where several segment parts are paid.

    Raises:
        ValueError: a threshold that is not finite, or a negative tolerance.

    Reference: as this module. How η is chosen there is not known; the question mean is the likeliest reading.
    """
    chosen = QuestionMean() if threshold is None else threshold
    if tolerance < 0 or (isinstance(chosen, float | int) and not np.isfinite(chosen)):
        raise ValueError(f"step_clip({threshold!r}, tolerance={tolerance!r}): finite numbers are needed, tolerance ≥ 0")
    return StepClip(chosen, tolerance, part)


def step_delta(*, part: str | None = None) -> Transform:
    """PR-Delta: differences of neighbouring steps, so that a return is the reward of one step.

        r'_k = r_k − r_{k+1} for k < K − 1,    r'_{K−1} = r_{K−1},    r'_K = 0

    Σ_{j ≥ k} r'_j = r_k for k ≤ K − 1: each step is credited with its own reward and not with those of what follows.
    The last step belongs to the verifier. With K = 1 nothing is left, with K = 2 only the first step is judged. Of a
    rollout that was cut off inside a step without a reward, that step counts as the K-th.

    Args:
        part: name of the part; needed where several segment parts are paid.

    Reference: as this module.
    """
    return StepMap("step_delta", _delta, lambda low, high, k: (min(low - high, low, 0.0), max(high - low, high)), part)


def per_step_count(*, part: str | None = None) -> Transform:
    """The sum becomes the mean: r'_k = r_k / K. Long answers of average steps earn what short ones do, not less.

    Args:
        part: name of the part; needed where several segment parts are paid.

    Reference: as this module, where it was not enough.
    """
    return StepMap(
        "per_step_count",
        lambda rewards, there, goes_on: rewards / np.maximum(there.sum(axis=1, keepdims=True), 1),
        lambda low, high, k: (min(low, low / k), max(high, high / k)),
        part,
    )


def step_cost(cost: float, *, part: str | None = None) -> Transform:
    """Every step costs something: r'_k = r_k − cost.

    Args:
        cost: price of a step.
        part: name of the part; needed where several segment parts are paid.

    Raises:
        ValueError: the cost is not a finite number.

    Reference: as this module, where it was not enough.
    """
    if not np.isfinite(cost):
        raise ValueError(f"step_cost({cost!r}): a finite number is needed")
    return StepMap(
        "step_cost",
        lambda rewards, there, goes_on: rewards - cost,
        lambda low, high, k: (low - cost, high - cost),
        part,
    )


def min_form(temperature: float = 0.1, *, part: str | None = None) -> Transform:
    """The worst step decides: r'_k = r_k · exp(−r_k / T) / Σ_j exp(−r_j / T).

    The sum is the smallest reward as T → 0, and at T = 0 the first of the worst steps bears all of it.

    Args:
        temperature: T.
        part: name of the part; needed where several segment parts are paid.

    Raises:
        ValueError: the temperature is negative or not finite.

    Reference: Cheng et al. 2025, "Stop summation: min-form credit assignment is all process reward model needs for
    reasoning" (PURE).
    """
    if not 0.0 <= temperature < np.inf:
        raise ValueError(f"min_form({temperature!r}): the temperature must be a number of at least 0")

    def weighed(rewards: Rewards, there: Present, goes_on: np.ndarray) -> Rewards:
        above = np.where(there, rewards, np.inf)
        above = above - np.where(there.any(axis=1), above.min(axis=1, initial=np.inf), 0.0)[:, None]
        if temperature == 0.0:
            weights = (np.arange(rewards.shape[1]) == above.argmin(axis=1)[:, None]).astype(np.float64)
        else:
            weights = np.exp(-above / temperature)
        shares: np.ndarray = rewards * weights / np.maximum(weights.sum(axis=1, keepdims=True), 1.0)
        return shares

    return StepMap("min_form", weighed, lambda low, high, k: (min(low, 0.0), max(high, 0.0)), part)


def _delta(rewards: Rewards, there: Present, goes_on: np.ndarray) -> Rewards:
    """The Delta rule on rows whose rewards stand at their front."""
    judged = there.sum(axis=1) - ~goes_on  # K − 1
    kept = np.where(np.arange(rewards.shape[1]) < judged[:, None], rewards, 0.0)
    following = np.concatenate([kept[:, 1:], np.zeros((len(kept), 1))], axis=1)
    differences: np.ndarray = kept - following
    return differences


def _goes_on(part: Part, rollouts: Rollouts) -> Bool[np.ndarray, " n"]:
    """True on rollouts that were cut off in a step that has no reward."""
    finished = rollouts.features.get("finished")
    if finished is None or rollouts.segments is None or rollouts.mask is None:
        return np.zeros(len(rollouts), dtype=bool)
    mask, segments = np.asarray(rollouts.mask, dtype=bool), np.asarray(rollouts.segments)
    rows, width = np.arange(len(mask)), part.values.shape[1]
    tail = segments[rows, mask.shape[1] - 1 - mask[:, ::-1].argmax(axis=1)]
    rewarded = (tail >= 0) & (tail < width) & part.present[rows, tail.clip(0, width - 1)]
    goes_on: np.ndarray = ~np.asarray(finished, dtype=bool) & mask.any(axis=1) & ~rewarded
    return goes_on


def _share_of_steps(name: str, part: Part, nonzero: Present, training: bool) -> Part:
    """Share of its steps for which each rollout is punished, as a part of weight 0."""
    present = part.present
    steps = int(present.sum())
    share = float(np.count_nonzero(nonzero & present)) / steps if steps else np.nan
    if training and steps and not _SPARSE <= share <= _DENSE:
        warnings.warn(
            f"step_clip punishes fewer than {_SPARSE:.0%} or more than {_DENSE:.0%} of the steps of {name!r}: its "
            "threshold hardly tells steps apart; choose another one",
            UserWarning,
            stacklevel=3,
        )
    each = (nonzero & present).sum(axis=1) / np.maximum(present.sum(axis=1), 1)
    return Part(np.where(part.ok, each, np.nan), part.status, weight=0.0, low=0.0, high=1.0)
