"""Watching a process reward during training: whether it says of states what becomes of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float

from trueward.batch import Context, Rollouts, Scores
from trueward.credit.denoising import process_advantages
from trueward.errors import TrainingError
from trueward.rewards.models.images.process import LatentProcessReward
from trueward.training.flow.update import FlowHook


class ProcessWatch(FlowHook):
    """Logs how a process reward agrees with outcomes at each step, and how often it was asked and failed.

    At step t the agreement is the correlation of A^P_t with A^O over the batch, both compared within their groups: 1
    where the order of the states is that of the samples that become of them, 0 where it says nothing, which is what
    credit of a step is then worth. A process reward that is being exploited keeps rising while its agreement falls.

    Attributes:
        process: what is watched; its counts are saved with the run.
        every: updates between two looks.
    """

    def __init__(self, process: LatentProcessReward, every: int = 10) -> None:
        if every < 1:
            raise TrainingError(f"every={every!r}: at least one update lies between two looks")
        self.process, self.every = process, every

    def after_update(self, rollouts: Rollouts | None, scores: Scores | None, context: Context) -> Mapping[str, float]:
        """Counts after every update, agreement now and then."""
        told = {"process_calls": float(self.process.calls), "process_failures": float(self.process.failures)}
        if rollouts is None or scores is None or context.step % self.every:
            return told
        counts = self.process.state_dict()
        values = self.process.score(rollouts, context).total("token")
        self.process.load_state_dict(counts)  # looking is no use of it
        outcome = scores.total()
        group = np.zeros(len(outcome), int) if rollouts.group is None else np.asarray(rollouts.group)
        for step, agreement in enumerate(agreements(values, outcome, group)):
            told[f"process_agreement_{step}"] = float(agreement)
        return told

    def state_dict(self) -> Mapping[str, Any]:
        """The counts."""
        return self.process.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take them back."""
        self.process.load_state_dict(state)


def agreements(
    process: Float[np.ndarray, "n t"], outcome: Float[np.ndarray, " n"], group: np.ndarray
) -> Float[np.ndarray, " t"]:
    """Correlation of process and outcome advantages at each step; 0 where one of the two tells nobody apart."""
    known = ~np.isnan(process) & ~np.isnan(outcome)[:, None]
    steps = process_advantages(process, group, recorded=known, bound=None)
    whole = process_advantages(np.where(known, outcome[:, None], np.nan), group, bound=None)
    a, b = np.where(whole.informative, steps.values, 0.0), np.where(steps.informative, whole.values, 0.0)
    spread = np.sqrt((a * a).sum(axis=0) * (b * b).sum(axis=0))
    found: np.ndarray = np.divide((a * b).sum(axis=0), spread, out=np.zeros(process.shape[1]), where=spread > 0)
    return found
