"""`trueward evidence`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from rich.console import Console

from trueward.cli import experiments
from trueward.cli.data_options import require_folders
from trueward.errors import EvidenceError

if TYPE_CHECKING:
    from trueward.evidence.recipe import Recipe


@dataclass(frozen=True, kw_only=True)
class EvidenceCommand(experiments.RunOptions):
    """Put systems to the test as they are reported: writes results/NAME.json and the page docs/systems.md, and for
    systems that make images docs/systems/NAME-images.png.

    Exit code: 0 everything ran, whatever the verdicts; 2 a run failed or the command cannot be carried out.
    """

    only: str | None = None
    """Names, with commas between them; by default every system."""
    scale: Literal["small", "full"] = "small"
    """small: the decision set, which the page shows. full: every arm; its results go to results/full."""
    results: Path | None = None
    """Folder of results; by default `results` of the checkout."""
    page: Path | None = None
    """The page; by default `docs/systems.md` of the checkout."""
    page_only: bool = False
    """Run nothing: make the page from the results that are there."""


def run_evidence(command: EvidenceCommand) -> int:
    """Run the systems one after the other; each result is written as soon as it is there."""
    from trueward.evidence.page import write_page
    from trueward.evidence.registry import get, recipes_in
    from trueward.report.experiment_file import read_experiments

    results, page = experiments.results_folder(command.results), experiments.systems_page(command.page)
    require_folders(page)
    experiments.require_at_least_one("--jobs", command.jobs)
    recipes = recipes_in(experiments.RECIPES)
    if command.only is not None:
        names = [name.strip() for name in command.only.split(",") if name.strip()]
        chosen = {name: get(name, experiments.RECIPES) for name in names}
    else:
        chosen = recipes
    if not chosen:
        raise EvidenceError("there is nothing to run: --only names no system")
    failed = False
    if not command.page_only:
        folder = results if command.scale == "small" else results / command.scale
        folder.mkdir(parents=True, exist_ok=True)
        for recipe in chosen.values():
            failed |= _tested(recipe, command, folder, page)
    write_page(recipes.values(), read_experiments(results), page)
    Console(stderr=True).print(f"Page: {page}", markup=False, highlight=False, soft_wrap=True)
    return 2 if failed else 0


def _tested(recipe: Recipe, command: EvidenceCommand, folder: Path, page: Path) -> bool:
    """Run a system and write its result; True when one of its runs failed."""
    from trueward.evidence.pictures import write_sheet
    from trueward.evidence.plan import Experiment
    from trueward.evidence.result import document
    from trueward.report.experiment_terminal import render_verdict
    from trueward.report.json_file import write_json

    experiment = Experiment(recipe, command.scale, command.directory)
    outcome = experiments.carry_out(experiment, command, Console(stderr=True))
    # Not as it was typed: paths of this machine have no place in a result.
    made = document(experiment, outcome, f"trueward evidence --only {recipe.name} --scale {command.scale}")
    write_json(made, folder / f"{recipe.name}.json")
    if command.scale == "small":  # what the page shows
        write_sheet(outcome, page, recipe.name)
    render_verdict(made, Console())
    return bool(made["failures"])
