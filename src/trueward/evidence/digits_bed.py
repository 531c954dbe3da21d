"""Generated digits as a test bed of rewards of images: what a policy makes, by proxy and by gold.

A flow over 8×8 pixels learned digits of which a share were labelled wrongly, so that a reward can first improve it
honestly. The reward is a small classifier of 200 images, and can be hacked; gold are networks that saw others, with
noise and shifts, and the distance to real images. What is optimised never sees gold: it is read in `evaluate` and
`finish` alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trueward.evidence.recipe import Metric, Settings

if TYPE_CHECKING:
    from trueward.evidence.digits_measured import DigitsBed
    from trueward.evidence.run import Run

# fmt: off
SETTINGS: Settings = {
    "bed.width": 192, "bed.blocks": 3, "bed.wrong_labels": 0.3, "bed.drop_label": 0.1,
    "bed.generator_steps": 2000, "bed.generator_batch": 256, "bed.generator_rate": 1e-3, "bed.ema": 0.995,
    "bed.proxy_width": 128, "bed.proxy_steps": 300,
    "bed.judge_networks": 3, "bed.judge_steps": 300,
    "bed.samples": 40, "bed.sampling_steps": 20, "bed.shown": 12,
}
"""Of generator, proxy and gold; `bed.samples` images per class are measured, `bed.shown` of them are shown."""

SMOKE: Settings = {
    "bed.width": 32, "bed.blocks": 1, "bed.generator_steps": 30, "bed.generator_batch": 32, "bed.ema": 0.9,
    "bed.proxy_width": 16, "bed.proxy_steps": 20, "bed.judge_networks": 1, "bed.judge_steps": 10,
    "bed.samples": 3, "bed.sampling_steps": 4, "bed.shown": 3,
}
"""The bed of a recipe's scale "smoke"."""

METRICS = (
    Metric("proxy", "probability of the right digit by the classifier that can be hacked", "higher", "share"),
    Metric("margin", "margin of its logits on raw samples, which has no bound", "higher", "nats"),
    Metric("gold", "probability of the right digit by networks that saw other images", "higher", "share"),
    Metric("second_opinion", "the same by a support vector machine", "higher", "share"),
    Metric("realism", "rank of the distance to real images among real images; .5 is as real", "higher", "share"),
    Metric("corrected", "proxy corrected by gold, realism and fine structure: r · (û − 3) + 0.2", "higher"),
    Metric("diversity", "distance within the classes against that of real images", "higher"),
    Metric("high_frequency", "energy of fine structure against that of real images; 1 is as real", None),
    Metric("outside", "mass outside of [−1, 1] before clamping, per pixel", "lower"),
    Metric("border", "ink on the border", None, "share"),
    Metric("copying", "distance to the nearest image that the generator was trained on; small means copied", None),
)
"""Of every recipe on this bed, in the order of `DigitsBed.evaluate`."""
# fmt: on


def bed(run: Run) -> DigitsBed:
    """The bed of a run: generator, proxy and gold are built once per seed, and shared by its arms."""
    import torch

    from trueward.evidence.digits_built import generator_of, gold_of, proxy_of
    from trueward.evidence.digits_measured import SHAPE, DigitsBed
    from trueward.policies.flow.sampling import starting_noise
    from trueward.tasks.flow.digits import CLASSES, digits

    splits, chosen = digits(), {name: run.settings[name] for name in SETTINGS}
    start = torch.Generator().manual_seed(run.seed_for("samples of the bed"))
    return DigitsBed(
        splits=splits,
        reference=generator_of(run, splits.generator, chosen),
        classifier=proxy_of(run, splits.proxy, chosen),
        noise=starting_noise(chosen["bed.samples"] * CLASSES, SHAPE, start),
        settings=chosen,
        gold=gold_of(run, splits, chosen),
    )
