"""The systems as a page of Markdown: one table, then for each what was claimed and what was measured."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from trueward.report.experiment_document import ExperimentDocument, StatementResult
from trueward.report.experiment_terminal import System
from trueward.report.experiment_words import (
    LONGEST_NOTES,
    NOT_RUN,
    STATE_MARKS,
    VERDICT_MARKS,
    VERDICT_MEANS,
    counts_said,
    deciding,
    interval,
    metric_said,
    parts_said,
    settings_said,
    statement_said,
    three_digits,
)
from trueward.report.markdown import cell, code
from trueward.report.wording import duration

_LONGEST = 1200  # characters of a claim, a paper, a line of refutation


def render_systems_page(
    systems: Sequence[System],
    documents: Mapping[str, ExperimentDocument],
    pictures: Mapping[str, str],
    sheets: Mapping[str, str] | None = None,
) -> str:
    """The page.

    Args:
        systems: all of them, in the order of the table.
        documents: the results, by name; a system without one is `not run`.
        pictures: address of the curves of a system, by name, as seen from the page.
        sheets: address of the images that its arms make, in the same way.

    Returns:
        Markdown that ends with a line end.
    """
    lines = [
        "# Systems",
        "",
        "Published systems put to the test: each has a claim written as code before its first reported run, a tuned",
        "baseline, an ablation of its key idea and a control that must not work. `trueward evidence` makes this page",
        "from `results/*.json`; `trueward run NAME` repeats one, `trueward show NAME` tells more.",
        "",
        *(f"- **{verdict}**: {means}." for verdict, means in VERDICT_MEANS.items()),
        "",
        "Differences are paired by seed; intervals are Student's t at 95 %.",
        "",
        "| system | claim | verdict | what decides | made of |",
        "|---|---|---|---|---|",
        *(_row(system, documents.get(system["name"])) for system in systems),
    ]
    for system in systems:
        document = documents.get(system["name"])
        if document is not None:
            name = system["name"]
            lines += ["", *_section(document, pictures.get(name), (sheets or {}).get(name))]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).rstrip() + "\n"


def _row(system: System, document: ExperimentDocument | None) -> str:
    claim = cell(system["claim"], _LONGEST)
    parts = code(parts_said(system["parts"])) if system["parts"] else ""
    if document is None:
        return f"| {cell(system['title'])} | {claim} | {NOT_RUN} | | {parts} |"
    statement = deciding(document)
    decides = "" if statement is None else f"{code(statement['text'])}: {statement_said(statement)}"
    title = f"[{cell(system['title'])}](#{system['name']})"
    return f"| {title} | {claim} | {_verdict(document)} | {decides} | {parts} |"


def _verdict(document: ExperimentDocument) -> str:
    return f"{VERDICT_MARKS[document['verdict']]} {document['verdict']}"


def _section(document: ExperimentDocument, picture: str | None, sheet: str | None) -> Iterator[str]:
    yield f"## {cell(document['recipe'])}"
    yield ""
    yield f"**{cell(document['title'])}.** {cell(document['paper'], _LONGEST)}"
    yield ""
    yield f"Claim: {cell(document['claim'], _LONGEST)}"
    yield ""
    yield f"**{_verdict(document)}**: {cell(document['why'], _LONGEST)} ({counts_said(document)})."
    yield ""
    if document["notes"]:
        yield f"The test bed: {cell(document['notes'], LONGEST_NOTES)}"
        yield ""
    yield from _statements(document)
    if picture:
        yield ""
        yield f"![proxy (dashed) and gold of the method, its baselines and the unmended reward]({picture})"
        yield ""
        yield "Proxy (dashed) and gold, mean over seeds with 95 % band."
    if sheet:
        yield ""
        yield f"![images that each arm makes]({sheet})"
        yield ""
        yield f"What each arm makes, seed {document['seeds'][0] if document['seeds'] else 0}."
    yield ""
    yield from _arms(document)
    if document["tuning"]:
        yield ""
        yield from _tuning(document)
    for failure in document["failures"]:
        yield ""
        yield f"Failed: {cell(failure['arm'])}, seed {failure['seed']}: {code(failure['error'])}"
    if document["at_scale"]:
        yield ""
        yield "<details><summary>At scale</summary>"
        yield ""
        # Written by the author of the recipe, as Markdown.
        yield document["at_scale"].strip("\n")
        yield ""
        yield "</details>"
    yield ""
    versions = ", ".join(f"{name} {version}" for name, version in document["versions"].items())
    took = f"{duration(document['seconds'])} in all, {document['date'][:10]}"
    yield f"{code(document['command'])}, {took}, {cell(versions)}."


def _statements(document: ExperimentDocument) -> Iterator[str]:
    yield "| | statement | difference | seeds |"
    yield "|---|---|---|---|"
    for kind, statements in (("claim", document["claims"]), ("precondition", document["preconditions"])):
        for statement in statements:
            yield _statement(kind, statement)
    for falsifier in document["falsifiers"]:
        yield ""
        said = "; ".join(f"{code(one['text'])}: {statement_said(one)}" for one in falsifier["comparisons"])
        crossed = f"**{falsifier['state'].capitalize()}**{f' ({said})' if said else ''}"
        yield f"Would refute it: {cell(falsifier['text'], _LONGEST)} {crossed}."


def _statement(kind: str, statement: StatementResult) -> str:
    difference = interval(statement["mean"], statement["low"], statement["high"])
    state = statement["state"]
    return f"| {STATE_MARKS[state]} {kind} {state} | {code(statement['text'])} | {difference} | {statement['seeds']} |"


def _arms(document: ExperimentDocument) -> Iterator[str]:
    names = [metric["name"] for metric in document["metrics"]]
    yield f"| arm | role | {' | '.join(map(cell, names))} |"
    yield "|---|---|" + "---:|" * len(names)
    for arm in document["arms"]:
        numbers = " | ".join(metric_said(arm, name) for name in names)
        yield f"| **{cell(arm['name'])}**: {cell(arm['about'])} | {arm['role']} | {numbers} |"


def _tuning(document: ExperimentDocument) -> Iterator[str]:
    yield f"<details><summary>Tuning, by {cell(document['tuned_on'])} on seeds that are not reported</summary>"
    yield ""
    yield "| arm | settings | mean | chosen |"
    yield "|---|---|---:|---|"
    for row in document["tuning"]:
        settings, chosen = code(settings_said(row["settings"])), "✓" if row["chosen"] else ""
        yield f"| {cell(row['arm'])} | {settings} | {three_digits(row['mean'])} | {chosen} |"
    yield ""
    yield "</details>"
