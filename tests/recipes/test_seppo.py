"""SePPO in seconds: winners, losers, the test of the sign, every arm for a few updates, what is prevented."""

from __future__ import annotations

import copy
import json
import math
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from trueward.errors import EvidenceError
from trueward.evidence.digits_bed import bed
from trueward.evidence.run import Run
from trueward.policies.flow import FlowMLP
from trueward.recipes.beds.seppo import distance_at, losers_of, told_of, update_of, validity, winners_of
from trueward.recipes.seppo import RECIPE
from trueward.tasks.flow.digits import digits
from trueward.training.flow import FlowMatchingUpdate, train_flow
from trueward.training.flow.early_stopping import EarlyStopping
from trueward.training.flow.preference import PreferenceSettings
from trueward.training.flow.self_sampling import SelfSamplingSettings, SelfSamplingUpdate
from trueward.training.flow.settings import FlowSettings

# Threads that wait for each other cost more than such small models.
torch.set_num_threads(1)

IMPLIED = {"losers", "preferred", "unlearnt"}
SIGN = {"sign_1", "sign_4", "sign_16", "sign_realism"}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("runs")


def smoke(arm, root, tag="", **more):
    settings = {**RECIPE.at("smoke"), **RECIPE.arm(arm).settings, **more}
    directory = root / "seppo" / "smoke" / "seed-2000" / f"{arm}{tag}"
    directory.mkdir(parents=True, exist_ok=True)
    return Run("seppo", arm, "smoke", 2000, settings, directory)


@pytest.mark.parametrize("arm", [arm.name for arm in RECIPE.arms])
def test_every_arm_runs(arm, root):
    run = smoke(arm, root)
    found = RECIPE.run(run)
    assert set(found) == {metric.name for metric in RECIPE.metrics}
    unknown = {name for name, value in found.items() if not math.isfinite(value)}
    kind = run.settings["update.kind"]
    assert unknown - {"distance_at"} == (
        IMPLIED | SIGN if kind == "fine-tuning" else SIGN if kind == "pairs" else set()
    )
    lines = [json.loads(line) for line in (run.directory / "metrics.jsonl").read_text().splitlines()]
    measured = [line for line in lines if "gold" in line]
    assert [line["step"] for line in measured][:2] == [0, 3]
    assert {"proxy", "realism", "corrected", "winner_distance"} <= set(measured[-1])
    assert (run.directory / "samples.png").read_bytes().startswith(b"\x89PNG")


def test_a_run_that_is_repeated_says_the_same(root):
    run = smoke("seppo", root)
    assert RECIPE.run(run) == pytest.approx(RECIPE.run(run), nan_ok=True)


def test_arms_start_from_one_generator(root):
    starts = {
        arm: json.loads((smoke(arm, root).directory / "metrics.jsonl").read_text().splitlines()[0])
        for arm in ("seppo", "no_flip", "sft")
        if RECIPE.run(smoke(arm, root))
    }
    assert starts["seppo"]["gold"] == starts["no_flip"]["gold"] == starts["sft"]["gold"]


def test_the_ablation_differs_from_the_method_in_the_flipper_alone():
    assert {**RECIPE.arm("seppo").settings, "update.flip": "none"} == RECIPE.arm("no_flip").settings
    assert {**RECIPE.arm("seppo").settings, "winners.shuffled": True} == RECIPE.arm("shuffled").settings


def test_winners_are_rightly_labelled_digits_of_the_generators_split(root):
    run = smoke("seppo", root, **{"winners.held_out": 30})
    digits = bed(run)
    winners = winners_of(run, digits)
    assert np.bincount(winners.labels).tolist() == [2] * 10 and np.bincount(winners.held_labels).tolist() == [3] * 10

    def known(images, labels, split):
        truth = {image.tobytes(): label for image, label in zip(split.images, split.labels, strict=True)}
        return [truth.get(image.tobytes()) for image in images.numpy()] == labels.tolist()

    assert known(winners.images, winners.labels, digits.splits.generator)
    assert known(winners.held_images, winners.held_labels, digits.splits.proxy)
    assert torch.equal(winners.images, winners_of(smoke("no_flip", root), digits).images)
    shuffled = winners_of(smoke("shuffled", root), digits)
    assert torch.equal(winners.images, shuffled.images) and not torch.equal(winners.labels, shuffled.labels)
    assert sorted(winners.labels.tolist()) == sorted(shuffled.labels.tolist())


def test_losers_are_images_of_another_digit(root):
    """A velocity of −c carries noise to noise + c, so that the mean of an image tells what was asked for."""
    labels = torch.arange(10).repeat(3)
    reference = lambda x, t, condition: -condition.float()[:, None, None, None].expand_as(x)  # noqa: E731
    made = losers_of(smoke("pairs", root), SimpleNamespace(reference=reference), SimpleNamespace(labels=labels))
    asked = made.flatten(1).mean(dim=1).round().long()
    assert made.shape == (30, 1, 8, 8) and bool((asked != labels).all())
    assert bool(((asked >= 0) & (asked < 10)).all()) and len(asked.unique()) > 5


class Constant(nn.Module):
    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = nn.Parameter(torch.tensor([value]))

    def forward(self, x: Tensor, t: Tensor, condition: Any) -> Tensor:
        return self.value[:, None, None, None].expand_as(x)


@dataclass
class Greyness:
    """Gold that wants an image to be as grey as the winners are, or just not."""

    sign: float

    def probability(self, images: np.ndarray, labels: np.ndarray) -> np.ndarray:
        return -self.sign * np.abs(images.mean(axis=(1, 2, 3)) - 0.5)

    def realism(self, images: np.ndarray) -> np.ndarray:
        return self.probability(images, images)


def measured_sign(root, sign: float, members: tuple[float, ...]) -> dict[str, float]:
    update = SelfSamplingUpdate(torch.full((20, 1, 8, 8), 0.5), torch.arange(20) % 10, SelfSamplingSettings())
    update.begin(Constant(members[0]), FlowSettings())
    for value in members[1:]:
        update.pool.append(Constant(value))
    run = smoke("seppo", root, **{"validity.probes": 600})
    return validity(run, SimpleNamespace(gold=Greyness(sign)), Constant(-0.3), update)


def test_the_test_of_the_sign(root):
    """Images of a constant velocity v are as grey as −v: the sign is right where gold wants the winners' grey."""
    right, wrong = (measured_sign(root, sign, (0.5, -0.5)) for sign in (1.0, -1.0))
    assert right["sign_16"] > 0.85 and right["sign_realism"] == right["sign_16"]
    assert right["sign_16"] > right["sign_1"] > 0.5  # one draw is noisy
    assert all(right[name] + wrong[name] == pytest.approx(1.0) for name in SIGN)
    # A checkpoint that is the policy has no sign and is left out.
    assert measured_sign(root, 1.0, (0.5, -0.5, -0.3))["sign_16"] > 0.85


def test_a_sign_that_knows_nothing_is_a_coin(root):
    class Coin(Greyness):
        def probability(self, images, labels):
            return np.random.default_rng(int(1e6 * abs(float(images[0, 0, 0, 0])))).random(len(images))

    update = SelfSamplingUpdate(torch.full((20, 1, 8, 8), 0.5), torch.arange(20) % 10, SelfSamplingSettings())
    update.begin(Constant(0.5), FlowSettings())
    run = smoke("seppo", root, **{"validity.probes": 2000})
    found = validity(run, SimpleNamespace(gold=Coin(1.0)), Constant(-0.3), update)
    # Half-width of four standard errors of an AUROC of 1000 against 1000: 4 · √(1 / 12 · 2 / 1000).
    assert all(abs(found[name] - 0.5) < 0.052 for name in SIGN)


def test_distance_at_equal_gold_by_hand():
    assert distance_at([0.6, 0.65, 0.75], [2.0, 1.8, 1.0]) == pytest.approx(1.4)  # 0.7 is half way
    assert distance_at([0.6, 0.7, 0.9], [2.0, 1.5, 1.0]) == pytest.approx(1.5)
    assert math.isnan(distance_at([0.6, 0.55, 0.69], [2.0, 1.8, 1.0]))


def test_what_a_run_tells_of_itself_by_hand():
    lines = [{"step": 0, "gold": 0.5, "realism": 0.4, "corrected": 0.9, "winner_distance": 2.0}]
    lines += [
        {"step": step, "update/losers": step / 20, "update/accuracy": float(step), "update/other_delta": -float(step)}
        for step in range(1, 21)
    ]
    lines[-1] |= {"gold": 0.7, "realism": 0.1, "corrected": 0.2, "winner_distance": 1.0}
    told = told_of(lines)
    assert told["realism_start"] == 0.4 and told["corrected_start"] == 0.9
    assert told["losers"] == pytest.approx(10.5 / 20) and told["distance_at"] == pytest.approx(1.5)
    assert told["preferred"] == 19.5 and told["unlearnt"] == -19.5  # of updates 19 and 20


def test_unknown_updates_are_refused_by_name(root):
    run = smoke("seppo", root, **{"update.kind": "ppo"})
    with pytest.raises(EvidenceError, match="'ppo' is unknown; choose self-sampling, fine-tuning or pairs"):
        update_of(run, None, None)


def test_without_the_flipper_images_are_unlearnt():
    """Error of a small generator on real digits that it never saw, before and after preference of winners."""
    real = digits()
    images, labels = torch.as_tensor(real.generator.images), torch.as_tensor(real.generator.labels)
    start = FlowMLP((1, 8, 8), 10, width=64, blocks=1)
    pretraining = FlowSettings(steps=500, learning_rate=3e-3, ema=None)
    train_flow(start, FlowMatchingUpdate(images, labels, batch=64), settings=pretraining)
    unseen = torch.as_tensor(real.heldout.images), torch.as_tensor(real.heldout.labels)
    look = EarlyStopping(start, *unseen, draws=4)
    errors = {}
    for flip in ("sign", "none"):
        settings = SelfSamplingSettings(
            PreferenceSettings(batch=48, beta=50.0, flip=flip), reference="latest", save_every=10, sampling_steps=4
        )
        update = SelfSamplingUpdate(images[:200], labels[:200], settings)
        run = FlowSettings(steps=160, learning_rate=1e-3, ema=None)
        errors[flip] = look.error(train_flow(copy.deepcopy(start), update, settings=run).policy)
    before = look.error(start)
    assert errors["sign"] < before < errors["none"] - 0.03
