"""Whether a part of a reward is potential-based shaping, and if it is not quite, what was forgotten.

Shaping leaves the order of all policies as it is when it is the difference of a potential,

    F(s, s') = γ Φ(s') − Φ(s),   Φ = 0 in terminal states,

and only then for every world. Where few observations were seen, that is a linear system in Φ with one equation per
step, and its residual decides. The two slips that are made most, no γ and a potential left in terminal states, are
systems of the same kind.

Reference: Ng, Harada and Russell 1999, "Policy invariance under reward transformations", theorem 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from trueward.audit.control.episodes import Episodes

Form = Literal["potential", "no discount", "ends kept", "neither"]

# Form → what is wrong with it.
FAULTS: dict[Form, str] = {
    "no discount": "it is the difference of a potential, but without the discount, so that it pays for every step at a "
    "high potential",
    "ends kept": "it is the difference of a potential, but not 0 in terminal states, so that it pays for where an "
    "episode ends",
    "neither": "it is the difference of a potential, but without the discount and not 0 in terminal states",
}
_TOLERANCE = 1e-5


def form_of(played: Sequence[Episodes], part: str, discount: float) -> Form | None:
    """What kind of difference a part of the reward is; None where it is none.

    Args:
        played: episodes with equal numbers for equal observations.
        part: its name.
        discount: γ.
    """
    before, after, ended, paid = _steps(played, part)
    largest = float(np.abs(paid).max(initial=0.0))
    if largest == 0.0 or not np.isfinite(paid).all():
        return None
    forms: tuple[tuple[Form, float, bool], ...] = (
        ("potential", discount, False),
        ("no discount", 1.0, False),
        ("ends kept", discount, True),
        ("neither", 1.0, True),
    )
    for form, factor, kept in forms:
        if _residual(before, after, ended, paid, factor, kept) <= _TOLERANCE * largest:
            return form
    return None


def _steps(played: Sequence[Episodes], part: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Distinct steps: observation before and after, whether they ended the episode, what the part paid."""
    columns = []
    for episodes in played:
        exists = episodes.exists
        last = (np.arange(len(exists))[:, None] == episodes.lengths - 1) & episodes.terminated
        values = episodes.parts.get(part, np.zeros_like(episodes.reward))
        columns.append(
            np.stack([episodes.keys[:-1][exists], episodes.keys[1:][exists], last[exists], values[exists]], axis=1)
        )
    distinct = np.unique(np.concatenate(columns), axis=0)
    whole = distinct[:, :3].astype(np.int64)
    return whole[:, 0], whole[:, 1], whole[:, 2].astype(bool), distinct[:, 3]


def _residual(
    before: np.ndarray, after: np.ndarray, ended: np.ndarray, paid: np.ndarray, factor: float, ends_kept: bool
) -> float:
    """The largest error of the least-squares solution of F = factor · Φ(after) − Φ(before)."""
    from scipy.sparse import coo_array
    from scipy.sparse.linalg import lsqr

    rows = np.arange(len(paid))
    weight = np.full(len(paid), factor) if ends_kept else np.where(ended, 0.0, factor)
    observations = int(max(before.max(), after.max())) + 1
    system = coo_array(
        (
            np.concatenate([weight, -np.ones(len(paid))]),
            (np.concatenate([rows, rows]), np.concatenate([after, before])),
        ),
        shape=(len(paid), observations),
    ).tocsr()
    solution = lsqr(system, paid, atol=1e-12, btol=1e-12, iter_lim=20 * observations)[0]
    return float(np.abs(system @ solution - paid).max())
