"""A judge of artefacts that goes along with the rewards of a generator, and learns from what the generator does.

Rewards of preference, consistency and detection share a blind spot: distorted, doubled, broken objects cost nothing.
So a small judge of nothing else is added to them,

    R = Σ_i r_i + w · (1 − p_artefact)

It is fitted to few labelled images in one of two ways: a frozen judge whose instruction is searched (`Prompted`), or a
classifier (`Classified`). A judge that stands still is a proxy like any other and gets hacked; `refresh` shows it
labelled samples of the policy as it is now. Free of artefacts is neither on topic nor diverse: never use it alone.

Reference: Hong et al. 2026, arXiv 2601.03468. The refreshing is our reading of "adaptive" there.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import torch
from jaxtyping import Float, Int
from safetensors.torch import load, save
from torch import nn

from trueward.batch import Context, Part, Rollouts, Scores
from trueward.errors import RewardError, Unavailable
from trueward.rewards.base import Reward
from trueward.rewards.images import content_of, finite, images_of, pil_images
from trueward.rewards.models.images.classifier import ClassifierSettings, ImageClassifier, fit_classifier
from trueward.rewards.models.prompt_search import Critic, Judge, SearchResult, SearchSettings, prompt_search
from trueward.rewards.runner import Runner
from trueward.status import Status

FIRST_INSTRUCTION = "Are there artefacts in the image that look unrealistic? Answer with one word: YES or NO."


class ArtefactScorer(Protocol):
    """What tells images with artefacts from clean ones."""

    def fit(self, images: Float[np.ndarray, "n c h w"], labels: Int[np.ndarray, " n"]) -> None:
        """Learn from images in [0, 1]; label 1 is an artefact. What was learnt before may be a start, no more."""

    def probability(self, images: Float[np.ndarray, "n c h w"]) -> Float[np.ndarray, " n"]:
        """Probability of an artefact in each image; NaN where it cannot be told.

        Raises:
            Unavailable: it cannot be asked at all.
        """

    def state_dict(self) -> Mapping[str, Any]:
        """What was learnt, as JSON values."""

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take that back."""


class ArtefactJudge(Reward):
    """1 − p_artefact as a reward of images, with everything that it was ever shown.

    An image about which the judge gives no answer has no score, leaves the statistics of its group, and is counted.

    Attributes:
        scorer: how it judges.
        images: what it was shown, as arrays in [0, 1]; None before `fit`.
        labels: of them; 1 is an artefact.
        asked, abstained: images that it was asked about, and those of them without an answer.
    """

    def __init__(self, scorer: ArtefactScorer, *, name: str = "artefact") -> None:
        self.scorer, self._name = scorer, name
        self.images: Float[np.ndarray, "n c h w"] | None = None
        self.labels: Int[np.ndarray, " n"] = np.zeros(0, dtype=int)
        self.asked = self.abstained = self._given = 0

    @property
    def name(self) -> str:
        """Name of its part."""
        return self._name

    def use(self, runner: Runner) -> bool:
        """It has no address: it stays in this process."""
        return False

    def fit(self, images: Float[np.ndarray, "n c h w"], labels: Int[np.ndarray, " n"]) -> ArtefactJudge:
        """Learn from these images alone.

        Args:
            images: in [0, 1].
            labels: 1 where there is an artefact, 0 where there is none.

        Returns:
            This judge.

        Raises:
            RewardError: no images, labels of another number or kind, or labels of one kind alone.
        """
        self.images, self.labels = _checked(images, labels)
        self._given = len(self.labels)
        self.scorer.fit(self.images, self.labels)
        return self

    def refresh(self, images: Float[np.ndarray, "n c h w"], labels: Int[np.ndarray, " n"]) -> ArtefactJudge:
        """Learn from these images too: samples of the policy as it is now.

        Raises:
            RewardError: as in `fit`, or images of another shape than before.
        """
        if self.images is None:
            return self.fit(images, labels)
        images = np.asarray(images, dtype=np.float32)
        if images.shape[1:] != self.images.shape[1:]:
            raise RewardError(
                f"{self.name}: new images have shape {images.shape[1:]}, earlier ones {self.images.shape[1:]}; bring "
                "them to one size"
            )
        together = np.concatenate([self.images, images]), np.concatenate([self.labels, np.asarray(labels)])
        self.images, self.labels = _checked(*together)
        self.scorer.fit(self.images, self.labels)
        return self

    def clean(self, images: Float[np.ndarray, "n c h w"]) -> Float[np.ndarray, " n"]:
        """1 − p_artefact of images in [0, 1]; NaN where it cannot be told. Counts nothing."""
        return 1.0 - self.scorer.probability(np.asarray(images, dtype=np.float32))

    def score(self, rollouts: Rollouts, context: Context) -> Scores:
        """One part with one value in [0, 1] per image.

        Raises:
            RewardError: the rollouts hold no images, or the judge was never fitted.
        """
        content = content_of(rollouts, self.name)
        images = images_of(content)
        sound = finite(content)
        try:
            values, why = self.clean(np.where(sound[:, None, None, None], images, 0.0)), Status.ABSTAINED
        except Unavailable:
            values, why = np.full(len(images), np.nan), Status.UNAVAILABLE
        values = np.where(sound, values, np.nan)
        known = np.isfinite(values)
        self.asked += len(images)
        self.abstained += int((sound & ~known).sum()) if why is Status.ABSTAINED else 0
        status = [
            Status.OK if one else why if fine else Status.NOT_FINITE for one, fine in zip(known, sound, strict=True)
        ]
        return Scores({self.name: Part(values, status, low=0.0, high=1.0)})

    def state_dict(self) -> dict[str, Any]:
        """What it learnt, what it was shown since `fit`, and its counts.

        What `fit` was given is not in it: a judge that goes on is fitted to the same images first, and they may be
        many.
        """
        state: dict[str, Any] = {"asked": self.asked, "abstained": self.abstained, "given": self._given}
        if self.images is not None:
            pixels = np.rint(self.images[self._given :] * 255).astype(np.uint8)
            shown = {"pixels": torch.from_numpy(pixels), "labels": torch.from_numpy(self.labels[self._given :])}
            state |= {"shown": _packed(shown), "scorer": dict(self.scorer.state_dict())}
        return state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take that back.

        Raises:
            RewardError: it was fitted to another number of images before than the judge whose state this is.
        """
        if int(state["given"]) != self._given:
            raise RewardError(
                f"{self.name}: the saved state is that of a judge that was fitted to {state['given']} images at first; "
                f"this one was to {self._given}. Fit it to the same images, then go on"
            )
        self.asked, self.abstained = int(state["asked"]), int(state["abstained"])
        if self.images is not None:
            shown = _unpacked(state["shown"])
            images = shown["pixels"].numpy().astype(np.float32) / 255
            self.images = np.concatenate([self.images[: self._given], images])
            self.labels = np.concatenate([self.labels[: self._given], shown["labels"].numpy()])
            self.scorer.load_state_dict(state["scorer"])


class ArtefactNetwork(nn.Sequential):
    """Two convolutions and a hidden layer: artefacts are local, wherever in the image they are.

    Args:
        shape: of an image, [channels, height, width].
        width: channels of the first convolution.
        seed: of the first weights.
    """

    def __init__(self, shape: Sequence[int], width: int = 8, *, seed: int = 0) -> None:
        channels, height, across = shape
        halves = -(-height // 2) * -(-across // 2)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            super().__init__(
                nn.Conv2d(channels, width, 3, padding=1), nn.SiLU(),
                nn.Conv2d(width, 2 * width, 3, stride=2, padding=1), nn.SiLU(), nn.Flatten(),
                nn.Linear(2 * width * halves, 8 * width), nn.SiLU(), nn.Linear(8 * width, 2),
            )  # fmt: skip


@dataclass
class Classified:
    """A classifier, fitted anew from its first weights to all that it is shown.

    Attributes:
        features: from images in [0, 1] to vectors [N, D] that a small network can tell apart; None for the pixels,
            which is right for images of a few hundred pixels and hopeless for others.
        width: of the network: channels of its first convolution, or a sixteenth of its layers on features.
        settings: of its optimiser.
        seed: of weights and batches.
    """

    features: Callable[[Float[np.ndarray, "n c h w"]], Any] | None = None
    width: int = 8
    settings: ClassifierSettings = field(default_factory=lambda: ClassifierSettings(steps=200))
    seed: int = 0
    _shape: tuple[int, ...] = field(default=(), init=False, repr=False)
    _network: nn.Module | None = field(default=None, init=False, repr=False)

    def fit(self, images: Float[np.ndarray, "n c h w"], labels: Int[np.ndarray, " n"]) -> None:
        """By cross-entropy."""
        seen = self._seen(images)
        self._shape = tuple(seen.shape[1:])
        self._network = fit_classifier(self._first(), seen, labels, settings=self.settings, seed=self.seed)

    def _first(self) -> nn.Module:
        if self.features is None:
            return ArtefactNetwork(self._shape, self.width, seed=self.seed)
        return ImageClassifier(self._shape, 2, 16 * self.width, seed=self.seed)

    def probability(self, images: Float[np.ndarray, "n c h w"]) -> Float[np.ndarray, " n"]:
        """p of class 1.

        Raises:
            RewardError: it was never fitted.
        """
        if self._network is None:
            raise RewardError("the judge of artefacts was never fitted: call fit(images, labels) first")
        with torch.no_grad():
            logits: torch.Tensor = self._network(self._seen(images))
        found: np.ndarray = logits.double().softmax(dim=1)[:, 1].cpu().numpy()
        return found

    def _seen(self, images: Float[np.ndarray, "n c h w"]) -> torch.Tensor:
        seen = 2 * images - 1 if self.features is None else self.features(images)
        return torch.as_tensor(seen, dtype=torch.float32)

    def state_dict(self) -> dict[str, Any]:
        """The weights."""
        if self._network is None:
            return {}
        return {"shape": list(self._shape), "weights": _packed(self._network.state_dict())}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take them back."""
        if state:
            self._shape = tuple(state["shape"])
            network = self._first()
            network.load_state_dict(_unpacked(state["weights"]))
            self._network = network.eval().requires_grad_(False)


@dataclass
class Prompted:
    """A frozen judge under an instruction, which is searched for whenever there is something new.

    Attributes:
        judge: from an instruction and Pillow images to the probability of "yes, there is an artefact".
        critic: writes instructions.
        instruction: the one in use; each search begins at it.
        settings: of the search.
        result: of the last search; None before the first.
    """

    judge: Judge
    critic: Critic
    instruction: str = FIRST_INSTRUCTION
    settings: SearchSettings = field(default_factory=SearchSettings)
    result: SearchResult | None = field(default=None, init=False)

    def fit(self, images: Float[np.ndarray, "n c h w"], labels: Int[np.ndarray, " n"]) -> None:
        """Search, and use the best instruction."""
        self.result = prompt_search(
            self.judge, self.critic, pil_images(images), labels, self.instruction, settings=self.settings
        )
        self.instruction = self.result.best.instruction

    def probability(self, images: Float[np.ndarray, "n c h w"]) -> Float[np.ndarray, " n"]:
        """p of "yes" under the instruction in use."""
        return np.asarray(self.judge(self.instruction, pil_images(images)), dtype=np.float64)

    def state_dict(self) -> dict[str, Any]:
        """The instruction."""
        return {"instruction": self.instruction}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take it back."""
        self.instruction = str(state["instruction"])


def _checked(images: Any, labels: Any) -> tuple[Float[np.ndarray, "n c h w"], Int[np.ndarray, " n"]]:
    seen, told = np.asarray(images, dtype=np.float32), np.asarray(labels)
    if seen.ndim != 4 or told.shape != seen.shape[:1] or set(np.unique(told).tolist()) != {0, 1}:
        raise RewardError(
            f"a judge of artefacts got images of shape {seen.shape} and labels of shape {told.shape} with the values "
            f"{np.unique(told)[:5].tolist()}; expected images [N, C, H, W] and a label for each, 1 for an artefact and "
            "0 for none, some of both"
        )
    # As image files hold them, so that what is saved is what was learnt from.
    return np.rint(np.clip(seen, 0.0, 1.0) * 255).astype(np.float32) / 255, told.astype(np.int64)


def _packed(tensors: Mapping[str, torch.Tensor]) -> str:
    data = zlib.compress(save({name: one.contiguous() for name, one in tensors.items()}))
    return base64.b64encode(data).decode("ascii")


def _unpacked(text: str) -> dict[str, torch.Tensor]:
    found: dict[str, torch.Tensor] = load(zlib.decompress(base64.b64decode(text)))
    return found
