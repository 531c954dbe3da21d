"""What a reward cannot see: pairs of the same prompt, one image clean and one with an artefact.

A reward that prefers the clean one is right, one that prefers the other is wrong, and one that ties is blind: its
gradient says nothing about the artefact, so that optimisation is free to make it. A reward can be blind to one kind of
artefact and sharp on another; shares are therefore given for each kind too.

Reference: Hong et al. 2026, arXiv 2601.03468, the test on labelled pairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from trueward.errors import AuditError
from trueward.measures.intervals import wilson


@dataclass(frozen=True)
class PairTest:
    """How a reward ranks pairs.

    Attributes:
        right: pairs in which it prefers the clean image.
        wrong: pairs in which it prefers the other.
        tied: pairs in which it prefers none.
        unscored: pairs of which one image has no score; they count nowhere else.
    """

    right: int
    wrong: int
    tied: int
    unscored: int = 0

    @property
    def pairs(self) -> int:
        """Pairs that were scored."""
        return self.right + self.wrong + self.tied

    def share(self, which: str) -> float:
        """Share of "right", "wrong" or "tied" among the pairs that were scored; NaN where there are none."""
        count = {"right": self.right, "wrong": self.wrong, "tied": self.tied}[which]
        return count / self.pairs if self.pairs else float("nan")

    def interval(self, which: str, level: float = 0.95) -> tuple[float, float]:
        """Wilson interval of that share; (0, 1) where no pair was scored."""
        return wilson({"right": self.right, "wrong": self.wrong, "tied": self.tied}[which], self.pairs, level)

    @property
    def blind(self) -> bool:
        """True where it is not surely right on more than half of the pairs."""
        return self.interval("right")[0] <= 0.5


def pair_test(clean: Float[np.ndarray, " n"], spoilt: Float[np.ndarray, " n"], *, tie: float = 0.05) -> PairTest:
    """Rank N pairs by their scores.

    Args:
        clean: scores of the clean images; NaN where there is none.
        spoilt: scores of the images with artefacts, pair by pair.
        tie: scores that differ by no more than this share of the standard deviation among the clean ones are tied; 0
            for equal scores alone. A difference far below the spread within a prompt moves no group statistic.

    Raises:
        AuditError: not as many of both, or a tie below 0.
    """
    return pair_test_by_kind(clean, spoilt, ["all"] * len(clean), tie=tie).get("all", PairTest(0, 0, 0))


def pair_test_by_kind(
    clean: Float[np.ndarray, " n"], spoilt: Float[np.ndarray, " n"], kinds: Sequence[str], *, tie: float = 0.05
) -> dict[str, PairTest]:
    """The test for each kind of artefact by itself; the unit of a tie is the spread of the clean images of all kinds.

    Args:
        clean, spoilt, tie: see `pair_test`.
        kinds: of the artefact in each pair.

    Raises:
        AuditError: as there, or not one kind for each pair.
    """
    clean, spoilt = np.asarray(clean, dtype=np.float64), np.asarray(spoilt, dtype=np.float64)
    if clean.shape != spoilt.shape or clean.ndim != 1 or len(kinds) != len(clean) or not tie >= 0:
        raise AuditError(
            f"a pair test got scores of shape {clean.shape} and {spoilt.shape}, {len(kinds)} kinds and tie={tie!r}; "
            "expected one number for each pair on both sides, a kind for each, and a tie of at least 0"
        )
    known = np.isfinite(clean) & np.isfinite(spoilt)
    margin = tie * float(clean[known].std()) if known.any() else 0.0
    difference = np.where(known, clean, 0.0) - np.where(known, spoilt, 0.0)
    found, names = {}, np.array(kinds, dtype=object)
    for kind in dict.fromkeys(kinds):
        own = difference[known & (names == kind)]
        right, wrong = int((own > margin).sum()), int((own < -margin).sum())
        unscored = int((~known & (names == kind)).sum())
        found[kind] = PairTest(right, wrong, len(own) - right - wrong, unscored)
    return found
