"""What the arms of a seed share on the bed of digits, and what is measured of a policy there.

Gold is read in `evaluate`, `measured` and `finish`, and what they return is only ever written down.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from trueward.evidence.recipe import Settings
from trueward.measures.images import (
    border_ink,
    corrected_score,
    diversity_ratio,
    five_point,
    high_frequency_ratio,
    nearest_distance,
    outside_mass,
)
from trueward.policies.flow.base import Velocity
from trueward.policies.flow.kernels import time_grid
from trueward.policies.flow.network import FlowMLP
from trueward.policies.flow.sampling import sample
from trueward.report.atomic import write_whole
from trueward.report.contact_sheet import contact_sheet, png_bytes
from trueward.rewards.models.images.classifier import ImageClassifier, Kind, Readability
from trueward.tasks.flow.digits import CLASSES, DigitSplits
from trueward.tasks.flow.judge import GoldJudge

if TYPE_CHECKING:
    from trueward.evidence.run import Run

SHAPE = (1, 8, 8)
"""Of one sample."""


@dataclass(frozen=True)
class DigitsBed:
    """What every arm of a seed has in common.

    Attributes:
        splits: the images.
        reference: the generator, EMA weights, frozen: where every policy starts and what it may be held to.
        classifier: the proxy, of the 200 images of `splits.proxy`, frozen.
        noise: where the samples that are measured start, [bed.samples · 10, 1, 8, 8].
        settings: of the bed.
        gold: never to be read by what is optimised.
    """

    splits: DigitSplits
    reference: FlowMLP
    classifier: ImageClassifier
    noise: Float[Tensor, "n 1 8 8"]
    settings: Settings
    gold: GoldJudge

    def policy(self) -> FlowMLP:
        """A fresh copy of the generator, to be trained."""
        return copy.deepcopy(self.reference).train().requires_grad_(True)

    def readability(self, kind: Kind = "prob", *, clamp: bool | None = None) -> Readability:
        """The proxy as a reward: see `Readability`."""
        return Readability(self.classifier, kind, clamp=clamp)

    def conditions(self, count: int) -> Int[Tensor, " n"]:
        """Classes 0 to 9, each so often, one after the other."""
        return torch.arange(CLASSES).repeat_interleave(count)

    def prompts(self, conditions: Int[Any, " n"]) -> list[str]:
        """What rewards read of them: "0" to "9"."""
        return [str(int(one)) for one in conditions]

    def samples(self, policy: Velocity) -> Float[np.ndarray, "n 1 8 8"]:
        """Raw samples of a policy by the ODE, from the same noise at every call, ordered by class."""
        labels = self.conditions(self.settings["bed.samples"])
        grid = time_grid(self.settings["bed.sampling_steps"])
        made: np.ndarray = sample(policy, labels, shape=SHAPE, times=grid, noise=self.noise).final.numpy()
        return made

    def evaluate(self, policy: Velocity, step: int | None = None) -> dict[str, float]:
        """`METRICS` of a policy.

        Args:
            policy: usually the average of the weights.
            step: where training stands; it changes nothing here, and lets this be an `evaluate` of `train_flow`.
        """
        return self.measured(self.samples(policy))

    def measured(self, raw: Float[np.ndarray, "n 1 8 8"]) -> dict[str, float]:
        """`METRICS` of raw samples that are ordered by class, equally many of each."""
        labels = self.conditions(len(raw) // CLASSES)
        shown, digits_of = np.clip(raw, -1.0, 1.0), labels.numpy()
        with torch.no_grad():
            proxy, margin = (
                float(self.readability(kind).value(torch.as_tensor(raw), labels).mean()) for kind in ("prob", "margin")
            )
        gold, real = self.gold.judge(shown, digits_of).means(), self.splits.heldout
        fine = high_frequency_ratio(shown, real.images)
        return {
            "proxy": proxy, "margin": margin, **gold,
            "corrected": float(corrected_score(proxy, judgements(gold["gold"], gold["realism"], fine))),
            "diversity": diversity_ratio(shown, digits_of, real.images, real.labels),
            "high_frequency": fine,
            "outside": float(outside_mass(raw).mean()),
            "border": float(border_ink((shown + 1) / 2).mean()),
            "copying": float(nearest_distance(shown, self.splits.generator.images).mean()),
        }  # fmt: skip

    def finish(self, run: Run, policy: Velocity) -> dict[str, float]:
        """`METRICS` of the policy at the end, and its samples as `samples.png`: a row per class."""
        raw = self.samples(policy)
        write_whole(run.directory / "samples.png", self.sheet(raw))
        return self.measured(raw)

    def sheet(self, raw: Float[np.ndarray, "n 1 8 8"]) -> bytes:
        """A PNG of the first samples of each class."""
        shown = min(self.settings["bed.shown"], len(raw) // CLASSES)
        chosen = raw.reshape(CLASSES, -1, *SHAPE)[:, :shown].reshape(-1, *SHAPE)
        images = (np.clip(chosen, -1.0, 1.0) + 1) / 2
        return png_bytes(contact_sheet(images, shown, scale=4, row_labels=[str(one) for one in range(CLASSES)]))


def judgements(gold: float, realism: float, high_frequency: float) -> Sequence[float]:
    """What corrects the proxy, on the scale from 1 to 5: the right digit, as real as real ones, as much fine structure.

    The mean of the three is û = 1 + 4 · mean(gold, min(1, realism / 0.5), exp(−|ln hf|)).
    """
    fine = math.exp(-abs(math.log(high_frequency))) if high_frequency > 0 else 0.0
    return [float(five_point(share)) for share in (gold, realism / 0.5, fine)]
