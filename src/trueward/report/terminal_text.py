"""The parts that a report on a terminal is set from: foreign text as `rich.text.Text`, lines, and plain output.

Foreign text is made visible and never read as markup, so that a completion can neither command the terminal nor style
the report.
"""

from __future__ import annotations

from collections.abc import Iterator

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from trueward.report.escape import visible
from trueward.report.wording import counted


def heading(title: str) -> Iterator[RenderableType]:
    """A title with an empty line before it."""
    yield Text()
    yield Text(title, style="bold")


def foreign_text(foreign: str, limit: int | None = 1000) -> Text:
    """Any text, made visible."""
    return Text(visible(foreign, limit), overflow="fold")


def quoted(foreign: str, limit: int, style: str = "") -> Text:
    """Any text, made visible; one of which nothing can be seen is described."""
    if not foreign.strip():
        return Text(f"({counted(len(foreign), 'blank character')})" if foreign else "(empty)", style="dim italic")
    return Text(visible(foreign, limit), style=style, overflow="fold")


def line(*parts: str | tuple[str, str]) -> Text:
    """One paragraph of differently styled parts, each made visible."""
    made = Text(overflow="fold")
    for part in parts:
        text, style = (part, "") if isinstance(part, str) else part
        made.append(visible(text), style=style or None)
    return made


def hanging(lead: str, body: Text, style: str = "") -> Table:
    """`body` with `lead` before its first line and its other lines indented as far."""
    table = Table.grid(expand=True)
    table.add_column(width=len(lead), no_wrap=True, style=style)
    table.add_column(ratio=1, overflow="fold", style="dim" if style == "dim" else "")
    table.add_row(lead, body)
    return table


class Plain:
    """What it wraps, without blanks at line ends and in characters that the terminal's encoding has.

    An output in ASCII must not end in an error.
    """

    def __init__(self, content: RenderableType, encoding: str) -> None:
        self.content = content
        self.unicode = encoding.lower().replace("-", "").startswith("utf")
        self.encoding = encoding

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """The lines of the content, none longer than the console is wide."""
        for row in console.render_lines(self.content, options, pad=False):
            kept = [Segment(self._encodable(text), style, control) for text, style, control in row]
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


_NEAREST = {
    "✗": "x",
    "✓": "+",
    "–": "-",
    "…": ".",
    "·": ".",
    "⏎": "/",
    "⇥": ">",
    "⟨": "<",
    "⟩": ">",
    "█": "#",
    "µ": "u",
}
