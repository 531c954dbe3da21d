"""`trueward list`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from trueward.cli import experiments


@dataclass(frozen=True)
class ListCommand:
    """The published systems that can be run: what each is, whether its claim was shown, which parts it is made of.

    Exit code: 0, or 2 when a result cannot be read.
    """

    results: Path | None = None
    """Folder of results; by default `results` of the checkout."""


def run_list(command: ListCommand) -> int:
    """Print the table."""
    from trueward.evidence.page import systems_of
    from trueward.evidence.registry import recipes_in
    from trueward.report.experiment_file import read_experiments
    from trueward.report.experiment_terminal import render_systems

    recipes = recipes_in(experiments.RECIPES).values()
    render_systems(systems_of(recipes, read_experiments(experiments.results_folder(command.results))), Console())
    return 0
