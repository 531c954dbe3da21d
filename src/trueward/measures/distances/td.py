"""Values of a policy under any reward, from transitions that it made: least-squares temporal differences.

For a distance the value must be a *linear* function of the reward, fitted on the same transitions with the same
features for every reward; otherwise what canonicalisation is to take away would come back as a difference of fits.
Least squares has this property, and a network that is trained for each reward has not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

Features = Callable[[Any], Float[np.ndarray, "n d"]]


@dataclass(frozen=True)
class LinearValues:
    """V(s) = w · φ(s); called with observations [N, …], gives [N].

    Attributes:
        features: φ.
        weights: w.
    """

    features: Features
    weights: Float[np.ndarray, " d"]

    def __call__(self, observation: Any) -> Float[np.ndarray, " n"]:
        """Value of each observation."""
        values: np.ndarray = self.features(observation) @ self.weights
        return values


def fit_values(
    reward: Float[np.ndarray, " n"],
    observation: Any,
    next_observation: Any,
    terminated: Bool[np.ndarray, " n"],
    discount: float,
    features: Features,
) -> LinearValues:
    """Fit V^π by least-squares temporal differences.

    w solves Σ φ(s) (φ(s) − γφ(s'))ᵀ w = Σ φ(s) r, with φ(s') = 0 after termination (and not after truncation). The fit
    is exact where V^π is linear in the features; with one feature per state it is the value in the MDP of the observed
    frequencies. Potentials that are linear in the features drop out of V-adjusted rewards exactly.

    Args:
        reward: of N transitions.
        observation, next_observation: [N, …].
        terminated: True where nothing follows.
        discount: γ.
        features: φ, [N, …] to [N, D].

    Raises:
        ValueError: a reward or a feature is not finite, or there are fewer transitions than features.

    Reference: Bradtke and Barto 1996, "Linear least-squares algorithms for temporal difference learning".
    """
    now, then = (np.asarray(features(which), dtype=np.float64) for which in (observation, next_observation))
    if not (np.isfinite(now).all() and np.isfinite(then).all() and np.isfinite(reward).all()):
        raise ValueError("a reward or a feature of the transitions is not finite")
    if len(now) < now.shape[1]:
        raise ValueError(f"{len(now)} transitions cannot fit {now.shape[1]} features; collect more, or use fewer")
    ahead = discount * np.where(terminated, 0.0, 1.0)[:, None] * then
    # The pseudo-inverse is linear in the reward, as a solve would be, and bears features that say the same.
    weights = np.linalg.lstsq(now.T @ (now - ahead), now.T @ reward, rcond=1e-10)[0]
    return LinearValues(features, weights)


@dataclass(frozen=True)
class FourierFeatures:
    """A constant and random waves, [cos(Wx + b)]: linear functions of many of them approximate any smooth function.

    Attributes:
        centre, scale: of each coordinate of the observations.
        frequencies: W, one column per wave.
        phases: b.

    Reference: Rahimi and Recht 2007, "Random features for large-scale kernel machines".
    """

    centre: Float[np.ndarray, " k"]
    scale: Float[np.ndarray, " k"]
    frequencies: Float[np.ndarray, "k d"]
    phases: Float[np.ndarray, " d"]

    def __call__(self, observation: Any) -> Float[np.ndarray, "n e"]:
        """Features of observations [N, …]."""
        flat = np.asarray(observation, dtype=np.float64).reshape(len(observation), -1)
        waves = np.cos((flat - self.centre) / self.scale @ self.frequencies + self.phases)
        return np.concatenate([np.ones((len(flat), 1)), waves], axis=1)


def fourier_features(observation: Any, generator: np.random.Generator, count: int = 128) -> FourierFeatures:
    """Random waves whose lengths suit a sample of observations.

    Args:
        observation: a sample, [N, …].
        generator: draws the waves; the same ones must serve all rewards that are compared.
        count: number of waves.
    """
    flat = np.asarray(observation, dtype=np.float64).reshape(len(observation), -1)
    spread = flat.std(axis=0)
    size = flat.shape[1]
    return FourierFeatures(
        centre=flat.mean(axis=0),
        scale=np.where(spread > 0, spread, 1.0),
        frequencies=generator.normal(size=(size, count)) / np.sqrt(size),
        phases=generator.uniform(0, 2 * np.pi, size=count),
    )
