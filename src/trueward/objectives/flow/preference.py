"""Preference losses of image generators: denoising errors in place of log-probabilities, and the flipper of SePPO."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from trueward.objectives.aggregation import Loss, entry_weight, weighted_mean
from trueward.objectives.preference import log_probability_gap, logistic_preference
from trueward.objectives.ratios import at_least_single

Flip = Literal["sign", "indicator", "none"]


def anchor_flip(
    winner_error: Float[Tensor, " n"], ref_winner_error: Float[Tensor, " n"], kind: Flip = "sign"
) -> Float[Tensor, " n"]:
    """What a sample of an earlier model counts as, by who denoises the winner better (adaptive flipper of SePPO).

    With δ_w = E_θ(x^w) − E_ref(x^w), both errors at the same noise level and noise:

    - sign: a = sign(−δ_w). Where the model is ahead of the reference, the reference's sample is a loser (a = 1); where
      it is behind, a second winner (a = −1). Where both are equal, as in the first step, the sample counts as nothing.
    - indicator: a = 1 where δ_w < 0, else 0: a sample that is no loser is left out.
    - none: a = 1, always a loser (Diffusion-DPO, SPIN-Diffusion).

    The theorem behind it speaks of expected errors; from one draw the sign is noisy. Errors that are means over several
    draws make it less so, and make it another method.

    Args:
        winner_error: E_θ of each winner.
        ref_winner_error: E_ref of each winner.
        kind: what becomes of a sample that is no loser.

    Returns:
        a in {−1, 0, 1}, without a gradient.

    Raises:
        ValueError: unknown `kind`.

    Reference: Zhang, Lan et al. 2024 (SePPO), adaptive flipper; indicator: its ablation.
    """
    ahead = (at_least_single(ref_winner_error) - at_least_single(winner_error)).detach()
    if kind == "sign":
        return ahead.sign()
    if kind == "indicator":
        return (ahead > 0).to(ahead.dtype)
    if kind == "none":
        return torch.ones_like(ahead)
    raise ValueError(f"kind={kind!r} is unknown; choose sign, indicator or none")


def diffusion_preference(
    winner_error: Float[Tensor, " n"],
    other_error: Float[Tensor, " n"],
    ref_winner_error: Float[Tensor, " n"],
    ref_other_error: Float[Tensor, " n"],
    *,
    beta: float,
    flip: Float[Tensor, " n"] | None = None,
    limit: float | None = None,
    weight: Float[Tensor, " n"] | None = None,
) -> Loss:
    """Preference of a winner over another image, by how well the model denoises both compared to a reference.

    l = −log σ(−β (δ_w − a δ_o)), δ_w = E_θ(x^w) − E_ref(x^w), δ_o likewise for the other image.

    | method | other image | reference | a |
    |---|---|---|---|
    | Diffusion-DPO | loser of the pair | where training began | 1 |
    | SPIN-Diffusion | sample of the reference | latest checkpoint | 1 |
    | SePPO | sample of the reference | any past checkpoint | `anchor_flip` |

    A denoising error takes the place of −log π in `log_probability_gap`, and a that of its weight. With a = 1 the loss
    goes on falling while the model unlearns the other image (δ_o → ∞), whatever becomes of its images: watch
    `other_delta`, or set a limit.

    Args:
        winner_error, other_error: E_θ of both images, as means over their entries; one noise level for both.
        ref_winner_error, ref_other_error: the same of the reference; no gradient flows into them.
        beta: β T ω, strength of the implied reward for such means.
        flip: a, by default 1; no gradient flows into it.
        limit: δ_o counts up to here; beyond it nothing is unlearnt. None for no limit.
        weight: of each row; only its proportions matter. A row of weight 0 may hold anything.

    Returns:
        Loss, and weighted metrics over the rows: those of `logistic_preference`, `winner_delta` (δ_w), `other_delta`
        (δ_o), `losers` and `winners` (share of other images with a > 0 and a < 0).

    Raises:
        ValueError: a limit that is not positive; weights as in `logistic_preference`.

    Reference: Wallace et al. 2023 (Diffusion-DPO) Eq. 14; Yuan et al. 2024 (SPIN-Diffusion); Zhang, Lan et al. 2024
    (SePPO).
    """
    if limit is not None and not limit > 0:
        raise ValueError(f"limit={limit!r} is the largest δ of the other image that counts: a positive number, or None")
    winner, ref_winner = at_least_single(winner_error), at_least_single(ref_winner_error).detach()
    other, ref_other = at_least_single(other_error), at_least_single(ref_other_error).detach()
    weight = entry_weight(winner, weight)
    sign = torch.ones_like(winner) if flip is None else flip.detach().to(winner.dtype)
    held = other if limit is None else torch.minimum(other, ref_other + limit)
    gap = log_probability_gap(-winner, -held, -ref_winner, -ref_other, beta=beta, scale_b=sign)
    loss, metrics = logistic_preference(gap, weight=weight)
    with torch.no_grad():
        metrics |= {
            "winner_delta": weighted_mean(winner - ref_winner, weight),
            "other_delta": weighted_mean(other - ref_other, weight),
            "losers": weighted_mean((sign > 0).to(winner.dtype), weight),
            "winners": weighted_mean((sign < 0).to(winner.dtype), weight),
        }
    return loss, metrics
