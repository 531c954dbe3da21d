"""A judge that is shown what the policy does now: every few updates some samples, labelled by a curator."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np
from jaxtyping import Float, Int

from trueward.batch import Context, Denoising, Rollouts, Scores
from trueward.errors import TrainingError
from trueward.rewards.images import images_of
from trueward.training.flow.update import FlowHook

Labels = Callable[[Float[np.ndarray, "n c h w"], np.random.Generator], Int[np.ndarray, " n"]]
"""From images in [0, 1] and a generator to labels, 1 for an artefact."""


class Refreshable(Protocol):
    """A judge that learns from more images; see `ArtefactJudge`."""

    def refresh(self, images: Float[np.ndarray, "n c h w"], labels: Int[np.ndarray, " n"]) -> Any:
        """Learn from these images too."""

    def clean(self, images: Float[np.ndarray, "n c h w"]) -> Float[np.ndarray, " n"]:
        """What it pays each image."""


class RefreshJudge(FlowHook):
    """Shows a judge samples of the policy as it is now.

    The judge is part of the reward, and its state is saved with the reward. What it learns counts from the next update
    on. Samples are taken from the rollouts of the update, so that they cost nothing.

    Attributes:
        judge: refreshed in place.
        labels: the curator.
        every: updates between two refreshes.
        samples: how many it is shown each time; all there are where there are not more.
    """

    def __init__(self, judge: Refreshable, labels: Labels, *, every: int = 20, samples: int = 60) -> None:
        """Raises `TrainingError` for counts below 1."""
        if every < 1 or samples < 1:
            raise TrainingError(f"every={every!r}, samples={samples!r}: must be at least 1")
        self.judge, self.labels, self.every, self.samples = judge, labels, every, samples

    def after_update(self, rollouts: Rollouts | None, scores: Scores | None, context: Context) -> Mapping[str, float]:
        """Refresh, where it is time to; returns the share of artefacts, and what the judge paid before and after.

        Raises:
            TrainingError: the update has no rollouts of images.
        """
        if rollouts is None or not isinstance(rollouts.content, Denoising):
            raise TrainingError("a judge is refreshed with samples of the policy; this update has none")
        if context.step % self.every:
            return {}
        generator = context.generator or np.random.default_rng(context.step)
        images = images_of(rollouts.content)
        shown = images[np.sort(generator.permutation(len(images))[: self.samples])]
        labels, before = self.labels(shown, generator), self.judge.clean(shown)
        self.judge.refresh(shown, labels)
        after = self.judge.clean(shown)
        return {"artefacts": float(labels.mean()), "paid_before": _mean(before), "paid_after": _mean(after)}


def _mean(values: Float[np.ndarray, " n"]) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")
