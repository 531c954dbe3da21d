"""Group-level direct reward optimisation: a ranking of images, learnt through the rewards that a flow implies.

The denoising error of a flow is minus the log-likelihood of an image, up to a bound, at one noise level. How much
smaller it is than that of a reference is therefore a reward, and a group of images that are scored already says in
which order these rewards should lie. Nothing is sampled while it is learnt.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from trueward.objectives.aggregation import Loss, entry_weight, weighted_mean
from trueward.objectives.ratios import at_least_single


def implicit_reward(
    error: Float[Tensor, "*shape"], ref_error: Float[Tensor, "*shape"], *, beta: float
) -> Float[Tensor, "*shape"]:
    """The reward that a flow implies for an image at one noise level.

    s = −β (E_θ − E_ref), E = ‖v − v(x_t, t, c)‖², v = ε − x₀, in single precision: it is a small difference of two
    large errors. Its size depends on β, on whether E is a mean or a sum over entries, and on how far θ has gone: see
    `beta_for_spread`.

    Args:
        error: E_θ.
        ref_error: E_ref at the same noise level and noise; no gradient flows into it.
        beta: β, T times the coefficient of the divergence from the reference.

    Reference: Wallace et al. 2023 (Diffusion-DPO) Eq. 14; Wang et al. 2026 (GDRO).
    """
    return -beta * (at_least_single(error) - at_least_single(ref_error.detach()))


def group_ranking(
    scores: Float[Tensor, "g k"],
    order: Int[Tensor, "g k"],
    mass: Float[Tensor, "g k"],
    choices: int,
    *,
    weight: Float[Tensor, " g"] | None = None,
) -> Loss:
    """Cross-entropy of choosing from a group by its scores, against target probabilities of each choice.

    With members in the wanted order and target q_i of choice i among those that are left (`softmax_targets`),

        l = Σ_{i ≤ choices} [ log Σ_{m ≥ i} e^{s_m} − Σ_{j ≥ i} q_i(j) s_j ] = Σ_i log Σ_{m ≥ i} e^{s_m} − Σ_j w_j s_j

    with w_j = Σ_i q_i(j). All choices: Plackett–Luce; the first alone: a softmax over the group. With k = 2 and one-hot
    targets l = −log σ(s_1 − s_2), the loss of a preference pair. Adding a number to all scores of a group changes
    nothing, so whatever depends on the prompt alone drops out.

    Args:
        scores: s, one group per row.
        order: places of the members, the best first.
        mass: w, in that order.
        choices: how many choices there are, from 1 to k − 1.
        weight: of each group; only its proportions matter. A group of weight 0 may hold anything.

    Returns:
        Loss, and weighted metrics over the groups: `first_right` (share in which the best has the greatest score),
        `spread` (mean standard deviation of the scores inside a group), `gap` (mean difference of best and worst).

    Raises:
        ValueError: `choices` outside its range, or a weight that is negative or not finite.

    Reference: Wang et al. 2026, "GDRO"; Plackett 1975; Luce 1959.
    """
    if not 1 <= choices < scores.shape[1]:
        raise ValueError(f"choices={choices} among groups of {scores.shape[1]}; expected 1 to {scores.shape[1] - 1}")
    ranked = at_least_single(scores).gather(1, order)
    weight = entry_weight(ranked[:, 0], weight)
    # Replaced before anything is computed from it: 0 · NaN would reach the gradient.
    ranked = torch.where((weight > 0)[:, None], ranked, 0.0)
    left = ranked.flip(1).logcumsumexp(1).flip(1)[:, :choices].sum(dim=1)
    losses = left - (mass.to(ranked.dtype) * ranked).sum(dim=1)
    with torch.no_grad():
        metrics = {
            "first_right": weighted_mean((ranked[:, :1] > ranked[:, 1:]).all(dim=1).to(ranked.dtype), weight),
            "spread": weighted_mean(ranked.std(dim=1, correction=0), weight),
            "gap": weighted_mean(ranked[:, 0] - ranked[:, -1], weight),
        }
    return weighted_mean(losses, weight), metrics


def direct_group_reward(
    error: Float[Tensor, "g k"],
    ref_error: Float[Tensor, "g k"],
    order: Int[Tensor, "g k"],
    mass: Float[Tensor, "g k"],
    choices: int,
    *,
    beta: float,
    stabiliser: float = 0.5,
    weight: Float[Tensor, " g"] | None = None,
    stabilised: Float[Tensor, " g"] | None = None,
) -> Loss:
    """The loss of GDRO: the ranking by implied rewards, and flow matching on the best image of each group.

        L = `group_ranking`(s) + γ · E_θ of the best,   s = `implicit_reward`(E_θ, E_ref).

    The ranking alone only wants the best to lose less than the others: all errors grow, those of the others faster. The
    second term, the ordinary loss of flow matching, holds the best where it is. With k = 2, one-hot targets and γ = 0
    this is Diffusion-DPO.

    Args:
        error, ref_error: E_θ and E_ref, as means over the entries of a sample. For sums in s multiply β by their
            number.
        order, mass, choices: of the ranking; see `group_ranking`.
        beta: β.
        stabiliser: γ.
        weight: of each group in the ranking; 0 where all rewards are equal, which would only push scores together.
        stabilised: of each group in the second term; by default 1.

    Returns:
        Loss, and the metrics of `group_ranking` with `ranking` and `best_error` (the two terms, without γ), and
        `best_delta` and `worst_delta` (E_θ − E_ref of best and worst image): a positive `best_delta` says that what
        should be learnt becomes less likely.

    Raises:
        ValueError: β is not positive, γ is negative; as `group_ranking`.

    Reference: Wang et al. 2026, "GDRO: Group-level reward post-training suitable for diffusion models".
    """
    if not (beta > 0 and stabiliser >= 0):
        raise ValueError(f"beta={beta!r} must be positive and stabiliser={stabiliser!r} at least 0")
    ranking, metrics = group_ranking(implicit_reward(error, ref_error, beta=beta), order, mass, choices, weight=weight)
    own, theirs = (at_least_single(one).gather(1, order) for one in (error, ref_error.detach()))
    best_error = weighted_mean(own[:, 0], entry_weight(own[:, 0], stabilised))
    with torch.no_grad():
        delta, counted = own - theirs, entry_weight(own[:, 0], weight)
        metrics |= {
            "ranking": ranking.detach(),
            "best_error": best_error.detach(),
            "best_delta": weighted_mean(delta[:, 0], counted),
            "worst_delta": weighted_mean(delta[:, -1], counted),
        }
    return ranking + stabiliser * best_error, metrics


def beta_for_spread(beta: float, spread: float, wanted: float = 1.0) -> float:
    """The β at which implied rewards spread as wanted inside a group, when they are known at another β.

    Scores are proportional to β, so a number that suits means over the entries of one latent suits no other. Train for
    a few dozen steps at any β, read `spread`, and take what this gives.

    Args:
        beta: β of the steps seen.
        spread: the `spread` that they ended with.
        wanted: standard deviation inside a group: about 1, where a softmax is neither flat nor one-hot.

    Raises:
        ValueError: an argument is not positive, as a spread is before the first update.
    """
    if not (beta > 0 and spread > 0 and wanted > 0):
        raise ValueError(f"beta={beta!r}, spread={spread!r} and wanted={wanted!r} must be positive; train a few steps")
    return beta * wanted / spread
