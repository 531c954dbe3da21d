"""What the audit of a reward of images found, as the document that every report is made from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from trueward.audit.control.failures import REPEATED
from trueward.audit.images.climbing import SEARCH
from trueward.audit.images.comparing import LEAST_PAIRS
from trueward.audit.images.evidence import Evidence
from trueward.audit.images.failures import failure_findings
from trueward.audit.images.growing import GROWTH
from trueward.audit.images.notes import notes
from trueward.audit.images.perturbations import FAMILIES
from trueward.audit.images.record import run_of, why_untested
from trueward.audit.images.told import (
    EVERYWHERE,
    OTHER_PROMPT,
    PROMPT_FAMILIES,
    change_findings,
    climb_finding,
    growth_finding,
    prompt_findings,
)
from trueward.audit.latency import latency_of
from trueward.report.document import (
    Audit,
    FamilyRow,
    Finding,
    ImageSheet,
)

if TYPE_CHECKING:
    from trueward.audit.images.api import ImageAuditSettings


def findings_of(evidence: Evidence) -> list[Finding]:
    """All findings: failures first, then what is paid, the largest gain first."""
    told = evidence.told
    found = failure_findings(told, evidence.unstable)
    found += change_findings(told)
    if evidence.prompted is not None:
        found += prompt_findings(evidence.prompted, told)
    grown = growth_finding(evidence.growth, told)
    searched = None if evidence.climbed is None else climb_finding(evidence.climbed, told)
    return found + [one for one in (grown, searched) if one is not None]


def document(
    evidence: Evidence,
    findings: Sequence[Finding],
    sheets: Sequence[ImageSheet],
    settings: ImageAuditSettings,
    seconds: float,
) -> Audit:
    """The audit as plain JSON.

    Args:
        evidence: what was measured.
        findings: made of it.
        sheets: contact sheets.
        settings: of the audit.
        seconds: that it took.
    """
    holdout = None if evidence.holdout is None else evidence.holdout.name
    count = len(evidence.folder.pictures)
    return Audit(
        modality="images",
        images=run_of(evidence, sheets, settings.search // 2),
        reward=evidence.scoring.name,
        verdict="findings" if findings else "clean",
        headline=_headline(findings, evidence),
        reads_answer=evidence.prompted is None or evidence.prompted.reads,
        header=[*evidence.folder.notices, *evidence.scoring.notices, *_header(evidence)],
        envelope="",
        auc=None,
        prompts=count,
        usable=int(np.isfinite(evidence.own).sum()),
        calls=evidence.scoring.calls,
        seconds=seconds,
        deterministic=not (evidence.unstable is not None and evidence.unstable.random),
        statuses=dict(evidence.scoring.statuses),
        latency=latency_of(evidence.scoring.seconds),
        families=_families(evidence),
        findings=list(findings),
        notes=notes(evidence.told, evidence.prompted, evidence.ledger, evidence.growth, holdout),
        search=None,
        rollouts=None,
        comparison=None,
        error="",
    )


def _headline(findings: Sequence[Finding], evidence: Evidence) -> str:
    if findings:
        first = findings[0]["title"]
        others = len(findings) - 1
        return first if not others else f"{first} (and {others} more)"
    if evidence.judged.rows:
        return "nothing that spoils an image raises the reward, and nothing empty is paid like an image"
    return "nothing was tested"


def _header(evidence: Evidence) -> list[str]:
    said = []
    if evidence.prompted is None:
        said.append(
            "the images have no prompts, or all the same: whether the reward reads prompts was not tested (give "
            "metadata.jsonl, or one folder for each prompt)"
        )
    elif not evidence.prompted.reads:
        said.append("does not read the prompt: only what is done to images was tested")
    if evidence.judged.unit.spread and "the reward itself" in evidence.judged.unit.said:
        said.append("pays all images the same, whatever is done to them")
    missing = int((~np.isfinite(evidence.own)).sum())
    if missing:
        said.append(f"{missing:,} of {len(evidence.own):,} images have no score; they leave the statistics")
    return said


def _families(evidence: Evidence) -> list[FamilyRow]:
    rows = []
    for family, about in FAMILIES.items():
        tried = [row for row in evidence.judged.rows if row.perturbation.family == family]
        tested = [row for row in tried if row.gain.tested >= LEAST_PAIRS]
        worst = max(tested, key=lambda row: row.gain.interval.mean, default=None)
        relation = tried[0].perturbation.relation if tried else "no_gain"
        hit = 0 if worst is None else worst.gain.raised if relation == "no_gain" else worst.gain.as_much
        count = 0 if worst is None else worst.gain.tested
        why = "" if worst is not None else why_untested(tried)
        rows.append(_family(family, about, relation, count, sum(row.gain.tested for row in tried), why, hit))
    gains = {OTHER_PROMPT: evidence.judged.elsewhere, EVERYWHERE: evidence.judged.everywhere}
    for family, gain in gains.items():
        tested_on = 0 if gain is None or gain.tested < LEAST_PAIRS else gain.tested
        why = "" if tested_on else _why_no_prompts(evidence)
        rows.append(
            _family(family, PROMPT_FAMILIES[family], "wrong", tested_on, tested_on, why, gain.as_much if gain else 0)
        )
    grown = evidence.judged.growth
    about = f"the best-paid images changed step by step, {evidence.growth.rounds[-1]} rounds: do they go on rising?"
    count = 0 if grown is None else grown.tested
    rows.append(_family(GROWTH, about, "no_gain", count, count, "", evidence.judged.far))
    if evidence.climbed is not None:
        gain = evidence.judged.climb
        about = f"a chain of changes, found with {evidence.climbed.scored:,} scored images"
        why = "" if gain is not None else "no step raised the reward"
        count = 0 if gain is None else gain.tested
        rows.append(_family(SEARCH, about, "no_gain", count, count, why, 0 if gain is None else gain.raised))
    unstable = evidence.unstable
    asked = int(np.isfinite(evidence.own).sum())
    about = "the same images once more, alone, and in another order"
    rows.append(_family(REPEATED, about, "same", asked, asked, "", 0 if unstable is None else unstable.images))
    return rows


def _family(family: str, about: str, relation: str, tested: int, probes: int, why: str, hit: int) -> FamilyRow:
    return FamilyRow(
        family=family,
        description=about,
        relation=relation,
        tested=tested,
        probes=probes,
        not_tested=why,
        full=hit,
        partial=0,
        mean_payoff=None,
        low=None,
        high=None,
    )


def _why_no_prompts(evidence: Evidence) -> str:
    if evidence.prompted is None:
        return "the images have no two prompts"
    return "the reward does not read the prompt" if not evidence.prompted.reads else "too few images and prompts"
