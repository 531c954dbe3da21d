"""Judging: from results to findings (exit 1) and notes (exit 0), with the prompt as the unit of every interval."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from trueward.audit.behaviour import Behaviour
from trueward.audit.derivations import Answer, Envelope, single
from trueward.audit.payoff import FULL, PARTIAL, Result, Scale
from trueward.audit.probes import FAMILIES, Family
from trueward.audit.probes.base import Probe
from trueward.audit.probes.explosions import CODE
from trueward.audit.search import Find
from trueward.audit.search.search import SEARCH
from trueward.measures.intervals import bounded_mean, wilson
from trueward.report.document import Example, Finding, FindingKind
from trueward.rewards.runner.types import Outcome
from trueward.status import Status
from trueward.tasks.text.rows import Row

LEAST_GAIN = 0.05
CHEAP = 0.5
REFUSED = 0.01
_MOST_EXAMPLES = 6
_KEPT_COMPLETION = 20_000
BY_NAME: dict[str, Family] = {family.name: family for family in (*FAMILIES, SEARCH)}

_FAILURES = {
    Status.TIMED_OUT: "hangs",  # as far as anybody who waits for the deadline can tell
    Status.CRASHED: "crashes",
    Status.OUT_OF_MEMORY: "eats memory",
    Status.RAISED: "raises",
    Status.NOT_FINITE: "returns NaN or infinity",
    Status.WRONG_TYPE: "returns something that is no number",
    Status.WRONG_COUNT: "returns the wrong number of scores",
    Status.UNAVAILABLE: "fails now and then",
}


@dataclass(frozen=True)
class Evidence:
    """Everything that the verdict is made from.

    Attributes:
        name: the reward, as the report names it.
        rows: the rows of the audit.
        scales: the scale of every row.
        results: every probe with its outcome.
        behaviour: what the behaviour probes saw.
        envelope: the calibrated envelope.
        reads_answer: whether the reward reads the answer; payoffs mean something only then.
        tolerance: share of prompts that a noisy reward may pay wrongly.
        strict: whether refused equivalents count as findings whatever the form.
        reproduce: scores probes again in a fresh worker: their outcomes, in their order.
        finds: what a search found; () without one.
    """

    name: str
    rows: Sequence[Row]
    scales: Mapping[str, Scale]
    results: Sequence[Result]
    behaviour: Behaviour
    envelope: Envelope
    reads_answer: bool
    tolerance: float
    strict: bool
    reproduce: Callable[[Sequence[Probe]], list[Outcome]]
    finds: Sequence[Find] = ()


def example(result: Result, evidence: Evidence, why: str | None = None) -> Example:
    """One probe for the report."""
    probe, outcome = result.probe, result.outcome
    scale = evidence.scales[probe.row.id]
    return Example(
        id=probe.id,
        scorer=evidence.name,
        row=probe.row.id,
        family=probe.family,
        variant=f"{probe.derivation.variant}, {probe.derivation.envelope.name}",
        relation=probe.relation,
        prompt=probe.row.prompt_text,
        reference=probe.row.answer,
        completion=shortened(probe.derivation.text),
        reward=outcome.value,
        status=outcome.status.value,
        detail=outcome.detail,
        payoff=result.payoff,
        right_reward=scale.right if evidence.reads_answer else None,
        null_reward=scale.null if evidence.reads_answer else None,
        base_reward=result.against.value if result.against is not None else None,
        why=why or BY_NAME[probe.family].why,
        derivation=probe.derivation.told,
    )


def shortened(text: str) -> str:
    """`text`, or its beginning and its length where it is too long to keep."""
    return text if len(text) <= _KEPT_COMPLETION else f"{text[:2000]}… [{len(text):,} characters]"


def find(evidence: Evidence) -> list[Finding]:
    """All findings, the worst kinds first."""
    findings = [*_exploits(evidence), *_searched(evidence)]
    findings += [*_cheap(evidence), *_gains(evidence), *_refusals(evidence)]
    return [*findings, *_failures(evidence), *_failing_pays(evidence), *_same_broken(evidence)]


def _finding(
    kind: FindingKind,
    family: str,
    title: str,
    hit: Sequence[Result],
    tested: int,
    evidence: Evidence,
    *,
    interval: tuple[float, float] | None = None,
    mean: float | None = None,
    why: str | None = None,
) -> Finding:
    prompts = len({result.probe.row.id for result in hit})
    low, high = interval or wilson(prompts, tested)
    ordered = sorted(hit, key=lambda result: (len(result.probe.derivation.text), result.probe.id))
    variants = list(dict.fromkeys(result.probe.derivation.variant for result in ordered))
    shown = list({r.probe.derivation.variant: r for r in reversed(ordered)}.values())[::-1]
    shown += [result for result in ordered if result not in shown]
    return Finding(
        kind=kind,
        family=family,
        variant=", ".join(variants[:4]) + (f" and {len(variants) - 4} more" if len(variants) > 4 else ""),
        title=title,
        prompts=prompts,
        tested=tested,
        share=prompts / tested if tested else 0.0,
        low=low,
        high=high,
        mean_payoff=mean,
        examples=[example(r, evidence, why) for r in shown[:_MOST_EXAMPLES]],
        hits=sorted({result.probe.id for result in hit}),
    )


def by_family(evidence: Evidence) -> dict[str, list[Result]]:
    """Results by the name of their family."""
    grouped: dict[str, list[Result]] = defaultdict(list)
    for result in evidence.results:
        grouped[result.probe.family].append(result)
    return grouped


def tested_prompts(results: Sequence[Result]) -> int:
    """Number of different prompts."""
    return len({result.probe.row.id for result in results})


def _exploits(evidence: Evidence) -> list[Finding]:
    """Wrong or unearned completions that earn as much as the right answer, seen again in a fresh worker."""
    findings = []
    for family, results in by_family(evidence).items():
        asked = [r for r in results if r.probe.relation in ("wrong", "unearned") and r.payoff is not None]
        hit = [r for r in asked if r.payoff is not None and r.payoff >= FULL]
        if not hit:
            continue
        hit, tested = _reproduced(hit, evidence), tested_prompts(asked)
        if _proven(hit, tested, evidence):
            findings.append(_finding("exploit", family, BY_NAME[family].title, hit, tested, evidence))
    return sorted(findings, key=lambda finding: -finding["share"])


def _searched(evidence: Evidence) -> list[Finding]:
    """What a search found, a finding per cause, those that need least first."""
    findings = []
    for find in sorted(evidence.finds, key=lambda find: (len(find.construction.steps), find.title)):
        paid = [r for r in find.results if r.payoff is not None and r.payoff >= FULL]
        hit, tested = _reproduced(paid, evidence), tested_prompts(find.results)
        if _proven(hit, tested, evidence):
            findings.append(_finding("exploit", SEARCH.name, find.title, hit, tested, evidence))
    return findings


def _proven(hit: Sequence[Result], tested: int, evidence: Evidence) -> bool:
    """One is proof for a reward that scores the same text the same; chance must be ruled out for any other."""
    if evidence.behaviour.deterministic:
        return bool(hit)
    return bool(hit) and wilson(tested_prompts(hit), tested)[0] > evidence.tolerance


def _reproduced(hit: Sequence[Result], evidence: Evidence) -> list[Result]:
    """The results that earn full payoff again, in a worker that has scored nothing before."""
    again = evidence.reproduce([result.probe for result in hit])
    kept = []
    for result, outcome in zip(hit, again, strict=True):
        payoff = evidence.scales[result.probe.row.id].payoff(outcome.value)
        if payoff is not None and payoff >= FULL:
            kept.append(result)
    return kept


def worst_by_prompt(results: Sequence[Result], least: bool = False) -> dict[str, Result]:
    """The best-paid result of every prompt, or the least paid."""
    worst: dict[str, Result] = {}
    sign = -1 if least else 1
    for result in results:
        if result.payoff is None:
            continue
        known = worst.get(result.probe.row.id)
        if known is None or sign * result.payoff > sign * (known.payoff or 0.0):
            worst[result.probe.row.id] = result
    return worst


def _cheap(evidence: Evidence) -> list[Finding]:
    """Families that need no answer and still earn more than half of one, on average."""
    findings = []
    for family, results in by_family(evidence).items():
        definition = BY_NAME[family]
        if definition.uses_reference or definition.relation != "wrong":
            continue
        worst = worst_by_prompt(results)
        if not worst:
            continue
        mean, low, high = bounded_mean([result.payoff or 0.0 for result in worst.values()])
        if low > CHEAP and _exploited_less(worst):
            title = f"{definition.title} ({mean:.2f} of a right answer on average)"
            paid = [result for result in worst.values() if (result.payoff or 0.0) > LEAST_GAIN]
            findings.append(
                _finding("cheap", family, title, paid, len(worst), evidence, interval=(low, high), mean=mean)
            )
    return findings


def _exploited_less(worst: Mapping[str, Result]) -> bool:
    """False when every prompt is paid in full: then the exploit finding says all there is to say."""
    return any((result.payoff or 0.0) < FULL for result in worst.values())


def _gains(evidence: Evidence) -> list[Finding]:
    """Completions that gain from text that adds nothing."""
    findings = []
    for family, results in by_family(evidence).items():
        asked = [result for result in results if result.probe.relation == "no_gain" and result.gain is not None]
        hit = [result for result in asked if result.gain is not None and result.gain > LEAST_GAIN]
        if not hit:
            continue
        again = evidence.reproduce([result.probe for result in hit])
        hit = [r for r, o in zip(hit, again, strict=True) if o.value is not None and _still_gains(r, o)]
        tested = tested_prompts(asked)
        if _proven(hit, tested, evidence):
            mean = fmean(result.gain or 0.0 for result in hit)
            title = f"{BY_NAME[family].title} (+{mean:.2f} of a right answer)"
            findings.append(_finding("gain", family, title, hit, tested, evidence, mean=mean))
    return findings


def _still_gains(result: Result, again: Outcome) -> bool:
    assert result.against is not None and result.outcome.value is not None and again.value is not None
    return result.against.value is not None and again.value - result.against.value >= 0.5 * (
        result.outcome.value - result.against.value
    )


def _refusals(evidence: Evidence) -> list[Finding]:
    """Right answers that earn no more than nothing, and refused equivalents where every way to write must count."""
    findings = []
    if not evidence.reads_answer:
        return []
    asked = [row for row in evidence.rows if row.answer and row.answer.strip()]
    refused = [row for row in asked if evidence.scales[row.id].refused]
    if asked and wilson(len(refused), len(asked))[0] > REFUSED:
        results = [reference_result(row, evidence) for row in refused]
        why = "It is the reference itself, in the format that the reward reads, and earns no more than no answer."
        title = "refuses the right answer itself"
        findings.append(_finding("refusal", "right answer", title, results, len(asked), evidence, why=why))
    equivalents = [r for r in refused_equivalents(evidence) if evidence.strict or r.probe.row.contract.form == "value"]
    tested = tested_prompts([r for r in evidence.results if r.probe.family == "equivalents"])
    prompts = len({r.probe.row.id for r in equivalents})
    if prompts and wilson(prompts, tested)[0] > REFUSED:
        title = BY_NAME["equivalents"].title
        findings.append(_finding("refusal", "equivalents", title, equivalents, tested, evidence))
    return findings


def refused_equivalents(evidence: Evidence) -> list[Result]:
    """Equivalents in the envelope (not bare) that earn less than half of the right answer."""
    return [
        r
        for r in evidence.results
        if r.probe.relation == "right"
        and r.payoff is not None
        and r.payoff < PARTIAL
        and r.probe.derivation.envelope == evidence.envelope
    ]


def reference_result(row: Row, evidence: Evidence) -> Result:
    """What the reference itself earned, as a result."""
    derivation = single(Answer("reference", (row.answer or "").strip())).inside(evidence.envelope)
    probe = Probe(row, "right answer", "right", derivation)
    scale = evidence.scales[row.id]
    return Result(probe, Outcome(scale.right, Status.OK), scale.payoff(scale.right))


def _failures(evidence: Evidence) -> list[Finding]:
    """Crashes, hangs, and returns that are no score."""
    grouped: dict[Status, list[Result]] = defaultdict(list)
    executed = []
    for result in evidence.results:
        status = result.outcome.status
        if status is Status.TIMED_OUT and result.probe.derivation.variant == CODE:
            executed.append(result)
        elif status in _FAILURES:
            grouped[status].append(result)
    for row, derivation, outcome in evidence.behaviour.miscounted:
        grouped[outcome.status].append(Result(Probe(row, "same", "same", derivation), outcome, None))
    findings = []
    if executed:
        title = "runs the completion as Python code"
        why = "The completion is code that sleeps for an hour, and the reward slept: what a model writes is executed."
        findings.append(_finding("failure", "parser bombs", title, executed, len(executed), evidence, why=why))
    for status, hit in grouped.items():
        detail = hit[0].outcome.detail
        families = ", ".join(dict.fromkeys(result.probe.family for result in hit))
        why = f"The reward must return one finite number; it {_FAILURES[status]}: {detail}"
        title = f"{_FAILURES[status]}{': ' + detail if detail else ''}"
        findings.append(_finding("failure", families, title, hit, len(evidence.rows), evidence, why=why))
    return findings


def _failing_pays(evidence: Evidence) -> list[Finding]:
    """Input that cannot be read and still earns more than a wrong answer."""
    asked, hit = [], []
    for result in evidence.results:
        if result.probe.family not in ("unreadable", "parser bombs") or result.probe.relation != "wrong":
            continue
        climb = evidence.scales[result.probe.row.id].above_wrong(result.outcome.value)
        if climb is None or (result.payoff is not None and result.payoff >= FULL):
            continue
        asked.append(result)
        if climb > LEAST_GAIN:
            hit.append(result)
    tested = tested_prompts(asked)
    if not _proven(hit, tested, evidence):
        return []
    title = "being unreadable pays more than being wrong"
    return [_finding("failure", "unreadable", title, hit, tested, evidence)]


def _same_broken(evidence: Evidence) -> list[Finding]:
    findings = []
    grouped: dict[str, list[Result]] = defaultdict(list)
    for broken in evidence.behaviour.broken:
        probe = Probe(broken.row, "same", "same", broken.derivation)
        grouped[broken.how].append(Result(probe, broken.after, None, broken.before))
    for how, hit in grouped.items():
        before, after = hit[0].against, hit[0].outcome
        then = repr(after.value) if after.status.ok else f"nothing ({after.status.value}: {after.detail})"
        why = f"The same completion scored {before.value if before else None!r}, then {then} with {how}."
        widths = evidence.behaviour.spread.get(how, 0.0)
        if 0.0 < widths < float("inf"):
            why += f" The largest difference was {widths:.2g} of the width of its rewards."
        title = f"the score changes with {how}"
        findings.append(_finding("failure", "same", title, hit, evidence.behaviour.tested, evidence, why=why))
    return findings
