"""`trueward run`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro
from rich.console import Console

from trueward.cli import experiments
from trueward.cli.data_options import require_folders

if TYPE_CHECKING:
    from trueward.evidence.recipe import Recipe


@dataclass(frozen=True, kw_only=True)
class RunCommand(experiments.RunOptions):
    """Run the arms of a system under some seeds, tell the verdict, write a report. Interrupted, it goes on next time.

    Exit code: 0 everything ran, whatever the verdict; 2 a run failed or the command cannot be carried out.
    """

    system: tyro.conf.Positional[str]
    """Name, as `trueward list` shows it."""
    seeds: int | None = None
    """How many; by default those of the system, and one at scale smoke."""
    arm: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = ()
    """Run this arm only; can be given several times."""
    set: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = ()
    """name=value: change a setting of every arm; can be given several times."""
    steps: int | None = None
    """Short for --set train.steps=N."""
    scale: Literal["smoke", "small", "full"] = "small"
    """smoke: seconds, does it run. small: what results are reported for. full: every arm."""
    html: Path | None = None
    """Where the report is written; by default beside the runs."""


def run_run(command: RunCommand, typed: str = "") -> int:
    """Run it.

    Args:
        command: what to do.
        typed: the command line as it was typed, for the report.
    """
    from trueward.evidence.pictures import pictures_of
    from trueward.evidence.plan import Experiment
    from trueward.evidence.registry import get
    from trueward.evidence.result import document
    from trueward.report.experiment_html import write_experiment_html
    from trueward.report.experiment_terminal import render_verdict
    from trueward.report.json_file import write_json

    require_folders(command.html)
    for name in ("seeds", "steps", "jobs"):
        experiments.require_at_least_one(f"--{name}", getattr(command, name))
    recipe = get(command.system, experiments.RECIPES)
    steps = () if command.steps is None else (f"train.steps={command.steps}",)
    experiment = Experiment(
        recipe,
        command.scale,
        command.directory,
        _seeds(recipe, command),
        command.arm,
        experiments.settings_typed([*command.set, *steps], recipe, command.scale),
    )
    outcome = experiments.carry_out(experiment, command, Console(stderr=True))
    made = document(experiment, outcome, typed)
    page = command.html if command.html is not None else experiment.folder / "report.html"
    write_json(made, experiment.folder / "experiment.json")
    write_experiment_html(made, page, pictures_of(outcome))
    render_verdict(made, Console(), str(page))
    return 2 if made["failures"] else 0


def _seeds(recipe: Recipe, command: RunCommand) -> tuple[int, ...]:
    """The first seeds of the recipe; beyond them the next numbers that are no tuning seeds."""
    count = command.seeds if command.seeds is not None else 1 if command.scale == "smoke" else len(recipe.seeds)
    seeds = list(recipe.seeds[:count])
    following = max(recipe.seeds) + 1
    while len(seeds) < count:
        if following not in recipe.tuning_seeds:
            seeds.append(following)
        following += 1
    return tuple(seeds)
