"""A penalty for leaving the states of a reference policy, in PPO and A2C of Stable-Baselines3.

    penalty = OccupancyPenalty(DensityRatio((4,), env.action_space), coefficient=0.5, discount=0.99)
    model = PPO("MlpPolicy", venv, gamma=0.99)
    model.learn(1_000_000, callback=OccupancyCallback(penalty, Driven(reference_venv, reference)))

After every collection the classifier learns from the steps of both policies, the rewards in the buffer are lowered, and
advantages and returns are computed anew. Rewards in the buffer already hold what SB3 adds for time limits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from gymnasium import spaces
from jaxtyping import Shaped
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.vec_env import VecEnv

from trueward.errors import TrainingError
from trueward.training.control.occupancy_penalty import OccupancyPenalty, Visited
from trueward.training.density_ratio import Steps
from trueward.training.seeds import stream

Act = Callable[[Shaped[np.ndarray, "n *observation"]], Shaped[np.ndarray, "n *action"]]
"""Observations to actions; `lambda seen: model.predict(seen, deterministic=False)[0]` for a model of SB3."""


class Driven:
    """A reference policy in environments of its own.

    Args:
        venv: vector environment, of the same kind as that of training. Where that one is normalised, wrap this one with
            the same statistics (`sync_envs_normalization`), because the classifier compares what the policies see.
        act: the reference policy.
    """

    def __init__(self, venv: VecEnv, act: Act) -> None:
        self.venv, self.act = venv, act
        self._observation: Any = None

    def collect(self, count: int) -> Visited:
        """At least so many steps."""
        if self._observation is None:
            self._observation = self.venv.reset()
        observations, actions, rewards, ends = [], [], [], []
        for _ in range(-(-count // self.venv.num_envs)):
            action = self.act(self._observation)
            observations.append(np.array(self._observation, copy=True))
            self._observation, reward, dones, infos = self.venv.step(action)
            actions.append(np.asarray(action))
            rewards.append(np.asarray(reward, dtype=np.float64))
            ends.append(_terminated(dones, infos))
        return Visited(
            Steps(np.concatenate(observations), np.concatenate(actions)), np.concatenate(rewards), np.concatenate(ends)
        )


class OccupancyCallback(BaseCallback):
    """Charges what a policy of SB3 does where its reference does not.

    Under `trueward/occupancy/` in SB3's logger stands what `OccupancyPenalty.charge` tells.

    Args:
        penalty: what is charged.
        reference: drives environments of its own, as many steps per collection as the policy takes. None where the
            penalty has logged steps.
        verbose: as of SB3.

    Raises:
        TrainingError: there are neither logged steps nor a driven reference.
    """

    def __init__(self, penalty: OccupancyPenalty, reference: Driven | None = None, *, verbose: int = 0) -> None:
        super().__init__(verbose)
        if reference is None and penalty.logged is None:
            raise TrainingError(
                "an occupancy penalty needs steps of the reference policy: give Driven(venv, act), or a penalty with "
                "logged=Steps(observations, actions) and deviation=…"
            )
        self.penalty, self.reference = penalty, reference
        self._ended: list[np.ndarray] = []
        self._rounds = 0

    def _on_training_start(self) -> None:
        """Checks what is trained.

        Raises:
            TrainingError: the algorithm has no rollout buffer, observations are no arrays, or discounts differ.
        """
        model = self.model
        if not isinstance(model, OnPolicyAlgorithm) or isinstance(model.observation_space, spaces.Dict):
            raise TrainingError(
                f"{type(model).__name__} with observations {model.observation_space}: expected PPO or A2C with array "
                "observations, whose steps stand in a rollout buffer"
            )
        if abs(model.gamma - self.penalty.discount) > 1e-9:
            raise TrainingError(
                f"the model discounts by {model.gamma} and the occupancy penalty by {self.penalty.discount}: give both "
                "the same"
            )

    def _on_rollout_start(self) -> None:
        self._ended = []

    def _on_step(self) -> bool:
        self._ended.append(_terminated(self.locals["dones"], self.locals["infos"]))
        return True

    def _on_rollout_end(self) -> None:
        assert isinstance(self.model, OnPolicyAlgorithm)
        buffer = self.model.rollout_buffer
        policy = _visited(buffer, np.concatenate(self._ended))
        reference = self.reference.collect(len(policy.steps)) if self.reference else _nothing(policy)
        generator = stream(self.penalty.seed, "occupancy", self._rounds)
        self._rounds += 1
        charge, told = self.penalty.charge(policy, reference, generator)
        buffer.rewards += charge.reshape(buffer.rewards.shape).astype(buffer.rewards.dtype)
        buffer.compute_returns_and_advantage(last_values=self.locals["values"], dones=self.locals["dones"])
        for name, value in told.items():
            self.logger.record(f"trueward/occupancy/{name}", value)


def _visited(buffer: RolloutBuffer, ended: np.ndarray) -> Visited:
    """What stands in the buffer, in the order of its rewards."""
    count = buffer.buffer_size * buffer.n_envs
    observation = buffer.observations.reshape(count, *buffer.observations.shape[2:])
    action = buffer.actions.reshape(count, *buffer.actions.shape[2:])
    return Visited(Steps(observation, action), buffer.rewards.reshape(count).astype(np.float64), ended)


def _nothing(like: Visited) -> Visited:
    steps = Steps(like.steps.observation[:0], None if like.steps.action is None else like.steps.action[:0])
    return Visited(steps, like.reward[:0], like.ended[:0])


def _terminated(dones: Any, infos: Any) -> np.ndarray:
    """True where an episode ended and was not only cut off."""
    cut = np.array([bool(info.get("TimeLimit.truncated", False)) for info in infos])
    ended: np.ndarray = np.asarray(dones, dtype=bool) & ~cut
    return ended
