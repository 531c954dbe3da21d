"""A watched run as one self-contained page: what was found, curves, the rollouts behind it, what the words mean."""

from __future__ import annotations

from pathlib import Path

from markupsafe import Markup

from trueward.report import experiment_words, watch_figures, watch_words
from trueward.report.atomic import write_whole
from trueward.report.page import asset, content_policy, environment
from trueward.report.watch_document import WatchDocument

_MOST_ROWS = 200  # of the table of numbers; the file of --json has all


def render_watch_page(document: WatchDocument) -> str:
    """The page; it needs no script.

    Args:
        document: of a run, at any moment.

    Returns:
        HTML that can be encoded as UTF-8.
    """
    style = asset("palette.css", "chart.css", "report.css", "watch.css")
    return (
        environment()
        .get_template("watch.html.j2")
        .render(
            e=experiment_words,
            f=watch_figures,
            v=watch_words,
            document=document,
            state=watch_words.state_of(document),
            chart=watch_figures.main_chart(document),
            small=watch_figures.small_charts(document),
            notices=watch_words.gravest_first(document),
            curves=watch_words.curves_of(document),
            rows=_rows(document),
            policy=content_policy(style, ""),
            style=Markup(style),
        )
    )


def write_watch_html(document: WatchDocument, path: str | Path) -> None:
    """Write the page; the file appears whole or not at all.

    Raises:
        OSError: when the file cannot be written.
    """
    write_whole(Path(path), render_watch_page(document).encode())


def _rows(document: WatchDocument) -> list[int]:
    """Places of the steps that the table of numbers shows: all, or evenly spaced ones, the last among them."""
    count = len(document["steps"])
    if count <= _MOST_ROWS:
        return list(range(count))
    return [(place + 1) * count // _MOST_ROWS - 1 for place in range(_MOST_ROWS)]
