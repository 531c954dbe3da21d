"""Audits of images on a terminal: what every family of changes did to the reward, and how far it grew."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from trueward.report.document import Audit, ImageRun
from trueward.report.escape import visible
from trueward.report.image_runs import Family, families_of, family_said, growth_said, ledger_said
from trueward.report.terminal_text import foreign_text, hanging, heading, line
from trueward.report.wording import STATE_MARKS

_STYLES = {"bad": "bold red", "good": "cyan", "untested": "dim"}
_WIDE = 72  # columns from which the change that raises the reward most is named beside its family
_NAME, _GAIN = 14, 24


def change_lines(audit: Audit, width: int) -> Iterator[RenderableType]:
    """The families under their headings, each with the change that raises the reward most."""
    first = True
    for title, families in families_of(audit):
        yield Text()
        yield line((title, "bold"))
        tested = [family for family in families if family.state != "untested"]
        if tested:
            table = _table(width, header=first)
            first = False
            for family in tested:
                table.add_row(*_cells(family, audit["images"], width))
            yield table
        reasons: dict[str, list[str]] = {}
        for family in families:
            if family.state == "untested":
                reasons.setdefault(family.row["not_tested"], []).append(family.row["family"])
        for reason, names in reasons.items():
            yield hanging(
                f"{STATE_MARKS['untested']} ", foreign_text(f"{', '.join(names)}: not tested: {reason}"), "dim"
            )


def image_lines(audit: Audit) -> Iterator[RenderableType]:
    """How far the best-paid images were raised, and what they look like."""
    run = audit["images"]
    said = [growth_said(run), *ledger_said(run)]
    if any(said):
        yield from heading("The best-paid images")
        for sentence in said:
            if sentence:
                yield hanging("  ", foreign_text(sentence, 400))


def _table(width: int, *, header: bool) -> Table:
    table = Table(box=None, show_header=header, pad_edge=False, padding=(0, 1, 0, 0), expand=True, header_style="dim")
    table.add_column(width=1)
    table.add_column(width=_NAME if width >= 40 else None, overflow="fold")
    table.add_column("gain in spreads", width=_GAIN if width >= 60 else None, overflow="fold")
    table.add_column("images raised", justify="right", width=13 if width >= 60 else None, overflow="fold")
    if width >= _WIDE:
        table.add_column("by", ratio=1, overflow="fold")
    return table


def _cells(family: Family, run: ImageRun, width: int) -> list[Text]:
    row, style = family.row, _STYLES[family.state]
    bad = style if family.state == "bad" else ""
    gain, raised, by = family_said(family, run), f"{row['full']:,} of {row['tested']:,}", row["description"]
    if family.changes:
        change = family.changes[0]
        raised, by = f"{change['raised']:,} of {change['tested']:,}", change["variant"]
    cells = [(STATE_MARKS[family.state], style), (visible(row["family"], 60), bad), (gain, bad), (raised, bad)]
    if width >= _WIDE:
        cells.append((visible(by or row["description"], 160), "dim"))
    return [Text(*cell, overflow="fold") for cell in cells]
