"""The page of all systems, `docs/systems.md`, with the curves of each as an SVG file beside it.

What the arms of a system make, where they make images, lies there too (see `pictures.write_sheet`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from trueward.evidence.pictures import sheet_beside
from trueward.evidence.recipe import Recipe
from trueward.report.atomic import write_whole
from trueward.report.experiment_curves import arm_curves, telling_arms
from trueward.report.experiment_document import ExperimentDocument
from trueward.report.experiment_figures import small_multiples
from trueward.report.experiment_markdown import render_systems_page
from trueward.report.experiment_terminal import System
from trueward.report.experiment_words import NOT_RUN

_MOST_DRAWN = 4


def systems_of(recipes: Iterable[Recipe], documents: Mapping[str, ExperimentDocument]) -> list[System]:
    """Every system with its last verdict, in the order of the recipes."""
    return [
        {
            "name": recipe.name,
            "title": recipe.title,
            "claim": recipe.claim,
            "verdict": documents[recipe.name]["verdict"] if recipe.name in documents else NOT_RUN,
            "parts": list(recipe.parts),
        }
        for recipe in recipes
    ]


def write_page(recipes: Iterable[Recipe], documents: Mapping[str, ExperimentDocument], page: Path) -> None:
    """Write the page, and `<name of the page>/<system>.svg` for each system with curves.

    A sheet of images that lies beside them is shown.

    Args:
        recipes: all systems, in the order of the table.
        documents: their results by name; one of no recipe is left out.
        page: the Markdown file; its folder exists.

    Raises:
        OSError: when a file cannot be written.
    """
    systems = systems_of(recipes, documents)
    folder = page.with_suffix("")
    pictures, sheets = {}, {}
    for system in systems:
        document = documents.get(system["name"])
        drawing = "" if document is None else _drawing(document)
        if drawing:
            folder.mkdir(exist_ok=True)
            write_whole(folder / f"{system['name']}.svg", drawing.encode())
            pictures[system["name"]] = f"{folder.name}/{system['name']}.svg"
        sheet = sheet_beside(page, system["name"])
        if sheet.is_file():
            sheets[system["name"]] = f"{folder.name}/{sheet.name}"
    write_whole(page, render_systems_page(systems, documents, pictures, sheets).encode())


def _drawing(document: ExperimentDocument) -> str:
    """Curves of the arms that tell the story; "" where nothing was logged."""
    drawn = telling_arms(document)
    return small_multiples([arm_curves(arm) for arm in drawn[:_MOST_DRAWN]])
