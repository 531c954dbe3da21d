"""Advantages of environments that are stepped side by side: one row per time, one column per environment.

Two kinds of reward flow through such a batch. What is earned in an episode ends with it (`episodic`). A bonus for what
is new does not: the next episode begins where the last one left off in what has been seen (`continuing`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from trueward.credit.returns import Estimates, gae, gae_over_episodes


def episodic(
    rewards: Float[Any, "t n"],
    values: Float[Any, "t n"],
    next_values: Float[Any, "t n"],
    terminated: Bool[Any, "t n"],
    truncated: Bool[Any, "t n"],
    exists: Bool[Any, "t n"] | None = None,
    *,
    discount: float = 0.99,
    trace: float = 0.95,
) -> Estimates:
    """`gae_over_episodes` of columns, some of whose entries are resets in place of a step.

    Args:
        rewards, values: r and V, one per step.
        next_values: V', the critic's value of the observation that the step led to, in the same episode.
        terminated, truncated: how the episode ended with the step.
        exists: False where an environment was reset in place of a step: it stands between two episodes and has no
            advantage. None: all exist.
        discount, trace: γ and λ.

    Returns:
        Advantages and returns [T, N]; 0 where there was no step.

    Raises:
        ValueError: shapes differ, γ or λ outside [0, 1], or an entry that is not finite.
    """
    found = gae_over_episodes(
        np.asarray(rewards).T,
        np.asarray(values).T,
        np.asarray(next_values).T,
        np.asarray(terminated).T,
        np.asarray(truncated).T,
        discount=discount,
        trace=trace,
    )
    return _columns(found, exists)


def continuing(
    rewards: Float[Any, "t n"],
    values: Float[Any, "t n"],
    last_values: Float[Any, " n"],
    exists: Bool[Any, "t n"] | None = None,
    *,
    discount: float = 0.99,
    trace: float = 0.95,
) -> Estimates:
    """Advantages of a reward that does not end with the episode: as if each column were one endless episode.

        A_t = r_t + γ V_{t+1} − V_t + γ λ A_{t+1}

    where t + 1 is the column's next step, be it the first one of the next episode. Resets in place of a step are
    skipped and cost no discount.

    Args:
        rewards, values: r and V, one per step.
        last_values: V of what the next action of each environment is chosen from.
        exists: False where an environment was reset in place of a step. None: all exist.
        discount, trace: γ and λ.

    Returns:
        Advantages and returns [T, N]; 0 where there was no step.

    Raises:
        ValueError: as `episodic`.

    Reference: Burda et al. 2019, "Exploration by random network distillation", section 2.3.
    """
    found = gae(
        np.asarray(rewards).T,
        np.asarray(values).T,
        None if exists is None else np.asarray(exists).T,
        discount=discount,
        trace=trace,
        bootstrap=last_values,
    )
    return _columns(found, None)


def _columns(found: Estimates, exists: Bool[Any, "t n"] | None) -> Estimates:
    advantages, returns = np.ascontiguousarray(found.advantages.T), np.ascontiguousarray(found.returns.T)
    if exists is not None:
        outside = ~np.asarray(exists, dtype=bool)
        advantages[outside], returns[outside] = 0.0, 0.0
    return Estimates(advantages=advantages, returns=returns)
