"""One run, carried out in this process."""

from __future__ import annotations

import random
import sys
import time
import traceback
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from trueward.errors import EvidenceError
from trueward.evidence.build_once import locked
from trueward.evidence.recipe import Recipe
from trueward.evidence.record import Result, read_result, read_run, write_result
from trueward.evidence.registry import load
from trueward.evidence.run import Run
from trueward.report.atomic import write_whole


def perform(directory: Path, recipe: Recipe | None = None) -> str | None:
    """Do the run that `run.json` in a directory describes, unless it is done.

    A lock keeps a second process from doing the same run at the same time: it waits, and finds the result. What the
    run raises ends up in `error.txt`, never in the caller: other runs go on.

    Args:
        directory: of the run.
        recipe: its recipe; None to import it from the module that `run.json` names.

    Returns:
        None when the run is done, else the last line of the traceback.
    """
    try:
        with locked(directory / ".lock"):
            if read_result(directory) is None:
                _attempt(directory, recipe)
    except Exception as error:
        write_whole(directory / "error.txt", traceback.format_exc().encode("utf-8", "backslashreplace"))
        return traceback.format_exception_only(error)[-1].strip()
    return None


def _attempt(directory: Path, recipe: Recipe | None) -> None:
    record = read_run(directory)
    if record is None:
        raise EvidenceError(f"{directory} holds no run.json: nothing says what to run")
    if recipe is None:
        recipe = load(record["module"])
    run = Run(**{name: record[name] for name in ("recipe", "arm", "scale", "seed", "settings")}, directory=directory)
    (directory / "error.txt").unlink(missing_ok=True)
    _seed_everything(run.seed_for("global"))
    started = time.monotonic()
    metrics = recipe.run(run)
    write_result(directory, Result(_checked(recipe, metrics), time.monotonic() - started))


def _checked(recipe: Recipe, metrics: Mapping[str, float]) -> dict[str, float]:
    """The metrics in the order of the recipe.

    Raises:
        EvidenceError: one is missing, undeclared, or no number.
    """
    wanted = [metric.name for metric in recipe.metrics]
    if set(metrics) != set(wanted):
        raise EvidenceError(
            f"recipe {recipe.name!r}: a run returned {', '.join(sorted(metrics)) or 'nothing'}; declared metrics are "
            f"{', '.join(sorted(wanted))}"
        )
    return {name: float(metrics[name]) for name in wanted}


def _seed_everything(seed: int) -> None:
    """Seed the generators that code uses without asking, so that a run does not depend on what ran before it."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.manual_seed(seed)
