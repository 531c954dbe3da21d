"""What the arms of an experiment make, as the runs left it: `samples.png` in the directory of a run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from trueward.report.atomic import write_whole
from trueward.report.experiment_images import joined

if TYPE_CHECKING:
    from trueward.evidence.experiment import Outcome

NAME = "samples.png"


def pictures_of(outcome: Outcome) -> dict[str, bytes]:
    """Arm → the picture of its first seed that has one; an arm of none is left out.

    Args:
        outcome: of the experiment.
    """
    pictures = {}
    for arm, runs in outcome.runs.items():
        files = (runs[seed].directory / NAME for seed in sorted(runs))
        found = next((file for file in files if file.is_file()), None)
        if found is not None:
            pictures[arm] = found.read_bytes()
    return pictures


def sheet_beside(page: Path, system: str) -> Path:
    """Where the sheet of a system lies, beside the page of all systems."""
    return page.with_suffix("") / f"{system}-images.png"


def write_sheet(outcome: Outcome, page: Path, system: str) -> bool:
    """Write the pictures of all arms as one sheet; the file appears whole or not at all.

    Args:
        outcome: of the experiment.
        page: of all systems; its folder exists.
        system: name of the recipe.

    Returns:
        False, and nothing is written, where no run left a picture.

    Raises:
        OSError: when the file cannot be written.
        MissingExtra: Pillow is not installed.
    """
    pictures = pictures_of(outcome)
    if not pictures:
        return False
    file = sheet_beside(page, system)
    file.parent.mkdir(exist_ok=True)
    write_whole(file, joined(pictures))
    return True
