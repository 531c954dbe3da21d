"""Random worlds and random rewards of the STARC experiments.

Reference:
    Skalse et al. 2024, arXiv 2309.15257, experiments on random MDPs.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from trueward.measures.tabular import TabularMDP
from trueward.measures.tabular import shaped as with_potential

_THRESHOLDS = ((50, 1.0), (100, 1.5))
"""Below so many states, logits under this many standard deviations are as good as impossible."""
_THRESHOLD_BEYOND = 1.8
_IMPOSSIBLE_LOGIT = -20.0
_SPARSER = 2.0
"""How much higher the threshold of sparse rewards lies than that of transitions."""


def random_mdp(
    states: int,
    actions: int,
    generator: np.random.Generator,
    *,
    discount: float = 0.95,
    threshold: float | None = None,
    episodic: bool = False,
) -> TabularMDP:
    """A world in which each action leads to some random states.

    Logits are i.i.d. N(0, 1); those up to the threshold become −20; a softmax makes probabilities of them. An action
    with no logit above the threshold leads anywhere alike. Episodes begin anywhere.

    Args:
        states: number of states.
        actions: number of actions.
        generator: source of randomness.
        discount: γ.
        threshold: None for 1 below 50 states, 1.5 below 100, and 1.8 beyond. −inf for dense transitions; the higher,
            the more deterministic.
        episodic: whether a random state is terminal.
    """
    logits = generator.standard_normal((states, actions, states))
    logits = np.where(logits > (_threshold(states) if threshold is None else threshold), logits, _IMPOSSIBLE_LOGIT)
    exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True))
    transitions = exponentials / exponentials.sum(axis=-1, keepdims=True)
    terminal = np.zeros(states, dtype=bool)
    if episodic:
        terminal[generator.integers(states)] = True
        transitions[terminal] = terminal.astype(np.float64)
    return TabularMDP(transitions, np.full(states, 1.0 / states), discount, terminal)


def random_reward(
    mdp: TabularMDP,
    generator: np.random.Generator,
    *,
    sparse: float = 0.2,
    scaled: float = 0.7,
    shifted: float = 0.3,
    shaped: float = 0.5,
) -> Float[np.ndarray, "s a t"]:
    """A reward N(0, 1) for each step, then sparse, scaled, shifted and shaped, each with some probability.

    Sparse keeps what lies above 3 (3.5 from 50 states, 3.8 from 100) and may keep nothing; scaled multiplies by
    U(0, 10); shifted adds U(0, 10); shaped adds the shaping by a potential a·N(0, 1) + b, a ~ U(0, 10), b ~ U(0, 1).

    Args:
        mdp: the world.
        generator: source of randomness.
        sparse, scaled, shifted, shaped: probabilities; 0 for never, 1 for always.
    """
    states = mdp.states
    reward = generator.standard_normal((states, mdp.actions, states))
    if generator.random() < sparse:
        reward = np.where(reward > _threshold(states) + _SPARSER, reward, 0.0)
    if generator.random() < scaled:
        reward *= generator.uniform(0.0, 10.0)
    if generator.random() < shifted:
        reward += generator.uniform(0.0, 10.0)
    if generator.random() < shaped:
        potential = generator.uniform(0.0, 10.0) * generator.standard_normal(states) + generator.random()
        dense: np.ndarray = with_potential(reward, np.where(mdp.terminal, 0.0, potential), mdp)
        return dense
    return reward


def _threshold(states: int) -> float:
    return next((threshold for limit, threshold in _THRESHOLDS if states < limit), _THRESHOLD_BEYOND)
