"""A vector environment of Stable-Baselines3 whose reward is a Trueward one, with a bonus if one is wanted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper, VecNormalize, unwrap_vec_wrapper

from trueward.adapters.gymnasium import RewardWrapper
from trueward.adapters.gymnasium.refusals import refuse_unreadable, refuse_wrapped
from trueward.adapters.gymnasium.told import EpisodeSums, told_each
from trueward.batch import Transitions
from trueward.errors import RewardError, TrainingError
from trueward.rewards.control.base import StepScores
from trueward.rewards.control.functions import as_control_reward
from trueward.rewards.intrinsic.bonus import Bonus
from trueward.rewards.intrinsic.novelty import Novelty
from trueward.tasks.control.stepping import TransitionReader

BONUS = "trueward/bonus"


class RewardVecEnv(VecEnvWrapper):
    """Pays by a Trueward reward; see `wrap`.

    SB3 resets an environment in the step that ends its episode. The reward sees the last observation of that episode
    all the same, and whether it terminated or was cut off.

    Attributes:
        reward: what the task pays.
        bonus: what novelty pays; None without one.
        training: False while evaluating: no statistics are updated and nothing is counted then.
        apart: True where the bonus is handed to a learner with a value head of its own, and not added to the reward.
    """

    def __init__(
        self, venv: VecEnv, reward: Any, bonus: Bonus | None, *, training: bool, features: Sequence[str] = ()
    ) -> None:
        """Wraps; `wrap` says what may be wrapped.

        Raises:
            RewardError: see `wrap`.
        """
        super().__init__(venv)
        refuse_unreadable(venv.observation_space, venv.action_space)
        refuse_wrapped(unwrap_vec_wrapper(venv, RewardVecEnv) is not None or _has_wrapped_environments(venv))
        _refuse_normalised(venv)
        self.reward = as_control_reward(reward).twin()
        self.bonus = bonus
        self.training = training
        self.apart = False
        self._bonuses: list[Float[np.ndarray, " n"]] = []
        self._reader = TransitionReader("SameStep", tuple(dict.fromkeys((*features, *self.reward.needs()))))
        self._sums = EpisodeSums(self.num_envs)
        self._actions: np.ndarray | None = None

    def reset(self) -> Any:
        """Resets all environments; their episodes begin."""
        observation = self.venv.reset()
        self._reader.begin(np.asarray(observation))
        self._sums = EpisodeSums(self.num_envs)
        self.reward.begin(self.num_envs)
        if self.bonus is not None:
            self.bonus.begin(self.num_envs)
        return observation

    def step_async(self, actions: np.ndarray) -> None:
        """Begins a step."""
        self._actions = np.array(actions)
        self.venv.step_async(actions)

    def step_wait(self) -> tuple[Any, Any, Any, list[dict[str, Any]]]:
        """Ends a step, and pays what the reward says.

        Raises:
            RewardError: the reward cannot be called, or is not one finite number per environment.
            TrainingError: there was no reset yet, `infos` have not what the reward reads, or not the last observation
                of an episode that ended.
        """
        observation, paid, dones, infos = self.venv.step_wait()
        transitions = self._read(np.asarray(observation), paid, dones, infos)
        scores = self.reward.score(transitions, training=self.training)
        bonus = None if self.bonus is None else self.bonus.score(transitions, training=self.training)
        if bonus is not None and self.apart:
            self._bonuses.append(bonus.value)
        elif bonus is not None:
            scores = StepScores(scores.value + bonus.value, scores.raw, {**scores.parts, **bonus.parts})
        told = told_each(infos, scores, transitions, self._sums.add(scores, transitions))
        if bonus is not None:
            for info, value in zip(told, bonus.value.tolist(), strict=True):
                info[BONUS] = value
        return observation, scores.value.astype(np.float32), dones, told

    def taken_bonuses(self) -> Float[np.ndarray, "t n"]:
        """Bonuses of the steps since the last call, where they are kept apart."""
        taken, self._bonuses = self._bonuses, []
        return np.array(taken)

    def _read(
        self,
        observation: np.ndarray,
        paid: Float[np.ndarray, " n"],
        dones: Bool[np.ndarray, " n"],
        infos: Sequence[Mapping[str, Any]],
    ) -> Transitions:
        cut = np.zeros(len(dones), dtype=bool)
        final = {}
        for row in np.flatnonzero(dones).tolist():
            cut[row] = bool(infos[row].get("TimeLimit.truncated", False))
            if "terminal_observation" not in infos[row]:
                raise TrainingError(
                    f"environment {row} was reset, and infos[{row}] has no 'terminal_observation': what its episode "
                    "ended in is lost. Every VecEnv of Stable-Baselines3 gives it; a custom one must as well"
                )
            final[row] = infos[row]["terminal_observation"]
        # The infos of SB3 are those of the step, also where it reset.
        features = {
            name: np.array([info[name] for info in infos])
            for name in self._reader.features
            if all(name in info for info in infos)
        }
        info = {**features, "final_obs": final, "final_info": features}
        return self._reader.read(self._actions, observation, paid, dones & ~cut, cut, info)


def _has_wrapped_environments(venv: VecEnv) -> bool:
    try:
        return any(venv.env_is_wrapped(RewardWrapper))
    except AttributeError:  # environments that are no Gymnasium ones, as those of EnvPool
        return False


def _refuse_normalised(venv: VecEnv) -> None:
    normaliser = unwrap_vec_wrapper(venv, VecNormalize)
    if isinstance(normaliser, VecNormalize) and (normaliser.norm_obs or normaliser.norm_reward):
        raise RewardError(
            "VecNormalize lies below the reward, which would then read observations in a scale that moves and call a "
            "rescaled reward raw. Put it outside: VecNormalize(wrap(venv, reward), norm_reward=False), and for rewards "
            "wrap(venv, ScaledByReturn(reward, discount))"
        )


def wrap(
    venv: VecEnv,
    reward: Any = None,
    bonus: Novelty | Bonus | None = None,
    *,
    bonus_weight: float = 1.0,
    training: bool = True,
    features: Sequence[str] = (),
) -> RewardVecEnv:
    """A vector environment of Stable-Baselines3, paid by a Trueward reward.

    `infos` say what the reward is before shaping, scaling and bonuses, and the sums of each episode that ended: see
    `trueward.adapters.gymnasium.told`. Bonuses stand under `trueward/bonus`.

    With an algorithm of SB3 reward and bonus are added up, so they share the one discount and the one value function
    that it has, and the bonus ends with the episode. That is an approximation of methods that keep them apart (RND and
    what followed it); `TwoHeadPPO` keeps them apart.

    The wrapper takes a twin of the reward, so that another wrapper of the same one, with `training=False`, evaluates
    with the statistics of this one and never touches them.

    Args:
        venv: any vector environment whose observations and actions are arrays. `VecMonitor` may lie on either side:
            below it reports what the environment pays, above what is optimised. `VecNormalize` belongs above.
        reward: a `ControlReward`, a function of transitions, or its address; None for the environment's own.
        bonus: a novelty, which learns every 128 steps, or, with `RewardCallback`, after every collection of an
            on-policy algorithm; or a `Bonus`, which has a weight, a normaliser and a pace of its own.
        bonus_weight: factor of a novelty.
        training: False for evaluation.
        features: entries of `info` that the reward may read, besides those that it names itself.

    Raises:
        RewardError: no such reward; observations that are no arrays; a second wrapper of this kind; VecNormalize below.

    Example:
        >>> from stable_baselines3 import PPO
        >>> from stable_baselines3.common.env_util import make_vec_env
        >>> from trueward.rewards.intrinsic import CountNovelty
        >>> venv = wrap(make_vec_env("CartPole-v1", n_envs=2), bonus=CountNovelty(), bonus_weight=0.1)
        >>> _ = PPO("MlpPolicy", venv, n_steps=8, batch_size=16).learn(16)
    """
    if isinstance(bonus, Bonus) and bonus_weight != 1.0:
        raise RewardError(f"a Bonus has its own weight, {bonus.weight:g}: leave bonus_weight out, or give the novelty")
    added = Bonus(bonus, bonus_weight) if isinstance(bonus, Novelty) else bonus
    if added is not None and not isinstance(added, Bonus):
        raise RewardError(f"the bonus is of type {type(bonus).__name__}; expected a Novelty or a Bonus")
    return RewardVecEnv(venv, reward, added, training=training, features=features)


def wrapper_of(env: Any) -> RewardVecEnv:
    """The reward wrapper among the wrappers of a vector environment.

    Raises:
        RewardError: there is none.
    """
    found = unwrap_vec_wrapper(env, RewardVecEnv)
    if not isinstance(found, RewardVecEnv):
        raise RewardError("the environment has no reward of Trueward: trueward.adapters.sb3.wrap(venv, reward)")
    return found
