"""Token hidden rewards: the matrix form against the double loop over tokens that defines them.

    python benchmarks/bench_tokens.py

Equality first, then the time per group of both and how it grows with the tokens: the
matrix form is linear in them, pairs of tokens are quadratic.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from trueward.credit.tokens import influences

ROWS, WIDTH, VOCABULARY = 8, 896, 300
EQUAL_TO = 1e-3  # relative, in single precision
Group = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def group_of(tokens: int) -> Group:
    """Hidden states and prediction errors of one prompt's rollouts, half of them right."""
    rng = np.random.default_rng(tokens)
    hidden = rng.normal(size=(ROWS, tokens, WIDTH)).astype(np.float32)
    errors = -rng.dirichlet(np.ones(VOCABULARY), size=(ROWS, tokens)).astype(np.float32)
    chosen = rng.integers(VOCABULARY, size=(ROWS, tokens))
    np.put_along_axis(errors, chosen[..., None], 1 + np.take_along_axis(errors, chosen[..., None], -1), -1)
    mask = np.arange(tokens) < rng.integers(tokens // 2, tokens + 1, size=(ROWS, 1))
    return hidden, errors, mask, np.arange(ROWS) % 2 == 0, np.zeros(ROWS, dtype=int)


def pairs(hidden: np.ndarray, errors: np.ndarray, mask: np.ndarray, right: np.ndarray, group: np.ndarray) -> np.ndarray:
    """The definition, one pair of rollouts at a time: Σ_i 1/|y_i| Σ_k ⟨g_ik, g_js⟩ ⟨h_ik, h_js⟩."""
    found = np.zeros(mask.shape, dtype=np.float32)
    for row in range(len(mask)):
        own = mask[row]
        for other in np.flatnonzero(right):
            kept = mask[other]
            products = (errors[row][own] @ errors[other][kept].T) * (hidden[row][own] @ hidden[other][kept].T)
            found[row, own] += products.sum(axis=1) / kept.sum()
    return found


def best_of(call: Callable[[], object], rounds: int = 5) -> float:
    """Seconds of the fastest round."""
    times = []
    for _ in range(rounds):
        begun = time.perf_counter()
        call()
        times.append(time.perf_counter() - begun)
    return min(times)


def main() -> None:
    """Equality, then times."""
    print(f"{ROWS} rollouts a prompt, hidden states of {WIDTH} numbers, {VOCABULARY} different tokens")
    print(f"{'tokens':>8} {'matrix form':>14} {'pairs':>12} {'ratio':>8}")
    for tokens in (32, 128, 512, 1024):
        given = group_of(tokens)
        matrix, double = influences(*given), pairs(*given)
        gap = float(np.abs(matrix - double).max() / np.abs(double).max())
        if gap > EQUAL_TO:
            raise SystemExit(f"{tokens} tokens: the matrix form differs from the double loop by {gap:.1e}")
        ours, theirs = best_of(lambda given=given: influences(*given)), best_of(lambda given=given: pairs(*given), 2)
        lost = "" if theirs >= ours else "   LOST"
        print(f"{tokens:8d} {1e3 * ours:11.1f} ms {1e3 * theirs:9.1f} ms {theirs / ours:7.1f}x{lost}")
    print(f"equal to within {EQUAL_TO:.0e} of the largest influence, in single precision")


if __name__ == "__main__":
    main()
