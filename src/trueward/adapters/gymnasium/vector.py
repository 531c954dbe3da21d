"""A vector environment whose reward is a Trueward one."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium.utils import RecordConstructorArgs
from gymnasium.vector import VectorEnv, VectorWrapper

from trueward.adapters.gymnasium.refusals import refuse_unreadable, refuse_wrapped
from trueward.adapters.gymnasium.told import EpisodeSums, told
from trueward.rewards.control.functions import as_control_reward
from trueward.tasks.control.stepping import TransitionReader, autoreset_of


class VectorRewardWrapper(VectorWrapper[Any, Any, Any, Any, Any], RecordConstructorArgs):
    """What `RewardWrapper` makes of a vector environment; see there.

    Environments that reset themselves in the step that ends an episode have the same entries in `final_info`, where
    they have one.
    """

    def __init__(
        self,
        env: VectorEnv[Any, Any, Any],
        reward: Any = None,
        *,
        training: bool = True,
        features: tuple[str, ...] = (),
    ) -> None:
        """Wraps; see `RewardWrapper`."""
        RecordConstructorArgs.__init__(
            self, reward=reward, training=training, features=features, _disable_deepcopy=True
        )
        VectorWrapper.__init__(self, env)
        refuse_unreadable(env.single_observation_space, env.single_action_space)
        refuse_wrapped(_is_wrapped(env))
        self.reward = as_control_reward(reward).twin()
        self.training = training
        self._reader = TransitionReader(autoreset_of(env), tuple(dict.fromkeys((*features, *self.reward.needs()))))
        self._sums = EpisodeSums(env.num_envs)

    def reset(self, *, seed: Any = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Resets all environments, or those of `options["reset_mask"]`; their episodes begin."""
        # Looked at before the environment, which takes it out of the options.
        mask = None if options is None else options.get("reset_mask")
        observation, info = self.env.reset(seed=seed, options=options)
        rows = np.ones(self.num_envs, dtype=bool) if mask is None else np.array(mask, dtype=bool)
        self._reader.begin(np.asarray(observation), None if rows.all() else rows)
        self._sums.restarted(rows)
        if rows.all():
            self.reward.begin(self.num_envs)
        else:
            self.reward.restarted(rows)
        return observation, info

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """Steps, and pays what the reward says.

        Raises:
            RewardError: the reward cannot be called, or is not one finite number per environment.
            TrainingError: there was no reset yet, or `info` has not what the reward reads.
        """
        observation, reward, terminated, truncated, info = self.env.step(actions)
        transitions = self._reader.read(actions, np.asarray(observation), reward, terminated, truncated, info)
        scores = self.reward.score(transitions, training=self.training)
        episodes = self._sums.add(scores, transitions)
        info = {**info, **told(scores, transitions, episodes)}
        if episodes is not None and "final_info" in info:
            info["final_info"] = {**info["final_info"], **told(scores, transitions, episodes)}
        # A copy: whoever writes into what was returned must not change what info says.
        return observation, scores.value.copy(), terminated, truncated, info


def _is_wrapped(env: Any) -> bool:
    while isinstance(env, VectorWrapper):
        if isinstance(env, VectorRewardWrapper):
            return True
        env = env.env
    return False
