"""Episodes of a policy that is not learning: what it earns by the reward and by what is really wanted."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from trueward.batch import Transitions
from trueward.errors import TrainingError
from trueward.policies.control import ActorCritic
from trueward.policies.control.spaces import executed
from trueward.rewards.control.base import ControlReward
from trueward.tasks.control.stepping import Stepper

if TYPE_CHECKING:
    from gymnasium.vector import VectorEnv

_NAMES = ("proxy", "optimised", "environment", "length")
_MOST_STEPS = 100_000  # of one environment: an environment without an end never comes to it


def evaluate(
    policy: ActorCritic,
    env: VectorEnv[Any, Any, Any],
    reward: ControlReward,
    *,
    episodes: int,
    seed: int,
    gold: ControlReward | None = None,
    greedy: bool = False,
    features: Sequence[str] = (),
    most_steps: int = _MOST_STEPS,
) -> Mapping[str, Float[np.ndarray, " e"]]:
    """Whole episodes, as many in every environment: the first ones to end are not the first ones to be counted, which
    would favour short ones.

    Nothing that belongs to training is moved: rewards are copied, and their statistics stand still.

    Args:
        policy: acts.
        env: begins anew.
        reward: what is optimised.
        episodes: how many at least; rounded up to a multiple of the environments.
        seed: of environments and actions.
        gold: what is really wanted.
        greedy: the most probable action instead of a drawn one.
        features: entries of `info` that rewards read.
        most_steps: per environment.

    Returns:
        One entry per episode: `proxy` (raw), `optimised`, `environment`, `length`, `terminated` (0 or 1), and `gold`.

    Raises:
        TrainingError: the episodes did not end within `most_steps`.
    """
    stepper = Stepper(env, features)
    count = stepper.count
    reward, gold = copy.deepcopy(reward), copy.deepcopy(gold)
    stepper.reset(seed)
    for one in (reward, gold):
        if one is not None:
            one.begin(count)
    generator = np.random.default_rng((seed, 1))
    wanted = -(-episodes // count)
    sums = np.zeros((len(_NAMES) + (gold is not None), count))
    finished: list[list[np.ndarray]] = [[] for _ in range(count)]
    for _ in range(most_steps):
        action, _, _ = policy.act(stepper.observation, generator, greedy=greedy)
        step = stepper.step(executed(action, env.single_action_space))
        sums += _paid(step, reward, gold)
        ended = step.terminated | step.truncated
        if ended.any():
            for row in np.flatnonzero(ended):
                if len(finished[row]) < wanted:
                    finished[row].append(np.append(sums[:, row], float(step.terminated[row])))
            sums[:, ended] = 0.0
            if all(len(one) == wanted for one in finished):
                names = (*_NAMES, *(("gold",) if gold is not None else ()), "terminated")
                return dict(zip(names, np.array([e for one in finished for e in one]).T, strict=True))
    raise TrainingError(
        f"{sum(map(len, finished))} of {wanted * count} episodes ended within {most_steps} steps: give the environment "
        "a time limit, or ask for fewer episodes"
    )


def _paid(step: Transitions, reward: ControlReward, gold: ControlReward | None) -> Float[np.ndarray, "k n"]:
    """What one step adds to the sums of its episode."""
    scores = reward.score(step, training=False)
    there = np.ones(len(step)) if step.exists is None else step.exists.astype(np.float64)
    paid = [scores.raw, scores.value, step.reward * there, there]
    if gold is not None:
        paid.append(gold.score(step, training=False).value)
    return np.stack(paid)
