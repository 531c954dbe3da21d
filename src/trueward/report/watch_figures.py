"""The charts of a watched run: reward over checked gold with its line, and one small chart for everything else."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from trueward.report.charts import Axis, Mark, Panel, Series, line_chart, ticks_inside
from trueward.report.experiment_words import three_digits
from trueward.report.watch_document import WatchDocument
from trueward.report.watch_words import binned, curve_name, curves_of, gravest_first, known, last_known

_MOST_POINTS = 300
_LABELS = {"status": "share of rollouts", "probe": "log10 of the e-value"}  # by the beginning of the name
_IN_MAIN = ("reward", "probe/gold", "gold")


def main_chart(document: WatchDocument) -> Markup:
    """Reward, and below it gold as far as it was checked, with the line; marks where something grave was found."""
    x = _steps(document)
    reward = _values(document, "reward")
    if not x or not any(map(known, reward)):
        return Markup("")
    panels = [Panel("reward", (Series("proxy", reward),))]
    golds = [
        Series(role, _values(document, name))
        for name, role in (("gold", "measured"), ("probe/gold", "gold"), ("probe/line", "floor"))
        if any(map(known, document["series"].get(name, [])))
    ]
    if golds:
        panels.append(Panel("gold", tuple(golds)))
    ends = [
        f"{curve_name(name)} {three_digits(last_known(document['series'][name]))}"
        for name in _IN_MAIN
        if name in document["series"]
    ]
    return line_chart(
        x,
        panels,
        _axis(x),
        name="run",
        title="Reward and gold by training step",
        description=f"At the last step: {', '.join(ends)}.",
        marks=_marks(document, len(panels)),
    )


def small_charts(document: WatchDocument) -> list[tuple[str, Markup]]:
    """(words, chart) of every other curve that is worth a look."""
    x = _steps(document)
    drawn = []
    evidence = document["series"].get("probe/e_value")
    curves = curves_of(document)
    curves += [] if evidence is None else [("probe/e_value", curve_name("probe/e_value"), evidence)]
    for place, (name, words, values) in enumerate(curves):
        if name not in _IN_MAIN:
            share = name.startswith("status/")
            series = (Series("plain", binned(values, _MOST_POINTS)),)
            label = _LABELS.get(name.split("/")[0], "mean of rollouts")
            panel = Panel(label, series, percent=share, least=0.0 if share else None)
            said = f"{three_digits(last_known(values))} at the last step."
            title = f"{words} by training step"
            drawn.append(
                (words, line_chart(x, [panel], _axis(x), name=f"curve-{place}", title=title, description=said))
            )
    return drawn


def _steps(document: WatchDocument) -> list[float]:
    """The steps of the drawn points: of many, the last of each bin."""
    steps = document["steps"]
    if len(steps) <= _MOST_POINTS:
        return [float(step) for step in steps]
    return [float(steps[(place + 1) * len(steps) // _MOST_POINTS - 1]) for place in range(_MOST_POINTS)]


def _values(document: WatchDocument, name: str) -> list[float | None]:
    return binned(document["series"].get(name, []), _MOST_POINTS)


def _axis(x: Sequence[float]) -> Axis:
    return Axis("training step", ticks_inside(x, whole=True))


def _marks(document: WatchDocument, panels: int) -> list[Mark]:
    """The first alarm and the first notice; hints are told below, where they would crowd the chart."""
    marks: dict[str, Mark] = {}
    for notice in gravest_first(document):
        if notice["kind"] != "hint" and notice["kind"] not in marks:
            panel = len(marks) % panels
            marks[notice["kind"]] = Mark(float(notice["step"]), f"{notice['kind']}, step {notice['step']:,}", panel)
    return list(marks.values())
