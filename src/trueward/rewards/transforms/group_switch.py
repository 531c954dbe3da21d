"""A switch over the groups of a batch: those that are solved best are paid by another reward."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float

from trueward.batch import Context, Part, Rollouts, Scores
from trueward.errors import RewardError
from trueward.rewards.transforms.guarantees import Guarantee
from trueward.rewards.transforms.length import lengths
from trueward.rewards.transforms.length_groups import judged, right_answers, sigmoid_length
from trueward.rewards.transforms.parts import Transform, group_index, only_part
from trueward.status import Status

Select = Literal["top_fraction", "threshold"]
Rank = Literal["ratio", "random"]
Ties = Literal["longest", "random"]

SELECTED = "selected"
_ROUNDING = 1e-9  # 0.2 · 15 is a little more than 3 in floating point, and must not become 4


@dataclass(frozen=True)
class GroupSwitch:
    """Another reward for the groups that are selected; see `group_switch`."""

    inner: Transform
    select: Select = "top_fraction"
    fraction: float = 0.2
    threshold: float = 1.0
    min_ratio: float = 0.0
    ties: Ties = "longest"
    rank: Rank = "ratio"
    wrong: float = 0.0
    part: str | None = None
    name: str = "group_switch"
    guarantees: frozenset[Guarantee] = frozenset()

    def __call__(self, scores: Scores, rollouts: Rollouts, context: Context) -> Scores:
        """The scores, those of the selected groups by the inner transform, and the part "selected", of weight 0.

        Raises:
            RewardError: something is to be drawn at random, and the context has no generator.
        """
        name = only_part(scores, self.part, "rollout", self.name)
        part, (index, groups) = scores.parts[name], group_index(rollouts)
        right = right_answers(part, rollouts, self.wrong)
        counted = part.ok | np.array([status.blames_answer for status in part.status], dtype=bool)
        count = np.bincount(index[counted], minlength=groups)
        ratio = np.bincount(index[right], minlength=groups) / np.maximum(count, 1)
        total = np.bincount(index[counted], weights=lengths(rollouts)[counted], minlength=groups)
        chosen = self._chosen(ratio, total / np.maximum(count, 1), int((count > 0).sum()), context)
        inside = chosen[index]
        inner = self.inner(scores, rollouts, context).parts[name]
        plain = judged(part, part.values, right, self.wrong)
        switched = _switched(inner, plain, inside)
        seen = Part(inside.astype(np.float64), [Status.OK] * len(part.status), weight=0.0, low=0.0, high=1.0)
        return Scores({**scores.parts, name: switched, SELECTED: seen})

    def _chosen(
        self, ratio: Float[np.ndarray, " g"], length: Float[np.ndarray, " g"], scored: int, context: Context
    ) -> Bool[np.ndarray, " g"]:
        """True on the groups that are selected."""
        # Without a right answer there is nothing to shorten.
        eligible = (ratio > 0) & (ratio >= self.min_ratio - _ROUNDING)
        if self.select == "threshold":
            chosen = eligible & (ratio >= self.threshold - _ROUNDING)
            if self.rank == "ratio":
                return chosen
            quota = int(chosen.sum())
        else:
            quota = min(int(np.ceil(self.fraction * scored - _ROUNDING)), int(eligible.sum()))
        drawn = self._draw(len(ratio), context) if "random" in (self.rank, self.ties) else np.zeros(len(ratio))
        # Falling order of the last key first; groups that are equal in all keys stand in the order of their numbers.
        keys = (drawn,) if self.rank == "random" else (drawn if self.ties == "random" else length, ratio)
        order = np.lexsort((*(-key for key in keys), ~eligible))
        chosen = np.zeros(len(ratio), dtype=bool)
        chosen[order[:quota]] = True
        return chosen

    def _draw(self, groups: int, context: Context) -> Float[np.ndarray, " g"]:
        if context.generator is None:
            raise RewardError(
                f"{self.name} draws groups at random and needs Context(generator=…); without one take rank='ratio' and "
                "ties='longest'"
            )
        return context.generator.random(groups)


def _switched(inner: Part, plain: Part, inside: Bool[np.ndarray, " n"]) -> Part:
    """The inner part where a group is selected, the plain one elsewhere, over the range of both."""
    low = None if inner.low is None or plain.low is None else min(inner.low, plain.low)
    high = None if inner.high is None or plain.high is None else max(inner.high, plain.high)
    status = [a if chosen else b for a, b, chosen in zip(inner.status, plain.status, inside.tolist(), strict=True)]
    values = np.where(inside, inner.values, plain.values)
    return dataclasses.replace(plain, values=values, status=status, low=low, high=high)


def group_switch(
    inner: Transform,
    *,
    select: Select = "top_fraction",
    fraction: float = 0.2,
    threshold: float = 1.0,
    min_ratio: float = 0.0,
    ties: Ties = "longest",
    rank: Rank = "ratio",
    wrong: float = 0.0,
    part: str | None = None,
) -> Transform:
    """Pays the groups that the policy solves best by another reward, and all others as they are.

    With ρ_k the share of right answers in group k of Q: the first ⌈fraction · Q⌉ groups by falling ρ
    ("top_fraction"), or all with ρ_k ≥ threshold. Groups without a right answer, or with ρ_k < min_ratio, are never
    selected. The reward of a group is all of one kind, so that comparing within it means what it meant.

    It ranks all groups that it is given: on several processes it needs the gathered batch. Leave groups without
    variance out behind it and not before: those with ρ = 1 are what it selects first.

    Args:
        inner: what the selected groups are paid; it sees the whole batch.
        select: how groups are selected.
        fraction: of the groups that have a score.
        threshold: ρ from which on a group is selected.
        min_ratio: ρ below which no group is selected, however few there are.
        ties: which of equally good groups come first: those with the "longest" answers on average, or any ("random").
        rank: "random" selects as many groups, but any of those that have a right answer: the control of the selection.
        wrong: what a wrong answer earns at most; what is above it is right if it was not cut off. Answers that were cut
            off count as wrong in all groups.
        part: name of the part; needed where several rollout parts are paid.

    Raises:
        ValueError: a share outside [0, 1], or a choice that does not exist.

    Reference: Dai et al. 2025, "Stable reinforcement learning for efficient reasoning", arXiv 2505.18086.
    """
    known = select in ("top_fraction", "threshold") and ties in ("longest", "random") and rank in ("ratio", "random")
    if not known or not all(0 <= share <= 1 for share in (fraction, threshold, min_ratio)):
        raise ValueError(
            f"group_switch(select={select!r}, fraction={fraction!r}, threshold={threshold!r}, min_ratio={min_ratio!r}, "
            f"ties={ties!r}, rank={rank!r}): need shares in [0, 1], select 'top_fraction' or 'threshold', ties "
            "'longest' or 'random', rank 'ratio' or 'random'"
        )
    return GroupSwitch(inner, select, fraction, threshold, min_ratio, ties, rank, float(wrong), part)


def grpo_lambda(
    fraction: float = 0.2, alpha: float = 0.6, *, min_ratio: float = 0.0, part: str | None = None
) -> Transform:
    """GRPO-λ: `sigmoid_length(alpha)` in the best `fraction` of the groups, the reward as it is in the others.

    Reference: Dai et al. 2025, arXiv 2505.18086 (λ = 0.2; α = 0.6 in a public implementation).
    """
    return group_switch(sigmoid_length(alpha, part=part), fraction=fraction, min_ratio=min_ratio, part=part)
