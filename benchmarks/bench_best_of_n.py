"""Exact over-optimisation curves against a plain double loop.

    python benchmarks/bench_best_of_n.py

Equality first: 500 prompts × 1,000 samples × 18 values of n, proxy and gold, to 1e-9.
"""

from __future__ import annotations

import math
import time

import numpy as np

from trueward.measures.best_of_n import best_of_n, curve

N = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 256, 512, 768, 1000)


def plain(proxy: np.ndarray, gold: np.ndarray) -> np.ndarray:
    """The same by a loop over prompts and n, with exact integers for the weights."""
    samples = proxy.shape[1]
    weights = [[math.comb(rank, n - 1) / math.comb(samples, n) for rank in range(samples)] for n in N]
    out = np.empty((len(proxy), len(N)))
    for row, (p, g) in enumerate(zip(proxy, gold, strict=True)):
        ranked = g[np.argsort(p)]
        for column, weight in enumerate(weights):
            out[row, column] = math.fsum(w * v for w, v in zip(weight, ranked, strict=True))
    return out


def main() -> None:
    """Print the table."""
    rng = np.random.default_rng(0)
    proxy = rng.normal(size=(500, 1000))
    gold = 0.7 * proxy + rng.normal(size=proxy.shape)
    few = slice(0, 50)
    started = time.perf_counter()
    reference = plain(proxy[few], gold[few])
    loop = (time.perf_counter() - started) * len(proxy) / 50
    gap = float(np.abs(best_of_n(proxy[few], gold[few], N) - reference).max())
    if gap > 1e-9:
        raise SystemExit(f"differs from the plain loop by {gap:.1e}")
    print(f"equal to the plain loop to {gap:.1e} (50 prompts)")
    times = {"without intervals": [], "with intervals by 100 resamples": []}
    for _ in range(7):
        for (_, seconds), resamples in zip(times.items(), (1, 100), strict=True):
            started = time.perf_counter()
            curve(proxy, gold, N, resamples=resamples)
            seconds.append(time.perf_counter() - started)
    for name, seconds in times.items():
        best = min(seconds)
        kept = "ok" if best <= 0.05 else "LOST"
        print(f"{'500 prompts x 1,000 samples x 18 n, ' + name:<70} {1000 * best:8.1f} ms   target <= 50 ms   {kept}")
    best = min(times["without intervals"])
    slower = f"{loop / best:.0f} x"
    print(f"{'plain double loop, one of the values, scaled from 50 prompts':<70} {1000 * loop:8.1f} ms   {slower}")


if __name__ == "__main__":
    main()
