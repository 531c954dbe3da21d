"""Whether shaping leaves every policy's advantages as they are, exactly, on a finite MDP."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Shaped

from trueward.batch import Transitions
from trueward.measures.tabular import TabularMDP, action_values, policy_values, successors, uniform_policy
from trueward.rewards.control.base import ControlReward

_TOLERANCE = 1e-9  # relative to the largest addition or value; 1 where all are smaller


@dataclass(frozen=True)
class Invariance:
    """What shaping does to an MDP.

    Attributes:
        holds: True where no advantage of any policy changes, whatever else is paid.
        change: largest change of an advantage, of the policy that draws actions evenly.
        state, action: where that is.
        potential: what the values of every policy fall by, per state, where it holds: Φ as it came out.
    """

    holds: bool
    change: float
    state: int
    action: int
    potential: Float[np.ndarray, " s"]


def check_policy_invariance(
    shaping: ControlReward,
    world: Any,
    observations: Shaped[np.ndarray, "s *observation"] | None = None,
) -> Invariance:
    """Whether an addition to the reward leaves optimal policies and advantages as they are.

    Values are linear in the reward, so an addition F changes the advantages of a policy π by the advantages of F alone:

        A_{R+F}(s, a) − A_R(s, a) = E[F | s, a] + γ E V_F(s') − V_F(s)

    If they vanish for one policy, V_F solves the equation of every policy, and they vanish for all. So one linear solve
    decides for every reward R at once, and with it for the optimal policies. The discount is that of the MDP: shaping
    with another one fails, and so does a potential that is not 0 where an episode ends.

    Args:
        shaping: what is added. It is asked for its `value` on every possible step, as an environment would ask it.
        world: a `TabularMDP`, or a `TabularTask`.
        observations: what stands for each state; None for those of the task, or for an MDP its number, [S, 1]. Features
            "state" and "next_state" are its number too.

    Raises:
        RewardError: the shaping cannot be called with these observations.

    Reference: Ng, Harada and Russell 1999, "Policy invariance under reward transformations", theorem 1.
    """
    mdp: TabularMDP = getattr(world, "mdp", world)
    if observations is None:
        observations = getattr(world, "observations", None)
    if observations is None:
        observations = np.arange(mdp.states, dtype=np.float64)[:, None]
    added = _added(shaping, mdp, observations)
    policy = uniform_policy(mdp)
    values = policy_values(mdp, added, policy)
    advantages = np.where(mdp.terminal[:, None], 0.0, action_values(mdp, added, policy) - values[:, None])
    state, action = np.unravel_index(int(np.abs(advantages).argmax()), advantages.shape)
    change = float(np.abs(advantages[state, action]))
    scale = max(1.0, float(np.abs(added).max()), float(np.abs(values).max()))
    return Invariance(change <= _TOLERANCE * scale, change, int(state), int(action), -values)


def _added(shaping: ControlReward, mdp: TabularMDP, observations: np.ndarray) -> Float[np.ndarray, "s a"]:
    """E[F | s, a], from the shaping's own answers for every possible step of an episode."""
    steps = successors(mdp)
    live = ~mdp.terminal[steps.state]
    state, action, after = steps.state[live], steps.action[live], steps.next_state[live]
    n = len(state)
    transitions = Transitions(
        observation=observations[state],
        action=action,
        reward=np.zeros(n),
        next_observation=observations[after],
        terminated=mdp.terminal[after],
        truncated=np.zeros(n, dtype=bool),
        # Numbers, as whatever comes out of an environment's info.
        features={"state": state.astype(np.float64), "next_state": after.astype(np.float64)},
    )
    asked = shaping.twin()
    asked.begin(n)
    paid = asked.score(transitions, training=False).value
    weighted = np.bincount(steps.row[live], weights=steps.probability[live] * paid, minlength=mdp.states * mdp.actions)
    return weighted.reshape(mdp.states, mdp.actions)
