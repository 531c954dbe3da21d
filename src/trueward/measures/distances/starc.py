"""STARC distances: how far apart two rewards are when everything that changes no policy's rank is taken away."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from trueward.measures.distances.canonical import Kind, canonical_form
from trueward.measures.distances.form import Form
from trueward.measures.distances.norms import Norm, combined_norm, norm_named
from trueward.measures.tabular import TabularMDP


def starc_distance(
    a: Any,
    b: Any,
    mdp: TabularMDP,
    *,
    canonical: Kind = "value",
    norm: int | float | str = 2,
    metric: int | float | str = 2,
    policy: Float[np.ndarray, "s a"] | None = None,
) -> float:
    """Distance of two rewards that is small exactly where the worst regret is small.

    d(R₁, R₂) = m(s(R₁) − s(R₂)) with s(R) = c(R) / n(c(R)), and s(R) = 0 where c(R) = 0. With the L₂ norm as n and m,
    d = √(2 − 2 cos ∠) is 0 for rewards that order all policies alike, 2 for opposite ones, √2 for unrelated ones, and
    1 between a reward and one that is trivial (under which all policies are equally good).

    Args:
        a, b: rewards [S], [S, A], [S, A, S] or sparse [S·A, S].
        mdp: transitions and discount.
        canonical: c, see `canonicalise`. The bounds on regret hold for "value" and "minimal".
        norm: n, see `norm_named`; 0 leaves rewards as long as they are.
        metric: m, a norm of the difference.
        policy: [S, A], for "value" and "value_potential"; uniform by default.

    Raises:
        ValueError: an unknown kind or norm, or a reward that does not fit.

    Reference: Skalse et al. 2024, "STARC", definition 4 and theorems 1 to 3.
    """
    return float(starc_distances([a, b], mdp, canonical=canonical, norm=norm, metric=metric, policy=policy)[0, 1])


def starc_distances(
    rewards: Sequence[Any],
    mdp: TabularMDP,
    *,
    canonical: Kind = "value",
    norm: int | float | str = 2,
    metric: int | float | str = 2,
    policy: Float[np.ndarray, "s a"] | None = None,
) -> Float[np.ndarray, "r r"]:
    """Distances of all pairs of rewards; each is brought into canonical form once. See `starc_distance`."""
    size, measure = norm_named(norm), norm_named(metric)
    if measure.order == 0:
        raise ValueError("the metric needs a norm; 0 (none) is possible for `norm` only")
    standard = [standardised(reward, mdp, canonical, size, policy) for reward in rewards]
    distances = np.zeros((len(rewards), len(rewards)))
    for i, (factor, form) in enumerate(standard):
        for j, (other, against) in enumerate(standard[:i]):
            terms = ((factor, form), (-other, against))
            distances[i, j] = distances[j, i] = combined_norm(terms, measure, mdp.transitions)
    return distances


def is_trivial(reward: Any, mdp: TabularMDP, policy: Float[np.ndarray, "s a"] | None = None) -> bool:
    """True where all policies earn the same under a reward: nothing but shaping and redistribution of 0.

    What is left of the reward in canonical form is compared with the numbers it was computed from, so that rounding
    errors are not taken for a reward.
    """
    return standardised(reward, mdp, "value", Norm(2.0), policy)[0] == 0.0


def standardised(
    reward: Any,
    mdp: TabularMDP,
    canonical: Kind,
    norm: Norm,
    policy: Float[np.ndarray, "s a"] | None = None,
) -> tuple[float, Form]:
    """A reward in canonical form, and the factor that makes it as long as 1; 0 where nothing is left of it."""
    form = canonical_form(reward, canonical, mdp, policy, norm=norm)
    return (1.0 if norm.order == 0 else unit_factor(form, norm, mdp.transitions)), form


def unit_factor(form: Form, norm: Norm, weights: Any) -> float:
    """What to multiply a form with so that it is as long as 1; 0 where it is 0 but for rounding.

    It counts as 0 where its largest number is below √ε / 100 of the numbers that it came from.
    """
    if form.scale == 0:
        return 0.0
    states, actions, _ = form.shape
    unit = 1 / form.scale
    limit = form.precision**0.5 / 100
    length = combined_norm([(unit, form)], norm, weights)
    # Where no number exceeds the limit, the length is at most that of the limit everywhere. Only then is the largest
    # number looked for.
    everywhere = combined_norm([(limit, Form(None, np.ones((states, actions))))], norm, weights)
    if length == 0 or (length <= everywhere and combined_norm([(unit, form)], Norm(np.inf)) <= limit):
        return 0.0
    return unit / length
