"""How a reward of images was audited, as the document holds it: changes, best-paid images, growth, chains."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np

from trueward.audit.images.comparing import LEAST_PAIRS, LOSS, Gain, Scores
from trueward.audit.images.evidence import Evidence
from trueward.audit.images.folder import Folder
from trueward.audit.images.judging import Judged, Row, apart
from trueward.audit.images.told import EVERYWHERE, OTHER_PROMPT
from trueward.report.document import (
    ImageChange,
    ImageClimb,
    ImageGrowth,
    ImageHoldout,
    ImageLedger,
    ImageRun,
    ImageSheet,
    ImageTrait,
)


def run_of(evidence: Evidence, sheets: Sequence[ImageSheet], budget: int) -> ImageRun:
    """How a reward of images was audited, and what changes of images did to it.

    Args:
        evidence: what was measured.
        sheets: contact sheets.
        budget: images that a search for chains might score.
    """
    unit = evidence.judged.unit
    return ImageRun(
        source=evidence.folder.source,
        images=len(evidence.folder.pictures),
        prompts=len(evidence.folder.prompts),
        sizes=_sizes(evidence.folder),
        mean=unit.mean,
        best=unit.best,
        spread=unit.spread,
        spread_said=unit.said,
        room=unit.room,
        loss=LOSS,
        changes=[_change(row) for row in evidence.judged.rows] + _prompt_changes(evidence.judged),
        ledger=_ledger(evidence),
        holdout=_holdout(evidence),
        growth=_growth(evidence),
        climb=_climb(evidence, budget),
        sheets=list(sheets),
    )


def _sizes(folder: Folder) -> str:
    sizes = sorted({one.size for one in folder.pictures}, key=math.prod)
    said = [f"{width} × {height}" for width, height in (sizes[0], sizes[-1])]
    return said[0] if len(sizes) == 1 else f"from {said[0]} to {said[1]}"


def _change(row: Row) -> ImageChange:
    tested = row.gain.tested >= LEAST_PAIRS
    failed = int(row.trial.changed.sum()) - row.gain.tested
    held = row.holdout
    return _gain_row(
        row.perturbation.family,
        row.perturbation.variant,
        row.perturbation.relation,
        row.gain,
        found=row.found,
        why="" if tested else why_untested([row]),
        failed=failed,
        held=held,
    )


def _prompt_changes(judged: Judged) -> list[ImageChange]:
    return [
        _gain_row(family, "", "wrong", gain, found=gain.surely_as_much)
        for family, gain in ((OTHER_PROMPT, judged.elsewhere), (EVERYWHERE, judged.everywhere))
        if gain is not None and gain.tested >= LEAST_PAIRS
    ]


def _gain_row(
    family: str,
    variant: str,
    relation: str,
    gain: Gain,
    *,
    found: bool,
    why: str = "",
    failed: int = 0,
    held: Gain | None = None,
) -> ImageChange:
    return ImageChange(
        family=family,
        variant=variant,
        relation=relation,
        state="not tested" if why else "found" if found else "fine",
        not_tested=why,
        tested=gain.tested,
        failed=failed,
        raised=gain.raised,
        beyond=gain.beyond,
        gain=_known(gain.interval.mean),
        low=_known(gain.interval.low),
        high=_known(gain.interval.high),
        holdout=None if held is None else _known(held.interval.mean),
        holdout_low=None if held is None else _known(held.interval.low),
        holdout_high=None if held is None else _known(held.interval.high),
    )


def _ledger(evidence: Evidence) -> ImageLedger:
    ledger = evidence.ledger
    return ImageLedger(
        top=len(ledger.top),
        diversity=ledger.diversity,
        low=ledger.low,
        high=ledger.high,
        prompts=ledger.prompts,
        traits=[
            ImageTrait(name=one.name, correlation=one.correlation, top=one.top, all=one.all) for one in ledger.traits
        ],
        best_of_all=_best_of_all(evidence),
    )


def _best_of_all(evidence: Evidence) -> dict[str, int]:
    """Of the best-paid tenth of all that was scored, how many are images as they are, and how many of each family."""
    scored = [(float(value), "as it is") for value in evidence.own if np.isfinite(value)]
    for row in evidence.judged.rows:
        family = row.perturbation.family
        scored += [(float(value), family) for value in row.trial.scores if np.isfinite(value)]
    scored.sort(key=lambda pair: -pair[0])
    counts = Counter(family for _, family in scored[: math.ceil(len(scored) / 10)])
    return dict(counts.most_common())


def _holdout(evidence: Evidence) -> ImageHoldout | None:
    held = evidence.judged.held
    if held is None or evidence.holdout is None:
        return None
    return ImageHoldout(
        name=evidence.holdout.name,
        rank=held.rank,
        rank_all=held.rank_all,
        corrected=held.corrected,
        apart=[f"{row.perturbation.family}, {row.perturbation.variant}" for row in evidence.judged.rows if apart(row)],
    )


def _climb(evidence: Evidence, budget: int) -> ImageClimb | None:
    climbed, judged = evidence.climbed, evidence.judged
    if climbed is None:
        return None
    path = climbed.path if climbed.chain else ()
    return ImageClimb(
        budget=budget,
        scored=climbed.scored,
        tried=climbed.tried,
        pool=len(climbed.pool),
        rest=len(climbed.rest),
        steps=[step.variant for step in climbed.chain],
        gain=[_mean((scores - path[0]) / judged.unit.spread) for scores in path],
    )


def _growth(evidence: Evidence) -> ImageGrowth:
    growth, judged = evidence.growth, evidence.judged
    held = growth.holdout if judged.held is not None else None
    return ImageGrowth(
        images=len(growth.places),
        scored=growth.scored,
        rounds=list(growth.rounds),
        beyond=[_mean((scores - growth.start) / judged.unit.spread) for scores in growth.scores],
        far=judged.far,
        holdout=[]
        if held is None or judged.held is None
        else [_mean((scores - held[0]) / judged.held.unit.spread) for scores in held],
        corrected=[] if judged.corrected is None else [_known(value) for value in judged.corrected],
        boundary=judged.boundary,
    )


def _mean(values: Scores) -> float | None:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else None


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None


def why_untested(tried: Sequence[Row]) -> str:
    """Why a family was not tested."""
    if not any(row.trial.changed.any() for row in tried):
        return "it changes nothing in these images"
    if all(not row.gain.tested for row in tried):
        return "no changed image has a score"
    return f"it changes fewer than {LEAST_PAIRS} images"
