"""EPIC and DARD: distances by the correlation of rewards from which shaping was taken away.

Both see through shaping and positive scaling, and through a constant added everywhere. They do not see through
redistribution over next states, so that rewards which order all policies alike may be far apart.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from trueward.measures.distances.canonical import canonical_form
from trueward.measures.distances.form import Form
from trueward.measures.distances.norms import Norm, combined_norm, mean_of
from trueward.measures.distances.starc import unit_factor
from trueward.measures.tabular import TabularMDP


def epic_distance(
    a: Any,
    b: Any,
    mdp: TabularMDP,
    *,
    coverage: Any = None,
    state_distribution: Float[np.ndarray, " s"] | None = None,
    action_distribution: Float[np.ndarray, " a"] | None = None,
) -> float:
    """EPIC: Pearson distance of two rewards in EPIC's canonical form.

    D(R₁, R₂) = √((1 − ρ) / 2), with ρ the correlation of the canonical rewards over the coverage; 0 for ρ = 1, 1 for
    ρ = −1. The dynamics enter through the coverage alone.

    Args:
        a, b: rewards [S], [S, A], [S, A, S] or sparse [S·A, S].
        mdp: for the shapes and the discount.
        coverage: weights of the transitions, [S, A, S] or sparse [S·A, S]; or [S, A], weights of the pairs, whose next
            states are then those of the MDP; uniform over all S·A·S by default.
        state_distribution, action_distribution: D_S and D_A of the canonical form; uniform by default.

    Returns:
        In [0, 1]; ½ between a reward that varies and one that does not, whose correlation is undefined.

    Raises:
        ValueError: shapes that do not fit, or weights that are negative or all 0.

    Reference: Gleave et al. 2021, "Quantifying differences in reward functions", definitions 4.1 to 4.6.
    """
    forms = [
        canonical_form(
            reward, "epic", mdp, state_distribution=state_distribution, action_distribution=action_distribution
        )
        for reward in (a, b)
    ]
    return float(_pearson(forms, _coverage(coverage, mdp))[0, 1])


def dard_distance(
    a: Any,
    b: Any,
    mdp: TabularMDP,
    *,
    coverage: Any = None,
    action_distribution: Float[np.ndarray, " a"] | None = None,
) -> float:
    """DARD: the same in DARD's canonical form, whose next states come from the dynamics.

    S' follows s and S'' follows s', so that R(S', A, S'') may still be asked for a step that cannot happen.

    Args, returns and raises: as `epic_distance`.

    Reference: Wulfe et al. 2022, "Dynamics-aware comparison of learned reward functions", definitions 4 to 6.
    """
    forms = [canonical_form(reward, "dard", mdp, action_distribution=action_distribution) for reward in (a, b)]
    return float(_pearson(forms, _coverage(coverage, mdp))[0, 1])


def pearson_distances(
    rewards: Sequence[Any], mdp: TabularMDP, kind: str = "epic", coverage: Any = None
) -> Float[np.ndarray, "r r"]:
    """EPIC or DARD distances of all pairs; each reward is brought into canonical form once.

    Args:
        rewards: two or more.
        mdp: the world.
        kind: "epic" or "dard".
        coverage: as for `epic_distance`.
    """
    if kind not in ("epic", "dard"):
        raise ValueError(f"{kind!r}: Pearson distances are 'epic' or 'dard'")
    forms = [canonical_form(reward, "epic" if kind == "epic" else "dard", mdp) for reward in rewards]
    return _pearson(forms, _coverage(coverage, mdp))


def _pearson(forms: Sequence[Form], weights: Any) -> Float[np.ndarray, "r r"]:
    """√((1 − ρ)/2) = ½ ‖x − y‖ for x and y of mean 0 and variance 1, which keeps its digits where ρ is near 1."""
    norm = Norm(2.0, weights is not None)
    standard = []
    for form in forms:
        mean = mean_of(form, weights)
        centred = dataclasses.replace(form, row=form.row - mean)
        standard.append((unit_factor(centred, norm, weights), centred))
    distances = np.zeros((len(forms), len(forms)))
    for i, (factor, form) in enumerate(standard):
        for j, (other, against) in enumerate(standard[:i]):
            apart = combined_norm([(factor, form), (-other, against)], norm, weights) / 2
            distances[i, j] = distances[j, i] = apart
    return distances


def _coverage(given: Any, mdp: TabularMDP) -> Any:
    """Weights of transitions; None for uniform ones."""
    if given is None:
        return None
    s, a = mdp.states, mdp.actions
    sparse = hasattr(given, "tocsr")
    weights: Any = given.tocsr() if sparse else np.asarray(given, dtype=np.float64)
    shapes: tuple[tuple[int, ...], ...] = ((s * a, s),) if sparse else ((s, a), (s, a, s))
    if weights.shape not in shapes or not float(weights.min()) >= 0 or not 0 < float(weights.sum()) < np.inf:
        raise ValueError(
            f"the coverage has shape {weights.shape} and sum {float(weights.sum()):g}; expected weights from 0 on, not "
            f"all 0, of shape {' or '.join(str(shape) for shape in shapes)}"
        )
    if weights.shape != (s, a):
        return weights
    if mdp.is_sparse:
        from scipy.sparse import diags

        return (diags(weights.ravel()) @ mdp.transitions).tocsr()
    return mdp.transitions * weights[:, :, None]
