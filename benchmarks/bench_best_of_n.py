"""Exact over-optimisation curves against a plain double loop.

    python benchmarks/bench_best_of_n.py

Equality first, to 1e-9: proxy and gold of the plain loop with exact integers for the weights, with and without ties.
Then 500 prompts × 1,000 samples × 18 values of n, proxy and gold, intervals included.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import numpy as np

from trueward.measures.best_of_n import RESAMPLES, curve, expected_rewards, pass_at_k

N = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 256, 512, 768, 1000)
TARGET = 0.05
COMPARED = 50  # prompts on which the plain loop runs


def plain(proxy: np.ndarray, gold: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same by a loop over prompts and n, with exact integers for the weights; ties share their weight."""
    samples = proxy.shape[1]
    weights = [[math.comb(rank, n - 1) / math.comb(samples, n) for rank in range(samples)] for n in N]
    by_proxy, by_gold = np.empty((2, len(proxy), len(N)))
    for row, (p, g) in enumerate(zip(proxy, gold, strict=True)):
        order = np.argsort(p)
        ranked = p[order]
        shared = [math.fsum(g[p == value]) / int((p == value).sum()) for value in ranked]
        for column, weight in enumerate(weights):
            by_proxy[row, column] = math.fsum(w * v for w, v in zip(weight, ranked, strict=True))
            by_gold[row, column] = math.fsum(w * v for w, v in zip(weight, shared, strict=True))
    return by_proxy, by_gold


def compare(name: str, proxy: np.ndarray, gold: np.ndarray) -> float:
    """Hold ours against the plain loop; seconds that the loop took."""
    started = time.perf_counter()
    reference = plain(proxy, gold)
    seconds = time.perf_counter() - started
    ours = expected_rewards(proxy, gold, N)
    gap = max(float(np.abs(a - b).max()) for a, b in zip(ours, reference, strict=True))
    if gap > 1e-9:
        raise SystemExit(f"{name}: differs from the plain loop by {gap:.1e}")
    print(f"equal to the plain loop to {gap:.1e}: {name}, {len(proxy)} prompts, proxy and gold")
    return seconds


def main() -> None:
    """Print the table."""
    rng = np.random.default_rng(0)
    proxy = rng.normal(size=(500, 1000))
    gold = 0.7 * proxy + rng.normal(size=proxy.shape)
    ties = np.round(proxy, 1)
    loop = compare("no ties", proxy[:COMPARED], gold[:COMPARED]) * len(proxy) / COMPARED
    compare("ties", ties[:COMPARED], gold[:COMPARED])
    solved, every = (gold > 1).sum(axis=1), np.full(len(gold), gold.shape[1])
    tasks: dict[str, Callable[[], object]] = {
        f"curve with intervals by {RESAMPLES:,} resamples": lambda: curve(proxy, gold, N),
        "the same with ties (a proxy of one decimal)": lambda: curve(ties, gold, N),
        "expectations alone": lambda: expected_rewards(proxy, gold, N),
        "pass@k": lambda: pass_at_k(solved, every, N),
        "sorting the proxy, which nothing here can do without": lambda: np.argsort(proxy, axis=1),
    }
    best = dict.fromkeys(tasks, math.inf)
    for _ in range(15):
        for name, task in tasks.items():
            started = time.perf_counter()
            task()
            best[name] = min(best[name], time.perf_counter() - started)
    print("\n500 prompts x 1,000 samples x 18 values of n, proxy and gold")
    for name, seconds in best.items():
        verdict = (
            f"target <= {1000 * TARGET:.0f} ms  {'ok' if seconds <= TARGET else 'LOST'}" if "sort" not in name else ""
        )
        print(f"  {name:<55} {1000 * seconds:8.1f} ms  {verdict}".rstrip())
    ratio = loop / best["expectations alone"]
    print(f"  {'plain double loop, scaled from 50 prompts':<55} {1000 * loop:8.1f} ms  {ratio:.0f} x the expectations")


if __name__ == "__main__":
    main()
