"""Rewards of images that fail: no score for an image, or not the same score for the same image."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from trueward.audit.control.failures import REPEATED
from trueward.audit.control.told import id_of
from trueward.audit.images.judging import Row
from trueward.audit.images.perturbations import FAMILIES
from trueward.audit.images.told import MOST_EXAMPLES, Telling, example_of
from trueward.audit.images.trying import Unstable
from trueward.measures.intervals import wilson
from trueward.report.document import Example, Finding
from trueward.report.wording import number
from trueward.status import Status

_FAILURES = frozenset(
    {
        Status.RAISED,
        Status.TIMED_OUT,
        Status.OUT_OF_MEMORY,
        Status.CRASHED,
        Status.NOT_FINITE,
        Status.WRONG_TYPE,
        Status.WRONG_COUNT,
    }
)
_MAY_FAIL = "other size"  # a scorer of images of one size is no worse for it


def failure_findings(told: Telling, unstable: Unstable | None) -> list[Finding]:
    """Changed images that the reward fails on, and the same image scored differently."""
    found = []
    for family in FAMILIES:
        rows = [row for row in told.judged.rows if row.perturbation.family == family]
        failing = [row for row in rows if _failed(row)]
        if failing and family != _MAY_FAIL:
            found.append(_failing(family, failing, told))
    if unstable is not None:
        found.append(_unstable(unstable, told))
    return found


def _failed(row: Row) -> list[int]:
    """Places of the changed images that the reward failed on."""
    places = np.flatnonzero(row.trial.changed)
    outcomes = row.trial.asked.outcomes
    return [int(place) for place, outcome in zip(places, outcomes, strict=True) if outcome.status in _FAILURES]


def size_failures(told: Telling) -> str:
    """Why images of other sizes have no score; "" where they have one."""
    for row in told.judged.rows:
        if row.perturbation.family == _MAY_FAIL and _failed(row):
            outcome = next(one for one in row.trial.asked.outcomes if one.status in _FAILURES)
            return f"{row.perturbation.variant}: {outcome.status.value}, {outcome.detail}"
    return ""


def _failing(family: str, rows: Sequence[Row], told: Telling) -> Finding:
    worst = max(rows, key=lambda row: len(_failed(row)))
    failed = _failed(worst)
    places = [int(place) for place in np.flatnonzero(worst.trial.changed)]
    examples = []
    for place in failed[:MOST_EXAMPLES]:
        outcome = worst.trial.asked.outcomes[places.index(place)]
        variant = worst.perturbation.variant
        example = example_of(
            told, place, family, variant, "returns", f"{family}, {variant}", None, "It must have a score."
        )
        examples.append(Example(**{**example, "status": outcome.status.value, "detail": outcome.detail}))
    tested = int(worst.trial.changed.sum())
    low, high = wilson(len(failed), tested)
    return Finding(
        modality="images",
        kind="failure",
        family=family,
        variant=", ".join(row.perturbation.variant for row in rows),
        title=f"gives no score after {family} ({worst.perturbation.variant}): {examples[0]['status']}",
        prompts=len(failed),
        tested=tested,
        share=len(failed) / tested,
        low=low,
        high=high,
        mean_payoff=None,
        examples=examples,
        hits=[id_of("failing", family, row.perturbation.variant) for row in rows],
    )


def _unstable(unstable: Unstable, told: Telling) -> Finding:
    title = (
        "scores the same image differently when it is asked again"
        if unstable.random
        else "scores an image differently beside other images: its rows depend on each other"
    )
    why = f"{number(unstable.first)} became {number(unstable.again)}."
    example = example_of(
        told, unstable.place, REPEATED, "", "same", "the image as it is", unstable.again, why, base=unstable.first
    )
    low, high = wilson(unstable.images, unstable.asked)
    return Finding(
        modality="images",
        kind="failure",
        family=REPEATED,
        variant="",
        title=title,
        prompts=unstable.images,
        tested=unstable.asked,
        share=unstable.images / unstable.asked,
        low=low,
        high=high,
        mean_payoff=None,
        examples=[example],
        hits=[id_of(REPEATED)],
    )
