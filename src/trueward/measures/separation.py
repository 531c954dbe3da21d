"""How well a score tells right answers from wrong ones to the same prompts."""

from __future__ import annotations

from collections.abc import Sequence


def paired_auc(pairs: Sequence[tuple[float, float]]) -> float:
    """Share of pairs whose first value is the larger, ties counting half: the AUC within prompts.

    Args:
        pairs: (score of the right answer, score of a wrong answer) of one prompt each.

    Returns:
        A share in [0, 1]; .5 for no pairs, which is what a score that sees nothing would get.
    """
    if not pairs:
        return 0.5
    wins = sum(1.0 if right > wrong else 0.5 if right == wrong else 0.0 for right, wrong in pairs)
    return wins / len(pairs)
