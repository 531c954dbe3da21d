"""A small classifier of images, and as a reward: how readable it finds an image as what it was made for.

Fitted to few images and optimised against, such a reward is met by images that only this classifier can read. The
probability is bounded and saturates; the margin of the logits is not, and goes on paying.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from trueward.batch import Context, Part, Rollouts, Scores
from trueward.errors import RewardError
from trueward.policies.flow.base import noised
from trueward.rewards.base import Reward
from trueward.rewards.images import content_of, finite
from trueward.rewards.runner import Runner
from trueward.status import Status

Kind = Literal["prob", "margin"]
Model = TypeVar("Model", bound=nn.Module)

_FREQUENCIES = 8


class ImageClassifier(nn.Module):
    """Multilayer perceptron on flattened images, two hidden layers, told the noise level if it is to read noised ones.

    Args:
        sample_shape: of one image.
        classes: number of outputs.
        width: of the hidden layers.
        time: True for one that reads x_t and t.
        seed: of the first weights.
    """

    def __init__(
        self, sample_shape: Sequence[int], classes: int, width: int = 128, *, time: bool = False, seed: int = 0
    ) -> None:
        super().__init__()
        self.sample_shape, self.classes, self.time = tuple(sample_shape), classes, time
        entries = math.prod(self.sample_shape) + (2 * _FREQUENCIES if time else 0)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.layers = nn.Sequential(
                nn.Linear(entries, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU(), nn.Linear(width, classes)
            )

    def forward(self, images: Float[Tensor, "n *sample"], t: Float[Tensor, " n"] | None = None) -> Float[Tensor, "n c"]:
        """Logits.

        Raises:
            ValueError: it reads noised images and is not told how noisy they are, or the other way round.
        """
        if self.time != (t is not None):
            raise ValueError(
                "this classifier reads noised images: give t" if self.time else "this classifier takes no noise level"
            )
        entries = images.flatten(1)
        if t is not None:
            angles = math.pi * t.float()[:, None] * torch.arange(1, _FREQUENCIES + 1, device=t.device)
            entries = torch.cat([entries, angles.sin(), angles.cos()], dim=1)
        logits: Tensor = self.layers(entries)
        return logits


@dataclass(frozen=True)
class ClassifierSettings:
    """How a classifier is fitted.

    Attributes:
        steps, batch, learning_rate, weight_decay: of AdamW, with a cosine.
    """

    steps: int = 300
    batch: int = 64
    learning_rate: float = 2e-3
    weight_decay: float = 1e-3


def fit_classifier(
    model: Model,
    images: Float[Any, "n *sample"],
    labels: Int[Any, " n"],
    *,
    settings: ClassifierSettings | None = None,
    seed: int = 0,
    times: Callable[[int, torch.Generator], Float[Tensor, " n"]] | None = None,
) -> Model:
    """Fit by cross-entropy, in place; afterwards it is in evaluation mode and its weights take no gradient.

    A model that is told the noise level learns the label of the clean image at every level:
    x_t = (1 − t) x₀ + t ε.

    Args:
        model: images [n, *sample] → logits; starts from its weights. Where it has an attribute `time` that is true, it
            is told t too.
        images, labels: what it learns from.
        settings: of the optimiser.
        seed: of batches, noise and noise levels.
        times: draws noise levels, out of how many and a generator; uniform by default.
    """
    chosen, generator = settings or ClassifierSettings(), torch.Generator().manual_seed(seed)
    x0, wanted = torch.as_tensor(images, dtype=torch.float32), torch.as_tensor(labels).long()
    timed = getattr(model, "time", False)
    model.train().requires_grad_(True)
    optimizer = torch.optim.AdamW(model.parameters(), chosen.learning_rate, weight_decay=chosen.weight_decay)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, max(chosen.steps, 1))
    for _ in range(chosen.steps):
        rows = torch.randint(len(wanted), (chosen.batch,), generator=generator)
        if timed:
            t = torch.rand(chosen.batch, generator=generator) if times is None else times(chosen.batch, generator)
            logits = model(noised(x0[rows], torch.randn(x0[rows].shape, generator=generator), t), t)
        else:
            logits = model(x0[rows])
        loss = nn.functional.cross_entropy(logits, wanted[rows])
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
    return model.eval().requires_grad_(False)


def class_of(prompt: Any, classes: int) -> int:
    """The class that a prompt asks for: "7" is class 7.

    Raises:
        RewardError: it is no number of a class.
    """
    text = str(prompt).strip()
    if not text.isdecimal() or int(text) >= classes:
        raise RewardError(f"prompt {prompt!r} names no class; expected a number from 0 to {classes - 1}")
    return int(text)


class Readability(Reward):
    """How readable a classifier finds images as what their prompts ask for.

    prob:   p(c | x), in [0, 1]
    margin: z_c − max over the other classes of z, without bounds

    Attributes:
        classifier: (images [N, *S]) → logits [N, classes], in evaluation mode. Prompts are numbers of classes.
        kind: which of the two.
        clamp: True to look at images as they are shown, inside of [−1, 1]; False to read raw samples, whose margin
            has no bound. By default probabilities are of what is shown and margins are not.
    """

    def __init__(
        self, classifier: nn.Module, kind: Kind = "prob", *, clamp: bool | None = None, name: str = "readability"
    ) -> None:
        if kind not in ("prob", "margin") or not name:
            raise RewardError(f"readability of kind {kind!r} named {name!r}: expected prob or margin, and a name")
        self.classifier, self.kind, self._name = classifier, kind, name
        self.clamp = kind == "prob" if clamp is None else clamp

    @property
    def name(self) -> str:
        """Name of its part."""
        return self._name

    def use(self, runner: Runner) -> bool:
        """It has no address: it stays in this process."""
        return False

    def value(self, images: Float[Tensor, "n *sample"], labels: Int[Tensor, " n"]) -> Float[Tensor, " n"]:
        """The reward of each image, differentiable in the images."""
        logits: Tensor = self.classifier(images.clamp(-1.0, 1.0) if self.clamp else images)
        if self.kind == "prob":
            return logits.softmax(dim=1).gather(1, labels[:, None])[:, 0]
        own = logits.gather(1, labels[:, None])[:, 0]
        others = logits.scatter(1, labels[:, None], -torch.inf)
        return own - others.amax(dim=1)

    def score(self, rollouts: Rollouts, context: Context) -> Scores:
        """One part with one value per image; an image that is not finite has none.

        Raises:
            RewardError: the rollouts hold no images, or a prompt is no number of a class.
        """
        content = content_of(rollouts, self.name)
        images = torch.as_tensor(content.final, dtype=torch.float32)
        with torch.no_grad():
            classes = self.classifier(images[:1]).shape[1] if len(images) else 0
            labels = torch.tensor([class_of(prompt, classes) for prompt in content.prompts], device=images.device)
            values = self.value(images, labels.long()).double().cpu().numpy() if len(images) else np.empty(0)
        sound = finite(content) & np.isfinite(values)
        status = [Status.OK if one else Status.NOT_FINITE for one in sound]
        low, high = (0.0, 1.0) if self.kind == "prob" else (None, None)
        return Scores({self.name: Part(np.where(sound, values, np.nan), status, low=low, high=high)})
