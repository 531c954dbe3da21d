"""Advantages from comparing rollouts of one prompt: centred, z-scored, leave-one-out.

Everything here is a few operations on the whole batch, whatever the number of prompts. Sums are taken over differences
to one member of the group, so that rewards that are nearly equal and large lose nothing (their differences are exact),
and a group whose rewards are all equal has deviations of exactly 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

Statistic = Literal["centre", "z_score", "leave_one_out", "none"]
Deviation = Literal["sample", "population"]

_SPARSE = 4  # up to so many numbers per entry, counting by the number itself beats sorting


@dataclass(frozen=True)
class Advantages:
    """How much better each entry did than what it is compared with, and what could not be compared.

    Attributes:
        values: advantages, float64; exactly 0 wherever `informative` is False.
        valid: entries that have a reward: what entered the statistics.
        informative: valid entries whose group tells its members apart.
        groups: number of groups.
        unscored: groups without any valid entry.
        single: groups with exactly one valid entry, which has nothing to be compared with.
        constant: groups with several valid entries, all equal.
    """

    values: Float[np.ndarray, "n *s"]
    valid: Bool[np.ndarray, "n *s"]
    informative: Bool[np.ndarray, "n *s"]
    groups: int
    unscored: int
    single: int
    constant: int

    @property
    def degenerate(self) -> int:
        """Number of groups from which nothing can be learned."""
        return self.unscored + self.single + self.constant

    @property
    def rows_left_out(self) -> int:
        """Number of rows without any valid entry."""
        return int(np.count_nonzero(~self.valid.any(axis=tuple(range(1, self.valid.ndim)))))


def group_advantages(
    rewards: Float[Any, "n *s"],
    group: Int[Any, " n"] | Int[Any, "n *s"],
    *,
    statistic: Statistic = "z_score",
    valid: Bool[Any, "n *s"] | None = None,
    deviation: Deviation = "sample",
    epsilon: float = 1e-6,
) -> Advantages:
    """Compare every reward with the others of its group.

    With mean m and standard deviation s over the n valid entries of the group:

        centre          r − m                     Dr. GRPO
        z_score         (r − m) / (s + ε)         GRPO
        leave_one_out   n / (n − 1) · (r − m)     RLOO: r minus the mean of the others
        none            r                         REINFORCE

    Only leave-one-out is an unbiased estimate of the policy gradient: elsewhere the baseline holds the reward itself,
    which shrinks the gradient by (n − 1) / n for `centre`, and by a factor that also depends on the prompt for
    `z_score`.

    Groups with one valid entry, or with equal ones, give exactly 0 (for `none` they are as good as any other and keep
    their rewards). verl gives the only member of a group its bare reward; here that would be a bonus for the failure
    of the others.

    Args:
        rewards: one per rollout [N], or one per segment or token [N, S]. NaN is no reward, as in `Scores.total`.
        group: entries with the same number are compared: one per row, or one per entry, such as `group · S + position`
            for a baseline of each position. In any order.
        statistic: see above.
        valid: False on entries to be left out: they take no part and get 0.
        deviation: divisor of the variance, n − 1 ("sample": TRL and verl, both through `torch.std`) or n
            ("population": NumPy's `std`, and trackers built on it). With n = 2 they differ by √2.
        epsilon: ε. verl adds 1e-6, TRL 1e-4. For real-valued rewards raise it to the difference that matters, because a
            z-score makes any smaller one as large as a real one.

    Raises:
        ValueError: an infinite reward among the valid ones; group or valid have another shape; an unknown statistic
            or deviation; a negative ε.

    Reference: Shao et al. 2024, "DeepSeekMath", section 4.1 (z_score); Liu et al. 2025, "Understanding R1-Zero-like
    training", section 3 (centre); Kool et al. 2019, "Buy 4 REINFORCE samples, get a baseline for free!"; Ahmadian et
    al. 2024, "Back to basics" (leave_one_out).
    """
    if statistic not in ("centre", "z_score", "leave_one_out", "none") or deviation not in ("sample", "population"):
        raise ValueError(
            f"got statistic {statistic!r}, deviation {deviation!r}; expected centre, z_score, leave_one_out or none, "
            "and sample or population"
        )
    if epsilon < 0:
        raise ValueError(f"epsilon is added to a standard deviation and must not be negative; got {epsilon}")
    given = np.asarray(rewards, dtype=np.float64)
    counted = _valid(given, valid)
    index, groups = _numbered(_per_entry(np.asarray(group), given.shape))
    present = np.bincount(index, minlength=groups) > 0
    ok = counted.ravel()
    scored, of = (given.ravel(), index) if ok.all() else (given.ravel()[ok], index[ok])
    count = np.bincount(of, minlength=groups)
    reference = np.zeros(groups)
    reference[of] = scored
    difference = scored - reference[of]
    varies = np.zeros(groups, dtype=bool)
    varies[of[difference != 0.0]] = True
    if statistic == "none":
        compared, told_apart = scored, count > 0
    else:
        mean = np.bincount(of, weights=difference, minlength=groups) / np.maximum(count, 1)
        centred = difference - mean[of]
        compared = centred * _scale(statistic, centred, of, count, varies, deviation, epsilon)[of]
        told_apart = varies
    return Advantages(
        values=_placed(compared, ok).reshape(given.shape),
        valid=counted,
        informative=_placed(told_apart[of], ok).reshape(given.shape),
        groups=int(np.count_nonzero(present)),
        unscored=int(np.count_nonzero(present & (count == 0))),
        single=int(np.count_nonzero(count == 1)),
        constant=int(np.count_nonzero((count > 1) & ~varies)),
    )


def greedy_advantages(rewards: Float[Any, " n"], greedy: Float[Any, " n"]) -> Advantages:
    """What each rollout earned beyond the greedy rollout of its prompt: A = r − r_greedy.

    An unbiased estimate of the policy gradient with one sampled rollout per prompt, because the greedy rollout does not
    depend on what was sampled. A group of the returned record is a rollout and its greedy one: one that lacks either
    reward is unscored and gets 0.

    Args:
        rewards: one per rollout; NaN is no reward.
        greedy: reward of the greedy rollout to the same prompt, one per row; NaN is no reward.

    Raises:
        ValueError: an infinite reward.

    Reference: Li et al. 2023, "ReMax".
    """
    sampled, baseline = np.asarray(rewards, dtype=np.float64), np.asarray(greedy, dtype=np.float64)
    valid = _valid(sampled, None) & _valid(baseline, None)
    values = np.where(valid, sampled - baseline, 0.0)
    informative = values != 0.0
    return Advantages(
        values=values,
        valid=valid,
        informative=informative,
        groups=len(values),
        unscored=int(np.count_nonzero(~valid)),
        single=0,
        constant=int(np.count_nonzero(valid & ~informative)),
    )


def _placed(values: Shaped[np.ndarray, " e"], where: Bool[np.ndarray, " m"]) -> Shaped[np.ndarray, " m"]:
    """The values at the places that are True, in order; 0 or False at the others."""
    if len(values) == len(where):
        return values.copy()
    placed = np.zeros(where.shape, dtype=values.dtype)
    placed[where] = values
    return placed


def _scale(
    statistic: Statistic,
    centred: Float[np.ndarray, " e"],
    of: Int[np.ndarray, " e"],
    count: Int[np.ndarray, " g"],
    varies: Bool[np.ndarray, " g"],
    deviation: Deviation,
    epsilon: float,
) -> Float[np.ndarray, " g"]:
    """What the deviations of each group are multiplied by; 0 where all are equal."""
    if statistic == "centre":
        return varies.astype(np.float64)
    fewer = np.maximum(count - 1, 1)
    if statistic == "leave_one_out":
        return np.where(varies, count / fewer, 0.0)
    squares = np.bincount(of, weights=centred * centred, minlength=len(count))
    width = np.sqrt(squares / (fewer if deviation == "sample" else np.maximum(count, 1))) + epsilon
    # Squares of differences near the smallest number are 0 although the differences are not.
    scale: np.ndarray = np.divide(1.0, width, out=np.zeros(len(count)), where=varies & (width > 0.0))
    return scale


def _valid(rewards: np.ndarray, valid: Any) -> np.ndarray:
    """Entries that have a reward and are not left out."""
    counted: np.ndarray = ~np.isnan(rewards)
    if valid is not None:
        chosen = np.asarray(valid, dtype=bool)
        if chosen.shape != rewards.shape:
            raise ValueError(f"valid has shape {chosen.shape}, rewards have {rewards.shape}: one per reward is needed")
        counted &= chosen
    infinite = int(np.count_nonzero(np.isinf(rewards) & counted))
    if infinite:
        raise ValueError(f"{infinite} rewards are infinite: bound the reward, or give these rows a status")
    return counted


def _per_entry(group: Shaped[np.ndarray, "..."], shape: tuple[int, ...]) -> np.ndarray:
    """The group of every entry, flat."""
    if group.shape == shape:
        flat: np.ndarray = group.ravel()
        return flat
    if group.shape != shape[:1]:
        raise ValueError(
            f"group has shape {group.shape}, rewards have {shape}: one number per row or per entry is needed"
        )
    repeated: np.ndarray = np.repeat(group, int(np.prod(shape[1:])))
    return repeated


def _numbered(group: Shaped[np.ndarray, " e"]) -> tuple[np.ndarray, int]:
    """Small numbers for the groups, and a bound on them; not every number below it need occur."""
    if group.size == 0:
        return group.astype(np.intp), 0
    low, high = int(group.min()), int(group.max())
    if high - low < _SPARSE * group.size:
        return (group - low).astype(np.intp), high - low + 1
    numbers, index = np.unique(group, return_inverse=True)
    return index.ravel(), len(numbers)
