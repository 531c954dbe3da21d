"""PPO in the tomato world, held near a reference policy in one of several ways, and watched exactly."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from gymnasium.spaces import Discrete
from safetensors.torch import load_file, save_file

from trueward.audit.monitor.episodes import alarmed, probed
from trueward.batch import Context
from trueward.errors import EvidenceError
from trueward.evidence.language_bed import under
from trueward.measures.tabular import occupancy, policy_values
from trueward.policies.control import ActorCritic, Categorical
from trueward.policies.control.actor_critic import as_tensor
from trueward.policies.control.tabular import TabularPolicy
from trueward.recipes.beds.correlated_proxies import World, summary
from trueward.rewards.models.density_ratio import DensityRatio
from trueward.tasks.control.tabular.environment import TabularVectorEnv
from trueward.training.control import Collected, ControlHook, ControlSettings, PolicyPenalty, train_policy
from trueward.training.control.action_divergence import ActionDivergence, Divergence
from trueward.training.control.occupancy_penalty import LOSS_OF, OccupancyPenalty
from trueward.training.control.stopping import StopAtDivergence
from trueward.training.density_ratio import RatioSettings

if TYPE_CHECKING:
    from trueward.evidence.run import Run

_ACTION_PENALTIES: Mapping[str, Divergence] = {
    "action kl": "kl",
    "action chi2": "chi2",
    "action sqrt_chi2": "sqrt_chi2",
}


def trained(run: Run, world: World) -> dict[str, float]:
    """One run of PPO: what `correlated_proxies.METRICS` declares."""
    chosen = run.settings
    policy = cloned(run, world)
    reference = TabularPolicy(world.task.observations, world.reference)
    driven, count = chosen["environments.of_reference"], chosen["environments"]
    found = train_policy(
        lambda: TabularVectorEnv(world.task, count, reward=chosen["reward"]),
        policy=policy,
        settings=ControlSettings(seed=run.seed_for("training"), **under(chosen, "train")),
        directory=run.directory,
        gold=_true_reward(world),
        penalty=_action_penalty(chosen, world, reference),
        hooks=[*_hooks(run, world, policy, reference), Watch(policy, world)],
        drivers={range(count - driven, count): reference} if driven else None,
        features=("state",),
    )
    seen = [world.measured(world.nu), *_watched(found.metrics)]
    # Of an episode in which all tomatoes are watered all the time.
    high = float(world.true.max()) * min(world.task.horizon or 100, chosen["train.horizon"])
    notice = alarmed(probed(found.episodes, low=0.0, high=high))
    return summary(world, seen, alarmed=float(notice is not None))


@dataclass
class Watch(ControlHook):
    """Measures the policy in training exactly after every update. Nothing that trains reads it."""

    policy: ActorCritic
    world: World

    def after_update(self, collected: Collected, context: Context) -> Mapping[str, float]:
        """What `World.measured` says."""
        return {f"exact {name}": value for name, value in self.world.measured(self._occupancy()).items()}

    @torch.inference_mode()
    def _occupancy(self) -> np.ndarray:
        distribution = self.policy.distribution(as_tensor(self.world.task.observations))
        assert isinstance(distribution, Categorical)
        probabilities = distribution.log_probabilities.double().exp().numpy()
        return occupancy(self.world.task.mdp, probabilities / probabilities.sum(axis=1, keepdims=True))


def _watched(metrics: Sequence[Mapping[str, float]]) -> list[dict[str, float]]:
    prefix = "hook/exact "
    lines = [
        {name[len(prefix) :]: value for name, value in line.items() if name.startswith(prefix)} for line in metrics
    ]
    return [line for line in lines if line]


def cloned(run: Run, world: World) -> ActorCritic:
    """A network that acts like the reference and knows what it earns; built once for all arms of a seed."""
    chosen = run.settings
    width, seen = chosen["policy.width"], as_tensor(world.task.observations)
    actions = Discrete(world.task.mdp.actions)
    policy = ActorCritic(tuple(seen.shape[1:]), actions, (width, width), seed=run.seed_for("policy") % 2**32)

    def build(folder: Path) -> None:
        optimizer = torch.optim.Adam(policy.parameters(), lr=3e-3)
        wanted = torch.from_numpy(world.reference).float()
        worth = torch.from_numpy(policy_values(world.task.mdp, world.proxy, world.reference)).float()
        for _ in range(chosen["policy.steps"]):
            distribution, values = policy(seen)
            assert isinstance(distribution, Categorical)
            apart = -(wanted * distribution.log_probabilities).sum(dim=1).mean()
            loss = apart + (values[:, 0] - worth).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        save_file(policy.state_dict(), folder / "policy.safetensors")

    named = {**under(chosen, "world"), **under(chosen, "policy"), "discount": chosen["train.discount"]}
    policy.load_state_dict(load_file(run.shared("cloned", named, build) / "policy.safetensors"))
    return policy


def _true_reward(world: World) -> Callable[..., np.ndarray]:
    def true_reward(state: np.ndarray, action: np.ndarray) -> np.ndarray:
        paid: np.ndarray = world.true[state.astype(np.int64), action]
        return paid

    return true_reward


def _action_penalty(chosen: Mapping[str, Any], world: World, reference: TabularPolicy) -> PolicyPenalty | None:
    if chosen["penalty"] not in _ACTION_PENALTIES:
        return None
    weight = chosen["penalty.c"] * world.base.proxy_deviation
    return ActionDivergence(reference, weight, _ACTION_PENALTIES[chosen["penalty"]], chosen["train.discount"])


def _hooks(run: Run, world: World, policy: ActorCritic, reference: TabularPolicy) -> list[ControlHook]:
    chosen, kind = run.settings, run.settings["penalty"]
    hooks: list[ControlHook] = []
    if chosen["stop.divergence"] is not None:
        hooks.append(StopAtDivergence(policy, reference, chosen["stop.divergence"]))
    if kind in LOSS_OF:
        width = chosen["ratio.width"]
        ratio = DensityRatio(
            tuple(world.task.observations.shape[1:]),
            Discrete(world.task.mdp.actions) if chosen["penalty.over"] == "state_action" else None,
            (width, width),
            cap=None if kind == "wasserstein" else 8.0,
            seed=run.seed_for("ratio") % 2**32,
        )
        hooks.append(
            OccupancyPenalty(
                ratio,
                chosen["penalty.c"],
                kind,
                discount=chosen["train.discount"],
                trim=chosen["penalty.trim"],
                clip=chosen["penalty.clip"],
                settings=RatioSettings(LOSS_OF[kind], chosen["ratio.epochs"], chosen["ratio.batch"]),
                learning_rate=chosen["ratio.learning_rate"],
                fit_first=chosen["penalty.fit_first"],
                shuffled=chosen["penalty.shuffled"],
                seed=run.seed_for("penalty"),
            )
        )
    elif kind != "none" and kind not in _ACTION_PENALTIES:
        raise EvidenceError(f"penalty={kind!r}; expected none, {', '.join((*_ACTION_PENALTIES, *LOSS_OF))}")
    return hooks
