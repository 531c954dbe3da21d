"""What the judge of artefacts is put to the test with: rewards of different tastes, what they do alone, curated images.

Nothing here reads gold. Base rewards come from the proxy's images, the curator and the judge from the generator's.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from safetensors.torch import load_file, save_file

from trueward.batch import Context, Part, Rollouts, Scores
from trueward.errors import EvidenceError
from trueward.evidence.digits_bed import SETTINGS as BED
from trueward.evidence.digits_measured import SHAPE, DigitsBed
from trueward.evidence.run import Run
from trueward.policies.flow.kernels import time_grid
from trueward.policies.flow.sampling import sample
from trueward.rewards.base import Reward
from trueward.rewards.images import content_of, finite, images_of
from trueward.rewards.models.ensemble import Ensemble
from trueward.rewards.models.images.artefact import ArtefactJudge, ArtefactScorer, Classified
from trueward.rewards.models.images.classifier import ClassifierSettings, ImageClassifier, fit_classifier
from trueward.rewards.runner import Runner
from trueward.status import Status
from trueward.tasks.flow.artefacts import KINDS, spoilt
from trueward.tasks.flow.curator import Curator
from trueward.training.flow.loop import train_flow
from trueward.training.flow.online import OnlineSettings, OnlineUpdate
from trueward.training.flow.settings import FlowSettings
from trueward.training.flow.update import FlowHook

Images = Float[np.ndarray, "n 1 8 8"]
Curated = tuple[Images, Int[np.ndarray, " n"]]
BASE = ("consistency", "aesthetic", "detector")


class Looks(Reward):
    """A reward of what an image looks like, whatever it was made for.

    Attributes:
        function: from images in [−1, 1] to a number in [0, 1] for each.
    """

    def __init__(self, name: str, function: Callable[[Images], Float[np.ndarray, " n"]]) -> None:
        self._name, self.function = name, function

    @property
    def name(self) -> str:
        """Name of its part."""
        return self._name

    def use(self, runner: Runner) -> bool:
        """It has no address: it stays in this process."""
        return False

    def score(self, rollouts: Rollouts, context: Context) -> Scores:
        """One part with one value per image."""
        content = content_of(rollouts, self.name)
        values = np.asarray(self.function(2 * images_of(content) - 1), dtype=np.float64)
        fine = finite(content) & np.isfinite(values)
        status = [Status.OK if one else Status.NOT_FINITE for one in fine]
        return Scores({self.name: Part(np.where(fine, values, np.nan), status, low=0.0, high=1.0)})


def base_rewards(run: Run, bed: DigitsBed) -> dict[str, Reward]:
    """Consistency (the right digit), aesthetic (contrast), detector (any digit): three tastes, no eye for artefacts."""
    detector = detector_of(run, bed)

    def present(images: Images) -> Float[np.ndarray, " n"]:
        with torch.no_grad():
            found: np.ndarray = detector(torch.as_tensor(images, dtype=torch.float32)).softmax(dim=1)[:, 1].numpy()
        return found

    def contrast(images: Images) -> Float[np.ndarray, " n"]:
        found: np.ndarray = np.abs(images).mean(axis=(1, 2, 3))
        return found

    consistency = bed.readability("margin", clamp=True)
    return {
        "consistency": consistency,
        "aesthetic": Looks("aesthetic", contrast),
        "detector": Looks("detector", present),
    }


def detector_of(run: Run, bed: DigitsBed) -> ImageClassifier:
    """Digits of the proxy's images against their pixels in another order, noise and even grey; frozen."""
    keyed = {name: run.settings[name] for name in ("bed.proxy_width", "bed.proxy_steps")}

    def build(folder: Path) -> None:
        generator, real = run.generator("no digits"), bed.splits.proxy.images
        mixed = generator.permuted(real.reshape(len(real), -1), axis=1).reshape(real.shape)
        noise = generator.uniform(-1, 1, real.shape) * generator.uniform(0, 1, (len(real), 1, 1, 1))
        even = np.broadcast_to(generator.uniform(-1, 1, (len(real) // 2, 1, 1, 1)), (len(real) // 2, *SHAPE))
        images = np.concatenate([real, mixed, noise, even]).astype(np.float32)
        labels, seed = (np.arange(len(images)) < len(real)).astype(int), run.seed_for("detector") % 2**31
        made = ImageClassifier(SHAPE, 2, keyed["bed.proxy_width"], seed=seed)
        steps = ClassifierSettings(steps=keyed["bed.proxy_steps"])
        save_file(
            fit_classifier(made, images, labels, settings=steps, seed=seed).state_dict(), folder / "d.safetensors"
        )

    made = ImageClassifier(SHAPE, 2, keyed["bed.proxy_width"])
    made.load_state_dict(load_file(run.shared("digits-detector", keyed, build) / "d.safetensors"))
    return made.eval().requires_grad_(False)


def optimised(run: Run, bed: DigitsBed, rewards: Mapping[str, Reward], judge: ArtefactJudge | None) -> Reward:
    """The reward of an arm: base rewards, as a sum or as an ensemble, and the judge.

    Both are on the generator's scale: one unit is one deviation of a reward among the generator's samples. A raw sum
    belongs to the reward with the widest range, and no weight of a judge with values in [0, 1] says what it means.

    Raises:
        EvidenceError: `reward.base` names no reward.
    """
    names, how = run.settings["reward.base"], run.settings["reward.aggregate"]
    if not names or not set(names) <= rewards.keys():
        raise EvidenceError(f"reward.base={names!r}; expected some of {', '.join(rewards)}")
    members, samples, context = [rewards[name] for name in names], reference_samples(run, bed, 40), Context()
    ensemble = Ensemble(members, how or "mean", name="base")
    ensemble.fit(ensemble.member_scores(samples, context))
    total: Reward = ensemble
    if how is None:
        assert ensemble.scale is not None
        scale = ensemble.scale if run.settings["reward.scaled"] else np.ones(len(names))
        weights = [run.settings[f"reward.{name}"] / float(unit) for name, unit in zip(names, scale, strict=True)]
        total = functools.reduce(operator.add, map(operator.mul, members, weights))
    if judge is None:
        return total
    weight: float = run.settings["judge.weight"]
    return total + weight * judge


def reference_samples(run: Run, bed: DigitsBed, count: int) -> Rollouts:
    """Samples of the generator, so many per class, that nothing is measured on."""
    labels = bed.conditions(count)
    generator = torch.Generator().manual_seed(run.seed_for("samples of the generator"))
    grid = time_grid(run.settings["bed.sampling_steps"])
    made = sample(bed.reference, labels, shape=SHAPE, times=grid, generator=generator)
    return made.rollouts(bed.prompts(labels), labels.numpy())


def online(run: Run, bed: DigitsBed, reward: Reward, *, group: int, kl: float) -> OnlineUpdate:
    """Flow-GRPO on a reward, all ten digits in every update."""
    labels = bed.conditions(1)
    settings = OnlineSettings(
        group=group,
        prompts=len(labels),
        steps=run.settings["train.denoising_steps"],
        kl=kl,
        separately=run.settings["train.separately"],
    )
    return OnlineUpdate(reward, bed.prompts(labels), labels, settings, shape=SHAPE, reference=bed.reference)


class _Kept(FlowHook):
    """Keeps the samples of some updates."""

    def __init__(self, steps: tuple[int, ...]) -> None:
        self.steps = steps
        self.images: list[np.ndarray] = []

    def after_update(self, rollouts: Rollouts | None, scores: Scores | None, context: Context) -> Mapping[str, float]:
        if context.step in self.steps and rollouts is not None:
            self.images.append(2 * images_of(content_of(rollouts, "samples that are kept")) - 1)
        return {}


def hacked_samples(run: Run, bed: DigitsBed, name: str, *, gentle: bool = False) -> Images:
    """Samples of a policy that was trained on one base reward alone, at three stages; built once per seed."""
    keyed = {key: run.settings[key] for key in (*BED, "hacks.steps", "hacks.learning_rate", "hacks.group",
                                                "train.denoising_steps")}  # fmt: skip
    steps, rate = keyed["hacks.steps"], keyed["hacks.learning_rate"] * (0.25 if gentle else 1.0)

    def build(folder: Path) -> None:
        kept = _Kept(tuple(max(1, steps * third // 3) for third in (1, 2, 3)))
        update = online(run, bed, base_rewards(run, bed)[name], group=keyed["hacks.group"], kl=0.0)
        seed = run.seed_for(f"hack {name}") % 2**31
        settings = FlowSettings(steps=steps, learning_rate=rate, ema=None, seed=seed)
        train_flow(bed.policy(), update, settings=settings, hooks=[kept])
        np.save(folder / "images.npy", np.concatenate(kept.images).astype(np.float32), allow_pickle=False)

    folder = run.shared(f"digits-hack-{name}", {**keyed, "gentle": gentle}, build)
    found: np.ndarray = np.load(folder / "images.npy", allow_pickle=False)
    return found


def curator_of(run: Run, bed: DigitsBed) -> Curator:
    """The curator: knows one half of the generator's images, which neither rewards nor gold are made of."""
    return Curator.of(
        bed.splits.generator.images, quantile=run.settings["curator.quantile"], error=run.settings["curator.error"]
    )


def curated(run: Run, bed: DigitsBed) -> Curated:
    """What a judge learns from at first: clean images and as many with artefacts, in [−1, 1], 1 for an artefact.

    Clean: real ones, and samples of the generator that the curator passes. With artefacts: spoilt real ones, and
    samples of hacked policies that the curator does not pass; or samples of one hacked policy alone.

    Raises:
        EvidenceError: `judge.data` is unknown.
    """
    settings, generator = run.settings, run.generator("curated")
    half, kinds = settings["judge.images"] // 2, tuple(kind for kind in KINDS if kind != settings["judge.left_out"])
    curator, real = curator_of(run, bed), bed.splits.generator.images
    made = 2 * images_of(content_of(reference_samples(run, bed, max(1, half // 2)), "samples of the generator")) - 1
    if settings["judge.data"] == "diverse":
        hacks = np.concatenate([hacked_samples(run, bed, name) for name in BASE])
        wrong = [spoilt(real[half : 2 * half], generator, kinds)[0], _labelled(curator, hacks, 1, half, generator)]
    elif settings["judge.data"] in ("one hack", "one gentle hack"):
        hacks = hacked_samples(run, bed, "consistency", gentle=settings["judge.data"] == "one gentle hack")
        wrong = [_labelled(curator, hacks, 1, 2 * half, generator)]
    else:
        raise EvidenceError(f"judge.data={settings['judge.data']!r}; expected diverse, one hack or one gentle hack")
    right = [real[:half], _labelled(curator, made, 0, half, generator)]
    images = np.concatenate([*right, *wrong])
    return images, np.repeat([0, 1], [sum(map(len, right)), sum(map(len, wrong))])


def _labelled(curator: Curator, images: Images, label: int, count: int, generator: np.random.Generator) -> Images:
    """At most so many images that a curator gives a label, at least one."""
    found = images[curator.labels(images, generator) == label]
    found = found if len(found) else images[:1]
    chosen: np.ndarray = found[np.sort(generator.permutation(len(found))[:count])]
    return chosen


@dataclass
class ShuffledLabels:
    """A control: a scorer that is fitted to exchanged labels, so that it learns as much about nothing.

    Attributes:
        inner: what is fitted.
        seed: of the exchanges.
    """

    inner: ArtefactScorer
    seed: int

    def fit(self, images: Float[np.ndarray, "n c h w"], labels: Int[np.ndarray, " n"]) -> None:
        """Fit to the labels of other images."""
        self.inner.fit(images, np.random.default_rng([self.seed, len(labels)]).permutation(labels))

    def probability(self, images: Float[np.ndarray, "n c h w"]) -> Float[np.ndarray, " n"]:
        """As it was fitted."""
        return self.inner.probability(images)

    def state_dict(self) -> Mapping[str, Any]:
        """That of the inner one."""
        return self.inner.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take that back."""
        self.inner.load_state_dict(state)


def judge_of(run: Run, bed: DigitsBed, *, shuffled: bool = False) -> ArtefactJudge:
    """A judge that has seen the curated images."""
    seed = run.seed_for("judge of artefacts") % 2**31
    scorer: ArtefactScorer = Classified(settings=ClassifierSettings(steps=run.settings["judge.steps"]), seed=seed)
    images, labels = curated(run, bed)
    return ArtefactJudge(ShuffledLabels(scorer, seed) if shuffled else scorer).fit((images + 1) / 2, labels)
