"""What SePPO is put to the test on: winners, rivals, and whether the flipper's sign knows which image is better."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trueward.errors import EvidenceError
from trueward.evidence import digits_bed
from trueward.evidence.recipe import Arm, Metric, Settings

if TYPE_CHECKING:
    import numpy as np
    import torch
    from jaxtyping import Float, Int
    from torch import Tensor

    from trueward.evidence.digits_measured import DigitsBed
    from trueward.evidence.run import Run
    from trueward.policies.flow.network import FlowMLP
    from trueward.tasks.flow.digits import Digits
    from trueward.training.flow.preference import PreferenceSettings
    from trueward.training.flow.self_sampling import SelfSamplingUpdate
    from trueward.training.flow.update import FlowUpdate

RISE = 0.1
"""Of gold over where training began, at which copies are compared: it may cost copying to be right."""

DRAWS = (1, 4, 16)
"""Noise draws that the sign is the mean of, where it is tested."""

METRICS = (
    *digits_bed.METRICS,
    Metric("realism_start", "realism before training", None, "share"),
    Metric("corrected_start", "corrected proxy before training", None),
    Metric("winner_distance", "distance to the nearest winner that was trained on; small means copied", "higher"),
    Metric("distance_at", f"the same where gold has risen by {RISE:g}, between two evaluations", "higher"),
    Metric("losers", "samples that counted as losers, over training", None, "share"),
    Metric("preferred", "winners that the implied reward prefers to the other image, last tenth of training", "higher",
           "share"),
    Metric("unlearnt", "δ of the other image there: how much worse it is denoised than by the reference", None),
    *(Metric(f"sign_{draws}", f"AUROC of −δ of the anchor, mean of {draws} draws, for which model's image gold "
             "prefers", "higher", "share") for draws in DRAWS),
    Metric("sign_realism", f"the same for which is more real, {DRAWS[-1]} draws", "higher", "share"),
)  # fmt: skip

# fmt: off
SETTINGS: Settings = {
    **digits_bed.SETTINGS,
    "winners.count": 300, "winners.shuffled": False, "winners.held_out": 0,
    "update.kind": "self-sampling", "update.reference": "uniform", "update.save_every": 60, "update.window": None,
    "update.sampling_steps": 12, "update.batch": 96, "update.beta": 50.0, "update.flip": "sign",
    "update.sign_draws": 1, "update.limit": None, "update.signs_shuffled": False,
    "train.steps": 360, "train.learning_rate": 3e-4, "train.ema": 0.99, "train.evaluate_every": 60,
    "train.look_every": 20, "train.patience": 4,
    "validity.probes": 800,
}

SCALES: Mapping[str, Settings] = {
    "smoke": {
        **digits_bed.SMOKE, "winners.count": 20, "update.save_every": 2, "update.sampling_steps": 2,
        "update.batch": 8, "train.steps": 6, "train.evaluate_every": 3, "train.look_every": 1, "train.patience": 2,
        "validity.probes": 40,
    },
    "small": {},
    "full": {"train.steps": 480},
}

_BETAS: Mapping[str, Sequence[Any]] = {"update.beta": (50.0, 10.0)}
_FINE_TUNING: Settings = {"update.kind": "fine-tuning"}
_STOPPED: Mapping[str, Sequence[Any]] = {"winners.held_out": (30, 0)}
_LOSER: Settings = {"update.flip": "none"}
_FEW: Settings = {"winners.count": 40, "update.beta": 10.0}

ARMS = (
    Arm("seppo", "winners against samples of any checkpoint, with the flipper", "method", {}, _BETAS),
    Arm("sft", "fine-tuning on the winners, stopped early or not", "baseline", _FINE_TUNING, _STOPPED),
    Arm("spin", "SPIN-Diffusion: the latest checkpoint, always a loser", "baseline",
        {**_LOSER, "update.reference": "latest"}, _BETAS),
    Arm("sign", "SePPO at β = 50, like the five arms below", "reference"),
    Arm("no_flip", "any checkpoint, always a loser", "ablation", _LOSER),
    Arm("shuffled", "the labels of the winners are shuffled", "control", {"winners.shuffled": True}),
    Arm("indicator", "what is no loser is left out instead of pulled in", "reference", {"update.flip": "indicator"}),
    Arm("first", "the reference is where training began", "reference", {"update.reference": "first"}),
    Arm("latest", "the reference is the latest checkpoint", "reference", {"update.reference": "latest"}),
    Arm("few", "SePPO with 40 winners, β = 10", "reference", _FEW),
    Arm("sft_few", "fine-tuning with 40 winners", "reference", {**_FINE_TUNING, **_FEW}),
    Arm("pairs", "Diffusion-DPO on true pairs: the loser is an image of another digit", "reference",
        {**_LOSER, "update.kind": "pairs"}, full=True),
    Arm("signs_shuffled", "signs dealt out anew within the batch: as many losers, not by their anchors", "reference",
        {"update.signs_shuffled": True}, full=True),
    Arm("draws_4", "the sign is the mean of 4 draws", "reference", {"update.sign_draws": 4}, full=True),
    Arm("draws_16", "the sign is the mean of 16 draws", "reference", {"update.sign_draws": 16}, full=True),
    Arm("window", "any of the last three checkpoints", "reference", {"update.window": 3}, full=True),
    Arm("limited", "always a loser, δ of the loser counts up to 0.1", "reference",
        {**_LOSER, "update.limit": 0.1}, full=True),
    Arm("sft_few_stopped", "fine-tuning with 40 winners, stopped early", "reference",
        {**_FINE_TUNING, **_FEW, "winners.held_out": 30}, full=True),
    Arm("no_flip_few", "always a loser, 40 winners, β = 10", "reference", {**_FEW, **_LOSER}, full=True),
    Arm("first_no_flip", "where training began, always a loser", "reference",
        {**_LOSER, "update.reference": "first"}, full=True),
)
# fmt: on


@dataclass(frozen=True)
class Winners:
    """Real digits, rightly labelled, and some that are held out.

    Attributes:
        images, labels: what is learnt from.
        held_images, held_labels: what early stopping looks at.
    """

    images: Float[Tensor, "w 1 8 8"]
    labels: Int[Tensor, " w"]
    held_images: Float[Tensor, "h 1 8 8"]
    held_labels: Int[Tensor, " h"]


def winners_of(run: Run, bed: DigitsBed) -> Winners:
    """The winners of a seed, equally many of each digit, the same in every arm that has as many."""
    import torch

    chosen, generator = run.settings, run.generator("winners")
    learnt = _each_digit(bed.splits.generator, chosen["winners.count"], generator)
    labels = generator.permutation(learnt.labels) if chosen["winners.shuffled"] else learnt.labels
    # The generator knows every image of its own split, so that its error on them tells nothing of new ones.
    held = _each_digit(bed.splits.proxy, chosen["winners.held_out"], generator)
    return Winners(*(torch.as_tensor(part) for part in (learnt.images, labels, held.images, held.labels)))


def _each_digit(images: Digits, count: int, generator: np.random.Generator) -> Digits:
    """Some images, equally many of each digit."""
    import numpy as np

    order = generator.permutation(len(images))
    return images.rows(np.concatenate([order[images.labels[order] == digit][: count // 10] for digit in range(10)]))


def update_of(run: Run, bed: DigitsBed, winners: Winners) -> FlowUpdate:
    """What an arm learns from.

    Raises:
        EvidenceError: `update.kind` names nothing.
    """
    from trueward.training.flow.matching import FlowMatchingUpdate
    from trueward.training.flow.preference import PairsUpdate
    from trueward.training.flow.self_sampling import SelfSamplingSettings, SelfSamplingUpdate

    chosen = run.settings
    match chosen["update.kind"]:
        case "fine-tuning":
            return FlowMatchingUpdate(winners.images, winners.labels, batch=chosen["update.batch"])
        case "pairs":
            losers = losers_of(run, bed, winners)
            return PairsUpdate(winners.images, losers, winners.labels, _preference(chosen))
        case "self-sampling":
            names = ("reference", "save_every", "window", "sampling_steps")
            settings = SelfSamplingSettings(_preference(chosen), **{name: chosen[f"update.{name}"] for name in names})
            return SelfSamplingUpdate(winners.images, winners.labels, settings)
    raise EvidenceError(f"update.kind={chosen['update.kind']!r} is unknown; choose self-sampling, fine-tuning or pairs")


def _preference(chosen: Settings) -> PreferenceSettings:
    from trueward.training.flow.preference import PreferenceSettings

    names = ("batch", "beta", "flip", "sign_draws", "limit")
    return PreferenceSettings(
        **{name: chosen[f"update.{name}"] for name in names}, shuffled=chosen["update.signs_shuffled"]
    )


def losers_of(run: Run, bed: DigitsBed, winners: Winners) -> Float[Tensor, "w 1 8 8"]:
    """For each winner an image that the generator makes when it is asked for another digit."""
    import torch

    from trueward.evidence.digits_measured import SHAPE
    from trueward.policies.flow.kernels import time_grid
    from trueward.policies.flow.sampling import sample

    generator = torch.Generator().manual_seed(run.seed_for("losers"))
    wrong = (winners.labels + torch.randint(1, 10, winners.labels.shape, generator=generator)) % 10
    times = time_grid(run.settings["update.sampling_steps"])
    return sample(bed.reference, wrong, shape=SHAPE, times=times, generator=generator).final


def validity(run: Run, bed: DigitsBed, policy: FlowMLP, update: FlowUpdate) -> dict[str, float]:
    """Whether the flipper's sign knows whose image is better, by gold; read after training.

    For anchors x^w and every checkpoint of the pool: −δ_w, as the mean of several draws, as a score of whether gold
    gives the sample of the policy more than that of the checkpoint. .5 is no better than a coin.
    """
    import numpy as np
    import torch

    from trueward.measures.separation import area_under_curve
    from trueward.training.flow.self_sampling import SelfSamplingUpdate

    names = [f"sign_{draws}" for draws in DRAWS]
    if not isinstance(update, SelfSamplingUpdate):
        return dict.fromkeys([*names, "sign_realism"], float("nan"))
    generator = torch.Generator().manual_seed(run.seed_for("validity"))
    members = len(update.pool)
    found = [
        _compared(bed, policy, update, place, max(1, run.settings["validity.probes"] // members), generator)
        for place in range(members)
    ]
    # A checkpoint that is the policy itself has no sign.
    found = [one for one in found if np.any(one[0])]
    ahead, gold, realism = (np.concatenate(parts, axis=-1) for parts in zip(*found, strict=True))
    told = {f"sign_{draws}": area_under_curve(ahead[:draws].mean(axis=0), gold > 0) for draws in DRAWS}
    return {**told, "sign_realism": area_under_curve(ahead.mean(axis=0), realism > 0)}


def _compared(
    bed: DigitsBed,
    policy: FlowMLP,
    update: SelfSamplingUpdate,
    place: int,
    count: int,
    generator: torch.Generator,
) -> tuple[Float[np.ndarray, "draws n"], Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """−δ of anchors against one checkpoint, and by how much gold and realism prefer the policy's image."""
    import torch

    from trueward.policies.flow.base import condition_rows
    from trueward.policies.flow.kernels import time_grid
    from trueward.policies.flow.sampling import sample
    from trueward.training.flow.preference import anchor_deltas

    rows = torch.randint(len(update.winners), (count,), generator=generator)
    labels, winners = torch.as_tensor(condition_rows(update.condition, rows)), update.winners[rows]
    reference = update.reference(place)
    ahead = -anchor_deltas(policy, reference, winners, labels, DRAWS[-1], generator)
    times, gold, realism = time_grid(update.settings.sampling_steps), [], []
    for model in (policy, reference):
        made = sample(model, labels, shape=winners.shape[1:], times=times, generator=generator).final.numpy()
        gold.append(bed.gold.probability(made, labels.numpy()))
        realism.append(bed.gold.realism(made))
    return ahead.double().numpy(), gold[0] - gold[1], realism[0] - realism[1]


def told_of(lines: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The metrics of a run's own lines: where it began, what the implied reward came to, how near winners it came."""
    updates = [line for line in lines if line["step"] > 0]
    last = updates[-max(1, len(updates) // 10) :]

    def mean(of: Sequence[Mapping[str, float]], name: str) -> float:
        values = [line[name] for line in of if name in line]
        return sum(values) / len(values) if values else float("nan")

    measured = [line for line in lines if "gold" in line]
    return {
        "realism_start": measured[0]["realism"],
        "corrected_start": measured[0]["corrected"],
        "distance_at": distance_at([line["gold"] for line in measured], [line["winner_distance"] for line in measured]),
        "losers": mean(updates, "update/losers"),
        "preferred": mean(last, "update/accuracy"),
        "unlearnt": mean(last, "update/other_delta"),
    }


def distance_at(gold: Sequence[float], distance: Sequence[float]) -> float:
    """Distance to winners where gold first is `RISE` above its first value, on the line between two evaluations.

    NaN where gold never rises so far: a distance without the gold that it is to be compared at says nothing.
    """
    wanted = gold[0] + RISE
    for place in range(1, len(gold)):
        before, after = gold[place - 1], gold[place]
        if after >= wanted:
            share = (wanted - before) / (after - before)
            return distance[place - 1] + share * (distance[place] - distance[place - 1])
    return float("nan")
