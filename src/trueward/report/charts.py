"""Line charts and bars as inline SVG: numbers in, markup out, without a script, a style attribute or a library.

Colours, line widths and type sizes are classes of the page's style sheet, so that a chart follows the page's colour
scheme. Every text is made visible and escaped. What is not finite is left out, never drawn as zero.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from trueward.report.escape import visible
from trueward.report.wording import without_zero

WIDTH = 560
_LEFT, _RIGHT, _TOP, _BOTTOM = 74, 26, 14, 52
_TOP_AXIS = 40  # more at the top, where there is a second axis
_ONE_HIGH, _MANY_HIGH, _GAP = 240, 150, 34
_MOST_POINTS = 40  # with more, a line has no dots
_LARGEST = 1e150  # beyond it differences and logarithms stop being numbers that can be drawn
_GLYPH = 9.5  # width of a character in the largest type that the style sheet sets, for labels that must not touch


@dataclass(frozen=True)
class Series:
    """One line with its band.

    Attributes:
        role: class of the line in the style sheet: "proxy", "gold", "wrong", "plain".
        values: one per x; None leaves a gap.
        low, high: ends of the band; () for none.
        x: its own places; () for those of the chart.
    """

    role: str
    values: Sequence[float | None]
    low: Sequence[float | None] = ()
    high: Sequence[float | None] = ()
    x: Sequence[float] = ()


@dataclass(frozen=True)
class Panel:
    """Lines that share a vertical axis.

    Attributes:
        label: what the axis shows, with its unit.
        series: the lines.
        percent: whether the numbers are shares.
        least: the axis begins at or below it; None: at the smallest value.
        most: the axis ends at or above it; None: at the largest value.
    """

    label: str
    series: tuple[Series, ...]
    percent: bool = False
    least: float | None = None
    most: float | None = None


@dataclass(frozen=True)
class Axis:
    """A horizontal axis: its label, with the unit, and (place, words) of each tick."""

    label: str
    ticks: tuple[tuple[float, str], ...]


@dataclass(frozen=True)
class Mark:
    """A vertical line at `at` with a word beside it; a dot on `series` of `panel` where these are named."""

    at: float
    text: str
    panel: int = 0
    series: int | None = None


def known(value: float | None) -> float | None:
    """A number that can be drawn, or None."""
    return value if value is not None and math.isfinite(value) and abs(value) <= _LARGEST else None


def tick_values(low: float, high: float, most: int = 7, whole: bool = False) -> list[float]:
    """Round numbers that cover `low` to `high`: multiples of 1, 2 or 5 times a power of ten.

    Args:
        low, high: finite, `low` ≤ `high`.
        most: there are at most so many, and at least two.
        whole: only whole numbers.

    Returns:
        Ascending; the first is at most `low`, the last at least `high`.
    """
    size = max(abs(low), abs(high))
    if high - low <= max(1e-9 * size, 1e-100):
        around = 0.5 * size if size > 1e-100 and not whole else 1.0
        low, high = low - around, high + around
    power = math.floor(math.log10((high - low) / most))
    power = max(power, 0) if whole else power
    steps = (factor * 10.0**exponent for exponent in (power, power + 1, power + 2) for factor in (1, 2, 5))
    for step in steps:
        first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
        if last - first < most:
            break
    return [number * step for number in range(first, max(last, first + 1) + 1)]


def tick_labels(values: Sequence[float], percent: bool = False) -> list[str]:
    """The words of equally spaced ticks, all with as many decimals as their distance needs."""
    factor = 100.0 if percent else 1.0
    step = (values[1] - values[0]) * factor
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    if decimals > 4 or max(map(abs, values)) * factor >= 1e7:
        return [f"{value * factor:.4g}" for value in values]
    words = [f"{value * factor:,.{decimals}f}" for value in values]
    words = ["0" if not float(word.replace(",", "")) else without_zero(word) for word in words]
    return [f"{word} %" for word in words] if percent else words


def spaced(ticks: Sequence[tuple[float, str]], low: float, high: float) -> tuple[tuple[float, str], ...]:
    """As many of the ticks as fit side by side; the first and the last are kept before those between them."""
    per_unit = (WIDTH - _LEFT - _RIGHT) / (high - low) if high > low else 0.0

    def apart(a: tuple[float, str], b: tuple[float, str]) -> bool:
        return (b[0] - a[0]) * per_unit >= _GLYPH * (len(a[1]) + len(b[1])) / 2 + _GLYPH

    if not ticks:
        return ()
    kept = [ticks[0]]
    for tick in ticks[1:-1]:
        if apart(kept[-1], tick) and apart(tick, ticks[-1]):
            kept.append(tick)
    if len(ticks) > 1 and apart(kept[-1], ticks[-1]):
        kept.append(ticks[-1])
    return tuple(kept)


def ticks_inside(x: Sequence[float], whole: bool = False) -> tuple[tuple[float, str], ...]:
    """Ticks within the numbers: an axis that goes on behind the last one would look like a run that went on."""
    ticks = tick_values(min(x), max(x), most=7, whole=whole)
    labelled = zip(ticks, tick_labels(ticks), strict=True)
    return spaced([(place, words) for place, words in labelled if min(x) <= place <= max(x)], min(x), max(x))


def line_chart(
    x: Sequence[float],
    panels: Sequence[Panel],
    bottom: Axis,
    *,
    name: str,
    title: str,
    description: str,
    top: Axis | None = None,
    marks: Sequence[Mark] = (),
) -> Markup:
    """Panels one below the other over one horizontal axis.

    Args:
        x: places of the points, ascending; every series without places of its own has one value for each.
        panels: at least one.
        bottom: the axis below the last panel.
        name: the beginning of the element ids; unique on the page.
        title, description: for readers who do not see the chart.
        top: a second axis above the first panel.
        marks: places that are worth a word.
    """
    scale = _Scale(min(x), max(x), _LEFT, WIDTH - _RIGHT)
    high = _panel_height(len(panels))
    first = _TOP + (_TOP_AXIS if top else 0)
    tops = [first + index * (high + _GAP) for index in range(len(panels))]
    end = tops[-1] + high
    parts: list[Markup] = [*_horizontal(bottom, scale, end, above=False)]
    if top is not None:
        parts += _horizontal(top, scale, first, above=True)
    frames = [_Frame(panel, scale, place, high) for panel, place in zip(panels, tops, strict=True)]
    for frame in frames:
        parts += frame.axis()
    for mark in marks:
        parts += _mark_line(mark, scale, tops[0], end)
    for frame in frames:
        parts += frame.lines(x)
    for mark in marks:
        parts += _mark_words(mark, x, scale, frames)
    return Markup(
        '<svg class="chart" viewBox="0 0 {w} {h}" role="img" aria-labelledby="{name}-title {name}-desc">'
        '<title id="{name}-title">{title}</title><desc id="{name}-desc">{description}</desc>{parts}</svg>'
    ).format(
        w=WIDTH,
        h=chart_height(len(panels)) + (_TOP_AXIS if top else 0),
        name=name,
        title=visible(title, 300),
        description=visible(description, 600),
        parts=Markup("").join(parts),
    )


def chart_height(panels: int) -> int:
    """How high a chart without a top axis is, in the units in which it is `WIDTH` wide."""
    return _TOP + panels * _panel_height(panels) + (panels - 1) * _GAP + _BOTTOM


def _panel_height(panels: int) -> int:
    return _ONE_HIGH if panels == 1 else _MANY_HIGH


def swatch(role: str) -> Markup:
    """The line of a series for a legend."""
    return Markup(
        '<svg class="swatch" viewBox="0 0 26 10" aria-hidden="true"><rect class="band {role}" width="26" height="10"/>'
        '<path class="line {role}" d="M0 5H26"/></svg>'
    ).format(role=role)


def interval_bar(mean: float | None, low: float | None, high: float | None, state: str = "") -> Markup:
    """A mean between 0 and 1 as a bar, with its interval as a line with ends. Its numbers must stand beside it."""
    middle = _percent(mean, 0.0)
    begin, end = _percent(low, middle / 100), _percent(high, middle / 100)
    return Markup(
        '<svg class="bar {state}" viewBox="0 0 100 12" preserveAspectRatio="none" aria-hidden="true">'
        '<rect class="track" y="5" width="100" height="2"/><rect class="mean" y="3" width="{mean}" height="6"/>'
        '<path class="interval" d="M{low} 2V10M{low} 6H{high}M{high} 2V10"/></svg>'
    ).format(state=state, mean=middle, low=begin, high=end)


def share_bar(*shares: tuple[float, str]) -> Markup:
    """Shares of a whole, one after the other, each with its class. Its numbers must stand beside it."""
    parts, place = [], 0.0
    for share, role in shares:
        wide = min(_percent(share, 0.0), round(100 - place, 1))
        parts.append(
            Markup('<rect class="{}" x="{}" y="2" width="{}" height="8"/>').format(role, round(place, 1), wide)
        )
        place += wide
    return Markup(
        '<svg class="shares" viewBox="0 0 100 12" preserveAspectRatio="none" aria-hidden="true">'
        '<rect class="track" y="2" width="100" height="8"/>{}</svg>'
    ).format(Markup("").join(parts))


def _percent(value: float | None, otherwise: float) -> float:
    drawn = known(value)
    return round(100 * min(1.0, max(0.0, otherwise if drawn is None else drawn)), 1)


@dataclass(frozen=True)
class _Scale:
    """Numbers → places on the drawing; everything sits in the middle where the numbers do not differ."""

    low: float
    high: float
    begin: float
    end: float

    def __call__(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low) if self.high > self.low else 0.5
        return round(self.begin + min(1.0, max(0.0, share)) * (self.end - self.begin), 1)


class _Frame:
    """One panel in its place."""

    def __init__(self, panel: Panel, across: _Scale, top: float, high: float) -> None:
        self.panel, self.across, self.top, self.high = panel, across, top, high
        every = [numbers for line in panel.series for numbers in (line.values, line.low, line.high)]
        drawn = [value for numbers in every for value in map(known, numbers) if value is not None] or [0.0, 1.0]
        drawn += [end for end in (panel.least, panel.most) if end is not None]
        covering = tick_values(min(drawn), max(drawn))
        # A little air above and below what is drawn; none where the numbers themselves end.
        air = 0.05 * (max(drawn) - min(drawn))
        low = min(drawn) if panel.least == min(drawn) else min(drawn) - air
        most = min(1.0, max(drawn) + air) if panel.percent else max(drawn) + air
        inside = [tick for tick in covering if low <= tick <= most]
        self.ticks = inside if len(inside) > 1 else covering
        self.up = _Scale(min(low, self.ticks[0]), max(most, self.ticks[-1]), top + high, top)

    def axis(self) -> Iterator[Markup]:
        middle = self.top + self.high / 2
        yield Markup('<text class="title" x="16" y="{y}" transform="rotate(-90 16 {y})">{label}</text>').format(
            y=round(middle, 1), label=visible(self.panel.label, 60)
        )
        for value, words in zip(self.ticks, tick_labels(self.ticks, self.panel.percent), strict=True):
            yield Markup(
                '<path class="grid" d="M{x} {y}H{end}"/><text class="up" x="{text}" y="{y}" dy=".35em">{words}</text>'
            ).format(x=_LEFT, y=self.up(value), end=WIDTH - _RIGHT, text=_LEFT - 8, words=words)

    def free_height(self, x: Sequence[float], begin: float, end: float) -> float:
        """The base line of a word between two places: at the top or the bottom, where there is more room."""
        highest, lowest = self.top + self.high, self.top
        for series in self.panel.series:
            for numbers in (series.values, series.low, series.high):
                for place, value, _ in (point for run in _runs(series.x or x, numbers, numbers) for point in run):
                    if begin - _GLYPH <= self.across(place) <= end + _GLYPH:
                        highest, lowest = min(highest, self.up(value)), max(lowest, self.up(value))
        above, below = highest - self.top, self.top + self.high - lowest
        return round(self.top + 18 if above > below else self.top + self.high - 10, 1)

    def lines(self, x: Sequence[float]) -> Iterator[Markup]:
        for series in self.panel.series:
            for run in _runs(series.x or x, series.low, series.high):
                there = [f"{self.across(place)} {self.up(low)}" for place, low, _ in run]
                back = [f"{self.across(place)} {self.up(high)}" for place, _, high in reversed(run)]
                yield Markup('<path class="band {}" d="M{}Z"/>').format(series.role, "L".join(there + back))
        for series in self.panel.series:
            for run in _runs(series.x or x, series.values, series.values):
                points = [f"{self.across(place)} {self.up(value)}" for place, value, _ in run]
                yield Markup('<path class="line {}" d="M{}"/>').format(series.role, "L".join(points))
                if len(series.x or x) <= _MOST_POINTS or len(run) == 1:
                    for place, value, _ in run:
                        yield Markup('<circle class="dot {}" cx="{}" cy="{}" r="2.5"/>').format(
                            series.role, self.across(place), self.up(value)
                        )


def _runs(
    x: Sequence[float], first: Sequence[float | None], second: Sequence[float | None]
) -> Iterator[list[tuple[float, float, float]]]:
    """(x, first, second) in stretches in which neither is missing."""
    run: list[tuple[float, float, float]] = []
    for place, a, b in zip(x, map(known, first), map(known, second), strict=False):
        if a is not None and b is not None:
            run.append((place, a, b))
        elif run:
            yield run
            run = []
    if run:
        yield run


def _horizontal(axis: Axis, scale: _Scale, y: float, *, above: bool) -> Iterator[Markup]:
    sign = -1 if above else 1
    yield Markup('<path class="axis" d="M{} {}H{}"/>').format(_LEFT, y, WIDTH - _RIGHT)
    yield Markup('<text class="title" x="{}" y="{}">{}</text>').format(
        (_LEFT + WIDTH - _RIGHT) / 2, y + (-30 if above else 44), visible(axis.label, 80)
    )
    for place, words in axis.ticks:
        yield Markup(
            '<path class="axis" d="M{x} {y}v{long}"/><text class="across" x="{x}" y="{at}">{words}</text>'
        ).format(x=scale(place), y=y, long=5 * sign, at=y + (-10 if above else 22), words=visible(words, 20))


def _mark_line(mark: Mark, scale: _Scale, top: float, end: float) -> Iterator[Markup]:
    if known(mark.at) is not None:
        yield Markup('<path class="mark-line" d="M{} {}V{}"/>').format(scale(mark.at), top, end)


def _mark_words(mark: Mark, x: Sequence[float], scale: _Scale, frames: Sequence[_Frame]) -> Iterator[Markup]:
    if known(mark.at) is None:
        return
    frame, place = frames[mark.panel], scale(mark.at)
    if mark.series is not None and mark.at in x:
        value = known(frame.panel.series[mark.series].values[list(x).index(mark.at)])
        if value is not None:
            role = frame.panel.series[mark.series].role
            yield Markup('<circle class="peak {}" cx="{}" cy="{}" r="5"/>').format(role, place, frame.up(value))
    right = place < (_LEFT + WIDTH - _RIGHT) / 2
    reach = _GLYPH * len(mark.text) * (1 if right else -1)
    yield Markup('<text class="{}" x="{}" y="{}">{}</text>').format(
        "mark-right" if right else "mark-left",
        place + (8 if right else -8),
        frame.free_height(x, min(place, place + reach), max(place, place + reach)),
        visible(mark.text, 60),
    )
