"""The audit on a terminal: one audit at length, or one line per reward.

Foreign text (prompts, completions, addresses, messages of exceptions) is made visible and set as `rich.text.Text`,
never as markup, so that a completion can neither command the terminal nor style the report.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.padding import Padding
from rich.panel import Panel
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from trueward.report.document import Audit, Document, Example, Finding, Note
from trueward.report.escape import visible
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
_LONGEST_NAME = 120  # of a reward, in tables
_WIDE = 140  # columns from which a reward, its headline and its worst finding share a line
_LABELS = 12  # columns of the labels beside an example


def render(document: Document, console: Console, report_path: str | None = None) -> None:
    """Print the document.

    Args:
        document: one audit (printed at length) or many (one line each).
        console: where to; its width and colours are kept to.
        report_path: the HTML report to name at the end, if one was written.
    """
    audits = document["audits"]
    if len(audits) == 1:
        parts = list(_one(document, audits[0], console.width))
    else:
        parts = list(_many(document, console.width))
    if report_path:
        parts += [Text(), _line("Report: ", (report_path, "bold"))]
    console.print(_Plain(Group(*parts), console.encoding), highlight=False, end="")


def _one(document: Document, audit: Audit, width: int) -> Iterator[RenderableType]:
    verdict = audit["verdict"]
    found = counted(len(audit["findings"]), "finding") if audit["findings"] else verdict
    yield _line((f"{MARKS[verdict]} {found}: ", _STYLES[verdict]), (summary(audit), "bold"))
    yield _line((audit["reward"], ""))
    for notice in audit["header"]:
        yield _hanging("! ", _text(notice), "yellow")
    for phrase in circumstances(audit):
        yield _hanging("  ", _text(phrase), "dim")
    if audit["families"]:
        yield from _families(audit, width)
    if audit["findings"]:
        yield from _heading("Findings")
        for index, finding in enumerate(audit["findings"], 1):
            yield from _finding(index, finding)
    if audit["notes"]:
        yield from _heading("Notes (worth knowing; they do not change the verdict)")
        for note in audit["notes"]:
            yield from _note(note)
    yield from _again(document, audit)


def _families(audit: Audit, width: int) -> Iterator[RenderableType]:
    """What was tried and what it earned; families that were not tested follow, by reason."""
    for index, (heading, results) in enumerate(family_results(audit)):
        tested = [result for result in results if result.state != "untested"]
        table = _family_table(width, header=index == 0 and bool(tested))
        for result in tested:
            table.add_row(*_family_cells(result, width))
        yield Text()
        yield _line((heading, "bold"))
        if tested:
            yield table
        for reason, families in untested_by_reason(results):
            yield _hanging(f"{STATE_MARKS['untested']} ", _text(f"{', '.join(families)}: not tested: {reason}"), "dim")


def _family_columns(width: int) -> list[str]:
    """Which columns fit."""
    columns = ["mark", "family"]
    columns += ["prompts", "in full", "partly"] if width >= 60 else ["in full"]
    if width >= 90:
        columns.append("mean payoff")
    return [*columns, "what was tried"] if width >= 72 else columns


def _family_table(width: int, header: bool) -> Table:
    """Columns of fixed width, so that the tables of all groups stand below one another."""
    table = Table(box=None, show_header=header, pad_edge=False, padding=(0, 1, 0, 0), expand=True, header_style="dim")
    sizes = {"mark": 1, "family": 16, "prompts": 7, "in full": 12, "partly": 6, "mean payoff": 11}
    for column in _family_columns(width):
        foreign = column in ("family", "what was tried")
        title = Text("" if column in ("mark", "family") else column)
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
    yield _hanging(f"{index:>2}  ", _line((visible(finding["title"], 240), "bold red")), "bold red")
    yield _hanging("    ", _text(extent(finding)))
    if finding["examples"]:
        yield Padding(_example(finding["examples"][0]), (0, 0, 0, 4))


def _note(note: Note) -> Iterator[RenderableType]:
    detail = f" ({note['detail']})" if note["detail"] else ""
    yield _hanging("  - ", _text(f"{note['title']}{detail}"))
    if note["examples"]:
        example = note["examples"][0]
        shown = f"{visible(example['completion'], 120) or '(empty)'}  earns {earned(example)}"
        yield _hanging("    e.g. ", _text(shown, 400), "dim")


def _example(example: Example) -> Table:
    """Prompt, completion, reward and why, one below the other."""
    table = Table.grid(padding=(0, 1, 0, 0), expand=True)
    table.add_column(width=_LABELS, style="dim")
    table.add_column(ratio=1, overflow="fold")
    table.add_row("prompt", _quoted(example["prompt"], _LONGEST_PROMPT))
    if example["reference"] is not None:
        table.add_row("right answer", _quoted(example["reference"], _LONGEST_PROMPT))
    table.add_row("completion", _quoted(example["completion"], _LONGEST_COMPLETION, "bold"))
    table.add_row("reward", _line((visible(earned(example), 240), "bold red" if example["status"] == "ok" else "")))
    table.add_row("why", _text(example["why"]))
    return table


def _again(document: Document, audit: Audit) -> Iterator[RenderableType]:
    """How the same is seen again."""
    if document["command"]:
        yield Text()
        yield _hanging("Again: ", _text(command_of(document)), "dim")
    lines = reproduction(document, audit)
    if lines:
        yield _line(("In Python, the first exploit in a fresh worker:", "dim"))
        for line in lines:
            yield _hanging("    ", _text(line))


def _many(document: Document, width: int) -> Iterator[RenderableType]:
    audits = document["audits"]
    bad = any(audit["verdict"] == "findings" for audit in audits)
    yield _line((verdict_sentence(audits), "bold red" if bad else "bold cyan"))
    yield Text()
    yield _rewards_wide(audits) if width >= _WIDE else _rewards_narrow(audits, width)
    yield Text()
    yield _line(counts_sentence(audits))
    telling = telling_of(document)[:3]
    if telling:
        yield from _heading("The most telling exploits")
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
    table.add_column("worst finding (share of prompts)", ratio=5, overflow="fold")
    for audit in worst_first(audits):
        worst = worst_finding(audit)
        mark = Text(MARKS[audit["verdict"]], style=_STYLES[audit["verdict"]])
        name, said = _text(audit["reward"], _LONGEST_NAME), _text(summary(audit), 400)
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
        said = _text(summary(audit), 400)
        if worst:
            said.append("\n").append_text(_worst(worst))
        table.add_row(
            Text(MARKS[audit["verdict"]], style=_STYLES[audit["verdict"]]), _text(audit["reward"], _LONGEST_NAME), said
        )
    return table


def _worst(finding: Finding) -> Text:
    return Text(f"{percent(finding['share'])}: {visible(finding['title'], 160)}", style="red", overflow="fold")


def _heading(title: str) -> Iterator[RenderableType]:
    yield Text()
    yield Text(title, style="bold")


def _text(foreign: str, limit: int | None = 1000) -> Text:
    return Text(visible(foreign, limit), overflow="fold")


def _quoted(foreign: str, limit: int, style: str = "") -> Text:
    if not foreign.strip():
        return Text(f"({counted(len(foreign), 'blank character')})" if foreign else "(empty)", style="dim italic")
    return Text(visible(foreign, limit), style=style, overflow="fold")


def _line(*parts: str | tuple[str, str]) -> Text:
    """One paragraph of differently styled parts, each made visible."""
    line = Text(overflow="fold")
    for part in parts:
        text, style = (part, "") if isinstance(part, str) else part
        line.append(visible(text), style=style or None)
    return line


def _hanging(lead: str, body: Text, style: str = "") -> Table:
    """`body` with `lead` before its first line and its other lines indented as far."""
    table = Table.grid(expand=True)
    table.add_column(width=len(lead), no_wrap=True, style=style)
    table.add_column(ratio=1, overflow="fold", style="dim" if style == "dim" else "")
    table.add_row(lead, body)
    return table


class _Plain:
    """What it wraps, without blanks at line ends and in characters that the terminal's encoding has.

    An output in ASCII must not end in an error.
    """

    def __init__(self, content: RenderableType, encoding: str) -> None:
        self.content = content
        self.unicode = encoding.lower().replace("-", "").startswith("utf")
        self.encoding = encoding

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """The lines of the content, none longer than the console is wide."""
        for line in console.render_lines(self.content, options, pad=False):
            kept = [Segment(self._encodable(text), style, control) for text, style, control in line]
            while kept and not kept[-1].text.strip(" "):
                kept.pop()
            if kept:
                last = kept.pop()
                kept.append(Segment(last.text.rstrip(" "), last.style, last.control))
            yield from kept
            yield Segment.line()

    def _encodable(self, text: str) -> str:
        if self.unicode:
            return text
        return "".join(self._nearest(character) for character in text)

    def _nearest(self, character: str) -> str:
        try:
            character.encode(self.encoding)
        except UnicodeEncodeError:
            return _NEAREST.get(character, "?" * cell_len(character))
        return character


_NEAREST = {"✗": "x", "✓": "+", "–": "-", "…": ".", "·": ".", "⏎": "/", "⇥": ">", "⟨": "<", "⟩": ">"}
