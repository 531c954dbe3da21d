"""Calibration: in which format does this reward want its answer, and does it read the answer at all?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from trueward.audit.certificates.programs import asks_for_programs
from trueward.audit.derivations import Answer, Container, Derivation, Envelope, single
from trueward.audit.probes.base import Surroundings
from trueward.audit.probes.near import plainly_wrong
from trueward.audit.probes.nothing import NULLS
from trueward.audit.scoring import Scoring
from trueward.errors import AuditError
from trueward.measures.separation import paired_auc
from trueward.rewards.runner.types import Outcome
from trueward.status import Status
from trueward.tasks.text.rows import Row

LEAST_AUC = 0.9

BARE = Envelope("bare")
ENVELOPES = (
    BARE,
    Envelope("boxed", r"\boxed{", "}"),
    Envelope("####", "#### "),
    Envelope("answer tag", "<answer>", "</answer>"),
    Envelope("sentence", "The answer is ", "."),
    Envelope("answer line", "Answer: "),
    Envelope("think, boxed", "<think>\nI work it out.\n</think>\n\\boxed{", "}"),
    Envelope("think, answer tag", "<think>\nI work it out.\n</think>\n<answer>", "</answer>"),
)
PROGRAM_ENVELOPES = (BARE, Envelope("python fence", "```python\n", "\n```"))


@dataclass(frozen=True)
class Calibration:
    """What calibration found.

    Attributes:
        envelope: the envelope that separates best, or, when none does, the one that earns most.
        auc: share of (right, wrong) pairs of one prompt that the reward orders rightly, ties counting half; None when
            no row has both.
        reads_answer: whether the AUC reaches .9.
    """

    envelope: Envelope
    auc: float | None
    reads_answer: bool


def template_envelope(template: str) -> Envelope:
    """The envelope of a template such as `Answer: {answer}`.

    Raises:
        AuditError: the template does not contain `{answer}` exactly once.
    """
    before, found, after = template.partition("{answer}")
    if not found or "{answer}" in after:
        raise AuditError(
            f"--template {template!r} must contain {{answer}} exactly once, for example 'Answer: {{answer}}'"
        )
    return Envelope("template", before, after)


def calibrate(
    rows: Sequence[Row],
    surroundings: Surroundings,
    scoring: Scoring,
    containers: Sequence[Container],
    envelopes: Sequence[Envelope] = ENVELOPES,
) -> Calibration:
    """Try every envelope in every container on some rows; keep the one that separates right from certified wrong.

    Args:
        rows: rows to try; those without a reference are passed over.
        surroundings: for wrong answers taken from other rows.
        scoring: the reward.
        containers: which containers the reward may take.
        envelopes: which envelopes to try, simplest first: it wins ties. Where programs are asked for, those of programs
            take the place of all that are there by default.

    Raises:
        AuditError: not one call gave a score; the message names what came back instead.
    """
    if envelopes is ENVELOPES and asks_for_programs(rows):
        envelopes = PROGRAM_ENVELOPES
    tries: list[tuple[Row, Derivation, list[Derivation]]] = []
    for row in rows:
        if row.answer and row.answer.strip():
            wrong = [single(answer) for answer in plainly_wrong(row, surroundings)]
            tries.append((row, single(Answer("reference", row.answer.strip())), wrong or list(NULLS)))
    if not tries:
        tries = [(row, NULLS[2], []) for row in rows]
    candidates = [envelope.in_container(container) for container in containers for envelope in envelopes]
    pairs = [
        (row, derivation.inside(envelope))
        for envelope in candidates
        for row, right, wrong in tries
        for derivation in (right, *wrong)
    ]
    outcomes = dict(zip(((r.id, d.envelope, d.key) for r, d in pairs), scoring.score(pairs, retry=False), strict=True))
    if not any(outcome.status in (Status.OK, Status.ABSTAINED) for outcome in outcomes.values()):
        raise AuditError(_nothing_scored(list(outcomes.values())))

    def value(row: Row, derivation: Derivation, envelope: Envelope) -> float | None:
        inside = derivation.inside(envelope)
        return outcomes[row.id, envelope, inside.key].value

    measured = []
    for rank, envelope in enumerate(candidates):
        separated: list[tuple[float, float]] = []
        rights: list[float] = []
        for row, right, wrong in tries:
            best = value(row, right, envelope)
            if best is None:
                continue
            rights.append(best)
            others = [value(row, other, envelope) for other in wrong]
            separated += [(best, other) for other in others if other is not None]
        gap = fmean(a - b for a, b in separated) if separated else 0.0
        measured.append((paired_auc(separated), gap, -rank, fmean(rights) if rights else float("-inf"), envelope))
    auc, _, _, _, envelope = max(measured, key=lambda entry: entry[:3])
    if auc >= LEAST_AUC:
        return Calibration(envelope, auc, True)
    # No envelope separates: keep the one that earns most, so that what is added to it can be seen to gain or not.
    envelope = max(measured, key=lambda entry: (entry[3], entry[2]))[4]
    has_pairs = any(wrong for _, _, wrong in tries)
    return Calibration(envelope, auc if has_pairs else None, False)


def _nothing_scored(outcomes: Sequence[Outcome]) -> str:
    kinds: dict[str, Outcome] = {}
    for outcome in outcomes:
        kinds.setdefault(outcome.status.value, outcome)
    seen = "; ".join(f"{status}: {outcome.detail or 'no detail'}" for status, outcome in kinds.items())
    return (
        f"the reward gave no score in any of {len(outcomes)} calls, in any format ({seen}). "
        "Expected a finite number for each completion. Call it once by hand on a row of the data."
    )
