"""Folders of images: prompts, modes, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from trueward.audit.images.folder import folder_of, picture_of, read_folder
from trueward.errors import DataError


def save(path: Path, mode: str = "RGB", size: tuple[int, int] = (9, 7)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, 128 if mode in ("L", "I;16", "F") else None).save(path)


def test_prompts_are_the_names_of_folders_without_metadata(tmp_path: Path) -> None:
    save(tmp_path / "cat" / "b.png")
    save(tmp_path / "dog" / "a.jpg")
    save(tmp_path / "c.png")
    save(tmp_path / ".hidden" / "d.png")
    (tmp_path / "notes.txt").write_text("no image")
    folder = read_folder(tmp_path)
    assert [(one.name, one.prompt) for one in folder.pictures] == [
        ("c.png", ""),
        ("cat/b.png", "cat"),
        ("dog/a.jpg", "dog"),
    ]
    assert folder.prompts == ("cat", "dog")
    assert folder.pictures[0].pixels.shape == (7, 9, 3)


def test_metadata_gives_prompts_and_columns(tmp_path: Path) -> None:
    save(tmp_path / "x" / "a.png")
    save(tmp_path / "b.png")
    save(tmp_path / "left_out.png")
    rows = [{"file_name": "x/a.png", "text": "a fox", "seed": 3}, {"file_name": "b.png", "text": "an owl", "seed": 4}]
    (tmp_path / "metadata.jsonl").write_text("\n".join(json.dumps(row) for row in rows) + "\n\n")
    folder = read_folder(tmp_path)
    assert [(one.prompt, one.columns["seed"]) for one in folder.pictures] == [("an owl", 4), ("a fox", 3)]
    assert folder.notices == ("1 image is left out: metadata.jsonl does not name it",)
    by_seed = read_folder(tmp_path, prompt_column="seed")
    assert by_seed.prompts == ("4", "3")


def test_metadata_as_csv(tmp_path: Path) -> None:
    save(tmp_path / "a.png")
    (tmp_path / "metadata.csv").write_text("file_name,caption\na.png,a fox\n")
    assert read_folder(tmp_path).pictures[0].prompt == "a fox"


def test_every_mode_becomes_grey_or_colour(tmp_path: Path) -> None:
    channels = {"L": 1, "LA": 1, "RGB": 3, "RGBA": 3, "P": 3, "1": 1, "I;16": 1}
    for mode in channels:
        save(tmp_path / f"{mode.replace(';', '')}.png", mode)
    save(tmp_path / "CMYK.jpg", "CMYK")
    folder = read_folder(tmp_path)
    found = {Path(one.name).stem: one.pixels.shape for one in folder.pictures}
    assert found == {"CMYK": (7, 9, 3), **{mode.replace(";", ""): (7, 9, count) for mode, count in channels.items()}}
    assert folder.notices == ("2 images have transparent parts: the reward gets RGB, and their opacity is left out",)


def test_sixteen_bits_are_not_cut_off() -> None:
    values = np.linspace(0, 65535, 16).reshape(4, 4).astype(np.uint16)
    picture = picture_of(Image.fromarray(values), "a")
    assert picture.pixels.min() == 0 and picture.pixels.max() == 1
    assert picture.pixels[2, 1, 0] == pytest.approx(9 / 15, abs=1 / 255)


def test_a_photograph_is_turned_upright(tmp_path: Path) -> None:
    image = Image.new("RGB", (12, 6))
    exif = Image.Exif()
    exif[0x0112] = 6  # held sideways
    image.save(tmp_path / "a.jpg", exif=exif)
    assert read_folder(tmp_path).pictures[0].pixels.shape == (12, 6, 3)


def test_at_most_so_many_spread_over_the_names(tmp_path: Path) -> None:
    for number in range(10):
        save(tmp_path / f"{number}.png")
    assert [one.name for one in read_folder(tmp_path, most=4).pictures] == ["0.png", "3.png", "6.png", "9.png"]


@pytest.mark.parametrize(
    ("prepare", "said"),
    [
        (lambda folder: folder / "nowhere", "does not exist; --images needs a folder"),
        (lambda folder: _file(folder / "a.txt", "x"), "is a file; --images needs a folder"),
        (lambda folder: folder, "holds no image; expected files that end with .png"),
        (lambda folder: _file(folder / "a.png", "no image").parent, "a.png: cannot be read as an image"),
        (lambda folder: _tiny(folder), "a.png: 3 × 9 pixels; expected at least 4"),
        (lambda folder: _metadata(folder, "{"), "metadata.jsonl:1: is not JSON"),
        (lambda folder: _metadata(folder, '{"text": "x"}'), "expected an object with the path of an image"),
        (lambda folder: _metadata(folder, '{"file_name": "b.png"}'), "names 'b.png', which is not in the folder"),
        (lambda folder: _metadata(folder, '{"file_name": "a.png"}\n' * 2), "names 'a.png' for the second time"),
        (lambda folder: _metadata(folder, ""), "is empty; expected one row for each image"),
    ],
)
def test_what_cannot_be_read_is_told(prepare: object, said: str, tmp_path: Path) -> None:
    path = prepare(tmp_path)  # type: ignore[operator]
    with pytest.raises(DataError) as error:
        read_folder(path)
    assert said in str(error.value)


def test_a_broken_file_that_ends_early_is_told(tmp_path: Path) -> None:
    save(tmp_path / "whole.png", size=(64, 64))
    content = (tmp_path / "whole.png").read_bytes()
    (tmp_path / "a.png").write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match=r"a\.png: cannot be read as an image"):
        read_folder(tmp_path)


def test_a_prompt_column_needs_metadata_that_has_it(tmp_path: Path) -> None:
    save(tmp_path / "a.png")
    with pytest.raises(DataError, match=r"holds no metadata\.jsonl and no metadata\.csv"):
        read_folder(tmp_path, prompt_column="text")
    _metadata(tmp_path, '{"file_name": "a.png", "caption": "x"}')
    with pytest.raises(DataError, match="has no column 'text'; it has file_name, caption"):
        read_folder(tmp_path, prompt_column="text")


def test_images_in_memory() -> None:
    folder = folder_of([Image.new("L", (8, 8)), Image.new("RGB", (8, 8))], ["a", "b"], label=[1, 2])
    assert [(one.prompt, one.columns) for one in folder.pictures] == [("a", {"label": 1}), ("b", {"label": 2})]
    with pytest.raises(DataError, match="prompts has 1 entries for 2 images"):
        folder_of([Image.new("L", (8, 8))] * 2, ["a"])
    with pytest.raises(DataError, match="there is no image"):
        folder_of([])


def _file(path: Path, content: str) -> Path:
    path.write_text(content)
    return path


def _tiny(folder: Path) -> Path:
    save(folder / "a.png", size=(3, 9))
    return folder


def _metadata(folder: Path, content: str) -> Path:
    save(folder / "a.png")
    (folder / "metadata.jsonl").write_text(content)
    return folder
