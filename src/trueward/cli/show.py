"""`trueward show`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import tyro
from rich.console import Console

from trueward.cli import experiments

if TYPE_CHECKING:
    from trueward.evidence.recipe import Recipe
    from trueward.report.experiment_document import ExperimentDocument


@dataclass(frozen=True)
class ShowCommand:
    """All that is known of a system: claim, arms, last result with intervals, curves, how to use it at scale.

    Exit code: 0, or 2 when there is no such system or its result cannot be read.
    """

    system: tyro.conf.Positional[str]
    """Name, as `trueward list` shows it."""
    results: Path | None = None
    """Folder of results; by default `results` of the checkout."""


def run_show(command: ShowCommand) -> int:
    """Print it."""
    from trueward.evidence.registry import get
    from trueward.report.experiment_file import read_experiment
    from trueward.report.experiment_terminal import render_system

    recipe = get(command.system, experiments.RECIPES)
    path = experiments.results_folder(command.results) / f"{recipe.name}.json"
    was_run = path.is_file()
    render_system(read_experiment(path) if was_run else _unmeasured(recipe), Console(), was_run=was_run)
    return 0


def _unmeasured(recipe: Recipe) -> ExperimentDocument:
    """The document of a system that was never run: its claim and arms, without a number."""
    from trueward.evidence.experiment import Outcome
    from trueward.evidence.plan import Experiment
    from trueward.evidence.result import document

    scale = "small" if "small" in recipe.scales else next(iter(recipe.scales))
    return document(Experiment(recipe, scale), Outcome({}, (), {}, {}, (), 0.0), "")
