"""Asking rewards of images, in workers and in this process: what they are given, and what becomes of what they do."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

from trueward.audit.images.folder import Folder, folder_of
from trueward.audit.images.leaf import leaf_of
from trueward.audit.images.scoring import Scoring, scoring_of, why_none
from trueward.errors import RewardError
from trueward.rewards.images import as_image_reward
from trueward.rewards.runner.types import Item
from trueward.status import Status

SCORERS = Path(__file__).with_name("image_scorers.py")


@pytest.fixture(scope="module")
def scorers() -> ModuleType:
    spec = importlib.util.spec_from_file_location("image_scorers_in_process", SCORERS)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def greys(values: list[int], **columns: list[object]) -> Folder:
    return folder_of([Image.new("L", (8, 8), value) for value in values], [str(value) for value in values], **columns)


def asked(name: str, folder: Folder, **limits: float) -> Scoring:
    return scoring_of(f"{SCORERS}:{name}", 1, limits.get("deadline", 5.0), 2048)


def test_a_worker_sees_what_the_folder_holds() -> None:
    images = [Image.new(mode, (8 + number, 8)) for number, mode in enumerate(("L", "LA", "RGB", "RGBA"))]
    scoring = asked("widths", folder_of(images))
    try:
        values = scoring.score(folder_of(images).pictures).values
    finally:
        scoring.close()
    assert values == pytest.approx([8, 9, 10, 11])
    assert (scoring.images, scoring.calls, dict(scoring.statuses)) == (4, 1, {"ok": 4})


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("mean", [0.0, 0.2, 1.0]),
        ("without_prompts", [0.0, 0.2, 1.0]),
        ("by_column", [2.0, 4.2, 7.0]),
        ("with_everything", [2.0, 2.0, 2.0]),
        ("one_by_one", [1.0, 2.2, 4.0]),
        ("as_diffusion_trainers_do", [1.0, 2.2, 4.0]),
        ("later", [0.0, 0.2, 1.0]),
    ],
)
def test_what_a_function_names_is_what_it_gets(name: str, expected: list[float], scorers: ModuleType) -> None:
    folder = greys([0, 51, 255], bonus=[1, 2, 3], other=["a", "b", "c"])
    rows = [Item(one.prompt, np.uint8(one.pixels * 255), one.columns) for one in folder.pictures]
    assert leaf_of(getattr(scorers, name)).score_rows(rows) == pytest.approx(expected, abs=1e-6)


def test_a_column_that_is_not_there_is_told() -> None:
    folder = greys([0, 51])
    scoring = asked("by_column", folder)
    try:
        found = scoring.score(folder.pictures)
    finally:
        scoring.close()
    assert np.isnan(found.values).all()
    assert why_none(found).startswith("missing reference: the reward needs the column 'bonus'")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("of_words", "scores text: none of its parameters is named images or image"),
        ("NO_FUNCTION", "is of type int, which cannot be called"),
        ("nowhere", "has no 'nowhere'"),
    ],
)
def test_what_is_no_reward_of_images_is_told(name: str, said: str) -> None:
    scoring = asked(name, greys([0]))
    try:
        with pytest.raises(RewardError) as error:
            scoring.score(greys([0]).pictures)
    finally:
        scoring.close()
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("hangs_on_white", Status.TIMED_OUT),
        ("dies_on_white", Status.CRASHED),
    ],
)
def test_an_image_that_breaks_the_reward_takes_no_other_with_it(name: str, status: Status) -> None:
    folder = greys([0, 51, 255, 102])
    scoring = asked(name, folder, deadline=0.5)
    try:
        found = scoring.score(folder.pictures)
    finally:
        scoring.close()
    assert [outcome.status for outcome in found.outcomes] == [Status.OK, Status.OK, status, Status.OK]
    assert found.values[[0, 1, 3]] == pytest.approx([0.0, 0.2, 0.4])
    assert found.failed == [2]


def test_what_is_no_score_has_a_status(scorers: ModuleType) -> None:
    folder = greys([0, 51])
    assert [one.status for one in _here(scorers.nothing_on_black, folder)] == [Status.NOT_FINITE, Status.OK]
    assert {one.status for one in _here(scorers.raises, folder)} == {Status.RAISED}
    assert {one.status for one in _here(scorers.one_too_few, folder)} == {Status.WRONG_COUNT}


def test_a_class_is_refused_and_an_object_is_not() -> None:
    class Scorer:
        def __call__(self, images):  # type: ignore[no-untyped-def]
            return [0.5 for _ in images]

    with pytest.raises(RewardError, match="is a class, not a reward"):
        leaf_of(Scorer)
    assert leaf_of(Scorer()).score_rows([Item("", np.zeros((8, 8, 1), dtype=np.uint8))]) == [0.5]


def test_a_trueward_reward_keeps_its_sums_and_its_failures(scorers: ModuleType) -> None:
    bright = as_image_reward(lambda prompts, images: scorers.mean(prompts, images))
    known = as_image_reward(lambda prompts, images: [None if prompt == "51" else 1.0 for prompt in prompts])
    folder = folder_of(
        [Image.new("RGB", (8, 8), (255,) * 3), Image.new("L", (12, 8), 51), Image.new("L", (8, 8), 0)],
        ["255", "51", "0"],
    )
    scoring = scoring_of(2 * bright + known, 1, 5.0, 2048)
    found = scoring.score(folder.pictures)
    assert found.values[[0, 2]] == pytest.approx([3.0, 1.0])
    assert [outcome.status for outcome in found.outcomes] == [Status.OK, Status.ABSTAINED, Status.OK]


def _here(function: object, folder: Folder) -> list[object]:
    def local(prompts: list[str], images: list[object]) -> object:
        return function(prompts, images)  # type: ignore[operator]

    scoring = scoring_of(local, 1, 5.0, 2048)
    assert scoring.in_process and "no deadline" in scoring.notices[0]
    return list(scoring.score(folder.pictures).outcomes)
