"""The correlation of a proxy, and what its certificate promises, from episodes, with intervals.

Steps of an episode resemble one another, so the unit that is drawn anew for the intervals is the episode (percentile
bootstrap). An episode enters everything by a few sums, so that two thousand draws are one matrix product.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Shaped

from trueward.measures.proxies.correlated import Correlated, check_finite, correlation, shares
from trueward.measures.resampling import resampled_means, sums_by

RESAMPLES = 2000
_MOST_UNITS = 1000


@dataclass(frozen=True)
class Sampled:
    """Steps of one policy, of whole episodes.

    Attributes:
        reward: of n steps.
        episode: what each step belongs to; equal entries are one episode. For single answers, the prompt.
        weights: of the steps: γ^t for a discounted return; None: all the same.
    """

    reward: Float[np.ndarray, " n"]
    episode: Shaped[np.ndarray, " n"]
    weights: Float[np.ndarray, " n"] | None = None


@dataclass(frozen=True)
class CorrelationEstimate:
    """What scored steps of a base policy say about a proxy.

    Attributes:
        value: from all steps.
        correlation: interval of r, lower and upper; (NaN, NaN) where it is not defined.
        penalty_weight: interval of λ.
        episodes: how many independent units there were. Below some twenty the intervals are too short.
    """

    value: Correlated
    correlation: tuple[float, float]
    penalty_weight: tuple[float, float]
    episodes: int


@dataclass(frozen=True)
class Certificate:
    """What the theorem promises a policy.

    Attributes:
        promised: lower bound of J(π, R) − J(π_ref, R); −∞ for nothing.
        interval: its two-sided interval; the lower end is what can be relied on.
        proxy_gain: J(π, proxy) − J(π_ref, proxy).
        chi_squared: χ²(μ_π ‖ μ_ref).
        largest_share: part of the sum of ratios that the largest one makes. Near 1, χ² rests on a single step and is
            rather too small.
    """

    promised: float
    interval: tuple[float, float]
    proxy_gain: float
    chi_squared: float
    largest_share: float


def sampled_correlation(
    base: Sampled, true: Float[np.ndarray, " n"], *, level: float = 0.95, seed: int = 0
) -> CorrelationEstimate:
    """How a proxy and the true reward go together under a base policy, from its steps.

    Args:
        base: n steps of the base policy, with the rewards of the proxy.
        true: their true rewards.
        level: two-sided confidence, in (0, 1).
        seed: of the draws.

    Raises:
        ValueError: as `correlation`, or a level outside (0, 1).
    """
    value = correlation(base.reward, true, base.weights)
    drawn = _Moments(_of_base(base, true, value), value).drawn(np.random.default_rng(seed))
    return CorrelationEstimate(
        value=value,
        correlation=_ends(drawn.correlation, level),
        penalty_weight=_ends(drawn.penalty_weight, level),
        episodes=len(np.unique(base.episode)),
    )


def sampled_certificate(
    base: Sampled,
    true: Float[np.ndarray, " n"],
    policy: Sampled,
    ratio: Float[np.ndarray, " m"],
    *,
    level: float = 0.95,
    seed: int = 0,
) -> Certificate:
    r"""The certificate of a policy from its steps, and from scored steps of the base policy.

    $\chi^2 = E_{\mu_\pi}[\mu_\pi / \mu_{ref}] - 1$. The ratio is heavy-tailed, and one that was learned errs by itself:
    the interval tells of the chance in the draw, and of nothing else.

    Args:
        base: n steps of the base policy, with the rewards of the proxy.
        true: their true rewards.
        policy: m steps of the policy, with the rewards of the proxy. Nobody needs their true rewards.
        ratio: μ_π / μ_ref at these: of a density-ratio classifier, or exp(log π − log π_ref) of whole answers.
        level: two-sided confidence, in (0, 1).
        seed: of the draws.

    Raises:
        ValueError: as `correlation`, or a ratio is negative or not finite.
    """
    if not (np.isfinite(ratio) & (ratio >= 0)).all():
        raise ValueError("ratios of densities must be finite and not negative; cap them, and say where")
    check_finite(policy.reward)
    value = correlation(base.reward, true, base.weights)
    share = shares(policy.reward, policy.weights)
    gain = float(share @ policy.reward) - value.proxy_mean
    spread = max(0.0, float(share @ ratio) - 1.0)

    generator = np.random.default_rng(seed)
    drawn = _Moments(_of_base(base, true, value), value).drawn(generator)
    columns = np.stack([share, share * policy.reward, share * ratio], axis=1)
    of_policy = resampled_means(_by_episode(columns, policy.episode), RESAMPLES, generator)
    gains = of_policy[:, 1] / of_policy[:, 0] - drawn.proxy_mean
    spreads = np.maximum(0.0, of_policy[:, 2] / of_policy[:, 0] - 1.0)
    total = float(columns[:, 2].sum())
    return Certificate(
        promised=value.promised(gain, spread),
        interval=_ends(drawn.promised(gains, spreads), level),
        proxy_gain=gain,
        chi_squared=spread,
        largest_share=float(columns[:, 2].max()) / total if total > 0 else math.nan,
    )


def sampled_gain(
    base: Sampled, policy: Sampled, *, level: float = 0.95, seed: int = 0
) -> tuple[float, tuple[float, float]]:
    """J(π, R) − J(π_ref, R) from steps of both, and its interval.

    Raises:
        ValueError: a reward is not finite, or a level outside (0, 1).
    """
    check_finite(base.reward, policy.reward)
    generator = np.random.default_rng(seed)
    means, draws = [], []
    for one in (base, policy):
        share = shares(one.reward, one.weights)
        means.append(float(share @ one.reward))
        # Moved to mean 0 first, to keep the digits.
        columns = np.stack([share, share * (one.reward - means[-1])], axis=1)
        drawn = resampled_means(_by_episode(columns, one.episode), RESAMPLES, generator)
        draws.append(means[-1] + drawn[:, 1] / drawn[:, 0])
    return means[1] - means[0], _ends(draws[1] - draws[0], level)


def _of_base(base: Sampled, true: np.ndarray, value: Correlated) -> np.ndarray:
    """Sums of every episode, [k, 6]: weight times (1, p, t, p², t², p t), p and t standardised to keep the digits."""
    share = shares(base.reward, base.weights)
    p = (base.reward - value.proxy_mean) / (value.proxy_deviation or 1.0)
    t = (true - value.true_mean) / (value.true_deviation or 1.0)
    return _by_episode(share[:, None] * np.stack([np.ones_like(p), p, t, p * p, t * t, p * t], axis=1), base.episode)


@dataclass(frozen=True)
class _Moments:
    """Draws of a base policy's episodes, as many rows as draws."""

    clusters: np.ndarray
    value: Correlated

    def drawn(self, generator: np.random.Generator) -> _Drawn:
        """The statistics of every draw."""
        means = resampled_means(self.clusters, RESAMPLES, generator)
        p, t, pp, tt, pt = (means[:, 1:] / means[:, :1]).T
        proxy_variance, true_variance = np.maximum(0.0, pp - p * p), np.maximum(0.0, tt - t * t)
        with np.errstate(divide="ignore", invalid="ignore"):
            together = np.clip((pt - p * t) / np.sqrt(proxy_variance * true_variance), -1.0, 1.0)
        if math.isnan(self.value.correlation):
            together = np.full_like(together, math.nan)
        return _Drawn(
            correlation=together,
            proxy_mean=self.value.proxy_mean + p * (self.value.proxy_deviation or 1.0),
            proxy_deviation=np.sqrt(proxy_variance) * self.value.proxy_deviation,
            true_deviation=np.sqrt(true_variance) * self.value.true_deviation,
        )


@dataclass(frozen=True)
class _Drawn:
    """`Correlated`, once per draw."""

    correlation: np.ndarray
    proxy_mean: np.ndarray
    proxy_deviation: np.ndarray
    true_deviation: np.ndarray

    @property
    def penalty_weight(self) -> np.ndarray:
        weight: np.ndarray = self.proxy_deviation * np.sqrt(1.0 - self.correlation**2)
        return weight

    def promised(self, gain: np.ndarray, chi_squared: np.ndarray) -> np.ndarray:
        with np.errstate(divide="ignore", invalid="ignore"):
            scale = self.true_deviation / (self.correlation * self.proxy_deviation)
            bound = scale * (gain - self.penalty_weight * np.sqrt(chi_squared))
        promised: np.ndarray = np.where((self.correlation > 0) & np.isfinite(bound), bound, -math.inf)
        return promised


def _by_episode(columns: np.ndarray, episode: np.ndarray) -> np.ndarray:
    """Sums of every episode; of more than a thousand, several make one unit, which is as independent and faster."""
    _, place = np.unique(episode, return_inverse=True)
    return sums_by(place.ravel() % _MOST_UNITS, columns)


def _ends(values: np.ndarray, level: float) -> tuple[float, float]:
    if not 0 < level < 1:
        raise ValueError(f"level={level!r} must lie in (0, 1)")
    # A draw in which r is not defined has no say; one that promises nothing is −∞, and sorts as that.
    usable = np.sort(values[~np.isnan(values)])
    if not len(usable):
        return math.nan, math.nan
    low, high = ((1 - level) / 2, (1 + level) / 2)
    last = len(usable) - 1
    return float(usable[math.floor(low * last)]), float(usable[math.ceil(high * last)])
