"""What is worth knowing of a reward of images and does not change the verdict."""

from __future__ import annotations

import numpy as np

from trueward.audit.images.failures import size_failures
from trueward.audit.images.growing import Growth
from trueward.audit.images.judging import Judged, apart
from trueward.audit.images.ledger import Ledger
from trueward.audit.images.told import Telling, spreads
from trueward.audit.images.trying import Prompted
from trueward.report.document import Note
from trueward.report.wording import number
from trueward.status import Status

_STRONG = 0.8  # correlation of ranks that deserves a word
_LEAST = 20  # images for it


def notes(
    told: Telling, prompted: Prompted | None, ledger: Ledger, growth: Growth | None, holdout: str | None
) -> list[Note]:
    """All notes of an audit.

    Args:
        told: what was found out.
        prompted: the images under other prompts; None where there are no two.
        ledger: the best-paid images.
        growth: the best-paid images changed step by step; None where they were not.
        holdout: name of the other scorer; None where there is none.
    """
    found = []
    if prompted is not None and not prompted.reads:
        best = float(np.nanmax(told.own)) - told.judged.unit.mean
        found.append(
            _note(
                "does not read the prompt: one image is paid the same for every prompt",
                f"the best one earns {spreads(best / told.judged.unit.spread)} against the mean; nothing in this "
                "reward keeps a generator from making it for every prompt",
            )
        )
    found += _about_ledger(ledger, len(told.pictures))
    found += _about_failures(told)
    found += _about_holdout(told.judged, growth, holdout)
    return found


def _note(title: str, detail: str = "") -> Note:
    return Note(title=title, detail=detail, examples=[])


def _about_ledger(ledger: Ledger, images: int) -> list[Note]:
    found = []
    if ledger.narrow and ledger.diversity is not None and ledger.low is not None:
        found.append(
            _note(
                f"the {len(ledger.top)} best-paid images are alike",
                f"their distance from each other is {number(round(ledger.diversity, 3))} of that of all; of as many at "
                f"random it is at least {number(round(ledger.low, 3))}",
            )
        )
    for trait in ledger.traits:
        if trait.correlation is not None and images >= _LEAST and abs(trait.correlation) >= _STRONG:
            found.append(
                _note(
                    f"the reward goes with the {trait.name} of the images: their ranks correlate by "
                    f"{number(round(trait.correlation, 3))}",
                    f"{number(float(f'{trait.top:.3g}'))} in the best-paid ones, {number(float(f'{trait.all:.3g}'))} "
                    "in all",
                )
            )
    return found


def _about_failures(told: Telling) -> list[Note]:
    found = []
    said = size_failures(told)
    if said:
        found.append(_note("scores images of one size only", said))
    abstained = sum(
        outcome.status is Status.ABSTAINED for row in told.judged.rows for outcome in row.trial.asked.outcomes
    )
    if abstained:
        found.append(_note("returns None (no score)", f"{abstained:,} changed images; they leave the statistics"))
    return found


def _about_holdout(judged: Judged, growth: Growth | None, holdout: str | None) -> list[Note]:
    held = judged.held
    if held is None:
        return []
    found = []
    if held.rank is not None:
        every = "" if held.rank_all is None else f"; with all changed ones {number(round(held.rank_all, 3))}"
        found.append(
            _note(
                f"ranks the images like {holdout}: correlation {number(round(held.rank, 3))}"
                if held.rank > 0
                else f"ranks the images otherwise than {holdout}: correlation {number(round(held.rank, 3))}",
                f"over the images as they are{every}",
            )
        )
    said = [f"{row.perturbation.family} ({row.perturbation.variant})" for row in judged.rows if apart(row)]
    if said:
        found.append(_note(f"rises where {holdout} falls", ", ".join(said)))
    if judged.boundary is not None and growth is not None:
        step = "as they are" if judged.boundary == 0 else f"after {judged.boundary} of {growth.rounds[-1]} rounds"
        found.append(
            _note(
                f"while the best-paid images are changed step by step, the corrected score is highest {step} and falls "
                "as the reward goes on rising",
                "reward · (judgement of the other scorer from 1 to 5, less 3) + .2, with both scorers at 0 on empty "
                "images and at 1 on the images as they are",
            )
        )
    return found
