"""Policies that a short run of PPO finds for the reward, and for gold: what optimisation does with both."""

from __future__ import annotations

import contextlib
import copy
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from trueward.audit.control.environments import Environments
from trueward.errors import MissingExtra
from trueward.rewards.control.base import ControlReward

if TYPE_CHECKING:
    from trueward.policies.control import ActorCritic

ON_REWARD = "trained on the reward"
ON_GOLD = "trained on gold"

_COUNT = 16
_HORIZON = 128


@dataclass
class LearnedPolicy:
    """A network that acts.

    Attributes:
        title, family: for a reader.
        network: the policy.
        space: of actions.
        greedy: the most probable action instead of a drawn one.
    """

    title: str
    family: str
    network: ActorCritic
    space: Any
    greedy: bool
    _generator: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0), repr=False)

    def begin(self, count: int, seed: int) -> None:
        """Draws from `seed` on."""
        self._generator = np.random.default_rng(seed)

    def act(self, observation: np.ndarray, step: int) -> np.ndarray:
        """Actions as the environment takes them."""
        from trueward.policies.control.spaces import executed

        action, _, _ = self.network.act(observation, self._generator, greedy=self.greedy)
        return np.asarray(executed(action, self.space))


@dataclass(frozen=True)
class Run:
    """A training run.

    Attributes:
        family: what it was trained on.
        seed: of the run.
        sampled, greedy: its policy, with drawn and with the most probable actions.
        curve: what it earned on the way.
    """

    family: str
    seed: int
    sampled: LearnedPolicy
    greedy: LearnedPolicy
    curve: TrainingCurve


@dataclass(frozen=True)
class TrainingCurve:
    """What the episodes earned that ended in each update; None where none did.

    Attributes:
        steps: of the environment so far.
        reward, gold: mean plain returns.
    """

    steps: list[int]
    reward: list[float | None]
    gold: list[float | None]


def runs(
    environments: Environments,
    reward: ControlReward,
    gold: ControlReward | None,
    *,
    steps: int,
    seeds: int,
    discount: float,
) -> Iterator[Run]:
    """For each seed one run on the reward, and one on gold with the same first weights.

    Args:
        environments: where.
        reward: what is audited.
        gold: what is really wanted; None for runs on the reward only.
        steps: environment steps of each run.
        seeds: how many runs on each.
        discount: γ.

    Raises:
        MissingExtra: torch is not installed.
    """
    for seed in range(seeds):
        yield _run(environments, reward, gold, ON_REWARD, seed, steps, discount)
        if gold is not None:
            yield _run(environments, gold, reward, ON_GOLD, seed, steps, discount)


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Torch with one thread, where it is installed: networks this small are slower with more."""
    try:
        import torch
    except ImportError:
        yield
        return
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _run(
    environments: Environments,
    optimised: ControlReward,
    measured: ControlReward | None,
    family: str,
    seed: int,
    steps: int,
    discount: float,
) -> Run:
    try:
        from trueward.policies.control import ActorCritic
        from trueward.training.control import ControlSettings, train_policy
    except ImportError as error:
        raise MissingExtra(
            "the audit trains policies, which needs torch: pip install 'trueward[control]', or --steps 0 to train none"
        ) from error
    settings = ControlSettings(
        steps=-(-steps // (_COUNT * _HORIZON)),
        horizon=_HORIZON,
        epochs=8,
        learning_rate=1e-3,
        entropy=0.01,
        anneal=True,
        discount=discount,
        seed=seed,
        evaluation_episodes=0,
    )
    # Copies: what keeps running statistics must score every policy of the audit alike.
    optimised, measured = copy.deepcopy(optimised), copy.deepcopy(measured)
    features = sorted({*optimised.needs(), *(measured.needs() if measured else ())})
    with contextlib.closing(environments.make(_COUNT)) as env:
        network = ActorCritic.for_spaces(env, scale_observations=_is_box(environments), seed=seed)
        trained = train_policy(env, optimised, policy=network, settings=settings, gold=measured, features=features)
    title = f"{family}, seed {seed}"
    sampled = LearnedPolicy(title, family, network, environments.actions, greedy=False)
    greedy = LearnedPolicy(f"{title}, most probable actions", family, network, environments.actions, greedy=True)
    return Run(family, seed, sampled, greedy, _curve(trained.metrics, family))


def _is_box(environments: Environments) -> bool:
    from gymnasium.spaces import Box

    return isinstance(environments.observations, Box)


def _curve(metrics: list[dict[str, float]], family: str) -> TrainingCurve:
    lines = [line for line in metrics if line["step"] > 0]
    optimised = [_known(line.get("train/optimised")) for line in lines]
    measured = [_known(line.get("train/gold")) for line in lines]
    steps = [int(line["step"]) * _COUNT * _HORIZON for line in lines]
    if family == ON_REWARD:
        return TrainingCurve(steps, optimised, measured)
    return TrainingCurve(steps, measured, optimised)


def _known(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)
