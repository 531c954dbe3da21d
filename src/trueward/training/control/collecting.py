"""A horizon of steps of N environments: act, step, score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Int, Shaped

from trueward.batch import Transitions
from trueward.errors import TrainingError
from trueward.policies.control import ActorCritic
from trueward.policies.control.actor_critic import as_tensor
from trueward.policies.control.spaces import executed
from trueward.rewards.control.base import ControlReward, StepScores
from trueward.rewards.intrinsic.novelty import Novelty
from trueward.tasks.control.stepping import Stepper
from trueward.training.control.collected import Collected, stacked
from trueward.training.control.hooks import ReferencePolicy

if TYPE_CHECKING:
    from gymnasium.vector import VectorEnv


class Collector:
    """Steps environments with a policy and scores what happens.

    Args:
        env: vector environment.
        reward: what is optimised.
        gold: what is really wanted: measured and passed on, read by nothing here.
        bonus: novelty of what was observed after each step; only steps of the policy in training are visits.
        drivers: policies that act in place of the policy in training, by the environments that they act in.
        features: entries of `info` that reward, gold or hooks read.
    """

    def __init__(
        self,
        env: VectorEnv[Any, Any, Any],
        reward: ControlReward,
        *,
        gold: ControlReward | None = None,
        bonus: Novelty | None = None,
        drivers: Mapping[range, ReferencePolicy] | None = None,
        features: Sequence[str] = (),
    ) -> None:
        self.stepper = Stepper(env, features)
        self.reward, self.gold, self.bonus = reward, gold, bonus
        self.drivers = list((drivers or {}).items())
        self.source = sources([rows for rows, _ in self.drivers], self.stepper.count)
        self.space = env.single_action_space

    def begin(self, seed: int) -> None:
        """New episodes everywhere."""
        self.stepper.reset(seed)
        for reward in (self.reward, self.gold):
            if reward is not None:
                reward.begin(self.stepper.count)

    def collect(self, policy: ActorCritic, horizon: int, generator: np.random.Generator) -> Collected:
        """Some steps of every environment.

        Args:
            policy: acts where no driver does.
            horizon: steps.
            generator: of the actions.
        """
        steps: list[Transitions] = []
        scores: list[StepScores] = []
        acted: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
        bonuses: list[np.ndarray] = []
        golds: list[np.ndarray] = []
        for _ in range(horizon):
            action, logprobs, values = self._act(policy, generator)
            step = self.stepper.step(executed(action, self.space))
            steps.append(step)
            acted.append((action, logprobs, values))
            scores.append(self.reward.score(step, training=True))
            if self.gold is not None:
                golds.append(self.gold.score(step, training=False).value)
            if self.bonus is not None:
                bonuses.append(self._visit(self.bonus, step))
        return stacked(steps, scores, acted, bonuses, golds, self.source, self.stepper.observation)

    def _act(self, policy: ActorCritic, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        observation = self.stepper.observation
        action, logprobs, values = policy.act(observation, generator)
        if self.drivers:
            action, logprobs = action.copy(), logprobs.copy()
            for rows, driver in self.drivers:
                places = slice(rows.start, rows.stop, rows.step)
                action[places], logprobs[places] = _driven(driver, observation[places], generator)
        return action, logprobs, values

    def _visit(self, novelty: Novelty, step: Transitions) -> np.ndarray:
        """What is new pays before it is known; a reset in place of a step is no visit."""
        observation = np.asarray(step.next_observation)
        there = self.source == 0 if step.exists is None else step.exists & (self.source == 0)
        if there.all():
            bonus = np.asarray(novelty.bonus(observation), dtype=np.float64)
            novelty.observe(observation)
            return bonus
        bonus = np.zeros(len(there))
        if there.any():
            bonus[there] = novelty.bonus(observation[there])
            novelty.observe(observation[there])
        return bonus


def sources(ranges: Sequence[range], count: int) -> Int[np.ndarray, " n"]:
    """Who acts in each environment: 0 for the policy in training, k for the k-th driver.

    Raises:
        TrainingError: an environment has two drivers or does not exist, or the policy in training has none.
    """
    source = np.zeros(count, dtype=np.int64)
    for number, rows in enumerate(ranges, start=1):
        for row in rows:
            if not 0 <= row < count:
                raise TrainingError(f"driver {number} acts in environment {row}; there are {count}, from 0")
            if source[row]:
                raise TrainingError(f"environment {row} has two drivers, {source[row]} and {number}")
            source[row] = number
    if source.all():
        raise TrainingError(f"drivers act in all {count} environments, which leaves none for the policy in training")
    return source


@torch.inference_mode()
def _driven(
    driver: ReferencePolicy, observation: Shaped[np.ndarray, "n *observation"], generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    distribution = driver(as_tensor(observation))
    action = distribution.sample(generator)
    return action.numpy(), distribution.log_prob(action).numpy()
