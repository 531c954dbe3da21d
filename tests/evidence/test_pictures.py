"""What the arms of a system make: found where the runs left it, joined on one sheet, shown on the page."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from PIL import Image

from trueward.evidence.experiment import Outcome
from trueward.evidence.page import write_page
from trueward.evidence.pictures import pictures_of, sheet_beside, write_sheet
from trueward.evidence.recipe import Arm, Metric, Recipe, greater
from trueward.evidence.run import Run


def png(colour: str, size: tuple[int, int] = (40, 30)) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, colour).save(buffer, "PNG")
    return buffer.getvalue()


def outcome(folder: Path, left: dict[tuple[str, int], bytes | None]) -> Outcome:
    runs: dict[str, dict[int, Run]] = {}
    for (arm, seed), content in left.items():
        directory = folder / f"seed-{seed}" / arm
        directory.mkdir(parents=True)
        if content is not None:
            (directory / "samples.png").write_bytes(content)
        runs.setdefault(arm, {})[seed] = Run("toy", arm, "small", seed, {}, directory)
    return Outcome({}, (), {}, runs, (), 0.0)


def test_the_first_seed_that_has_a_picture_stands_for_its_arm(tmp_path: Path) -> None:
    red, blue = png("red"), png("blue")
    left = {("method", 1): blue, ("method", 0): red, ("plain", 0): None, ("plain", 1): blue, ("text", 0): None}
    assert pictures_of(outcome(tmp_path, left)) == {"method": red, "plain": blue}


def test_one_sheet_beside_the_page_that_shows_it(tmp_path: Path) -> None:
    made = outcome(tmp_path / "runs", {("method", 0): png("red"), ("plain", 0): png("blue")})
    page = tmp_path / "docs" / "systems.md"
    page.parent.mkdir()
    assert write_sheet(made, page, "toy")
    file = tmp_path / "docs" / "systems" / "toy-images.png"
    assert sheet_beside(page, "toy") == file
    first = file.read_bytes()
    colours = {colour for _, colour in Image.open(file).getcolors(100_000) or []}
    assert {(255, 0, 0), (0, 0, 255)} <= colours
    assert write_sheet(made, page, "toy") and file.read_bytes() == first
    write_page([recipe()], {"toy": document()}, page)
    assert "![images that each arm makes](systems/toy-images.png)\n\nWhat each arm makes, seed 7." in page.read_text()


def test_a_system_without_pictures_has_no_sheet(tmp_path: Path) -> None:
    page = tmp_path / "systems.md"
    assert not write_sheet(outcome(tmp_path / "runs", {("method", 0): None}), page, "toy")
    assert not (tmp_path / "systems").exists()
    write_page([recipe()], {"toy": document()}, page)
    assert "![" not in page.read_text()


def recipe() -> Recipe:
    return Recipe(
        name="toy",
        title="Toy",
        paper="Nobody",
        claim="It works.",
        claims=(greater("method", "plain", "gold"),),
        arms=(Arm("method", "with", "method"), Arm("plain", "without", "baseline")),
        metrics=(Metric("gold", "what is wanted"),),
        settings={},
        preconditions=(),
        falsifiers=(),
        tuned_on="gold",
        scales={},
        parts=(),
        run=lambda run: {"gold": 0.0},
    )


def document() -> Any:
    return {
        **{name: "" for name in ("title", "paper", "claim", "why", "notes", "at_scale", "command", "tuned_on")},
        **{name: [] for name in ("metrics", "claims", "preconditions", "falsifiers", "arms", "tuning", "failures")},
        **{"recipe": "toy", "verdict": "shown", "scale": "small", "seeds": [7], "parts": [], "versions": {}},
        **{"seconds": 1.0, "date": "2026-01-01T00:00:00+00:00"},
    }
