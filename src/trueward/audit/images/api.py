"""`audit_images`: point it at a reward and a folder of images, get a report."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from trueward.audit.images.climbing import LEAST_BUDGET, climb
from trueward.audit.images.comparing import unit_of
from trueward.audit.images.document import document, findings_of
from trueward.audit.images.evidence import Evidence
from trueward.audit.images.folder import Folder, read_folder
from trueward.audit.images.growing import LEAST_SCORED, grow
from trueward.audit.images.judging import judge
from trueward.audit.images.ledger import ledger_of
from trueward.audit.images.perturbations import CATALOGUE, FAMILIES
from trueward.audit.images.scoring import Asked, Scoring, scoring_of, why_none
from trueward.audit.images.shown import sheets_of
from trueward.audit.images.trying import ask_again, try_changes, try_prompts
from trueward.audit.report import WrittenReport
from trueward.errors import AuditError, RewardError
from trueward.report.document import Audit
from trueward.report.wording import counted

Progress = Callable[[str, int, int], None]

LEAST_IMAGES = 8
_CHANGED = 0.01  # spreads by which a score may change from call to call


@dataclass(frozen=True)
class ImageAuditSettings:
    """How a reward of images is audited.

    Attributes:
        most: audit with at most so many images, spread evenly over the folder.
        search: images that a search may score; 0 for none beyond the few hundred of every audit. Half of them go into
            chains of changes, half into raising the best-paid images step by step.
        deadline: seconds for each image of a call.
        workers: worker processes.
        memory_mb: resident memory that one worker may use, in MiB.
        seed: of whatever is drawn.
        families: names of the families of changes to try; () for all.
        prompt_column: column of the metadata that holds the prompt.
    """

    most: int = 64
    search: int = 0
    deadline: float = 5.0
    workers: int = 2
    memory_mb: int = 2048
    seed: int = 0
    families: tuple[str, ...] = ()
    prompt_column: str | None = None

    def __post_init__(self) -> None:
        """Raises `AuditError` for what is outside of its range."""
        wrong = []
        if self.most < LEAST_IMAGES:
            wrong.append(f"most={self.most} (at least {LEAST_IMAGES})")
        if self.search != 0 and self.search < LEAST_BUDGET:
            wrong.append(f"search={self.search} (0 for none, or at least {LEAST_BUDGET}; 2000 is a good number)")
        if self.deadline <= 0 or self.workers < 1 or self.memory_mb <= 0:
            wrong.append(f"deadline={self.deadline}, workers={self.workers}, memory_mb={self.memory_mb} (above 0)")
        unknown = [name for name in self.families if name not in FAMILIES]
        if unknown:
            wrong.append(f"families={unknown} (of {', '.join(FAMILIES)})")
        if wrong:
            raise AuditError(f"settings out of range: {'; '.join(wrong)}")


@dataclass(frozen=True)
class ImageReport(WrittenReport):
    """What an audit of a reward of images found.

    Attributes:
        audit: as plain JSON (see `trueward.report.document`).
        settings: how.
    """

    audit: Audit
    settings: ImageAuditSettings


def audit_images(
    reward: Any, images: str | Path | Folder, holdout: Any = None, *, progress: Progress | None = None, **settings: Any
) -> ImageReport:
    """Audit one reward of images.

    Args:
        reward: an address (`scorers.py:score`), a function `score(prompts, images, **columns) -> list of numbers` (see
            `rewards.image_functions`), or a Trueward reward of images. What has no address runs in this process, where
            no deadline holds.
        images: a folder (see `folder.read_folder`), or what `folder.folder_of` made of images in memory.
        holdout: another scorer in the same forms, that nothing was or will be trained on: does it agree?
        progress: called with (stage, done, total).
        settings: fields of `ImageAuditSettings`.

    Returns:
        The report. `report.clean` is True when there is no finding.

    Raises:
        DataError: the images cannot be read.
        RewardError: the reward cannot be found, or scores no image.
        AuditError: too few images have a score.
        MissingExtra: Pillow or SciPy is not installed.

    Example:
        >>> from trueward.audit.images import audit_images
        >>> report = audit_images("examples/image_rewards.py:ink", "digits/")  # doctest: +SKIP
    """
    chosen = ImageAuditSettings(**settings)
    told = progress or _silent
    started = time.monotonic()
    told("reading images", 0, 1)
    folder = images if isinstance(images, Folder) else read_folder(images, chosen.most, chosen.prompt_column)
    if len(folder.pictures) < LEAST_IMAGES:
        raise AuditError(
            f"{folder.source}: {counted(len(folder.pictures), 'image')} are too few to audit with; at least "
            f"{LEAST_IMAGES} are needed"
        )
    with ExitStack() as stack:
        scoring = scoring_of(reward, chosen.workers, chosen.deadline, chosen.memory_mb)
        stack.callback(scoring.close)
        other = None
        if holdout is not None:
            other = scoring_of(holdout, chosen.workers, chosen.deadline, chosen.memory_mb)
            stack.callback(other.close)
            if other.address == scoring.address:
                raise AuditError(f"--holdout {other.name}: is the audited reward itself; give a scorer of its own")
        evidence = _measured(folder, scoring, other, chosen, told)
    told("comparing", 0, 1)
    findings = findings_of(evidence)
    sheets = sheets_of(evidence, chosen.seed)
    return ImageReport(document(evidence, findings, sheets, chosen, time.monotonic() - started), chosen)


def _silent(stage: str, done: int, total: int) -> None:
    return None


def _measured(
    folder: Folder, scoring: Scoring, holdout: Scoring | None, settings: ImageAuditSettings, told: Progress
) -> Evidence:
    pictures = folder.pictures
    told("scoring the images as they are", 0, 1)
    own = _own(scoring, folder)
    held = None if holdout is None else _own(holdout, folder)
    unstable = ask_again(pictures, own, scoring, _CHANGED * unit_of(own, np.zeros(0)).spread)
    catalogue = [one for one in CATALOGUE if not settings.families or one.family in settings.families]
    trials = try_changes(
        catalogue, pictures, scoring, holdout, settings.seed, lambda done, total: told("changing images", done, total)
    )
    told("changing prompts", 0, 1)
    prompted = try_prompts(pictures, own, scoring, settings.seed)
    half, seed = settings.search // 2, settings.seed
    growth = grow(
        pictures,
        own,
        scoring,
        holdout,
        max(LEAST_SCORED, half),
        seed,
        lambda done, total: told("raising the best", done, total),
    )
    climbed = None
    if settings.search:
        climbed = climb(pictures, own, scoring, half, seed, lambda done, total: told("searching", done, total))
    judged = judge(own, trials, prompted, growth, climbed, held)
    ledger = ledger_of(pictures, own, settings.seed)
    return Evidence(folder, own, scoring, holdout, judged, prompted, unstable, growth, climbed, ledger)


def _own(scoring: Scoring, folder: Folder) -> np.ndarray:
    """Scores of the images as they are.

    Raises:
        RewardError: there is none.
        AuditError: there are too few.
    """
    asked: Asked = scoring.score(folder.pictures)
    scored = int(np.isfinite(asked.values).sum())
    if not scored:
        raise RewardError(f"{scoring.name} scores none of {len(folder.pictures)} images ({why_none(asked)})")
    if scored < LEAST_IMAGES:
        raise AuditError(
            f"{scoring.name} scores {scored} of {len(folder.pictures)} images ({why_none(asked)}); an audit needs at "
            f"least {LEAST_IMAGES}"
        )
    return asked.values
