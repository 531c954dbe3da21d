"""`audit`: point it at a reward and data, get a report."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from trueward.audit.behaviour import about_company, observe, padding_notes
from trueward.audit.calibration import ENVELOPES, Calibration, calibrate, template_envelope
from trueward.audit.derivations import Answer, Envelope, single
from trueward.audit.judge import Evidence, find
from trueward.audit.latency import latency_of
from trueward.audit.logs import audit_log
from trueward.audit.payoff import FULL, measure, measure_scales
from trueward.audit.probes import FAMILIES, Probe, Surroundings
from trueward.audit.probes.base import Family
from trueward.audit.probes.guesses import options_of
from trueward.audit.probes.near import wrong_answers
from trueward.audit.probes.nothing import NULLS
from trueward.audit.report import Report
from trueward.audit.scoring import Scoring
from trueward.audit.search import search
from trueward.audit.subjects import IN_PROCESS, Subject, subject_of
from trueward.audit.summary import family_rows, headline, notes
from trueward.errors import AuditError, TruewardError, WorkerError
from trueward.report.document import Audit
from trueward.rewards.runner.types import Outcome, Runner
from trueward.tasks.text.rows import Row

LEAST_USABLE = 5
MOST_CALIBRATED = 20
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Settings:
    """How an audit is done.

    Attributes:
        prompts: audit at most this many rows; None for all.
        deadline: seconds that one call of the reward may take.
        workers: worker processes.
        memory_mb: resident memory that one worker may use, in MiB.
        tolerance: share of prompts that a reward which is not deterministic may pay wrongly.
        strict: count refused equivalents as findings even where the data does not declare `form: value`.
        template: the format of answers, with {answer} once, instead of calibrating.
        expect_correctness: fail (exit 2) when the reward turns out not to read the answer.
        families: names of the families to try; () for all.
        search: calls of the reward that a search for further exploits may make; 0 for none.
        rollouts: file or folder with completions that the reward has already paid (see `audit.logs`); None for none.
    """

    prompts: int | None = None
    deadline: float = 5.0
    workers: int = 2
    memory_mb: int = 2048
    tolerance: float = 0.05
    strict: bool = False
    template: str | None = None
    expect_correctness: bool = False
    families: tuple[str, ...] = ()
    search: int = 0
    rollouts: str | Path | None = None


def audit(
    reward: Any,
    data: Any = None,
    *,
    runner: Runner | None = None,
    progress: Progress | None = None,
    **settings: Any,
) -> Report:
    """Audit one reward for text.

    Args:
        reward: an address (`file.py:name`, `package.module:name`, `reasoning_gym:NAME`), a function in one of the
            known conventions, or a Trueward reward. A closure, a lambda or a function of the running script has no
            address: it runs in this process, where no deadline holds, and the report says so.
        data: a path (JSONL, JSON, CSV, Parquet), a list of dicts, a table, or rows; not needed for reasoning-gym sets.
        runner: where the reward runs; by default a pool of workers that ends with the audit.
        progress: called with (stage, done, total).
        settings: fields of `Settings`.

    Returns:
        The report. `report.clean` is True when there is no finding.

    Raises:
        DataError: the data cannot be read.
        RewardError: the reward cannot be found or called.
        AuditError: no verdict is possible: fewer than 5 usable rows, no score in any call, a failed self-test.
        TypeError: an unknown setting.

    Example:
        >>> import trueward
        >>> report = trueward.audit("examples/rewards.py:last_number", "examples/prompts.jsonl")  # doctest: +SKIP
        >>> report.clean, report.exploits[0].reproduce()  # doctest: +SKIP
    """
    chosen = Settings(**settings)
    subject = subject_of(reward, data, chosen.prompts)
    with _runner(subject, chosen, runner) as used:
        return audit_subject(subject, used, chosen, progress or _silent)


def _silent(stage: str, done: int, total: int) -> None:
    return None


@contextmanager
def _runner(subject: Subject, settings: Settings, given: Runner | None) -> Iterator[Runner]:
    if given is not None:
        yield given
        return
    own = subject.start(settings.workers, settings.deadline, settings.memory_mb)
    try:
        yield own
    finally:
        own.close()


def audit_subject(subject: Subject, runner: Runner, settings: Settings, progress: Progress) -> Report:
    """Audit a reward that has been resolved, on a runner that is up. See `audit`."""
    started = time.monotonic()
    if settings.search < 0:
        raise AuditError(f"a search may make {settings.search} calls; expected 0 for none, or a number such as 2000")
    scoring = subject.scoring(runner)
    rows = list(subject.rows[: settings.prompts] if settings.prompts else subject.rows)
    if len(rows) < LEAST_USABLE:
        raise AuditError(f"{len(rows)} rows are too few: an audit needs at least {LEAST_USABLE} usable ones")
    surroundings = Surroundings(subject.rows, options_of(subject.rows), subject.checker)

    progress("calibrating", 0, 1)
    calibration = _calibrate(subject, surroundings, scoring, settings)
    if settings.expect_correctness and not calibration.reads_answer:
        raise AuditError(
            f"correctness was asked for, but no answer format separates right from wrong answers (best AUC "
            f"{calibration.auc if calibration.auc is not None else 'unknown'}, needed .9); give --template if the "
            "reward expects a format of its own"
        )
    _self_test(runner, subject, rows, surroundings, scoring, calibration)

    progress("setting the scale", 0, 1)
    scales = measure_scales(rows, surroundings, scoring, calibration.envelope, subject.full)
    usable = [row for row in rows if scales[row.id].usable] if calibration.reads_answer else rows
    reserve = list(subject.rows[len(rows) :])
    while len(usable) < LEAST_USABLE and reserve:
        # Fewer prompts were asked for than are needed: rows that were only calibrated on fill up.
        row = reserve.pop(0)
        scales |= measure_scales([row], surroundings, scoring, calibration.envelope, subject.full)
        rows.append(row)
        usable += [row] if scales[row.id].usable else []
    families = [family for family in FAMILIES if not settings.families or family.name in settings.families]
    probes, not_tested = make_probes(usable or rows, surroundings, calibration, families, runner.has_deadline)
    results = []
    step = max(1, len(probes) // 50)
    span = None if calibration.reads_answer else _span(scoring, rows, calibration.envelope)
    for begin in range(0, len(probes), step):
        progress("asking", begin, len(probes))
        results += measure(probes[begin : begin + step], scoring, scales, span)
    progress("asking", len(probes), len(probes))
    behaviour = observe(usable or rows, surroundings, scoring, calibration.envelope, subject.demands)

    searched = None
    if settings.search and calibration.reads_answer:
        paid = {(r.probe.row.id, r.probe.derivation.text) for r in results if r.payoff is not None and r.payoff >= FULL}
        envelope = calibration.envelope
        searched = search(usable, surroundings, scoring, scales, envelope, settings.search, paid, progress)

    def reproduce(again: Sequence[Probe]) -> list[Outcome]:
        calls = [[(probe.row, probe.derivation)] for probe in again]
        return [outcomes[0] for outcomes in scoring.run(calls, fresh=True)]

    evidence = Evidence(
        subject.name,
        rows,
        scales,
        results,
        behaviour,
        calibration.envelope,
        calibration.reads_answer,
        settings.tolerance,
        settings.strict,
        reproduce,
        searched.finds if searched else (),
    )
    progress("reproducing", 0, 1)
    findings = find(evidence)
    log = None
    if settings.rollouts is not None:
        log = audit_log(settings.rollouts, subject.name, subject.rows, scales, subject.checker)
    if calibration.reads_answer and len(usable) < LEAST_USABLE and not findings:
        raise AuditError(
            f"only {len(usable)} of {len(rows)} rows are usable (their right answer earns more than no answer); an "
            f"audit needs at least {LEAST_USABLE}. Check that the reference column holds what the reward expects."
        )
    document = Audit(
        reward=subject.name,
        verdict="findings" if findings or (log is not None and log["wrong"]) else "clean",
        headline=headline(evidence, findings, log),
        reads_answer=calibration.reads_answer,
        header=[
            *_about_reading(calibration),
            *_about_search(calibration, settings),
            *subject.notices,
            *about_company(behaviour, subject.demands),
            *_about_deadline(subject, runner),
        ],
        envelope=calibration.envelope.title,
        auc=calibration.auc,
        prompts=len(rows),
        usable=len(usable),
        calls=scoring.calls,
        seconds=time.monotonic() - started,
        deterministic=behaviour.deterministic if behaviour.tested else None,
        statuses=dict(scoring.statuses),
        latency=latency_of(scoring.seconds, scoring.slowest[1]),
        families=family_rows(evidence, not_tested),
        findings=findings,
        notes=[*notes(evidence, scoring.effects), *padding_notes(behaviour)],
        search=searched.about if searched else None,
        rollouts=log,
        comparison=None,
        error="",
    )
    made = [result.probe for find in evidence.finds for result in find.results]
    return Report(document, {probe.id: probe for probe in (*probes, *made)}, subject, settings)


def make_probes(
    rows: Sequence[Row],
    surroundings: Surroundings,
    calibration: Calibration,
    families: Iterable[Family],
    has_deadline: bool,
) -> tuple[list[Probe], dict[str, str]]:
    """All certified probes, and for families without any the reason."""
    probes: list[Probe] = []
    not_tested: dict[str, str] = {}
    for family in families:
        if family.needs_answer and not calibration.reads_answer:
            not_tested[family.name] = "the reward does not read the answer"
            continue
        if family.relation == "returns" and not has_deadline:
            not_tested[family.name] = "it could hang: no deadline holds in this process"
            continue
        made = 0
        for row in rows:
            mine = list(family.probes(row, surroundings, calibration.envelope))
            probes += mine
            made += bool(mine)
            if made == family.most_rows:
                break
    return probes, not_tested


def _calibrate(subject: Subject, surroundings: Surroundings, scoring: Scoring, settings: Settings) -> Calibration:
    envelopes: Sequence[Envelope] = ENVELOPES
    if settings.template is not None:
        envelopes = (template_envelope(settings.template),)
    elif subject.bare_only:
        envelopes = ENVELOPES[:1]
    rows = subject.rows[:MOST_CALIBRATED]
    calibration = calibrate(rows, surroundings, scoring, subject.containers, envelopes)
    if subject.full is not None:
        # It declares what a full answer earns, so it claims to read answers; whatever it pays is held against that,
        # even where no answer is stored, or where it pays wrong answers as if they were right.
        return replace(calibration, reads_answer=True)
    return calibration


def _self_test(
    runner: Runner,
    subject: Subject,
    rows: Sequence[Row],
    surroundings: Surroundings,
    scoring: Scoring,
    calibration: Calibration,
) -> None:
    """A known-right and a known-wrong answer, inside every worker."""
    test = getattr(runner, "self_test", None)
    if test is None or not calibration.reads_answer:
        return
    for row in rows:
        wrong = next(wrong_answers(row, surroundings), None)
        if not row.answer or wrong is None:
            continue
        right_one = single(Answer("reference", row.answer.strip())).inside(calibration.envelope)
        wrong_one = single(wrong).inside(calibration.envelope)
        before = scoring.score([(row, right_one), (row, wrong_one)])
        if before[0].value is None or before[1].value is None or before[0].value <= before[1].value:
            continue
        try:
            test(subject.address, scoring.item(row, right_one), scoring.item(row, wrong_one))
        except WorkerError as error:
            raise AuditError(f"self-test failed: {error}") from error
        return


def _span(scoring: Scoring, rows: Sequence[Row], envelope: Envelope) -> float:
    """Width of the rewards that plain completions earn, for rewards that do not read the answer."""
    texts = [null.inside(form) for null in NULLS for form in (envelope.bare(), envelope)]
    values = [o.value for o in scoring.score([(row, text) for row in rows for text in texts]) if o.value is not None]
    return max(values) - min(values) if values else 0.0


def _about_reading(calibration: Calibration) -> list[str]:
    if calibration.reads_answer:
        return []
    auc = "" if calibration.auc is None else f" (best AUC {calibration.auc:.2f}, needed .90)"
    return [f"does not read the answer{auc}: only gains, stability and failures were tested"]


def _about_search(calibration: Calibration, settings: Settings) -> list[str]:
    if calibration.reads_answer or not settings.search:
        return []
    return ["there was no search: it looks for wrong answers that are paid, and the reward does not read the answer"]


def _about_deadline(subject: Subject, runner: Runner) -> list[str]:
    if subject.reward is None or runner.has_deadline:
        return []
    return [IN_PROCESS.format(name=f"a part of {subject.name}")]


def failed(name: str, error: TruewardError) -> Audit:
    """The document of an audit that came to no verdict."""
    return Audit(
        reward=name,
        verdict="not audited",
        headline="",
        reads_answer=False,
        header=[],
        envelope="",
        auc=None,
        prompts=0,
        usable=0,
        calls=0,
        seconds=0.0,
        deterministic=None,
        statuses={},
        latency=None,
        families=[],
        findings=[],
        notes=[],
        search=None,
        rollouts=None,
        comparison=None,
        error=str(error),
    )
