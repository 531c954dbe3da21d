"""Best-of-n: expected proxy and gold of the sample that the proxy likes best, exactly, for every n.

With N samples of a prompt sorted by proxy, the sample of rank r is the best of n drawn without replacement with
probability w_n(r) = [C(r, n) − C(r − 1, n)] / C(N, n). Samples with equal proxy share their weight. The expectation is
exact; nothing is drawn but prompts, for the intervals.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

RESAMPLES = 1000
"""How often prompts are drawn for an interval. The ends of a 95 % interval then err by a twentieth of its half-width
(sqrt(.025 · .975 / 1000) over the normal density at the end, .058, is .085 standard errors of 1.96)."""

_DRAWN_AT_ONCE = 2**20


@dataclass(frozen=True)
class Curve:
    """Expected reward under best-of-n, averaged over prompts.

    Attributes:
        n: numbers of samples.
        kl: KL(best-of-n ‖ policy) ≤ log n − (n − 1)/n, in nats.
        proxy, gold: expected rewards of the chosen sample.
        proxy_interval, gold_interval: 95 % intervals from resampling prompts, lower and upper.
        peak: index of the n at which gold is highest; the smallest of equals.
        fall: gold at the peak minus gold at the largest n.
        fall_interval: 95 % interval of the fall, prompts resampled in pairs. It holds for all n at once, because the
            peak is chosen by looking at the curve.
    """

    n: tuple[int, ...]
    kl: Float[np.ndarray, " k"]
    proxy: Float[np.ndarray, " k"]
    gold: Float[np.ndarray, " k"]
    proxy_interval: Float[np.ndarray, "2 k"]
    gold_interval: Float[np.ndarray, "2 k"]
    peak: int
    fall: float
    fall_interval: tuple[float, float]


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
    log_factorial = _log_factorial(samples)
    below = np.where(ranks >= drawn, ranks - drawn, 0).astype(int)
    # log C(r, n) − log C(N, n); what both share (n!) cancels.
    log_ratio = log_factorial[None, :] - log_factorial[below]
    log_ratio -= log_factorial[samples] - log_factorial[samples - np.asarray(n)][:, None]
    cumulative = np.where(ranks >= drawn, np.exp(log_ratio), 0.0)
    weights: np.ndarray = np.diff(cumulative, axis=1)
    return weights


def _log_factorial(largest: int) -> np.ndarray:
    """log 0!, log 1!, …, log largest!."""
    return np.concatenate(([0.0], np.cumsum(np.log(np.arange(1, largest + 1)))))


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
    return expected_rewards(proxy, values, n)[1]


def expected_rewards(
    proxy: Float[np.ndarray, "p s"], gold: Float[np.ndarray, "p s"], n: Sequence[int]
) -> tuple[Float[np.ndarray, "p k"], Float[np.ndarray, "p k"]]:
    """Expected proxy and gold of the sample with the highest proxy among n, per prompt, from one sort.

    Prompts with different numbers of samples are passed in several calls, and the results joined: each is exact for
    its own number.

    Args:
        proxy: P prompts × N samples.
        gold: what is really wanted, for the same samples.
        n: K numbers of samples, each in 1…N.

    Raises:
        ValueError: an n outside 1…N, or an entry that is not finite.
    """
    if not (np.isfinite(proxy).all() and np.isfinite(gold).all()):
        raise ValueError("best-of-n needs finite proxy and gold for every sample: leave failed samples out")
    prompts, samples = proxy.shape
    weights = rank_weights(samples, n)
    order = np.argsort(proxy, axis=1)
    # Places in the flattened matrix: one gather, where indexing by row and column would build both indices.
    order += np.arange(prompts)[:, None] * samples
    ranked = np.empty((2, prompts, samples))
    proxy.take(order, out=ranked[0], mode="clip")  # "raise" would make a copy to write into
    gold.take(order, out=ranked[1], mode="clip")
    ranked[1] = _tied(ranked[0], ranked[1])
    expected = (ranked.reshape(2 * prompts, samples) @ weights.T).reshape(2, prompts, len(weights))
    return expected[0], expected[1]


def _tied(ranked: np.ndarray, paid: np.ndarray) -> np.ndarray:
    """`paid` with its mean over every run of equal proxy: sharing the weight is the same as sharing the value."""
    new = np.ones(ranked.shape, dtype=bool)
    np.not_equal(ranked[:, 1:], ranked[:, :-1], out=new[:, 1:])
    if new.all():
        return paid
    starts = np.flatnonzero(new)
    sizes = np.diff(starts, append=new.size)
    shared: np.ndarray = np.repeat(np.add.reduceat(paid.ravel(), starts) / sizes, sizes).reshape(paid.shape)
    return shared


def curve(
    proxy: Float[np.ndarray, "p s"],
    gold: Float[np.ndarray, "_p _s"],
    n: Sequence[int],
    *,
    resamples: int = RESAMPLES,
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
    return averaged(*expected_rewards(proxy, gold, n), n, resamples=resamples, seed=seed)


def averaged(
    by_proxy: Float[np.ndarray, "p k"],
    by_gold: Float[np.ndarray, "p k"],
    n: Sequence[int],
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Curve:
    """The curve of expectations that are known per prompt: means and intervals.

    The interval of the fall is gold at the peak − gold at the end ± c · s, where s is the standard deviation of that
    difference over resamples and c the 95 % quantile of the largest |difference − its mean| / s over all n: a peak that
    was picked because it is high must not count as one for that reason.

    Args:
        by_proxy: K expectations for each of P prompts.
        by_gold: the same in gold.
        n: the K numbers of samples.
        resamples: how often prompts are drawn with replacement.
        seed: of that drawing.

    Reference: Montiel Olea, Plagborg-Møller 2019, "Simultaneous confidence bands: theory, implementation, and an
    application to SVARs", section 2 (sup-t bands).
    """
    both = np.concatenate([by_proxy, by_gold], axis=1)
    means = both.mean(axis=0)
    drawn = _resampled_means(both, resamples, seed)
    low, high = np.quantile(drawn, (0.025, 0.975), axis=0)
    gold, many = means[len(n) :], drawn[:, len(n) :]
    peak = int(gold.argmax())
    falls, resampled_falls = gold - gold[-1], many - many[:, -1:]
    spread = resampled_falls.std(axis=0)
    varies = spread > 1e-12 * max(1.0, float(np.abs(gold).max()))
    largest = np.abs((resampled_falls - falls)[:, varies] / spread[varies]).max(axis=1, initial=0.0)
    half = float(np.quantile(largest, 0.95) * spread[peak]) if varies[peak] else 0.0
    sizes = np.asarray(n, dtype=np.float64)
    return Curve(
        n=tuple(n),
        kl=np.log(sizes) - (sizes - 1) / sizes,
        proxy=means[: len(n)],
        gold=gold,
        proxy_interval=np.stack([low[: len(n)], high[: len(n)]]),
        gold_interval=np.stack([low[len(n) :], high[len(n) :]]),
        peak=peak,
        fall=float(falls[peak]),
        fall_interval=(float(falls[peak]) - half, float(falls[peak]) + half),
    )


def _resampled_means(values: np.ndarray, resamples: int, seed: int) -> np.ndarray:
    """Column means over as many rows as there are, drawn with replacement, once for each of `resamples`."""
    generator = np.random.default_rng(seed)
    prompts = len(values)
    block = max(1, _DRAWN_AT_ONCE // prompts)
    means = np.empty((resamples, values.shape[1]))
    for start in range(0, resamples, block):
        size = min(block, resamples - start)
        rows = generator.integers(0, prompts, size=(size, prompts))
        rows += np.arange(size)[:, None] * prompts
        counts = np.bincount(rows.ravel(), minlength=size * prompts).reshape(size, prompts)
        means[start : start + size] = counts.astype(np.float64) @ values / prompts
    return means


def pass_at_k(
    correct: Int[np.ndarray, " p"], samples: Int[np.ndarray, " p"], k: Sequence[int]
) -> Float[np.ndarray, "p k"]:
    """Probability that at least one of k samples, drawn without replacement, is right: 1 − C(N − c, k) / C(N, k).

    Args:
        correct: c, how many samples of each of P prompts are right.
        samples: N, how many samples each prompt has.
        k: numbers of samples that are drawn.

    Raises:
        ValueError: not 0 ≤ correct ≤ samples, or k outside 1…samples, for some prompt.

    Reference: Chen et al. 2021, "Evaluating large language models trained on code", equation 1.
    """
    least = int(samples.min(initial=np.iinfo(np.int64).max))
    if not k or min(k) < 1 or max(k) > least or (correct < 0).any() or (correct > samples).any():
        raise ValueError(f"pass_at_k needs 0 <= correct <= samples and 1 <= k <= samples; got k = {list(k)}")
    log_factorial = _log_factorial(int(samples.max(initial=0)))
    drawn = np.asarray(k)[None, :]
    total, failed = samples[:, None], (samples - correct)[:, None]
    possible = failed >= drawn
    left = np.where(possible, failed - drawn, 0)
    # log C(N − c, k) − log C(N, k); k! cancels.
    log_none = log_factorial[failed] - log_factorial[left] - log_factorial[total] + log_factorial[total - drawn]
    return np.where(possible, -np.expm1(np.minimum(log_none, 0.0)), 1.0)
