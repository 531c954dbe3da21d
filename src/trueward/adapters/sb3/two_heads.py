"""PPO of Stable-Baselines3 with a value head for the reward and one for the bonus, each with its own discount.

SB3 has one value per state. Here the critic has two outputs, the buffer keeps both, and the advantages are added:

    A = A_reward(γ, ends with the episode) + A_bonus(γ_bonus, goes on over its end)

Everything else is SB3's own loop. The value loss is the mean over both heads, so `vf_coef` counts half for each.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from stable_baselines3 import PPO
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.policies import ActorCriticCnnPolicy, ActorCriticPolicy
from stable_baselines3.common.type_aliases import RolloutBufferSamples
from stable_baselines3.common.vec_env import VecEnv
from torch import Tensor, nn

from trueward.adapters.sb3.wrapper import RewardVecEnv, wrapper_of
from trueward.credit.returns import gae
from trueward.errors import TrainingError
from trueward.rewards.shaping.discounts import check_discount

_HEADS = 2


class _TwoHeads(ActorCriticPolicy):
    """A critic with two outputs: column 0 for the reward, column 1 for the bonus."""

    def _build(self, lr_schedule: Any) -> None:
        super()._build(lr_schedule)
        both = nn.Linear(self.mlp_extractor.latent_dim_vf, _HEADS)
        if self.ortho_init:
            both.apply(self.init_weights)
        with torch.no_grad():
            # The head of the reward begins as SB3's only head would.
            both.weight[0], both.bias[0] = self.value_net.weight[0], self.value_net.bias[0]
        self.value_net = both
        rate = lr_schedule(1)
        self.optimizer = self.optimizer_class(self.parameters(), lr=rate, **self.optimizer_kwargs)  # type: ignore[call-arg]

    def predict_values(self, obs: Any) -> Float[Tensor, "n 1"]:
        """Values of the reward, which is what SB3 adds where an episode was cut off."""
        return super().predict_values(obs)[:, :1]

    def predict_bonus_values(self, obs: Any) -> Float[Tensor, " n"]:
        """Values of the bonus."""
        return super().predict_values(obs)[:, 1]


class TwoHeadPolicy(_TwoHeads):
    """SB3's "MlpPolicy" with two value heads."""


class TwoHeadCnnPolicy(_TwoHeads, ActorCriticCnnPolicy):
    """SB3's "CnnPolicy" with two value heads."""


class TwoHeadRolloutBuffer(RolloutBuffer):
    """SB3's buffer, which also keeps the second value of every step, and what it should have been."""

    bonus_values: np.ndarray
    bonus_returns: np.ndarray

    def reset(self) -> None:
        """Empties the buffer."""
        self.bonus_values = np.zeros((self.buffer_size, self.n_envs), dtype=np.float32)
        self.bonus_returns = np.zeros_like(self.bonus_values)
        super().reset()

    def add(self, obs: Any, action: Any, reward: Any, episode_start: Any, value: Tensor, log_prob: Tensor) -> None:
        """One step; `value` is [N, 2].

        Raises:
            TrainingError: the policy has not two value heads.
        """
        if value.shape != (self.n_envs, _HEADS):
            raise TrainingError(
                f"the policy gives values of shape {tuple(value.shape)} for {self.n_envs} environments; TwoHeadPPO "
                'needs a policy with two: "MlpPolicy", "CnnPolicy", or a subclass of TwoHeadPolicy'
            )
        self.bonus_values[self.pos] = value[:, 1].cpu().numpy()
        super().add(obs, action, reward, episode_start, value[:, :1], log_prob)

    def add_bonuses(self, bonuses: Float[np.ndarray, "t n"], last: Float[np.ndarray, " n"], discount: float) -> None:
        """Advantages of the bonus, added to those of the reward.

        Args:
            bonuses: of every step of the buffer.
            last: values of the bonus after the last step.
            discount: γ of the bonus.
        """
        found = gae(bonuses.T, self.bonus_values.T, discount=discount, trace=self.gae_lambda, bootstrap=last)
        self.advantages += found.advantages.T.astype(np.float32)
        self.bonus_returns = found.returns.T.astype(np.float32)

    def get(self, batch_size: int | None = None) -> Generator[RolloutBufferSamples, None, None]:
        """Minibatches whose values and returns have two entries per step, one after the other."""
        if not self.generator_ready:
            self.bonus_values = self.swap_and_flatten(self.bonus_values)
            self.bonus_returns = self.swap_and_flatten(self.bonus_returns)
        return super().get(batch_size)

    def _get_samples(self, batch_inds: np.ndarray, env: Any = None) -> RolloutBufferSamples:
        samples = super()._get_samples(batch_inds, env)
        # SB3 flattens what the policy says, [B, 2], so that entries of one step lie together.
        values = np.hstack([self.values[batch_inds], self.bonus_values[batch_inds]]).flatten()
        returns = np.hstack([self.returns[batch_inds], self.bonus_returns[batch_inds]]).flatten()
        return samples._replace(old_values=self.to_torch(values), returns=self.to_torch(returns))


class TwoHeadPPO(PPO):
    """PPO for an environment with a reward and a bonus, which are never added up as rewards.

        model = TwoHeadPPO("MlpPolicy", wrap(venv, reward, bonus=novelty, bonus_weight=0.5), gamma=0.999)

    The weight of the bonus is that of `wrap`. What is new does not begin anew with an episode, so the bonus goes on
    over its end and cannot be earned by ending it.

    Reference: Burda et al. 2018, "Exploration by random network distillation", sections 2.3 and 2.4.
    """

    policy_aliases = {"MlpPolicy": TwoHeadPolicy, "CnnPolicy": TwoHeadCnnPolicy}  # noqa: RUF012 (SB3's own form)

    def __init__(self, policy: Any, env: Any, *arguments: Any, bonus_gamma: float = 0.99, **named: Any) -> None:
        """As `PPO`, and:

        Args:
            policy, env, arguments, named: of PPO; the environment needs `wrap` with a bonus.
            bonus_gamma: discount of the bonus.

        Raises:
            TrainingError: the discount of the bonus lies outside [0, 1).
        """
        if not 0.0 <= bonus_gamma < 1.0:
            raise TrainingError(f"the bonus never ends and needs a discount in [0, 1); got bonus_gamma={bonus_gamma}")
        self.bonus_gamma = bonus_gamma
        super().__init__(policy, env, *arguments, **{"rollout_buffer_class": TwoHeadRolloutBuffer, **named})

    def learn(self, *arguments: Any, **named: Any) -> TwoHeadPPO:
        """As `PPO.learn`.

        Raises:
            TrainingError: the environment has no bonus.
            RewardError: it has no reward of Trueward, or its shaping has another discount.
        """
        wrapper = wrapper_of(self.env)
        if wrapper.bonus is None:
            raise TrainingError("TwoHeadPPO needs a bonus: wrap(venv, reward, bonus=novelty); without one use PPO")
        check_discount(wrapper.reward, self.gamma)
        wrapper.apart = True
        super().learn(*arguments, **named)
        return self

    def collect_rollouts(
        self, env: VecEnv, callback: BaseCallback, rollout_buffer: RolloutBuffer, n_rollout_steps: int
    ) -> bool:
        """As of PPO; then the advantages of the bonus."""
        wrapper: RewardVecEnv = wrapper_of(env)
        wrapper.taken_bonuses()
        if not super().collect_rollouts(env, callback, rollout_buffer, n_rollout_steps):
            return False
        assert isinstance(rollout_buffer, TwoHeadRolloutBuffer) and isinstance(self.policy, _TwoHeads)
        with torch.no_grad():
            last = self.policy.predict_bonus_values(self.policy.obs_to_tensor(self._last_obs)[0])  # type: ignore[arg-type]
        rollout_buffer.add_bonuses(wrapper.taken_bonuses(), last.cpu().numpy(), self.bonus_gamma)
        return True
