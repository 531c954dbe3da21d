"""What a run with a Trueward reward logs and checks."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm

from trueward.adapters.gymnasium.told import LENGTH, PARTS, RAW_RETURN, RETURN
from trueward.adapters.sb3.wrapper import BONUS, RewardVecEnv, wrapper_of
from trueward.rewards.shaping.discounts import check_discount


class RewardCallback(BaseCallback):
    """Logs raw beside optimised returns, trains the bonus after every collection, and checks the discount.

    Under `trueward/` in SB3's logger: `return` and `raw_return` of the episodes that ended since the last collection
    and their `length`, the mean of each part per step, and what the novelty says of its training. Where raw falls while
    return rises, the additions are being optimised and not the task.

    Algorithms that learn off their policy collect a few steps at a time; there the bonus keeps its own pace.
    """

    def __init__(self, *, may_discount_otherwise: bool = False, verbose: int = 0) -> None:
        """A callback for `learn(callback=…)`.

        Args:
            may_discount_otherwise: True to allow shaping with another discount than the model's.
            verbose: as of SB3.
        """
        super().__init__(verbose)
        self.may_discount_otherwise = may_discount_otherwise
        self._episodes: dict[str, list[float]] = {}
        self._sums: dict[str, float] = {}
        self._steps = 0

    def _on_training_start(self) -> None:
        """Looks for the reward, checks it, and takes the training of the bonus over.

        Raises:
            RewardError: there is no reward of Trueward, or its shaping has another discount than the model.
        """
        wrapper = wrapper_of(self.training_env)
        if not self.may_discount_otherwise:
            check_discount(wrapper.reward, float(getattr(self.model, "gamma", 1.0)))
        if wrapper.bonus is not None and isinstance(self.model, OnPolicyAlgorithm):
            wrapper.bonus.every = 0

    def _on_step(self) -> bool:
        for info in self.locals["infos"]:
            self._steps += 1
            for name, value in {**info[PARTS], **({BONUS: info[BONUS]} if BONUS in info else {})}.items():
                self._sums[name] = self._sums.get(name, 0.0) + value
            if RETURN in info:
                for name in (RETURN, RAW_RETURN, LENGTH):
                    self._episodes.setdefault(name, []).append(info[name])
        return True

    def _on_rollout_end(self) -> None:
        for name, values in self._episodes.items():
            self.logger.record(name, float(np.mean(values)))
        for name, total in self._sums.items():
            key = name if name == BONUS else f"{PARTS}/{name}"
            self.logger.record(key, total / self._steps)
        for name, value in self._learnt().items():
            self.logger.record(f"trueward/novelty/{name}", value)
        self._episodes, self._sums, self._steps = {}, {}, 0

    def _learnt(self) -> Mapping[str, float]:
        wrapper: RewardVecEnv = wrapper_of(self.training_env)
        if wrapper.bonus is None:
            return {}
        if wrapper.bonus.every == 0 and wrapper.training:
            wrapper.bonus.metrics = dict(wrapper.bonus.novelty.learn())
        return wrapper.bonus.metrics
