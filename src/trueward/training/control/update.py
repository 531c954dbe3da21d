"""One update of PPO: advantages of what was collected, then policy and values learn from them in minibatches."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from trueward.credit.environments import continuing, episodic
from trueward.objectives.aggregation import Loss, Metrics
from trueward.objectives.policy_gradient import clipped_surrogate
from trueward.objectives.value import clipped_value_loss
from trueward.policies.control import ActorCritic
from trueward.policies.control.actor_critic import as_tensor
from trueward.training.control.collected import Collected
from trueward.training.control.hooks import PolicyPenalty
from trueward.training.control.settings import ControlSettings


@dataclass(frozen=True)
class Batch:
    """Steps that are learnt from, in one row.

    Attributes:
        observation, action: of each step.
        logprobs: of the action when it was drawn.
        values: when it was drawn, one per head.
        advantages: of all streams of reward together.
        returns: what each head should have said.
    """

    observation: Shaped[Tensor, "b *observation"]
    action: Shaped[Tensor, "b *action"]
    logprobs: Float[Tensor, " b"]
    values: Float[Tensor, "b heads"]
    advantages: Float[Tensor, " b"]
    returns: Float[Tensor, "b heads"]

    def __len__(self) -> int:
        """Number of steps."""
        return len(self.advantages)

    def part(self, places: Tensor) -> Batch:
        """Some of the steps."""
        return Batch(*(getattr(self, name)[places] for name in self.__dataclass_fields__))


def batch_of(
    policy: ActorCritic, collected: Collected, bonus: Float[np.ndarray, "t n"] | None, settings: ControlSettings
) -> Batch:
    """The steps of the policy in training with their advantages.

        A = c_E A_E + c_I A_I

    The reward belongs to an episode and ends with it; the bonus goes on through the ends of episodes.

    Args:
        policy: values of observations after which an episode was cut off.
        collected: what happened.
        bonus: on the scale on which it is learnt; None without one.
        settings: discounts and weights.
    """
    values = collected.values.astype(np.float64)
    estimates = [
        episodic(
            collected.reward,
            values[..., 0],
            next_values(policy, collected),
            collected.terminated,
            collected.truncated,
            collected.exists,
            discount=settings.discount,
            trace=settings.trace,
        )
    ]
    weights = [settings.reward_weight]
    if bonus is not None:
        with torch.inference_mode():
            last = policy.values(as_tensor(collected.last_observation))[:, 1].numpy().astype(np.float64)
        estimates.append(
            continuing(
                bonus, values[..., 1], last, collected.exists, discount=settings.bonus_discount, trace=settings.trace
            )
        )
        weights.append(settings.bonus_weight)
    learns = collected.learns
    together = np.sum([weight * found.advantages for weight, found in zip(weights, estimates, strict=True)], axis=0)
    advantages = together[learns]
    if settings.advantage_scale == "batch" and len(advantages) > 1:
        advantages = (advantages - advantages.mean()) / (advantages.std() + 1e-8)
    returns = np.stack([found.returns[learns] for found in estimates], axis=-1)
    return Batch(
        observation=torch.from_numpy(collected.observation[learns]),
        action=torch.from_numpy(collected.action[learns]),
        logprobs=torch.from_numpy(collected.logprobs[learns]).float(),
        values=torch.from_numpy(collected.values[learns]),
        advantages=torch.from_numpy(advantages).float(),
        returns=torch.from_numpy(returns).float(),
    )


@torch.inference_mode()
def next_values(policy: ActorCritic, collected: Collected) -> Float[np.ndarray, "t n"]:
    """Value of the observation that each step led to, by the first head.

    Where the episode goes on that is the value before the next step, which is known; the policy is asked only where it
    was cut off, and at the end of what was collected.
    """
    values = collected.values[..., 0].astype(np.float64)
    after = np.concatenate([values[1:], np.zeros_like(values[:1])])
    asked = collected.truncated & ~collected.terminated
    asked[-1] |= ~collected.terminated[-1]
    after[asked] = policy.values(as_tensor(collected.next_observation[asked]))[:, 0].numpy()
    return after


def ppo_loss(
    policy: ActorCritic, batch: Batch, settings: ControlSettings, penalty: PolicyPenalty | None = None
) -> Loss:
    """Clipped surrogate − entropy bonus + loss of the values + penalty.

    Args:
        policy: in training.
        batch: steps with advantages.
        settings: coefficients.
        penalty: see `PolicyPenalty`.

    Returns:
        Loss, and metrics: those of `clipped_surrogate`, `policy_loss`, `value_loss` (sum over the heads),
        `explained_variance` (of the first head), `entropy`, `penalty`.

    Reference: Schulman et al. 2017 (PPO) Eq. 9; two heads: Burda et al. 2019, section 2.3.
    """
    distribution, values = policy(batch.observation)
    every = torch.ones(1, len(batch), dtype=torch.bool)
    advantages = batch.advantages
    if settings.advantage_scale == "minibatch" and len(batch) > 1:
        advantages = (advantages - advantages.mean()) / (advantages.std() + 1e-8)
    loss, metrics = clipped_surrogate(
        distribution.log_prob(batch.action)[None],
        batch.logprobs[None],
        advantages[None],
        every,
        low=settings.clip,
        high=settings.clip,
    )
    metrics["policy_loss"] = loss.detach()
    value_loss = loss.new_zeros(())
    for head in range(batch.returns.shape[1]):
        one, told = clipped_value_loss(
            values[None, :, head],
            batch.values[None, :, head],
            batch.returns[None, :, head],
            every,
            clip=settings.value_bound,
        )
        value_loss = value_loss + one
        metrics |= {"explained_variance" if head == 0 else "bonus_explained_variance": told["explained_variance"]}
    entropy = distribution.entropy().mean()
    metrics |= {"value_loss": value_loss.detach(), "entropy": entropy.detach()}
    loss = loss + settings.value_weight * value_loss - settings.entropy * entropy
    if penalty is not None:
        held = penalty(policy, batch.observation, distribution).mean()
        metrics["penalty"] = held.detach()
        loss = loss + held
    return loss, metrics


def update(
    policy: ActorCritic,
    optimizer: torch.optim.Optimizer,
    batch: Batch,
    settings: ControlSettings,
    generator: np.random.Generator,
    penalty: PolicyPenalty | None = None,
) -> dict[str, float]:
    """Learn from a batch.

    Args:
        policy: trained in place.
        optimizer: of its parameters.
        batch: steps with advantages.
        settings: everything else.
        generator: of the order of the steps.
        penalty: see `PolicyPenalty`.

    Returns:
        Metrics of `ppo_loss`, as means over the minibatches; `gradient_norm`; `optimizer_steps`; `skipped` (minibatches
        whose gradient was not finite and changed nothing).
    """
    seen: list[Metrics] = []
    norms: list[float] = []
    for places in _minibatches(len(batch), settings, generator):
        loss, metrics = ppo_loss(policy, batch.part(places), settings, penalty)
        seen.append(metrics)
        # Policy and minibatch differ by the steps before, not by this one: what is too far already is not followed.
        if settings.target_kl is not None and float(metrics["approx_kl"]) > 1.5 * settings.target_kl:
            break
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        norms.append(float(torch.nn.utils.clip_grad_norm_(policy.parameters(), settings.gradient_clip)))
        if np.isfinite(norms[-1]):
            optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    told = {name: float(torch.stack([one[name].float() for one in seen]).mean()) for name in (seen[0] if seen else ())}
    finite = [norm for norm in norms if np.isfinite(norm)]
    return {
        **told,
        "gradient_norm": float(np.mean(finite)) if finite else float("nan"),
        "optimizer_steps": float(len(finite)),
        "skipped": float(len(norms) - len(finite)),
    }


def _minibatches(count: int, settings: ControlSettings, generator: np.random.Generator) -> Iterator[Tensor]:
    for _ in range(settings.epochs if count else 0):
        order = torch.from_numpy(generator.permutation(count))
        yield from order.tensor_split(min(settings.minibatches, count))
