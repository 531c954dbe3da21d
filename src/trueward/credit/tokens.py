"""Credit per token from what a step on it does to the likelihood of correct rollouts: token hidden rewards.

For decision s of rollout j, with P the correct rollouts of its group, h the states that the output layer read and g the
prediction errors onehot(y) − π:

    I_js = Σ_{i ∈ P} (1/|y_i|) Σ_t ⟨g_it, g_js⟩ ⟨h_it, h_js⟩        influence
    THR_js = sign(A_j) · I_js                                        token hidden reward

To first order, with only the output layer and the states free to move, raising log π(y_js) raises the mean
log-likelihood of the correct rollouts in proportion to I_js. So a step on a token whose hidden reward is positive
sharpens what is known already, and one whose hidden reward is negative leaves mass for alternatives.

Scores are made once, from the policy that sampled, and stay as they are in all passes over a batch. Whatever is left
out here gets the advantage 0 and still counts in the denominator of the loss, because that comes from the mask: leaving
tokens out makes the step smaller, and nothing is made up for.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, get_args

import numpy as np
from jaxtyping import Bool, Float, Int

Threshold = Literal["least", "mean", "none"]
_THRESHOLDS = get_args(Threshold)


def influences(
    hidden: Float[Any, "n t d"],
    errors: Float[Any, "n t k"],
    mask: Bool[Any, "n t"],
    correct: Bool[Any, " n"],
    group: Int[Any, " n"],
) -> Float[np.ndarray, "n t"]:
    """I of every decision, exactly, without a loop over pairs of tokens.

    With G [m, k] and H [m, d] the stacked decisions of a group, those of correct rollouts weighted 1/|y|:

        M = Σ_{i ∈ P} (1/|y_i|) G_iᵀ H_i,    I = rowsum((G M) ⊙ H)

    which costs O(m k d) instead of O(m²). The sum holds the decision itself and its own rollout where that is correct.

    Args:
        hidden: h, of the state *before* each decision (what its logits were made of).
        errors: g. Columns mean the same token for all rows of a group; those of tokens that no completion of the group
            holds may be left out, which changes ⟨g, g'⟩ by the product of the probabilities left out.
        mask: the decisions of the policy.
        correct: which rollouts are right.
        group: rows with the same number answer one prompt.

    Returns:
        I in single precision; 0 outside the mask and in groups without a correct rollout.

    Raises:
        ValueError: shapes do not fit, or a number inside the mask is not finite.

    Reference: Deng et al. 2025, "Token hidden reward: steering exploration-exploitation in group relative deep
    reinforcement learning", arXiv 2510.03669, section 4.
    """
    states, error, chosen = np.asarray(hidden), np.asarray(errors), np.asarray(mask, dtype=bool)
    right, numbers = np.asarray(correct, dtype=bool), np.asarray(group)
    if states.ndim != 3 or error.ndim != 3 or not states.shape[:2] == error.shape[:2] == chosen.shape:
        raise ValueError(
            f"hidden states {states.shape}, errors {error.shape} and mask {chosen.shape} must agree in rows and "
            "decisions"
        )
    found = np.zeros(chosen.shape, dtype=np.float32)
    lengths = chosen.sum(axis=1)
    for rows in _groups(numbers):
        if not right[rows].any():
            continue
        inside = chosen[rows]
        h, g = states[rows][inside].astype(np.float32), error[rows][inside].astype(np.float32)
        weight = np.repeat(right[rows] / np.maximum(lengths[rows], 1), lengths[rows]).astype(np.float32)
        moved = (g * weight[:, None]).T @ h
        values = np.zeros(inside.shape, dtype=np.float32)
        values[inside] = np.einsum("md,md->m", g @ moved, h)
        found[rows] = values
    if not np.isfinite(found).all():
        raise ValueError("a hidden state or a prediction error inside the mask is not finite")
    return found


def dominance(
    influence: Float[np.ndarray, "n t"],
    mask: Bool[Any, "n t"],
    correct: Bool[Any, " n"],
    group: Int[Any, " n"],
    *,
    beta: float = 1.0,
    over: Threshold = "least",
    floor: bool = True,
) -> Float[np.ndarray, " n"]:
    """τ of each row's group: how large an influence must be to count.

        τ = β · min_{i ∈ P} mean_t I_it

    What a token of a correct rollout does to the correct rollouts on average. It depends on ‖h‖² and on the number of
    correct rollouts, so that a threshold of one group says nothing about another.

    Args:
        influence: I.
        mask: the decisions of the policy.
        correct: P.
        group: rows with the same number answer one prompt.
        beta: β.
        over: "least": minimum over correct rollouts; "mean": mean over them; "none": −∞, everything counts.
        floor: raise what is negative to 0, where every |I| would be above it.

    Returns:
        One number per row; −∞ in groups without a correct rollout, where there is nothing to compare with.

    Raises:
        ValueError: an unknown `over`.

    Reference: Deng et al. 2025, "On the effect of negative gradient in group relative deep reinforcement
    optimization", arXiv 2505.18830, section 4 (min); whether the minimum or the mean is taken there is left open by
    Deng et al. 2025, arXiv 2510.03669.
    """
    if over not in _THRESHOLDS:
        raise ValueError(f"threshold {over!r} is unknown; choose {', '.join(_THRESHOLDS)}")
    chosen, right = np.asarray(mask, dtype=bool), np.asarray(correct, dtype=bool)
    counted = right & chosen.any(axis=1)
    means = np.where(chosen, influence, 0.0).sum(axis=1, dtype=np.float64) / np.maximum(chosen.sum(axis=1), 1)
    found = np.full(len(chosen), -np.inf)
    if over == "none":
        return found
    for rows in _groups(np.asarray(group)):
        own = means[rows[counted[rows]]]
        if len(own):
            value = beta * float(own.min() if over == "least" else own.mean())
            found[rows] = max(value, 0.0) if floor else value
    return found


def steering(
    rewards: Float[np.ndarray, "n t"], threshold: Float[np.ndarray, " n"], p: float
) -> Float[np.ndarray, "n t"]:
    """Weights 1[|THR| > τ] · (1 + p · sign(THR)): which tokens count, and which way is favoured.

    Args:
        rewards: THR.
        threshold: τ of each row.
        p: above 0 tokens that sharpen the correct rollouts count more (exploitation), below 0 less (exploration); 0
            keeps the tokens that matter as they are.

    Raises:
        ValueError: |p| > 1: a weight says how much, never which way.
    """
    if not -1.0 <= p <= 1.0:
        raise ValueError(f"p={p} must lie in [-1, 1]: beyond it weights turn negative")
    weights: np.ndarray = (np.abs(rewards) > threshold[:, None]) * (1.0 + p * np.sign(rewards, dtype=np.float64))
    return weights


def wrong_token_scale(
    influence: Float[np.ndarray, "n t"],
    threshold: Float[np.ndarray, " n"],
    correct: Bool[Any, " n"],
    group: Int[Any, " n"],
    counted: Bool[Any, " n"] | None = None,
) -> Float[np.ndarray, "n t"]:
    """Weights that spare what wrong rollouts share with correct ones: η = 2 |½ − q| on wrong tokens with I > τ, else 1.

    Lowering such a token lowers the correct rollouts too. q is the share of correct rollouts in the group.

    Args:
        influence: I.
        threshold: τ of each row.
        correct: which rollouts are right.
        group: rows with the same number answer one prompt.
        counted: rows that have a reward; by default all.

    Reference: Deng et al. 2025, "On the effect of negative gradient in group relative deep reinforcement
    optimization", arXiv 2505.18830 (NTHR).
    """
    right, numbers = np.asarray(correct, dtype=bool), np.asarray(group)
    scored = np.ones(len(right), dtype=bool) if counted is None else np.asarray(counted, dtype=bool)
    weights = np.ones(influence.shape)
    for rows in _groups(numbers):
        among = rows[scored[rows]]
        if not right[rows].any() or not len(among):
            continue
        scale = 2.0 * abs(0.5 - right[among].mean())
        shared = (influence[rows] > threshold[rows][:, None]) & ~right[rows][:, None]
        weights[rows] = np.where(shared, scale, 1.0)
    return weights


def shuffled_signs(
    rewards: Float[np.ndarray, "n t"],
    kept: Bool[np.ndarray, "n t"],
    group: Int[Any, " n"],
    generator: np.random.Generator,
) -> Float[np.ndarray, "n t"]:
    """THR with the signs of the kept tokens exchanged at random within each group: the control of everything signed.

    The same tokens count, equally many of each sign in every group; what a sign says of its token is gone.
    """
    signs: np.ndarray = np.sign(rewards)
    for rows in _groups(np.asarray(group)):
        inside = kept[rows]
        own = signs[rows]
        own[inside] = generator.permutation(own[inside])
        signs[rows] = own
    shuffled: np.ndarray = signs * np.abs(rewards)
    return shuffled


def most_uncertain(entropy: Float[Any, "n t"], mask: Bool[Any, "n t"], share: float) -> Bool[np.ndarray, "n t"]:
    """True on the given share of the decisions, those with the highest entropy; equals of the last one count too.

    Args:
        entropy: of each decision.
        mask: the decisions among which is chosen.
        share: how many of them, rounded.

    Raises:
        ValueError: the share is outside [0, 1].

    Reference: Wang et al. 2025, "Beyond the 80/20 rule: high-entropy minority tokens drive effective reinforcement
    learning for LLM reasoning", section 5.
    """
    if not 0.0 <= share <= 1.0:
        raise ValueError(f"the share of tokens that are kept lies in [0, 1]; got {share}")
    spread, chosen = np.asarray(entropy), np.asarray(mask, dtype=bool)
    count = round(share * int(chosen.sum()))
    if not count:
        return np.zeros(chosen.shape, dtype=bool)
    least = np.partition(spread[chosen], -count)[-count]
    found: np.ndarray = chosen & (spread >= least)
    return found


def pass_at_k_factor(
    correct: Bool[Any, " n"], group: Int[Any, " n"], k: int, counted: Bool[Any, " n"] | None = None
) -> Float[np.ndarray, " n"]:
    """√(C(N⁻, k) / C(G, k)) of each row's group: small where k samples nearly surely hold a correct one.

    The ratio is the chance that k of the group's G rollouts, drawn without replacement, are all among its N⁻ wrong
    ones. The root of it is what is left of a z-score when the reward of k rollouts together is their best.

    Args:
        correct: which rollouts are right.
        group: rows with the same number answer one prompt.
        k: how many are drawn.
        counted: rows that have a reward; by default all.

    Raises:
        ValueError: k < 1.

    Reference: Chen et al. 2025, "Pass@k training for adaptively balancing exploration and exploitation of large
    reasoning models", arXiv 2508.10751, section 2.
    """
    if k < 1:
        raise ValueError(f"k={k} must be at least 1")
    right = np.asarray(correct, dtype=bool)
    scored = np.ones(len(right), dtype=bool) if counted is None else np.asarray(counted, dtype=bool)
    factor = np.zeros(len(right))
    for rows in _groups(np.asarray(group)):
        among = rows[scored[rows]]
        size, wrong = len(among), int((~right[among]).sum())
        drawn = np.arange(min(k, size))
        factor[rows] = np.sqrt(np.prod(np.maximum(wrong - drawn, 0) / np.maximum(size - drawn, 1)))
    return factor


def _groups(group: Int[np.ndarray, " n"]) -> Iterator[np.ndarray]:
    """The rows of each group."""
    order = np.argsort(group, kind="stable")
    ends = np.flatnonzero(np.diff(group[order])) + 1
    yield from (rows for rows in np.split(order, ends) if len(rows))
