"""Audits of rewards of images, whole: planted flaws are found, sound rewards stand, and the rest is told."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image

from trueward.audit.images import ImageReport, audit_images, folder_of
from trueward.audit.images.folder import Folder
from trueward.audit.regression import compare
from trueward.errors import AuditError, RewardError

ROOT = Path(__file__).parents[3]
SMALL = {"families": ("constant", "contrast")}  # where the other changes have nothing to say


@pytest.fixture(scope="module")
def rewards() -> ModuleType:
    spec = importlib.util.spec_from_file_location("image_rewards_in_process", ROOT / "examples" / "image_rewards.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def local(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function without an address: it is scored in this process, which starts sooner than a worker."""

    def score(prompts: list[str], images: list[Image.Image]) -> Any:
        return function(prompts, images)

    score.__name__ = function.__name__
    return score


def digits(rewards: ModuleType, seed: int = 0, count: int = 48) -> Folder:
    """Digits that no reward has seen: the first 200 are for that."""
    images, labels = rewards.digits()
    chosen = np.random.default_rng(seed).permutation(200)[:count]
    pixels = [np.rint(255 * images[place].reshape(8, 8)).astype(np.uint8) for place in chosen]
    return folder_of([Image.fromarray(one) for one in pixels], [str(labels[place]) for place in chosen])


def families(report: ImageReport) -> set[str]:
    return {finding["family"] for finding in report.audit["findings"]}


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("brightness", {"constant", "brightness", "inversion", "pure noise", "shuffled"}),
        ("ink", {"constant", "contrast", "borders", "pure noise", "shuffled"}),
        ("logit", {"growth"}),
    ],
)
def test_planted_flaws_are_found(name: str, wanted: set[str], seed: int, rewards: ModuleType) -> None:
    report = audit_images(local(getattr(rewards, name)), digits(rewards, seed), seed=seed)
    assert not report.clean
    assert wanted <= families(report)
    assert report.audit["images"]["sheets"]


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("name", ["readable", "like_real_ones"])
def test_sound_rewards_come_out_clean(name: str, seed: int, rewards: ModuleType) -> None:
    report = audit_images(local(getattr(rewards, name)), digits(rewards, seed), seed=seed, search=400)
    assert report.clean, [finding["title"] for finding in report.audit["findings"]]
    assert report.audit["images"]["sheets"] == []
    # A little contrast may well be paid a hair more: that is no finding, and it is told.
    gains = [change["gain"] or 0.0 for change in report.audit["images"]["changes"] if change["relation"] == "no_gain"]
    assert max(gains) > -0.01


def test_a_finding_says_by_how_much_and_shows_the_images_that_gained_most(rewards: ModuleType) -> None:
    report = audit_images(local(rewards.brightness), digits(rewards), families=("brightness",))
    [finding] = [one for one in report.audit["findings"] if one["family"] == "brightness"]
    [change] = [one for one in report.audit["images"]["changes"] if one["variant"] == "+0.3"]
    spread = report.audit["images"]["spread"]
    assert spread is not None and change["gain"] is not None and change["low"] is not None
    # White stays white: the gain is at most .3 of the range.
    assert 0.2 / spread < change["gain"] < 0.3 / spread
    assert change["low"] < change["gain"]
    assert finding["title"].startswith(f"brightness (+0.3) raises the reward by {change['gain']:.3g} spreads")
    assert (finding["prompts"], finding["tested"]) == (48, 48)
    first = finding["examples"][0]
    assert first["reward"] is not None and first["base_reward"] is not None and first["reward"] > first["base_reward"]
    assert first["reference"] == first["row"] and first["completion"] == "brightness, +0.3"


def test_the_same_audit_twice_says_the_same_and_is_no_regression(rewards: ModuleType) -> None:
    folder = digits(rewards)
    first, second = (audit_images(local(rewards.ink), folder, **SMALL, seed=3) for _ in range(2))
    for audit in (first.audit, second.audit):
        audit.update(seconds=0.0, latency=None)
    assert first.audit == second.audit
    compared = compare(second.audit, first.document, "earlier.json")
    assert compared["known"] and compared["new"] == [] == compared["gone"]


def test_images_of_all_sizes_and_modes_in_one_folder() -> None:
    generator = np.random.default_rng(0)
    images = []
    for number in range(16):
        mode = ("L", "RGB", "RGBA", "LA")[number % 4]
        width, height = ((256, 256), (40, 64), (8, 8), (17, 31))[number // 4]
        bits = generator.integers(0, 200, size=(height, width, len(mode)), dtype=np.uint8)
        images.append(Image.fromarray(bits[..., 0] if mode == "L" else bits, mode if mode == "LA" else None))

    def brightness(prompts: list[str], images: list[Image.Image]) -> list[float]:
        return [float(np.asarray(image.convert("L")).mean()) for image in images]

    report = audit_images(brightness, folder_of(images))
    assert {"constant", "brightness"} <= families(report)
    run = report.audit["images"]
    assert run["sizes"] == "from 8 × 8 to 256 × 256" and run["prompts"] == 0
    assert {"saturation", "other size"} <= {change["family"] for change in run["changes"] if not change["not_tested"]}
    assert "no prompts" in report.audit["header"][1]


def test_a_reward_that_does_not_read_the_prompt_is_told_and_not_blamed(rewards: ModuleType) -> None:
    def contrast(prompts: list[str], images: list[Image.Image]) -> list[float]:
        return [-float(np.asarray(image).std()) for image in images]

    report = audit_images(contrast, digits(rewards), families=("resolution",))
    assert not report.audit["reads_answer"]
    assert "does not read the prompt: only what is done to images was tested" in report.audit["header"]
    assert any("one image is paid the same for every prompt" in note["title"] for note in report.audit["notes"])
    assert not families(report) & {"other prompt", "one for all"}


def test_an_image_that_is_paid_under_every_prompt_is_found(rewards: ModuleType) -> None:
    folder = digits(rewards)

    def with_a_password(prompts: list[str], images: list[Image.Image]) -> list[float]:
        own = rewards.like_real_ones(prompts, images)
        return [2.0 if image.getpixel((0, 0))[0] == 255 else value for image, value in zip(images, own, strict=True)]

    images = [Image.fromarray(np.uint8(255 * one.pixels[..., 0])) for one in folder.pictures]
    images[5].putpixel((0, 0), 255)
    prompts = [one.prompt for one in folder.pictures]
    report = audit_images(with_a_password, folder_of(images, prompts), families=("blur",))
    assert "one for all" in families(report)
    assert "other prompt" not in families(report)
    [finding] = [one for one in report.audit["findings"] if one["family"] == "one for all"]
    assert finding["variant"] == "image 5"
    mended = audit_images(local(rewards.like_real_ones), folder_of(images, prompts), families=("blur",))
    assert "one for all" not in families(mended)


def test_a_reward_that_hardly_reads_the_prompt_is_found(rewards: ModuleType) -> None:
    def mostly_size(prompts: list[str], images: list[Image.Image]) -> list[float]:
        return [
            float(np.asarray(image).mean()) + 1e-3 * len(prompt) for image, prompt in zip(images, prompts, strict=True)
        ]

    folder = digits(rewards)
    images = [Image.fromarray(np.uint8(255 * one.pixels[..., 0])) for one in folder.pictures]
    named = folder_of(images, ["a" * int(one.prompt) + "b" for one in folder.pictures])
    assert "other prompt" in families(audit_images(mostly_size, named, families=("blur",)))


def test_scores_that_change_are_found(rewards: ModuleType) -> None:
    folder = digits(rewards)
    generator = np.random.default_rng(0)

    def noisy(prompts: list[str], images: list[Image.Image]) -> list[float]:
        return [float(np.asarray(image).mean() + generator.normal(0, 20)) for image in images]

    def within_its_batch(prompts: list[str], images: list[Image.Image]) -> list[float]:
        values = np.array([np.asarray(image).mean() for image in images])
        return ((values - values.mean()) / (values.std() + 1e-6)).tolist()

    random, company = (audit_images(one, folder, **SMALL).audit for one in (noisy, within_its_batch))
    assert (random["deterministic"], company["deterministic"]) == (False, True)
    assert random["findings"][0]["title"] == "scores the same image differently when it is asked again"
    assert company["findings"][0]["title"].startswith("scores an image differently beside other images")


def test_images_that_break_the_reward_are_found(rewards: ModuleType) -> None:
    def relative(prompts: list[str], images: list[Image.Image]) -> list[float]:
        return [float(np.asarray(image, dtype=float).std() / np.asarray(image).mean()) for image in images]

    with np.errstate(invalid="ignore"):
        report = audit_images(relative, digits(rewards), families=("constant",))
    [finding] = [one for one in report.audit["findings"] if one["kind"] == "failure"]
    assert finding["title"] == "gives no score after constant (black): not finite"
    assert (finding["prompts"], finding["tested"]) == (48, 48)
    assert finding["examples"][0]["status"] == "not finite"


def test_a_reward_of_one_size_only_is_told_and_not_blamed(rewards: ModuleType) -> None:
    def stacked(prompts: list[str], images: list[Image.Image]) -> list[float]:
        pixels = np.stack([np.asarray(image.convert("L"), dtype=float).reshape(8, 8) for image in images])
        return (-pixels.std(axis=(1, 2))).tolist()

    report = audit_images(stacked, digits(rewards), families=("other size",))
    assert families(report) <= {"growth"}
    [note] = [note for note in report.audit["notes"] if note["title"] == "scores images of one size only"]
    assert "raised, ValueError" in note["detail"]
    untested = {row["family"]: row["not_tested"] for row in report.audit["families"]}
    assert untested["other size"] == "no changed image has a score"


def test_a_reward_that_pays_everything_the_same_is_found(rewards: ModuleType) -> None:
    report = audit_images(lambda prompts, images: [1.0] * len(images), digits(rewards), families=("pure noise",))
    assert families(report) == {"pure noise"}
    assert "pays all images the same, whatever is done to them" in report.audit["header"]


def test_a_search_finds_a_chain_that_no_single_change_is(rewards: ModuleType) -> None:
    folder = digits(rewards)

    def corner_and_frame(prompts: list[str], images: list[Image.Image]) -> list[float]:
        """Pays a bright corner only where the middle is dark: no single change of the catalogue does both."""
        found = []
        for image in images:
            pixels = np.asarray(image.convert("L"), dtype=float) / 255
            found.append(float(min(pixels[0, 0], 0.5) * (1 - pixels[3:5, 3:5].mean()) + 0.02 * pixels.std()))
        return found

    settings = {"families": ("blur",), "search": 2000}
    report = audit_images(corner_and_frame, folder, **settings)
    assert "search" in families(report)
    climb = report.audit["images"]["climb"]
    assert climb is not None and climb["steps"] and climb["scored"] <= 1000 + 8 * climb["pool"]
    assert len(climb["gain"]) == len(climb["steps"]) + 1 and climb["gain"][0] == 0
    assert climb["pool"] + climb["rest"] == 48
    [finding] = [one for one in report.audit["findings"] if one["family"] == "search"]
    assert finding["examples"][0]["derivation"] == climb["steps"]


def test_another_scorer_tells_where_the_reward_goes_wrong(rewards: ModuleType) -> None:
    report = audit_images(local(rewards.logit), digits(rewards), local(rewards.like_real_ones), families=("constant",))
    run = report.audit["images"]
    assert run["holdout"] is not None and run["holdout"]["name"] == "like_real_ones"
    assert run["holdout"]["rank"] is not None and run["holdout"]["rank"] > 0.1
    growth = run["growth"]
    assert growth is not None
    assert growth["beyond"][-1] is not None and growth["beyond"][-1] > growth["beyond"][0]  # type: ignore[operator]
    assert growth["holdout"][-1] is not None and growth["holdout"][-1] < -1
    assert growth["corrected"][-1] < growth["corrected"][0] and growth["boundary"] is not None  # type: ignore[operator]
    assert any("corrected score is highest" in note["title"] for note in report.audit["notes"])


def test_what_cannot_be_audited_is_told(rewards: ModuleType) -> None:
    folder = digits(rewards, count=8)
    few = folder_of([Image.new("L", (8, 8), value) for value in range(7)])
    with pytest.raises(AuditError, match="7 images are too few to audit with; at least 8"):
        audit_images(local(rewards.ink), few)
    with pytest.raises(RewardError, match=r"scores none of 8 images \(raised: ValueError: no model\)"):
        audit_images(_without_a_model, folder)
    with pytest.raises(AuditError, match="scores 3 of 8 images"):
        audit_images(lambda prompts, images: [1.0 if p in "01" else None for p in prompts], _labelled("01023456"))
    address = f"{ROOT / 'examples' / 'image_rewards.py'}:ink"
    with pytest.raises(AuditError, match="is the audited reward itself"):
        audit_images(address, folder, address)
    for wrong in ({"most": 3}, {"search": 5}, {"deadline": 0}, {"families": ("taste",)}):
        with pytest.raises(AuditError, match="settings out of range"):
            audit_images(local(rewards.ink), folder, **wrong)


def _without_a_model(prompts: list[str], images: list[Image.Image], **columns: Any) -> list[float]:
    raise ValueError("no model")


def _labelled(prompts: str) -> Folder:
    return folder_of([Image.new("L", (8, 8), 10 * place) for place in range(len(prompts))], list(prompts))
