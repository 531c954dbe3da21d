"""The audit on a terminal: one audit at length, or one line per reward.

Foreign text (prompts, completions, addresses, messages of exceptions) goes through `terminal_text`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.cells import cell_len
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from trueward.report.control_runs import played_said, runs_said
from trueward.report.document import FOUND_BY_SEARCH, Audit, Document, Example, Finding, Note
from trueward.report.escape import visible
from trueward.report.image_runs import ran_said
from trueward.report.image_terminal import change_lines, image_lines
from trueward.report.sentences import comparisons_said, found_by_probes, found_by_search
from trueward.report.terminal_runs import comparison_lines, log_lines, search_lines
from trueward.report.terminal_text import Plain, foreign_text, hanging, heading, line, quoted
from trueward.report.vocabulary import CONTROL, vocabulary_of
from trueward.report.wording import (
    MARKS,
    STATE_MARKS,
    FamilyResult,
    circumstances,
    command_of,
    counted,
    counts_sentence,
    earned,
    extent,
    family_results,
    payoff,
    percent,
    reproduction,
    scores_said,
    summary,
    telling_of,
    untested_by_reason,
    verdict_sentence,
    worst_finding,
    worst_first,
)

_STYLES = {"findings": "bold red", "clean": "bold cyan", "not audited": "bold yellow"}
_STATE_STYLES = {"bad": "bold red", "partly": "yellow", "good": "cyan", "untested": "dim"}
_LONGEST_PROMPT = 320
_LONGEST_COMPLETION = 320
_LONGEST_EPISODE = 900  # lines are kept
_LONGEST_NAME = 120  # of a reward, in tables
_WIDE = 140  # columns from which a reward, its headline and its worst finding share a line
_LABELS = 12  # columns of the labels beside an example


def render(document: Document, console: Console, report_path: str | None = None) -> None:
    """Print the audits of a document; `curve_terminal` prints its curves.

    Args:
        document: one audit (printed at length), many (one line each), or none.
        console: where to; its width and colours are kept to.
        report_path: the HTML report to name at the end, if one was written.
    """
    audits = document["audits"]
    if len(audits) == 1:
        parts = list(_one(document, audits[0], console.width))
    elif not audits:
        parts = []
    else:
        parts = list(_many(document, console.width))
    if report_path:
        parts += [Text()] if parts else []
        parts.append(line("Report: ", (report_path, "bold")))
    console.print(Plain(Group(*parts), console.encoding), highlight=False, end="")


def _one(document: Document, audit: Audit, width: int) -> Iterator[RenderableType]:
    verdict = audit["verdict"]
    found = counted(len(audit["findings"]), "finding") if audit["findings"] else verdict
    yield line((f"{MARKS[verdict]} {found}: ", _STYLES[verdict]), (summary(audit), "bold"))
    yield line((audit["reward"], ""))
    for notice in audit["header"]:
        yield hanging("! ", foreign_text(notice), "yellow")
    control = audit.get("control")
    played = [] if control is None else [*played_said(control), *runs_said(control)]
    pictured = audit.get("images")
    played += [] if pictured is None else ran_said(pictured)
    for phrase in [*circumstances(audit), *played, *scores_said(audit)]:
        yield hanging("  ", foreign_text(phrase), "dim")
    if audit["comparison"] is not None:
        yield from comparison_lines(audit["comparison"])
    if pictured is not None:
        yield from change_lines(audit, width)
        yield from image_lines(audit)
    elif audit["families"]:
        yield from _families(audit, width)
    probed, searched = found_by_probes(audit), found_by_search(audit)
    if probed:
        yield from heading("Findings")
        for index, finding in enumerate(probed, 1):
            yield from _finding(index, finding)
    if audit["search"] is not None or searched:
        yield from search_lines(audit["search"])
        for index, finding in enumerate(searched, len(probed) + 1):
            yield from _finding(index, finding)
    if audit["rollouts"] is not None:
        yield from log_lines(audit["rollouts"], width)
        for example in audit["rollouts"]["examples"][:1]:
            yield Text()
            yield Padding(_example(example), (0, 0, 0, 4))
    if audit["notes"]:
        yield from heading("Notes (worth knowing; they do not change the verdict)")
        for note in audit["notes"]:
            yield from _note(note)
    yield from _again(document, audit)


def _families(audit: Audit, width: int) -> Iterator[RenderableType]:
    """What was tried and what it earned; families that were not tested follow, by reason."""
    for index, (title, results) in enumerate(family_results(audit)):
        tested = [result for result in results if result.state != "untested"]
        table = _family_table(width, header=index == 0 and bool(tested), unit=f"{vocabulary_of(audit).unit}s")
        for result in tested:
            table.add_row(*_family_cells(result, width))
        yield Text()
        yield line((title, "bold"))
        if tested:
            yield table
        for reason, families in untested_by_reason(results):
            yield hanging(
                f"{STATE_MARKS['untested']} ", foreign_text(f"{', '.join(families)}: not tested: {reason}"), "dim"
            )


def _family_columns(width: int) -> list[str]:
    """Which columns fit."""
    columns = ["mark", "family"]
    columns += ["prompts", "in full", "partly"] if width >= 60 else ["in full"]
    if width >= 90:
        columns.append("mean payoff")
    return [*columns, "what was tried"] if width >= 72 else columns


def _family_table(width: int, header: bool, unit: str) -> Table:
    """Columns of fixed width, so that the tables of all groups stand below one another."""
    table = Table(box=None, show_header=header, pad_edge=False, padding=(0, 1, 0, 0), expand=True, header_style="dim")
    sizes = {"mark": 1, "family": 16, "prompts": 7, "in full": 12, "partly": 6, "mean payoff": 11}
    for column in _family_columns(width):
        foreign = column in ("family", "what was tried")
        title = Text("" if column in ("mark", "family") else unit if column == "prompts" else column)
        table.add_column(
            title,
            width=sizes.get(column) if width >= 40 else None,
            ratio=1 if column == "what was tried" else None,
            justify="left" if foreign or column == "mark" else "right",
            overflow="fold",
        )
    return table


def _family_cells(result: FamilyResult, width: int) -> list[Text]:
    row, style = result.row, _STATE_STYLES[result.state]
    full = f"{row['full']:,} ({percent(row['full'] / row['tested'])})" if row["full"] else "0"
    cells = {
        "mark": (STATE_MARKS[result.state], style),
        "family": (visible(row["family"]), style if result.state == "bad" else ""),
        "prompts": (f"{row['tested']:,}", ""),
        "in full": (result.words or full, style if result.state == "bad" else ""),
        "partly": ("" if result.words else f"{row['partial']:,}", ""),
        "mean payoff": ("" if result.words else payoff(row["mean_payoff"]), ""),
        "what was tried": (visible(row["description"], 200), "dim"),
    }
    return [Text(*cells[column], overflow="fold") for column in _family_columns(width)]


def _finding(index: int, finding: Finding) -> Iterator[RenderableType]:
    yield Text()
    yield hanging(f"{index:>2}  ", line((visible(finding["title"], 240), "bold red")), "bold red")
    yield hanging("    ", foreign_text(extent(finding)))
    if finding["examples"]:
        yield Padding(_example(finding["examples"][0]), (0, 0, 0, 4))


def _note(note: Note) -> Iterator[RenderableType]:
    detail = f" ({note['detail']})" if note["detail"] else ""
    yield hanging("  - ", foreign_text(f"{note['title']}{detail}"))
    if note["examples"]:
        example = note["examples"][0]
        shown = f"{visible(example['completion'], 120) or '(empty)'}  earns {earned(example)}"
        yield hanging("    e.g. ", foreign_text(shown, 400), "dim")


def _example(example: Example) -> Table:
    """Prompt, completion, reward and why, one below the other."""
    table = Table.grid(padding=(0, 1, 0, 0), expand=True)
    table.add_column(width=_LABELS, style="dim")
    table.add_column(ratio=1, overflow="fold")
    words = vocabulary_of(example)
    table.add_row(words.prompt, quoted(example["prompt"], _LONGEST_PROMPT))
    if example["reference"] is not None:
        table.add_row(words.reference, quoted(example["reference"], _LONGEST_PROMPT))
    if vocabulary_of(example) is CONTROL:
        table.add_row(words.completion, Text(visible(example["completion"], _LONGEST_EPISODE, multiline=True)))
    else:
        table.add_row(words.completion, quoted(example["completion"], _LONGEST_COMPLETION, "bold"))
    style = "bold red" if example["status"] == "ok" else ""
    table.add_row(words.reward, line((visible(earned(example), 240), style)))
    table.add_row("why", foreign_text(example["why"]))
    if example["family"] == FOUND_BY_SEARCH:
        for index, step in enumerate(example["derivation"]):
            table.add_row("made by" if index == 0 else "", foreign_text(f"{index + 1}. {step}", 300))
    return table


def _again(document: Document, audit: Audit) -> Iterator[RenderableType]:
    """How the same is seen again."""
    if document["command"]:
        yield Text()
        yield hanging("Again: ", foreign_text(command_of(document)), "dim")
    lines = reproduction(document, audit)
    if lines:
        yield line(("In Python, the first exploit in a fresh worker:", "dim"))
        for typed in lines:
            yield hanging("    ", foreign_text(typed))


def _many(document: Document, width: int) -> Iterator[RenderableType]:
    audits = document["audits"]
    bad = any(audit["verdict"] == "findings" for audit in audits)
    yield line((verdict_sentence(audits), "bold red" if bad else "bold cyan"))
    yield Text()
    yield _rewards_wide(audits) if width >= _WIDE else _rewards_narrow(audits, width)
    yield Text()
    yield line(counts_sentence(audits))
    compared = comparisons_said(audits)
    if compared:
        yield hanging("", foreign_text(compared))
    telling = telling_of(document)[:3]
    if telling:
        yield from heading("The most telling exploits")
    for audit, finding, example in telling:
        owner = visible(audit["reward"], 80) if audit else "a reward"
        title = f"{owner}: {visible(finding['title'] if finding else example['family'], 80)}"
        yield Text()
        yield Panel(_example(example), title=Text(title, style="bold"), title_align="left", border_style="dim")


def _rewards_wide(audits: Sequence[Audit]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 1), expand=True, header_style="dim")
    longest = max(cell_len(visible(audit["reward"], _LONGEST_NAME)) for audit in audits)
    table.add_column(width=1, no_wrap=True)
    table.add_column("reward", width=min(longest, 40), overflow="fold")
    table.add_column("what it pays", ratio=6, overflow="fold")
    units = dict.fromkeys(f"{vocabulary_of(audit).unit}s" for audit in audits)
    table.add_column(f"worst finding (share of {' or '.join(units)})", ratio=5, overflow="fold")
    for audit in worst_first(audits):
        worst = worst_finding(audit)
        mark = Text(MARKS[audit["verdict"]], style=_STYLES[audit["verdict"]])
        name, said = foreign_text(audit["reward"], _LONGEST_NAME), foreign_text(summary(audit), 400)
        table.add_row(mark, name, said, _worst(worst) if worst else Text())
    return table


def _rewards_narrow(audits: Sequence[Audit], width: int) -> Table:
    """Reward and headline on one line where they fit, the worst finding below."""
    longest = max(cell_len(visible(audit["reward"], _LONGEST_NAME)) for audit in audits)
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 1), expand=True)
    table.add_column(width=1, no_wrap=True)
    table.add_column(width=max(1, min(longest, width * 2 // 5, 32)), overflow="fold")
    table.add_column(ratio=1, overflow="fold")
    for audit in worst_first(audits):
        worst = worst_finding(audit)
        said = foreign_text(summary(audit), 400)
        if worst:
            said.append("\n").append_text(_worst(worst))
        table.add_row(
            Text(MARKS[audit["verdict"]], style=_STYLES[audit["verdict"]]),
            foreign_text(audit["reward"], _LONGEST_NAME),
            said,
        )
    return table


def _worst(finding: Finding) -> Text:
    return Text(f"{percent(finding['share'])}: {visible(finding['title'], 160)}", style="red", overflow="fold")
