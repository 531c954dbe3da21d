"""Experiments on a terminal: the table of systems, the verdict on one, and all that is known of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypedDict

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from trueward.report.curve_terminal import aligned
from trueward.report.escape import visible
from trueward.report.experiment_curves import ArmCurves, Band, arm_curves, telling_arms, thinned
from trueward.report.experiment_document import ExperimentDocument, FalsifierResult, StatementResult
from trueward.report.experiment_words import (
    LONGEST_NOTES,
    NOT_RUN,
    STATE_MARKS,
    VERDICT_MARKS,
    counts_said,
    interval,
    metric_of,
    metric_said,
    parts_said,
    settings_said,
    statement_said,
)
from trueward.report.terminal_text import Plain, foreign_text, hanging, heading, line
from trueward.report.wording import counted

_VERDICT_STYLES = {"shown": "bold cyan", "contradicted": "bold red", "unclear": "bold yellow", "void": "bold yellow"}
_STATE_STYLES = {
    **{"holds": "cyan", "fails": "bold red", "open": "yellow"},
    **{"not met": "cyan", "met": "bold red", "undecided": "yellow"},
}
_POINTS = 8  # rows of a curve
_METRICS_ABREAST = 3  # columns of numbers that 80 characters hold


class System(TypedDict):
    """A system in the table of all of them."""

    name: str
    title: str
    claim: str
    verdict: str  # a verdict, or "not run"
    parts: list[str]


def render_systems(systems: Sequence[System], console: Console) -> None:
    """Print one line for each system: its name, what it is, the verdict, and what it is made of."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("name", no_wrap=True, style="bold")
    table.add_column("system", ratio=3)
    table.add_column("verdict", no_wrap=True)
    table.add_column("made of", ratio=4)
    table.expand = True
    for system in systems:
        verdict = system["verdict"]
        table.add_row(
            foreign_text(system["name"], 60),
            foreign_text(system["title"], 200),
            _verdict(verdict),
            foreign_text(parts_said(system["parts"]), 400),
        )
    _print([table] if systems else [line("There is no system yet.")], console)


def render_verdict(document: ExperimentDocument, console: Console, report_path: str | None = None) -> None:
    """Print what a run ended with: the verdict, the statements, the metrics of every arm, what failed.

    Args:
        document: of the experiment.
        console: where to; its width and colours are kept to.
        report_path: the page to name at the end, if one was written.
    """
    parts = [*_head(document, document["verdict"]), *_statements(document), *_arms(document), *_failures(document)]
    if report_path:
        parts += [Text(), line("Report: ", (report_path, "bold"))]
    _print(parts, console)


def render_system(document: ExperimentDocument, console: Console, *, was_run: bool = True) -> None:
    """Print all that is known of a system: claim, arms, last result, curves, falsification, how to use it at scale.

    Args:
        document: the last result; of a system that was never run one without numbers.
        console: where to.
        was_run: False says so instead of a verdict.
    """
    parts: list[RenderableType] = [*_head(document, document["verdict"] if was_run else NOT_RUN)]
    parts += [Text(), foreign_text(document["paper"], 400)]
    parts += [*_statements(document), *_arms(document)]
    for arm in telling_arms(document):
        parts += _curve(arm_curves(arm))
    parts += _failures(document)
    if document["parts"]:
        parts += [*heading("Made of"), *(hanging("  ", foreign_text(part)) for part in document["parts"])]
    if document["notes"]:
        parts += [*heading("The test bed"), hanging("  ", foreign_text(document["notes"], LONGEST_NOTES))]
    if document["at_scale"]:
        at_scale = Text(visible(document["at_scale"].strip("\n"), 4000, multiline=True), overflow="fold")
        parts += [*heading("At scale"), Padding(at_scale, (0, 0, 0, 2))]
    if was_run:
        said = f"{document['date'][:10]}, commit {document['commit'] or 'not known'}: {document['command']}"
        parts += [*heading("Last result"), hanging("  ", foreign_text(said))]
    _print(parts, console)


def _head(document: ExperimentDocument, verdict: str) -> Iterator[RenderableType]:
    mark, style = VERDICT_MARKS[verdict], _VERDICT_STYLES.get(verdict, "dim")
    yield line((f"{mark} {verdict}: ".lstrip(), style), (f"{document['title']} ({document['recipe']})", "bold"))
    yield hanging("  ", foreign_text(document["claim"]))
    if verdict != NOT_RUN:
        yield hanging("  ", foreign_text(document["why"]), "dim")
        yield hanging("  ", foreign_text(counts_said(document)), "dim")


def _statements(document: ExperimentDocument) -> Iterator[RenderableType]:
    for title, statements in (("Claims", document["claims"]), ("Preconditions", document["preconditions"])):
        if statements:
            yield from heading(title)
            yield from map(_statement, statements)
    if document["falsifiers"]:
        yield from heading("Would refute the claim")
        for falsifier in document["falsifiers"]:
            yield _falsifier(falsifier)


def _statement(statement: StatementResult) -> RenderableType:
    state = statement["state"]
    body = line(statement["text"], ("  " + statement_said(statement), "dim"))
    return hanging(f"{STATE_MARKS[state]} {state:<6}", body, _STATE_STYLES[state])


def _falsifier(falsifier: FalsifierResult) -> RenderableType:
    state = falsifier["state"]
    said = "; ".join(f"{one['text']}: {statement_said(one)}" for one in falsifier["comparisons"])
    body = line(falsifier["text"], (f"  {said}" if said else "", "dim"))
    return hanging(f"{STATE_MARKS[state]} {state:<10}", body, _STATE_STYLES[state])


def _arms(document: ExperimentDocument) -> Iterator[RenderableType]:
    yield from heading("Arms (mean over seeds, 95 % interval)")
    names = _decisive(document)
    measured = [name for name in names if any(metric_of(arm, name)["mean"] is not None for arm in document["arms"])]
    for first in range(0, max(1, len(measured)), _METRICS_ABREAST):
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
        table.add_column("arm", style="bold", no_wrap=True)
        table.add_column("role", no_wrap=True)
        abreast = measured[first : first + _METRICS_ABREAST]
        for name in abreast:
            table.add_column(foreign_text(name, 24), justify="right")
        for arm in document["arms"]:
            table.add_row(foreign_text(arm["name"], 40), arm["role"], *(metric_said(arm, name) for name in abreast))
        yield table
        yield Text()
    left = len(document["metrics"]) - len(names)
    if left and measured:
        yield line((f"Not decisive, hence only in the report: {counted(left, 'more metric')}.", "dim"))
        yield Text()
    for arm in document["arms"]:
        set_to = f" ({settings_said(arm['differs'])})" if arm["differs"] else ""
        yield hanging("  ", line((arm["name"], "bold"), f": {arm['about']}", (set_to, "dim")))


def _decisive(document: ExperimentDocument) -> list[str]:
    """Metrics that a statement or the tuning rests on, in the order of the recipe; all where there are few."""
    known = [metric["name"] for metric in document["metrics"]]
    if len(known) <= _METRICS_ABREAST:
        return known
    statements = [*document["claims"], *document["preconditions"]]
    statements += [one for falsifier in document["falsifiers"] for one in falsifier["comparisons"]]
    named = {statement["metric"] for statement in statements} | {document["tuned_on"]}
    return [name for name in known if name in named]


def _curve(curves: ArmCurves) -> Iterator[RenderableType]:
    if curves.empty:
        return
    few = thinned(curves, _POINTS)
    has_kl = any(kl is not None for kl in few.kl)
    table = [["step", *(["KL"] if has_kl else []), "proxy, 95 %", "gold, 95 %", ""]]
    peak = _peak(few.gold)
    for place, step in enumerate(few.at):
        kl = few.kl[place]
        cells = [f"{step:,g}", *(["–" if kl is None else f"{kl:.2f}"] if has_kl else [])]
        cells += [_at(few.proxy, place), _at(few.gold, place)]
        table.append([*cells, "gold peaks" if place == peak and place < len(few.at) - 1 else ""])
    yield from heading(f"Curve of {visible(few.name, 60)}")
    for row in aligned(table):
        yield line(f"  {row}")


def _at(band: Band, place: int) -> str:
    return interval(band.mean[place], band.low[place], band.high[place])


def _peak(gold: Band) -> int | None:
    """Where gold is highest."""
    found = [(value, -place) for place, value in enumerate(gold.mean) if value is not None]
    return -max(found)[1] if found else None


def _failures(document: ExperimentDocument) -> Iterator[RenderableType]:
    if document["failures"]:
        yield from heading("Failed runs")
        for failure in document["failures"]:
            yield hanging("✗ ", foreign_text(f"{failure['arm']}, seed {failure['seed']}: {failure['error']}"), "red")


def _verdict(verdict: str) -> Text:
    return Text(f"{VERDICT_MARKS[verdict]} {verdict}", style=_VERDICT_STYLES.get(verdict, "dim"))


def _print(parts: Sequence[RenderableType], console: Console) -> None:
    console.print(Plain(Group(*parts), console.encoding), highlight=False, end="")
