"""On a terminal: what a search did, what a training run was paid for, and what has changed since an earlier audit."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from trueward.report.document import Comparison, RolloutLog, Search
from trueward.report.sentences import comparison_said, log_said, pooled, search_said
from trueward.report.terminal_text import foreign_text, hanging, heading
from trueward.report.wording import number, percent

_MOST_STEPS = 12  # rows of the table of a training run
_BAR = 20  # columns of a bar that stands for 100 %


def search_lines(search: Search | None) -> Iterator[RenderableType]:
    """The heading of what a search found, and how it went; its finds follow."""
    yield from heading("Found by search")
    if search is not None:
        yield hanging("  ", foreign_text(search_said(search)))


def comparison_lines(comparison: Comparison) -> Iterator[RenderableType]:
    """What has changed, and the findings that are new."""
    yield from heading("Compared with the baseline")
    yield hanging("  ", foreign_text(comparison["baseline"], 240), "dim")
    yield hanging("  ", foreign_text(comparison_said(comparison)))
    for title in comparison["regressions"]:
        yield hanging("  new: ", foreign_text(title, 240), "bold red")


def log_lines(log: RolloutLog, width: int) -> Iterator[RenderableType]:
    """What a training run was paid for, in a sentence and over its steps."""
    yield from heading("What the training run was paid for")
    yield hanging("  ", foreign_text(f"{log['source']} ({log['format']})", 240), "dim")
    yield hanging("  ", foreign_text(log_said(log)))
    if log["families"]:
        said = ", ".join(f"{count:,} {family}" for family, count in log["families"].items())
        yield hanging("  ", foreign_text(f"What is wrong with them: {said}."))
    if log["steps"]:
        yield Text()
        yield _steps(log, width)


def _steps(log: RolloutLog, width: int) -> Table:
    """Exploits over steps; with many steps, neighbours share a row."""
    columns = ["step", "paid", "exploits", "share", "mean reward", ""] if width >= 60 else ["step", "share"]
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for column in columns:
        table.add_column(Text(column), justify="left" if not column else "right", overflow="fold")
    steps = pooled(log["steps"], _MOST_STEPS)
    for step, following in zip(steps, [*steps[1:], None], strict=True):
        first = log["first_step"]
        marked = first is not None and step["step"] <= first and (following is None or first < following["step"])
        bar = "█" * round(_BAR * (step["share"] or 0.0))
        cells = {
            "step": f"{step['step']:,}",
            "paid": f"{step['paid']:,}",
            "exploits": f"{step['exploits']:,}",
            "share": percent(step["share"]),
            "mean reward": number(step["mean_reward"]),
            "": f"{bar} first exploit".strip() if marked else bar,
        }
        style = "bold red" if marked else ""
        table.add_row(*(Text(cells[column], style=style) for column in columns))
    return table
