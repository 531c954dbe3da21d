"""Best-of-n: expected proxy and gold of the sample that the proxy likes best, exactly, for every n.

With N samples of a prompt sorted by proxy, the sample of rank r is the best of n drawn without replacement with
probability w_n(r) = [C(r, n) − C(r − 1, n)] / C(N, n). Samples with equal proxy share their weight. The expectation is
exact; nothing is drawn.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float


@dataclass(frozen=True)
class Curve:
    """Expected reward under best-of-n, averaged over prompts.

    Attributes:
        n: numbers of samples.
        kl: KL(best-of-n ‖ policy) ≤ log n − (n − 1)/n, in nats.
        proxy, gold: expected rewards of the chosen sample.
        proxy_interval, gold_interval: 95 % intervals from resampling prompts, lower and upper.
    """

    n: tuple[int, ...]
    kl: Float[np.ndarray, " k"]
    proxy: Float[np.ndarray, " k"]
    gold: Float[np.ndarray, " k"]
    proxy_interval: Float[np.ndarray, "2 k"]
    gold_interval: Float[np.ndarray, "2 k"]


def rank_weights(samples: int, n: Sequence[int]) -> Float[np.ndarray, "k s"]:
    """Probability that the sample of each rank (lowest first) is the best of n.

    Args:
        samples: N, how many samples there are.
        n: how many are drawn, each in 1…N.

    Raises:
        ValueError: an n outside 1…N.
    """
    if not n or min(n) < 1 or max(n) > samples:
        raise ValueError(f"n must lie in 1…{samples}, the number of samples of a prompt; got {list(n)}")
    ranks = np.arange(samples + 1, dtype=np.float64)
    drawn = np.asarray(n, dtype=np.float64)[:, None]
    log_factorial = np.concatenate(([0.0], np.cumsum(np.log(np.arange(1, samples + 1)))))
    below = np.where(ranks >= drawn, ranks - drawn, 0).astype(int)
    # log C(r, n) − log C(N, n); what both share (n!) cancels.
    log_ratio = log_factorial[None, :] - log_factorial[below]
    log_ratio -= log_factorial[samples] - log_factorial[samples - np.asarray(n)][:, None]
    cumulative = np.where(ranks >= drawn, np.exp(log_ratio), 0.0)
    weights: np.ndarray = np.diff(cumulative, axis=1)
    return weights


def best_of_n(
    proxy: Float[np.ndarray, "p s"], values: Float[np.ndarray, "p s"], n: Sequence[int]
) -> Float[np.ndarray, "p k"]:
    """Expected value of the sample with the highest proxy among n, per prompt.

    Args:
        proxy: P prompts × N samples: what decides.
        values: what is paid out: the proxy itself, or gold.
        n: K numbers of samples, each in 1…N.

    Raises:
        ValueError: an n outside 1…N, or an entry that is not finite.
    """
    if not (np.isfinite(proxy).all() and np.isfinite(values).all()):
        raise ValueError("best_of_n needs finite proxy and value for every sample: leave failed samples out")
    weights = rank_weights(proxy.shape[1], n)
    expected: np.ndarray = _by_rank(proxy, values)[1] @ weights.T
    return expected


def _by_rank(proxy: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Proxy and values of every prompt, the sample with the lowest proxy first."""
    order = np.argsort(proxy, axis=1)
    ranked = np.take_along_axis(proxy, order, axis=1)
    return ranked, _tied(ranked, np.take_along_axis(values, order, axis=1))


def _tied(ranked: np.ndarray, paid: np.ndarray) -> np.ndarray:
    """`paid` with its mean over every run of equal proxy: sharing the weight is the same as sharing the value."""
    new = np.ones(ranked.shape, dtype=bool)
    new[:, 1:] = ranked[:, 1:] != ranked[:, :-1]
    if new.all():
        return paid
    group = np.cumsum(new.ravel()) - 1
    means = np.bincount(group, weights=paid.ravel()) / np.bincount(group)
    shared: np.ndarray = means[group].reshape(paid.shape)
    return shared


def curve(
    proxy: Float[np.ndarray, "p s"],
    gold: Float[np.ndarray, "_p _s"],
    n: Sequence[int],
    *,
    resamples: int = 1000,
    seed: int = 0,
) -> Curve:
    """The over-optimisation curve: what best-of-n by proxy earns, in proxy and in gold, for every n.

    Args:
        proxy: P prompts × N samples.
        gold: what is really wanted, for the same samples.
        n: numbers of samples, each in 1…N.
        resamples: how often prompts are drawn with replacement for the intervals.
        seed: of that drawing.

    Raises:
        ValueError: shapes differ, an n outside 1…N, or an entry that is not finite.

    Reference: Gao, Schulman, Hilton 2023, "Scaling laws for reward model overoptimization", section 3 and appendix I.
    """
    if proxy.shape != gold.shape:
        raise ValueError(f"proxy has shape {proxy.shape} and gold {gold.shape}: they must hold the same samples")
    if not (np.isfinite(proxy).all() and np.isfinite(gold).all()):
        raise ValueError("a curve needs finite proxy and gold for every sample: leave failed samples out")
    weights = rank_weights(proxy.shape[1], n)
    by_proxy, by_gold = (values @ weights.T for values in _by_rank(proxy, gold))
    prompts = len(proxy)
    counts = np.random.default_rng(seed).multinomial(prompts, np.full(prompts, 1 / prompts), size=resamples) / prompts
    intervals = [np.quantile(counts @ values, (0.025, 0.975), axis=0) for values in (by_proxy, by_gold)]
    sizes = np.asarray(n, dtype=np.float64)
    return Curve(
        tuple(n),
        np.log(sizes) - (sizes - 1) / sizes,
        by_proxy.mean(axis=0),
        by_gold.mean(axis=0),
        intervals[0],
        intervals[1],
    )


def pass_at_k(correct: int, samples: int, k: int) -> float:
    """Probability that at least one of k samples, drawn without replacement, is right: 1 − C(N − c, k) / C(N, k).

    Raises:
        ValueError: not 0 ≤ correct ≤ samples, or k outside 1…samples.

    Reference: Chen et al. 2021, "Evaluating large language models trained on code", equation 1.
    """
    if not 0 <= correct <= samples or not 1 <= k <= samples:
        raise ValueError(f"pass_at_k({correct}, {samples}, {k}): need 0 <= correct <= samples and 1 <= k <= samples")
    return 1.0 - math.comb(samples - correct, k) / math.comb(samples, k)
