"""Losses on pairs: Bradley–Terry for scores, and the same loss on log-probability differences of a policy."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import logsigmoid

from trueward.objectives.aggregation import Loss, entry_weight, weighted_mean
from trueward.objectives.ratios import at_least_single

Centring = Literal["sum", "each"]


def logistic_preference(
    gap: Float[Tensor, " n"],
    label: Float[Tensor, " n"] | None = None,
    *,
    weight: Float[Tensor, " n"] | None = None,
    margin: Float[Tensor, " n"] | float = 0.0,
    smoothing: float = 0.0,
) -> Loss:
    """Logistic loss of how much better a is than b, with soft labels: what all losses on pairs share.

    l = −y log σ(D − m) − (1 − y) log σ(−D − m), y = (1 − ε) label + ε (1 − label); loss = Σ w l / Σ w.

    D is the gap, from scores (`bradley_terry`) or from log-probabilities (`log_probability_gap`). Where m = 0 the
    gradient is −(y − σ(D)) ∇D, which a label y = σ(D) turns off. A swap of a and b (D → −D, label → 1 − label) changes
    nothing.

    Args:
        gap: D of each pair.
        label: probability that a is better, in [0, 1]; by default 1.
        weight: weight of each pair; only its proportions matter. A pair of weight 0 may hold anything.
        margin: m, by how much the better one should be better.
        smoothing: ε, share of labels taken to be wrong, in [0, ½).

    Returns:
        Loss, and weighted metrics over the pairs: `accuracy` (share where gap and label agree which is better; a gap of
        0 counts half, and ties in the label not at all), `gap_mean`, `active_pairs` (Σ |y − σ(D)| over the pairs with
        weight: how many still pull).

    Raises:
        ValueError: a label outside [0, 1], a weight that is negative or not finite, a smoothing outside [0, ½).

    Reference: Bradley and Terry 1952; soft labels: Rosset et al. 2024 (DNO) Eq. 12; smoothing: Mitchell 2023 (cDPO).
    """
    if not 0 <= smoothing < 0.5:
        raise ValueError(f"smoothing={smoothing!r} is the share of wrong labels, from 0 to below 0.5")
    gap = at_least_single(gap)
    weight = entry_weight(gap, weight)
    # Replaced before anything is computed from it: 0 · NaN would reach the gradient.
    gap = torch.where(weight > 0, gap, 0.0)
    hard = _labels(gap, label, weight)
    soft = hard + smoothing * (1 - 2 * hard)
    push, pull = logsigmoid(gap - margin), logsigmoid(-gap - margin)
    with torch.no_grad():
        agrees = ((gap.sign() * (hard - 0.5).sign()) + 1) / 2
        residual = torch.where(weight > 0, (soft - gap.sigmoid()).abs(), 0.0)
        metrics = {
            "accuracy": weighted_mean(agrees, weight * (hard != 0.5)),
            "gap_mean": weighted_mean(gap, weight),
            "active_pairs": residual.sum(),
        }
    return weighted_mean(-soft * push - (1 - soft) * pull, weight), metrics


def _labels(
    gap: Float[Tensor, " n"], label: Float[Tensor, " n"] | None, weight: Float[Tensor, " n"]
) -> Float[Tensor, " n"]:
    if label is None:
        return torch.ones_like(gap)
    known = torch.where(weight > 0, label.detach().to(gap.dtype), 0.5)
    if not bool(((known >= 0) & (known <= 1)).all()):
        raise ValueError(
            "a label is outside [0, 1]: labels are probabilities that a is better; give an unknown one weight 0"
        )
    return known


def bradley_terry(
    score_a: Float[Tensor, " n"],
    score_b: Float[Tensor, " n"],
    label: Float[Tensor, " n"] | None = None,
    *,
    weight: Float[Tensor, " n"] | None = None,
    margin: Float[Tensor, " n"] | float = 0.0,
    smoothing: float = 0.0,
    centring: float = 0.0,
    centre: Centring = "sum",
) -> Loss:
    """The loss of a reward model on preferences: P(a ≻ b) = σ(r_a − r_b).

    loss = logistic loss of D = r_a − r_b (see `logistic_preference`) + c Σ w z / Σ w, where the pairs only tell
    differences and the last term keeps the level at zero:

    - centre "sum": z = (r_a + r_b)², the level alone (ensembles with η = 0.01; TRL's `center_rewards_coefficient`).
    - centre "each": z = r_a² + r_b², level and spread (the Reg baseline of PAR, c = 0.005).

    Args:
        score_a, score_b: r of the two rollouts of each pair.
        label, weight, margin: as in `Preferences`.
        smoothing: share of labels taken to be wrong, in [0, ½).
        centring: c.
        centre: what is kept small.

    Returns:
        Loss, and the metrics of `logistic_preference` with `score_mean` and `centring` (Σ w z / Σ w, without c).

    Raises:
        ValueError: as `logistic_preference`, a negative c, or an unknown `centre`.

    Reference: Eisenstein et al. 2023, "Helping or herding?"; Fu et al. 2025 (PAR), baselines; for the margin, Touvron
    et al. 2023 (Llama 2) Eq. 2.
    """
    if not centring >= 0:
        raise ValueError(f"centring={centring!r} is a coefficient of at least 0")
    if centre not in ("sum", "each"):
        raise ValueError(f"centre={centre!r} is unknown; choose sum or each")
    pairs = entry_weight(at_least_single(score_a), weight)
    a = torch.where(pairs > 0, at_least_single(score_a), 0.0)
    b = torch.where(pairs > 0, at_least_single(score_b), 0.0)
    loss, metrics = logistic_preference(a - b, label, weight=pairs, margin=margin, smoothing=smoothing)
    level = weighted_mean((a + b).square() if centre == "sum" else a.square() + b.square(), pairs)
    metrics |= {"score_mean": weighted_mean((a + b).detach() / 2, pairs), "centring": level.detach()}
    return loss + centring * level, metrics


def log_probability_gap(
    logprob_a: Float[Tensor, " n"],
    logprob_b: Float[Tensor, " n"],
    ref_logprob_a: Float[Tensor, " n"] | None = None,
    ref_logprob_b: Float[Tensor, " n"] | None = None,
    *,
    beta: float,
    scale_a: Float[Tensor, " n"] | None = None,
    scale_b: Float[Tensor, " n"] | None = None,
) -> Float[Tensor, " n"]:
    """How much better a is than b by the reward that a policy implies, with optional reference and weights.

    D = β [ w_a (log π(a) − log π_ref(a)) − w_b (log π(b) − log π_ref(b)) ].

    | method | reference | w | what is added to D, or the label |
    |---|---|---|---|
    | DPO | fixed | 1 | label 1 |
    | DNO | last iterate | 1 | label σ(r(a) − r(b)); hard labels for DNO-Prct |
    | SimPO | none | 1/length | margin |
    | POWER-DL | none | 1/length | + β (w_a − w_b), label from the memory of the pair |
    | SePPO | past checkpoint | 1 and the flipper's ±1 | minus denoising errors in place of log-probabilities |

    Args:
        logprob_a, logprob_b: log-probability of each whole rollout (sum over its decisions).
        ref_logprob_a, ref_logprob_b: the same under the reference, both or none; no gradient flows into them.
        beta: β, strength of the implied reward.
        scale_a, scale_b: w; by default 1.

    Returns:
        D, for `logistic_preference`.

    Raises:
        ValueError: only one of the two references is given.

    Reference: Rafailov et al. 2023 (DPO) Eq. 7; Rosset et al. 2024 (DNO) Eq. 12; Meng et al. 2024 (SimPO) Eq. 6;
    Rashidinejad and Tian 2025 (POWER-DL); Zhang et al. 2024 (SePPO).
    """
    if (ref_logprob_a is None) != (ref_logprob_b is None):
        raise ValueError("only one of ref_logprob_a and ref_logprob_b is given: give both, or none")
    a, b = at_least_single(logprob_a), at_least_single(logprob_b)
    if ref_logprob_a is not None and ref_logprob_b is not None:
        a = a - at_least_single(ref_logprob_a.detach())
        b = b - at_least_single(ref_logprob_b.detach())
    a = a if scale_a is None else a * scale_a
    b = b if scale_b is None else b * scale_b
    return beta * (a - b)
