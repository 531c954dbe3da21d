"""The charts of an experiment: its statements as a forest, and proxy and gold of its arms against steps and KL."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from markupsafe import Markup

from trueward.report.charts import (
    WIDTH,
    Axis,
    Panel,
    Series,
    chart_height,
    known,
    line_chart,
    tick_labels,
    tick_values,
    ticks_inside,
)
from trueward.report.escape import visible
from trueward.report.experiment_curves import ArmCurves, Band
from trueward.report.experiment_document import StatementResult
from trueward.report.page import asset

Against = Literal["steps", "KL"]

ARM_ROLES = 8  # as many colours of arms as the style sheet has
_AXES = {"steps": "training step", "KL": "KL from the first policy (nats)"}
_FOREST_WIDE, _FOREST_HIGH, _SIDE = 340, 28, 10
_NAME_HIGH = 26  # of the name above an arm's chart


@dataclass(frozen=True)
class ForestScale:
    """Where differences in a metric stand on the drawing: statements about one metric share it."""

    low: float
    high: float

    def __call__(self, value: float) -> float:
        """The place of a difference."""
        share = (value - self.low) / (self.high - self.low)
        return round(_SIDE + min(1.0, max(0.0, share)) * (_FOREST_WIDE - 2 * _SIDE), 1)


def threshold(statement: StatementResult) -> tuple[float | None, float | None]:
    """The ends of the differences for which a statement is true; None for no end."""
    if statement["kind"] == "within":
        return -statement["margin"], statement["margin"]
    # Without a second arm the number is already subtracted.
    by = statement["by"] if statement["b"] is not None else 0.0
    return (by, None) if statement["kind"] == "greater" else (None, -by)


def forest_scale(statements: Iterable[StatementResult]) -> ForestScale:
    """A scale that covers zero, every interval and every threshold."""
    numbers = [0.0]
    for statement in statements:
        ends = (statement["mean"], statement["low"], statement["high"], *threshold(statement))
        numbers += [value for value in map(known, ends) if value is not None]
    ticks = tick_values(min(numbers), max(numbers), most=5)
    return ForestScale(ticks[0], ticks[-1])


def forest_row(statement: StatementResult, scale: ForestScale) -> Markup:
    """The interval of one statement, over the differences for which it is true. Its numbers must stand beside it."""
    middle = _FOREST_HIGH / 2
    begin, end = threshold(statement)
    left = _SIDE if begin is None else scale(begin)
    right = _FOREST_WIDE - _SIDE if end is None else scale(end)
    parts = [
        Markup('<rect class="true" x="{}" y="3" width="{}" height="{}"/>').format(
            left, round(right - left, 1), _FOREST_HIGH - 6
        ),
        Markup('<path class="zero" d="M{} 0V{}"/>').format(scale(0.0), _FOREST_HIGH),
    ]
    mean, low, high = map(known, (statement["mean"], statement["low"], statement["high"]))
    if mean is not None and low is not None and high is not None:
        ends = {"low": scale(low), "high": scale(high), "y": middle, "top": middle - 5, "bottom": middle + 5}
        line = "M{low} {top}V{bottom}M{low} {y}H{high}M{high} {top}V{bottom}".format(**ends)
        parts.append(Markup('<path class="interval" d="{}"/>').format(line))
    elif mean is not None:
        line = f"M{_SIDE} {middle}H{_FOREST_WIDE - _SIDE}"
        parts.append(Markup('<path class="interval unknown" d="{}"/>').format(line))
    if mean is not None:
        parts.append(Markup('<circle class="middle" cx="{}" cy="{}" r="4.5"/>').format(scale(mean), middle))
    return Markup(
        '<svg class="forest {state}" viewBox="0 0 {w} {h}" width="{w}" height="{h}" aria-hidden="true">{parts}</svg>'
    ).format(state=statement["state"], w=_FOREST_WIDE, h=_FOREST_HIGH, parts=Markup("").join(parts))


def forest_axis(scale: ForestScale) -> Markup:
    """The axis below the statements about one metric."""
    ticks = tick_values(scale.low, scale.high, most=5)
    parts = [Markup('<path class="axis" d="M{} 1H{}"/>').format(_SIDE, _FOREST_WIDE - _SIDE)]
    for tick, words in zip(ticks, tick_labels(ticks), strict=True):
        parts.append(
            Markup('<path class="axis" d="M{x} 1v4"/><text x="{x}" y="18">{words}</text>').format(
                x=scale(tick), words=words
            )
        )
    return Markup(
        '<svg class="forest" viewBox="0 0 {w} 22" width="{w}" height="22" aria-hidden="true">{parts}</svg>'
    ).format(w=_FOREST_WIDE, parts=Markup("").join(parts))


def one_axis(arms: Sequence[ArmCurves]) -> bool:
    """Whether proxy and gold of all arms can be read on one axis: all of them are shares, or of similar extent."""
    extents = [_extent(bands) for bands in ([arm.proxy for arm in arms], [arm.gold for arm in arms])]
    drawn = [extent for extent in extents if extent is not None]
    if len(drawn) < 2:
        return True
    low, high = min(extent[0] for extent in drawn), max(extent[1] for extent in drawn)
    return (low >= 0 and high <= 1) or min(end - begin for begin, end in drawn) >= (high - low) / 4


def arm_chart(arm: ArmCurves, among: Sequence[ArmCurves], against: Against, name: str) -> Markup:
    """Proxy and gold of one arm with their bands.

    Args:
        arm: what is drawn, with `at` as `against` says; an empty one gives an empty string.
        among: all arms whose charts stand beside it: they share their vertical axes.
        against: what `at` is.
        name: the beginning of the element ids; unique on the page.
    """
    if arm.empty:
        return Markup("")
    proxy = Series("proxy", arm.proxy.mean, arm.proxy.low, arm.proxy.high)
    gold = Series("gold", arm.gold.mean, arm.gold.low, arm.gold.high)
    proxies, golds = [other.proxy for other in among], [other.gold for other in among]
    if one_axis(among):
        panels = [_panel("reward", (proxy, gold), [*proxies, *golds])]
    else:
        panels = [_panel("proxy", (proxy,), proxies), _panel("gold", (gold,), golds)]
    last = f"proxy {_last(arm.proxy)}, gold {_last(arm.gold)} at the last point"
    return line_chart(
        arm.at,
        panels,
        _axis(arm.at, against),
        name=name,
        title=f"Proxy and gold of {arm.name} against {against}",
        description=f"Means over {arm.seeds} seeds with 95 % bands: {last}.",
    )


def overlay(arms: Sequence[ArmCurves], which: Literal["proxy", "gold"], against: Against, name: str) -> Markup:
    """One reward of all arms in one chart; the place of an arm in `arms` is the class of its line."""
    drawn = [(index, arm, arm.gold if which == "gold" else arm.proxy) for index, arm in enumerate(arms)]
    drawn = [(index, arm, band) for index, arm, band in drawn if arm.at and not band.empty]
    if not drawn:
        return Markup("")
    series = tuple(Series(arm_role(index), band.mean, band.low, band.high, arm.at) for index, arm, band in drawn)
    x = sorted({place for _, arm, _ in drawn for place in arm.at})
    ends = ", ".join(f"{arm.name} {_last(band)}" for _, arm, band in drawn)
    return line_chart(
        x,
        [Panel(which, series)],
        _axis(x, against),
        name=name,
        title=f"{which.capitalize()} of all arms against {against}",
        description=f"Means over seeds with 95 % bands; at the last point: {ends}.",
    )


def arm_role(index: int) -> str:
    """The class of an arm's line, by its place."""
    return f"arm-{index % ARM_ROLES}"


def small_multiples(arms: Sequence[ArmCurves]) -> str:
    """Proxy and gold of some arms against steps, side by side, as an SVG file that needs no page; "" without curves."""
    drawn = [arm for arm in arms if not arm.empty]
    if not drawn:
        return ""
    high = chart_height(1 if one_axis(drawn) else 2)
    columns = min(2, len(drawn))
    rows = -(-len(drawn) // columns)
    parts = []
    for index, arm in enumerate(drawn):
        x, y = index % columns * WIDTH, index // columns * (high + _NAME_HIGH)
        chart = arm_chart(arm, drawn, "steps", f"arm-{index}")
        parts.append(
            Markup(
                '<text class="arm-name" x="{}" y="{}">{}</text><svg x="{}" y="{}" width="{}" height="{}">{}</svg>'
            ).format(x + 74, y + 20, visible(arm.name, 60), x, y + _NAME_HIGH, WIDTH, high, chart)
        )
    style = asset("palette.css", "chart.css", "standalone.css")
    return Markup(
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {w} {h}" width="{w}" height="{h}">'
        "<style>{style}</style>{parts}</svg>\n"
    ).format(w=columns * WIDTH, h=rows * (high + _NAME_HIGH), style=Markup(style), parts=Markup("").join(parts))


def _panel(label: str, series: tuple[Series, ...], covering: Sequence[Band]) -> Panel:
    extent = _extent(covering)
    low, high = extent if extent is not None else (None, None)
    return Panel(label, series, least=low, most=high)


def _extent(bands: Sequence[Band]) -> tuple[float, float] | None:
    drawn = [value for band in bands for value in map(known, (*band.mean, *band.low, *band.high)) if value is not None]
    return (min(drawn), max(drawn)) if drawn else None


def _axis(x: Sequence[float], against: Against) -> Axis:
    return Axis(_AXES[against], ticks_inside(x, whole=against == "steps"))


def _last(band: Band) -> str:
    value = band.mean[-1] if band.mean else None
    return "not known" if value is None else f"{value:.3g}"
