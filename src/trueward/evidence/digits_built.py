"""Builds what the bed of digits is made of, once per seed: generator, proxy, gold."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from trueward.evidence.digits_measured import SHAPE
from trueward.evidence.recipe import Settings
from trueward.policies.flow.guidance import null_class
from trueward.policies.flow.network import FlowMLP
from trueward.rewards.models.images.classifier import ClassifierSettings, ImageClassifier, fit_classifier
from trueward.tasks.flow.digits import CLASSES, Digits, DigitSplits, noisy_labels
from trueward.tasks.flow.judge import GoldJudge, JudgeSettings

if TYPE_CHECKING:
    from trueward.evidence.run import Run


def generator_of(run: Run, images: Digits, settings: Settings) -> FlowMLP:
    """The generator: flow matching on digits of which a share are labelled wrongly; EMA weights, frozen."""
    names = ("width", "blocks", "wrong_labels", "drop_label", "generator_steps", "generator_batch", "generator_rate",
             "ema")  # fmt: skip
    keyed = _of(settings, names)

    def empty(seed: int = 0) -> FlowMLP:
        return FlowMLP(SHAPE, CLASSES, settings["bed.width"], settings["bed.blocks"], seed=seed)

    def build(folder: Path) -> None:
        labels = noisy_labels(images.labels, settings["bed.wrong_labels"], run.generator("labels of the generator"))
        policy = empty(run.seed_for("generator") % 2**31)
        save_file(
            _pretrained(policy, Digits(images.images, labels), settings, run.seed_for("generator") % 2**31),
            folder / "generator.safetensors",
        )

    made = empty()
    made.load_state_dict(load_file(run.shared("digits-generator", keyed, build) / "generator.safetensors"))
    return made.eval().requires_grad_(False)


def _pretrained(policy: FlowMLP, images: Digits, settings: Settings, seed: int) -> dict[str, Tensor]:
    """EMA weights after flow matching."""
    from trueward.training.flow.loop import train_flow
    from trueward.training.flow.matching import FlowMatchingUpdate
    from trueward.training.flow.settings import FlowSettings

    update = FlowMatchingUpdate(
        torch.as_tensor(images.images),
        torch.as_tensor(images.labels),
        batch=settings["bed.generator_batch"],
        drop_label=settings["bed.drop_label"],
        null=null_class(CLASSES),
    )
    flow = FlowSettings(
        steps=settings["bed.generator_steps"],
        learning_rate=settings["bed.generator_rate"],
        ema=settings["bed.ema"],
        cosine=True,
        seed=seed,
    )
    return train_flow(policy, update, settings=flow).average.state_dict()


def proxy_of(run: Run, images: Digits, settings: Settings) -> ImageClassifier:
    """The proxy: a classifier of few images, frozen."""
    keyed = _of(settings, ("proxy_width", "proxy_steps"))

    def build(folder: Path) -> None:
        seed = run.seed_for("proxy") % 2**31
        made = ImageClassifier(SHAPE, CLASSES, settings["bed.proxy_width"], seed=seed)
        steps = ClassifierSettings(steps=settings["bed.proxy_steps"])
        save_file(
            fit_classifier(made, images.images, images.labels, settings=steps, seed=seed).state_dict(),
            folder / "proxy.safetensors",
        )

    made = ImageClassifier(SHAPE, CLASSES, settings["bed.proxy_width"])
    made.load_state_dict(load_file(run.shared("digits-proxy", keyed, build) / "proxy.safetensors"))
    return made.eval().requires_grad_(False)


def gold_of(run: Run, splits: DigitSplits, settings: Settings) -> GoldJudge:
    """Gold, fitted to images that neither generator nor proxy saw."""
    keyed = _of(settings, ("judge_networks", "judge_steps"))

    def build(folder: Path) -> None:
        chosen = JudgeSettings(networks=settings["bed.judge_networks"], steps=settings["bed.judge_steps"])
        GoldJudge.fit(splits.judge, splits.heldout, settings=chosen, seed=run.seed_for("gold") % 2**31).save(folder)

    return GoldJudge.load(run.shared("digits-gold", keyed, build))


def _of(settings: Settings, names: Sequence[str]) -> dict[str, Any]:
    return {f"bed.{name}": settings[f"bed.{name}"] for name in names}
