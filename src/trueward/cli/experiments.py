"""What the commands about systems share: where systems and results are, settings as typed, runs with a progress bar."""

from __future__ import annotations

import difflib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

import trueward
from trueward.errors import EvidenceError
from trueward.report.terminal_text import Plain, line
from trueward.report.wording import duration

if TYPE_CHECKING:
    from trueward.evidence.experiment import Outcome, SetAside
    from trueward.evidence.experiment import Progress as Told
    from trueward.evidence.plan import Experiment
    from trueward.evidence.recipe import Recipe

RECIPES = "trueward.recipes"


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """How runs are carried out."""

    jobs: int = 1
    """Runs at a time."""
    engine: Literal["processes", "ray"] = "processes"
    """processes: workers on this machine. ray: the cluster of RAY_ADDRESS, else a local one."""
    directory: Path = Path("runs")
    """Where runs are kept: what is done is not done again, what was interrupted goes on."""
    force: bool = False
    """Set runs with other settings aside (renamed, not deleted) instead of refusing."""
    again: bool = False
    """Set all earlier runs aside (renamed, not deleted) and do them anew, after a change of the code for example."""

    @property
    def set_aside(self) -> SetAside:
        """Which earlier runs are renamed."""
        return "all" if self.again else "changed" if self.force else "nothing"


def results_folder(given: Path | None) -> Path:
    """Where results are: the folder that was given, else that of the checkout, else `results`."""
    return given if given is not None else _checkout() / "results"


def systems_page(given: Path | None) -> Path:
    """The page of all systems: the one that was given, else that of the checkout."""
    return given if given is not None else _checkout() / "docs" / "systems.md"


def _checkout() -> Path:
    """The folder of the checkout that this package lies in; the current one where it is installed elsewhere."""
    folder = Path(trueward.__file__).resolve().parents[2]
    return folder if (folder / "pyproject.toml").is_file() else Path()


def settings_typed(typed: Sequence[str], recipe: Recipe, scale: str) -> dict[str, Any]:
    """Settings out of `name=value`; a value is JSON, and text where it is no JSON.

    Raises:
        EvidenceError: no `=`, a name that no arm of the recipe has, or a value of another kind than the recipe's.
    """
    known = known_settings(recipe, scale)
    found = {}
    for text in typed:
        name, equals, value = text.partition("=")
        if not equals:
            raise EvidenceError(f"--set {text}: expected name=value, for example --set {next(iter(known), 'name')}=1")
        if name not in known:
            close = difflib.get_close_matches(name, known, n=3)
            hint = f"did you mean {' or '.join(close)}?" if close else f"its settings: {', '.join(sorted(known))}"
            raise EvidenceError(f"--set {text}: recipe {recipe.name!r} has no setting {name!r}; {hint}")
        found[name] = _same_kind(_value(value), known[name], text)
    return found


def known_settings(recipe: Recipe, scale: str) -> dict[str, list[Any]]:
    """Every setting of a recipe or one of its arms, with the values that it has there."""
    known: dict[str, list[Any]] = {}
    candidates = [arm.tuned for arm in recipe.arms]
    for settings in (recipe.at(scale), *(arm.settings for arm in recipe.arms)):
        for name, value in settings.items():
            known.setdefault(name, []).append(value)
    for tuned in candidates:
        for name, values in tuned.items():
            known.setdefault(name, []).extend(values)
    return known


def _value(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_no_constant)
    except ValueError:
        return text


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON number")


def _same_kind(value: Any, known: Sequence[Any], typed: str) -> Any:
    """Refuses text where the recipe has a number: a typing error would end the run far from where it was made."""
    kinds = {_kind(other) for other in known if other is not None}
    if value is None or not kinds or _kind(value) in kinds:
        return value
    if "text" in kinds:
        return typed.partition("=")[2]
    example = next(other for other in known if other is not None)
    raise EvidenceError(f"--set {typed}: expected {' or '.join(sorted(kinds))}, such as {json.dumps(example)}")


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, str):
        return "text"
    return "a list" if isinstance(value, list | tuple) else "an object"


def carry_out(experiment: Experiment, options: RunOptions, console: Console) -> Outcome:
    """Carry out an experiment with a progress bar; runs that fail are named as soon as they do."""
    from trueward.evidence.experiment import execute

    name = experiment.recipe.name
    with _bar(console) as bar:
        task = bar.add_task(name, total=None, left="")
        running: dict[Path, str] = {}

        def told(progress: Told) -> None:
            if progress.run is not None:
                at, said = progress.run.directory, f"{progress.run.arm}, seed {progress.run.seed}"
                if progress.kind == "started":
                    running[at] = said
                else:
                    running.pop(at, None)
                if progress.kind == "failed":
                    words = line(("✗ ", "red"), f"{said}: {progress.error} (", (str(at / "error.txt"), "dim"), ")")
                    bar.console.print(Plain(words, console.encoding), end="")
            now = f"{name}: {next(iter(running.values()))}" if running else name
            left = progress.remaining_seconds
            bar.update(
                task,
                description=now,
                completed=progress.done,
                total=progress.total,
                left="" if left is None else f"about {duration(round(left))} left" if left >= 1 else "",
            )

        return execute(experiment, jobs=options.jobs, engine=options.engine, set_aside=options.set_aside, progress=told)


def require_at_least_one(name: str, value: int | None) -> None:
    """Raises `EvidenceError` for a count below 1."""
    if value is not None and value < 1:
        raise EvidenceError(f"{name} {value}: expected at least 1")


def _bar(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=30),
        TextColumn("{task.completed}/{task.total}"),
        TimeElapsedColumn(),
        TextColumn("{task.fields[left]}", markup=False),
        console=console,
        transient=True,
    )
