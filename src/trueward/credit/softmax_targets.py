"""What a ranking of a group is learnt from: a softmax over the rewards of whatever is still in the running.

A z-score says how far each member of a group lies from the mean; a Plackett–Luce target says with which probability
each would be chosen first, then second, and so on, if one chose by reward. It needs no rollouts of the policy that
learns, and ties are told by equal probabilities in place of a coin.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float, Int

RankingKind = Literal["pl", "top1", "rank"]


@dataclass(frozen=True)
class RankingTargets:
    """Targets of G groups of k.

    Attributes:
        order: places of the members of each group, the best first; equal ones in random order.
        mass: Σ_i q_i(j) over the choices in which a member takes part, in that order; each row sums to `choices`.
        choices: how many choices are learnt from: k − 1, or 1 for "top1".
        informative: groups whose rewards are not all equal.
    """

    order: Int[np.ndarray, "g k"]
    mass: Float[np.ndarray, "g k"]
    choices: int
    informative: Bool[np.ndarray, " g"]


def softmax_targets(
    rewards: Float[Any, "g k"],
    generator: np.random.Generator,
    *,
    temperature: float = 0.05,
    kind: RankingKind = "pl",
) -> RankingTargets:
    """Target probabilities of choosing the best of a group, then the best of the rest, and so on.

    With r_1 ≥ … ≥ r_k and temperature τ, the target of choice i over those that are left is

        q_i(j) = exp(r_j / τ) / Σ_{m ≥ i} exp(r_m / τ),   j ≥ i.

    - pl: all k − 1 choices (Plackett–Luce). - top1: the first one alone. - rank: τ → 0, where q_i is one-hot on i; with
    k = 2 that is the label of a preference pair.

    A cross-entropy against q_i is linear in its logits but for their log-sum, so all that a loss needs is how much each
    member is wanted over all choices, Σ_{i ≤ j} q_i(j): `mass`.

    Args:
        rewards: one group per row, all of k members; scaled to about [0, 1], because τ is in units of the reward.
        generator: orders those that are equal: the order in which they are stored must tell nothing.
        temperature: τ; 0 is its limit.
        kind: see above; "rank" does not look at τ.

    Raises:
        ValueError: groups of fewer than two, a reward that is not finite, a negative τ, or an unknown kind.

    Reference: Wang et al. 2026, "GDRO", the target distributions; Plackett 1975; Luce 1959.
    """
    given = np.asarray(rewards, dtype=np.float64)
    if kind not in ("pl", "top1", "rank") or not temperature >= 0:
        raise ValueError(f"got kind {kind!r}, temperature {temperature!r}; expected pl, top1 or rank, and at least 0")
    if given.ndim != 2 or given.shape[1] < 2:
        raise ValueError(f"rewards have shape {given.shape}; expected one group per row, of at least two members")
    if not np.isfinite(given).all():
        raise ValueError("a reward is not finite: leave members without a reward out before groups are drawn")
    order = np.lexsort((generator.random(given.shape), -given), axis=-1)
    ranked = np.take_along_axis(given, order, axis=1)
    choices = 1 if kind == "top1" else given.shape[1] - 1
    hard = kind == "rank" or temperature == 0.0
    mass = _one_hot(given.shape, choices) if hard else _mass(ranked / temperature, choices)
    return RankingTargets(order, mass, choices, informative=ranked[:, 0] != ranked[:, -1])


def _one_hot(shape: tuple[int, ...], choices: int) -> Float[np.ndarray, "g k"]:
    return np.broadcast_to((np.arange(shape[1]) < choices).astype(np.float64), shape).copy()


def _mass(logits: Float[np.ndarray, "g k"], choices: int) -> Float[np.ndarray, "g k"]:
    """Σ_i q_i(j), of descending logits."""
    left = np.logaddexp.accumulate(logits[:, ::-1], axis=1)[:, ::-1][:, :choices]
    # exp of at most 0 where j ≥ i; the rest has left the running.
    exponent = logits[:, None, :] - left[:, :, None]
    running = np.triu(np.ones(exponent.shape[1:], dtype=bool))
    summed: np.ndarray = np.exp(np.where(running, exponent, -np.inf)).sum(axis=1)
    return summed
