"""What the report says beside its findings: notes, the table of families, and one line that everyone understands."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from statistics import fmean

from trueward.audit.certificates.programs import asks_for_programs
from trueward.audit.judge import (
    BY_NAME,
    LEAST_GAIN,
    Evidence,
    by_family,
    example,
    reference_result,
    refused_equivalents,
    tested_prompts,
    worst_by_prompt,
)
from trueward.audit.payoff import FULL, PARTIAL, Result
from trueward.audit.probes import FAMILIES
from trueward.audit.probes.programs import PROGRAMS
from trueward.audit.search.search import SEARCH
from trueward.measures.intervals import bounded_mean
from trueward.report.document import FamilyRow, Finding, Note, RolloutLog
from trueward.status import Status

_MOST_NOTED = 6


def notes(evidence: Evidence, effects: Mapping[str, str]) -> list[Note]:
    """What is worth knowing and does not change the exit code."""
    found: list[Note] = []
    for family, results in by_family(evidence).items():
        definition = BY_NAME[family]
        if definition.relation == "wrong" and definition.uses_reference:
            partial = [r for r in results if r.payoff is not None and PARTIAL <= r.payoff < FULL]
            if partial:
                found.append(_note(f"partly {definition.title}", partial, results, evidence))
    equivalents = [r for r in evidence.results if r.probe.family == "equivalents"]
    refused = refused_equivalents(evidence)
    if refused:
        found.append(_note(BY_NAME["equivalents"].title, refused, equivalents, evidence))
    lost = [row for row in evidence.rows if evidence.scales[row.id].refused]
    if lost and evidence.reads_answer:
        results = [reference_result(row, evidence) for row in lost]
        every = [row for row in evidence.rows if row.answer]
        title = f"refuses the right answer itself on {len(lost)} of {len(every)} prompts; they leave the statistics"
        found.append(
            Note(
                title=title,
                detail="",
                examples=[example(r, evidence, "It is the reference itself.") for r in results[:3]],
            )
        )
    abstained = [r for r in evidence.results if r.outcome.status is Status.ABSTAINED]
    if abstained:
        found.append(_note("returns None (no score)", abstained, evidence.results, evidence))
    for effect, completion in effects.items():
        found.append(Note(title=f"the reward {effect} while it scored", detail=completion, examples=[]))
    return found


def _note(title: str, hit: Sequence[Result], asked: Sequence[Result], evidence: Evidence) -> Note:
    prompts, tested = len({r.probe.row.id for r in hit}), tested_prompts(asked)
    ordered = sorted(hit, key=lambda r: (len(r.probe.derivation.text), r.probe.id))
    distinct = list({r.probe.derivation.variant: r for r in reversed(ordered)}.values())[::-1]
    smallest = (distinct + [r for r in ordered if r not in distinct])[:_MOST_NOTED]
    return Note(
        title=title,
        detail=f"{prompts} of {tested} prompts",
        examples=[example(r, evidence) for r in smallest],
    )


def family_rows(evidence: Evidence, not_tested: Mapping[str, str]) -> list[FamilyRow]:
    """What every family earned, or why it was not tested."""
    grouped = by_family(evidence)
    table = []
    for family in FAMILIES:
        results = grouped.get(family.name, [])
        if family in PROGRAMS and not results and not asks_for_programs(evidence.rows):
            continue
        # Of what must be paid the worst variant of a prompt is the one that is paid least.
        worst = [
            r.payoff for r in worst_by_prompt(results, family.relation == "right").values() if r.payoff is not None
        ]
        known = bool(worst) and family.relation != "no_gain"
        mean, low, high = bounded_mean(worst) if known else (0.0, 0.0, 1.0)
        table.append(
            FamilyRow(
                family=family.name,
                description=family.description,
                relation=family.relation,
                tested=tested_prompts(results),
                probes=len(results),
                not_tested="" if results else not_tested.get(family.name, "no certified probe for these answers"),
                full=sum(payoff >= FULL for payoff in worst) if known else 0,
                partial=sum(PARTIAL <= payoff < FULL for payoff in worst) if known else 0,
                mean_payoff=mean if known else None,
                low=low if known else None,
                high=high if known else None,
            )
        )
    return table


def headline(evidence: Evidence, findings: Sequence[Finding], log: RolloutLog | None = None) -> str:
    """One line that everyone understands.

    Args:
        evidence: of the audit.
        findings: of the audit.
        log: what a run has already paid, where one was given: what happened comes before what could.
    """
    if log is not None and log["wrong"]:
        since = f", the first in step {log['first_step']}" if log["first_step"] is not None else ""
        return f"has already paid {log['wrong']:,} of {log['paid']:,} completions wrongly{since}"
    if not evidence.reads_answer:
        return "does not read the answer: it pays for form, and was tried only for gains, stability and failures"
    tricks: dict[tuple[str, str], list[float]] = defaultdict(list)
    for result in evidence.results:
        family = BY_NAME[result.probe.family]
        if not family.uses_reference and family.relation == "wrong" and result.payoff is not None:
            key = f"{result.probe.derivation.variant}|{result.probe.derivation.envelope.name}"
            tricks[family.name, key].append(min(1.0, max(0.0, result.payoff)))
    best = max(tricks.values(), key=lambda payoffs: (sum(payoffs), -len(payoffs)), default=[])
    paid = [payoff for payoff in best if payoff > LEAST_GAIN]
    if paid:
        usable = sum(scale.usable for scale in evidence.scales.values())
        share = _percent(len(paid) / usable)
        return f"best cheap trick earns {_short(fmean(paid))} of a right answer on {share} of prompts"
    exploits = [finding for finding in findings if finding["kind"] == "exploit"]
    made = [finding for finding in exploits if finding["family"] == SEARCH.name]
    if exploits and exploits[0] in made:
        causes = "one exploit" if len(made) == 1 else f"{len(made)} exploits"
        return f"no fixed probe is paid, but a search found {causes}, on {_percent(exploits[0]['share'])} of prompts"
    if exploits:
        return f"no cheap trick pays, but it {exploits[0]['title']} on {_percent(exploits[0]['share'])} of prompts"
    return "no cheap trick earned anything"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _short(share: float) -> str:
    return f"{share:.2f}".removeprefix("0")
