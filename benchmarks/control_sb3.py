"""One update of PPO by Trueward and by Stable-Baselines3, from the same weights and the same steps.

What `bench_control.py` and the tests check before anything else.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.env_util import make_vec_env

from trueward.policies.control import ActorCritic
from trueward.rewards.control import as_control_reward
from trueward.tasks.control.arrays import ArrayEnv
from trueward.training.control import Collected, ControlSettings
from trueward.training.control.collecting import Collector
from trueward.training.control.update import batch_of, next_values, update

COUNT, HORIZON = 8, 64


def sb3_with_weights_of(policy: ActorCritic, name: str, settings: ControlSettings) -> PPO:
    """A model of SB3 with the same network, to learn from one whole batch."""
    model = PPO(
        "MlpPolicy",
        make_vec_env(name, COUNT),
        learning_rate=settings.learning_rate,
        n_steps=HORIZON,
        batch_size=COUNT * HORIZON // settings.minibatches,
        n_epochs=settings.epochs,
        gamma=settings.discount,
        gae_lambda=settings.trace,
        clip_range=settings.clip,
        ent_coef=settings.entropy,
        vf_coef=settings.value_weight / 2,
        max_grad_norm=settings.gradient_clip,
        device="cpu",
    )
    with torch.no_grad():
        for ours, other in same_weights(policy, model):
            other.copy_(ours)
    return model


def same_weights(policy: ActorCritic, model: PPO) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Weights of ours, each with the one of SB3 that does the same."""
    theirs = model.policy
    layers = [
        (policy.actor[0], theirs.mlp_extractor.policy_net[0]),
        (policy.actor[2], theirs.mlp_extractor.policy_net[2]),
        (policy.actor[4], theirs.action_net),
        (policy.critic[0], theirs.mlp_extractor.value_net[0]),
        (policy.critic[2], theirs.mlp_extractor.value_net[2]),
        (policy.critic[4], theirs.value_net),
    ]
    pairs = [pair for ours, other in layers for pair in ((ours.weight, other.weight), (ours.bias, other.bias))]
    return pairs if policy.log_deviation is None else [*pairs, (policy.log_deviation, theirs.log_std)]


def filled(model: PPO, policy: ActorCritic, collected: Collected) -> None:
    """Put steps into SB3's buffer as its own collection does: a truncated step is paid γ V(final observation) more."""
    buffer = model.rollout_buffer
    buffer.reset()
    after = next_values(policy, collected)
    starts = np.ones(COUNT)
    for t in range(HORIZON):
        cut = collected.truncated[t] & ~collected.terminated[t]
        paid = collected.reward[t] + model.gamma * after[t] * cut
        buffer.add(
            collected.observation[t],
            collected.action[t],
            paid,
            starts,
            torch.from_numpy(collected.values[t, :, 0]),
            torch.from_numpy(collected.logprobs[t]),
        )
        starts = (collected.terminated[t] | collected.truncated[t]).astype(np.float64)
    last = policy.values(torch.from_numpy(collected.last_observation)).detach()[:, 0]
    buffer.compute_returns_and_advantage(last, starts)


def collected_by(policy: ActorCritic, env: ArrayEnv) -> Collected:
    """Steps of a policy, with ends of episodes among them."""
    collector = Collector(env, as_control_reward(None))
    collector.begin(0)
    collected = collector.collect(policy, HORIZON, np.random.default_rng(0))
    assert collected.terminated.any() or collected.truncated.any()
    return collected


def updated_by_both(
    env: ArrayEnv, name: str, settings: ControlSettings, ours: ControlSettings | None = None
) -> tuple[dict[str, float], dict[str, Any], float]:
    """Update both.

    Args:
        env: of ours.
        name: the same environment in Gymnasium.
        settings: of both.
        ours: what differs in ours.

    Returns:
        Metrics of ours, metrics of SB3, and the largest difference between weights afterwards.
    """
    mine = ours or settings
    policy = ActorCritic.for_spaces(env)
    collected = collected_by(policy, env)
    model = sb3_with_weights_of(policy, name, settings)
    filled(model, policy, collected)
    batch = batch_of(policy, collected, None, mine)
    optimizer = torch.optim.Adam(policy.parameters(), lr=mine.learning_rate, eps=1e-5, fused=True)
    told = update(policy, optimizer, batch, mine, np.random.default_rng(0))
    model._setup_learn(1)
    model.train()
    apart = max(float((a - b).detach().abs().max()) for a, b in same_weights(policy, model))
    return told, dict(model.logger.name_to_value), apart
