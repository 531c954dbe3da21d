"""A run on a terminal while it trains: what was found, curves as sparklines, and the rollouts behind it.

Foreign text (prompts, completions, messages, paths) goes through `terminal_text`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.cells import cell_len, set_cell_size
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from trueward.report.escape import visible
from trueward.report.experiment_words import three_digits
from trueward.report.terminal_text import Plain, foreign_text, hanging, heading, line, quoted
from trueward.report.watch_document import WatchDocument, WatchExample, WatchNotice
from trueward.report.watch_words import (
    LINE,
    MEANS,
    NO_GOLD,
    NO_LINE,
    STATE_MARKS,
    bin_of,
    binned,
    curves_of,
    extent_said,
    first_known,
    gold_said,
    gravest_first,
    headline,
    last_known,
    line_said,
    reward_said,
    source_said,
    state_of,
)
from trueward.report.wording import counted, number

_STYLES = {
    **{"alarm": "bold red", "notice": "bold yellow", "hint": "yellow", "quiet": "bold cyan"},
    **{"waiting": "dim", "unchecked": "bold yellow"},
}
_BLOCKS, _ASCII_BLOCKS = "▁▂▃▄▅▆▇█", "_.-=+*#@"
_LONGEST_NAME = 22
_MOST_CURVES = 12
_NUMBER = 7  # columns of a number beside a sparkline
_GAPS = 9  # columns between the five columns of the table
_LONGEST_PROMPT, _LONGEST_COMPLETION = 200, 320
_EXAMPLES = 2  # of a notice; the page has all
_LIVE_EXAMPLES = 1
_LABELS = 11


def render_watch(document: WatchDocument, console: Console, report_path: str | None = None) -> None:
    """Print what was seen of a run, at length.

    Args:
        document: of the run.
        console: where to; its width and colours are kept to.
        report_path: the page to name at the end, if one was written.
    """
    parts: list[RenderableType] = [*_head(document), *_curves(document, console)]
    notices = gravest_first(document)
    if notices:
        parts += heading("What was found")
        for notice in notices:
            parts += _notice(notice, _EXAMPLES)
    parts += _meaning(document)
    for remark in document["remarks"]:
        parts += [Text(), hanging("! ", foreign_text(remark), "yellow")]
    if report_path:
        parts += [Text(), line("Report: ", (report_path, "bold"))]
    console.print(Plain(Group(*parts), console.encoding), highlight=False, end="")


def dashboard(document: WatchDocument, console: Console, waited: str) -> RenderableType:
    """The same for a screen that is drawn again and again: the newest first, little of each.

    Args:
        document: of the run.
        console: whose width is kept to.
        waited: how long ago something came, in words.
    """
    parts: list[RenderableType] = [*_head(document), *_curves(document, console)]
    notices = gravest_first(document)
    grave = [notice for notice in notices if notice["kind"] != "hint"]
    shown = grave + [notice for notice in notices if notice["kind"] == "hint"][::-1]
    parts += [Text()]
    for notice in shown:
        parts += _notice(notice, _LIVE_EXAMPLES if notice in grave or not grave else 0)
    if not notices and document["steps"]:
        parts.append(line(("Nothing was found so far.", "dim")))
    parts += [Text(), line((f"{waited}; Ctrl-C ends", "dim"))]
    return Plain(Group(*parts), console.encoding)


def notice_line(notice: WatchNotice) -> Text:
    """A notice on one line, for a log of what was found."""
    kind = notice["kind"]
    return line(
        (f"{STATE_MARKS[kind]} {kind} at step {notice['step']:,}, {source_said(notice)}: ", _STYLES[kind]),
        visible(notice["message"], 1000),
    )


def sparkline(values: Sequence[float | None], columns: int, *, unicode: bool = True) -> str:
    """Numbers as a row of blocks between their smallest and largest; a blank where one is missing."""
    levels = _BLOCKS if unicode else _ASCII_BLOCKS
    drawn = binned(values, columns)
    numbers = [value for value in drawn if value is not None]
    low, extent = min(numbers, default=0.0), max(numbers, default=0.0) - min(numbers, default=0.0)
    if extent <= 1e-12 * max(map(abs, numbers), default=0.0):
        return "".join(" " if value is None else levels[3] for value in drawn)
    return "".join(" " if value is None else levels[round((value - low) / extent * 7)] for value in drawn)


def _head(document: WatchDocument) -> Iterator[RenderableType]:
    state = state_of(document)
    yield line((f"{STATE_MARKS[state]} {headline(document)}", _STYLES[state]))
    yield line((document["source"], "bold"))
    yield hanging("  ", foreign_text(f"{extent_said(document)}; {reward_said(document)}"), "dim")
    yield hanging("  ", foreign_text(gold_said(document)), "dim")


def _curves(document: WatchDocument, console: Console) -> Iterator[RenderableType]:
    """A table: name, first number, sparkline, last number; below it where something was found."""
    curves = curves_of(document)
    if not curves:
        return
    left = len(curves) - _MOST_CURVES
    names = [_name(words) for _, words, _ in curves[:_MOST_CURVES]]
    wide = max(cell_len(name) for name in names)
    line_at = line_said(document)
    columns = max(8, console.width - wide - 2 * _NUMBER - _GAPS - len(line_at))
    columns = min(columns, max(8, len(document["steps"])), 72)
    unicode = console.encoding.lower().startswith("utf")
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("", width=wide, no_wrap=True)
    table.add_column("first", width=_NUMBER, justify="right", no_wrap=True)
    table.add_column(_extent_header(document, columns), width=columns, no_wrap=True)
    table.add_column("now", width=_NUMBER, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True, style="dim")
    for (name, _, values), shown in zip(curves, names, strict=False):
        spark = Text(sparkline(values, columns, unicode=unicode), style=_curve_style(name))
        first, last = three_digits(first_known(values)), three_digits(last_known(values))
        table.add_row(Text(shown), first, spark, last, line_at if name == "probe/gold" else "")
    marks = _marks(document, columns)
    if marks.strip():
        table.add_row(Text("found", style="dim"), "", Text(marks, style="bold"), "", "")
    yield Text()
    yield table
    if left > 0:
        yield line((f"and {counted(left, 'more curve')} on the page of --html", "dim"))


def _name(words: str) -> str:
    """A name in at most `_LONGEST_NAME` columns: its beginning tells more than its end."""
    shown = visible(words)
    if cell_len(shown) <= _LONGEST_NAME:
        return shown
    return f"{set_cell_size(shown, _LONGEST_NAME - 1).rstrip()}…"


def _extent_header(document: WatchDocument, columns: int) -> str:
    first, last = f"step {document['steps'][0]:,}", f"{document['steps'][-1]:,}"
    return first + last.rjust(columns - len(first)) if columns > len(first) + len(last) + 2 else ""


def _curve_style(name: str) -> str:
    return {"reward": "red", "probe/gold": "cyan", "gold": "cyan"}.get(name, "")


def _marks(document: WatchDocument, columns: int) -> str:
    """The mark of the gravest that was found in each column of the sparklines."""
    places = {step: place for place, step in enumerate(document["steps"])}
    count = len(document["steps"])
    row = [" "] * min(columns, count)
    for notice in reversed(gravest_first(document)):
        if notice["step"] in places:
            row[bin_of(places[notice["step"]], count, columns)] = STATE_MARKS[notice["kind"]]
    return "".join(row)


def _notice(notice: WatchNotice, most: int) -> Iterator[RenderableType]:
    kind = notice["kind"]
    lead = f"{STATE_MARKS[kind]} {kind:<7}"
    body = line((f"step {notice['step']:,}, {source_said(notice)}: ", "dim"), visible(notice["message"], 1000))
    yield hanging(lead, body, _STYLES[kind])
    for place, example in enumerate(notice["examples"][:most]):
        if place:
            yield Text()
        yield Padding(_example(example), (0, 0, 0, len(lead)))
    left = len(notice["examples"]) - most
    if left > 0 and most:
        yield Padding(line((f"and {counted(left, 'more rollout')}", "dim")), (0, 0, 0, len(lead)))


def _example(example: WatchExample) -> Table:
    table = Table.grid(padding=(0, 1, 0, 0), expand=True)
    table.add_column(width=_LABELS, style="dim")
    table.add_column(ratio=1, overflow="fold")
    table.add_row("prompt", quoted(example["prompt"], _LONGEST_PROMPT))
    table.add_row("completion", quoted(example["completion"], _LONGEST_COMPLETION, "bold"))
    gold = f", gold {number(example['gold'])}" if example["gold"] is not None else ""
    table.add_row("reward", line((number(example["reward"]) + gold, "bold red" if gold else "")))
    if example["why"]:
        table.add_row("why", foreign_text(example["why"], 400))
    return table


def _meaning(document: WatchDocument) -> Iterator[RenderableType]:
    """What the words mean that stand above."""
    found: set[str] = {notice["kind"] for notice in document["notices"]}
    if document["probe"] != "none":
        found.add("alarm")
    lines = [(word, meaning) for word, meaning in MEANS.items() if word in found]
    if document["series"].get("probe/line"):
        lines.append(("line", LINE))
    elif document["probe"] != "none" and document["steps"]:
        lines.append(("line", NO_LINE))
    if document["probe"] == "none" and document["steps"]:
        lines.append(("gold", NO_GOLD))
    if lines:
        yield from heading("What this means")
        for word, meaning in lines:
            yield hanging(f"  {word:<8}", line((meaning, "dim")))
