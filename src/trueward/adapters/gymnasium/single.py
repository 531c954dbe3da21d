"""An environment whose reward is a Trueward one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gymnasium
import numpy as np
from gymnasium.utils import RecordConstructorArgs
from gymnasium.vector import VectorEnv

from trueward.adapters.gymnasium.refusals import refuse_unreadable, refuse_wrapped
from trueward.adapters.gymnasium.told import EpisodeSums, told_each
from trueward.adapters.gymnasium.vector import VectorRewardWrapper
from trueward.rewards.control.functions import as_control_reward
from trueward.tasks.control.stepping import TransitionReader


class RewardWrapper(gymnasium.Wrapper[Any, Any, Any, Any], RecordConstructorArgs):
    """Pays for the steps of an environment by another reward.

    Given a vector environment it is a `VectorRewardWrapper`: one call of the reward for all environments, which is both
    faster and, for rewards with statistics, what one wants.

    The reward sees every transition as it was: where an episode ended it is shown the last observation of that episode,
    terminated and truncated are told apart, and rows that were reset in place of a step earn 0 and enter no
    statistics. `info` says what the reward is before shaping and scaling, its parts, and the sums of each episode:
    see `told`.

    The wrapper takes a twin of the reward: statistics and networks are shared with it and with other wrappers of the
    same reward, episodes are its own. So one reward serves training and, with `training=False`, evaluation.

    Attributes:
        reward: the reward that pays.
        training: False while evaluating: nothing that keeps statistics updates them then.

    Example:
        >>> import gymnasium
        >>> env = RewardWrapper(gymnasium.make("CartPole-v1"), lambda next_observation: -abs(next_observation[..., 0]))
        >>> _ = env.reset(seed=0)
        >>> _, reward, _, _, info = env.step(0)
        >>> reward == info["trueward/raw"], info["trueward/environment"]
        (True, 1.0)
    """

    def __new__(cls, env: Any = None, *arguments: Any, **named: Any) -> Any:
        """A `VectorRewardWrapper` where the environment is a vector environment."""
        if isinstance(env, VectorEnv):
            return VectorRewardWrapper(env, *arguments, **named)
        return super().__new__(cls)

    def __init__(
        self, env: gymnasium.Env[Any, Any], reward: Any = None, *, training: bool = True, features: tuple[str, ...] = ()
    ) -> None:
        """Wraps an environment.

        Args:
            env: any environment, or vector environment, whose observations and actions are arrays.
            reward: a `ControlReward`, a function of transitions, or its address; None for the environment's own.
            training: False for evaluation.
            features: entries of `info` that the reward may read, besides those that it names itself.

        Raises:
            RewardError: no such reward; observations that are no arrays; a second wrapper of this kind.
            TrainingError: a vector environment does not say how it resets itself.
        """
        RecordConstructorArgs.__init__(
            self, reward=reward, training=training, features=features, _disable_deepcopy=True
        )
        gymnasium.Wrapper.__init__(self, env)
        refuse_unreadable(env.observation_space, env.action_space)
        refuse_wrapped(any(isinstance(inner, RewardWrapper) for inner in _layers(env)))
        self.reward = as_control_reward(reward).twin()
        self.training = training
        resets_itself = any(isinstance(inner, gymnasium.wrappers.Autoreset) for inner in _layers(env))
        names = tuple(dict.fromkeys((*features, *self.reward.needs())))
        self._reader = TransitionReader("NextStep" if resets_itself else "Disabled", names)
        self._sums = EpisodeSums(1)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Resets the environment; an episode begins."""
        observation, info = self.env.reset(seed=seed, options=options)
        self._reader.begin(np.asarray(observation)[None])
        self._sums = EpisodeSums(1)
        self.reward.begin(1)
        return observation, info

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Steps, and pays what the reward says.

        Raises:
            RewardError: the reward cannot be called, or is no finite number.
            TrainingError: the episode is over or has not begun, or `info` has not what the reward reads.
        """
        observation, reward, terminated, truncated, info = self.env.step(action)
        read = {name: np.asarray(info[name])[None] for name in self._reader.features if name in info}
        transitions = self._reader.read(
            np.asarray(action)[None],
            np.asarray(observation)[None],
            np.array([reward]),
            np.array([terminated]),
            np.array([truncated]),
            read,
        )
        scores = self.reward.score(transitions, training=self.training)
        (info,) = told_each([info], scores, transitions, self._sums.add(scores, transitions))
        return observation, float(scores.value[0]), terminated, truncated, info


def _layers(env: Any) -> Iterator[Any]:
    """An environment and all that it wraps."""
    while isinstance(env, gymnasium.Wrapper):
        yield env
        env = env.env
    yield env
