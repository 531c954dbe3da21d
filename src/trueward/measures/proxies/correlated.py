r"""The r-correlation of a proxy with the true reward under a base policy, and the certificate that follows from it.

With the occupancy $\mu_\pi(s,a) = (1-\gamma) \sum_t \gamma^t P_\pi(s_t = s, a_t = a)$ and $J(\pi, R) = E_{\mu_\pi}[R]$,
a proxy $\tilde R$ is r-correlated with the true reward $R$ under $\pi_{ref}$ when

$$ r = E_{\mu_{ref}}\left[\frac{\tilde R - J(\pi_{ref}, \tilde R)}{\sigma_{\tilde R}} \cdot
       \frac{R - J(\pi_{ref}, R)}{\sigma_R}\right] > 0. $$

Then for every policy whose occupancy has no mass where that of $\pi_{ref}$ has none,

$$ \frac{J(\pi, R) - J(\pi_{ref}, R)}{\sigma_R} \ge \frac{1}{r} \left[
   \frac{J(\pi, \tilde R) - J(\pi_{ref}, \tilde R)}{\sigma_{\tilde R}} -
   \sqrt{(1 - r^2) \chi^2(\mu_\pi \| \mu_{ref})} \right]. $$

Proof: the standardised proxy is $r f + \sqrt{1-r^2} e$ with $f$ the standardised true reward and $e$ of variance 1,
uncorrelated with $f$; take its mean under $\mu_\pi$; bound that of $e$ by Cauchy-Schwarz.

Reference: Laidlaw, Singhal and Dragan 2024, "Correlated Proxies: A New Definition and Improved Mitigation for Reward
Hacking" (arXiv 2403.03185).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

_NO_SPREAD = 1e-12
"""A deviation this small against the largest entry is what rounding leaves of a constant."""


@dataclass(frozen=True)
class Correlated:
    """Proxy and true reward under a base policy.

    Attributes:
        correlation: r; NaN where one of the two does not vary.
        proxy_mean, true_mean: J(π_ref, ·).
        proxy_deviation, true_deviation: σ under the base policy.
    """

    correlation: float
    proxy_mean: float
    true_mean: float
    proxy_deviation: float
    true_deviation: float

    @property
    def penalty_weight(self) -> float:
        r"""$\lambda = \sigma_{\tilde R} \sqrt{1 - r^2}$: what $\sqrt{\chi^2}$ costs in the bound; NaN where r is."""
        return self.proxy_deviation * math.sqrt(1.0 - self.correlation**2)

    def promised(self, proxy_gain: float, chi_squared: float) -> float:
        """The certificate: a lower bound of J(π, R) − J(π_ref, R), in units of the true reward.

        Args:
            proxy_gain: J(π, proxy) − J(π_ref, proxy).
            chi_squared: χ²(μ_π ‖ μ_ref), not below 0.

        Returns:
            The bound; −∞ where nothing is promised: the proxy is not positively correlated, or π goes where π_ref never
            does (χ² is infinite).
        """
        if not self.correlation > 0 or not math.isfinite(chi_squared):
            return -math.inf
        shortfall = self.penalty_weight * math.sqrt(max(0.0, chi_squared))
        return self.true_deviation / (self.correlation * self.proxy_deviation) * (proxy_gain - shortfall)

    def budget(self, proxy_gain: float) -> float:
        r"""The χ² below which a policy that gains so much proxy is promised to improve.

        $(gain / \sigma_{\tilde R})^2 / (1 - r^2)$.

        Returns:
            0 where nothing is promised; ∞ for a perfect correlation.
        """
        if not self.correlation > 0 or proxy_gain <= 0:
            return 0.0
        return (proxy_gain / self.penalty_weight) ** 2 if self.penalty_weight > 0 else math.inf


def correlation(
    proxy: Float[np.ndarray, "*shape"],
    true: Float[np.ndarray, "*shape"],
    weights: Float[np.ndarray, "*shape"] | None = None,
) -> Correlated:
    """How a proxy and the true reward go together under a base policy.

    Args:
        proxy, true: rewards of the same entries: all states and actions, or samples.
        weights: occupancy of the base policy, or weights of the samples; not below 0. None: all the same.

    Raises:
        ValueError: no entry has weight, a weight is negative, or a reward is not finite.
    """
    share = shares(proxy, weights)
    check_finite(proxy, true)
    p, t = proxy.ravel(), true.ravel()
    proxy_mean, true_mean = float(share @ p), float(share @ t)
    p, t = p - proxy_mean, t - true_mean
    proxy_deviation, true_deviation = _deviation(p, proxy_mean, share), _deviation(t, true_mean, share)
    together = math.nan
    if proxy_deviation and true_deviation:
        # Rounding may take it past 1.
        together = max(-1.0, min(1.0, float(share @ (p / proxy_deviation * (t / true_deviation)))))
    return Correlated(together, proxy_mean, true_mean, proxy_deviation, true_deviation)


def shares(like: Float[np.ndarray, "*shape"], weights: Float[np.ndarray, "*shape"] | None) -> Float[np.ndarray, " n"]:
    """Weights as a flat distribution.

    Raises:
        ValueError: a weight is negative or not finite, or all are 0.
    """
    flat: np.ndarray = np.ones(like.size) if weights is None else np.asarray(weights, dtype=np.float64).ravel()
    total = float(flat.sum())
    if not (flat >= 0).all() or not 0 < total < math.inf:
        raise ValueError(f"weights must be finite and not negative, and one above 0; their sum is {total:g}")
    share: np.ndarray = flat / total
    return share


def check_finite(*rewards: Float[np.ndarray, "..."]) -> None:
    """Raises `ValueError` where a reward is not finite."""
    lost = sum(int(np.count_nonzero(~np.isfinite(values))) for values in rewards)
    if lost:
        raise ValueError(f"{lost} rewards are not finite: leave out what could not be scored, and say how many")


def _deviation(centred: np.ndarray, mean: float, share: np.ndarray) -> float:
    deviation = math.sqrt(float(share @ centred**2))
    return deviation if deviation > _NO_SPREAD * max(abs(mean), float(np.abs(centred).max())) else 0.0
