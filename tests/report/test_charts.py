"""Charts: places worked out by hand, round ticks, and nothing outside the drawing whatever the numbers are."""

from __future__ import annotations

import itertools
import math
import re
import xml.etree.ElementTree as ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trueward.report.charts import (
    WIDTH,
    Axis,
    Mark,
    Panel,
    Series,
    interval_bar,
    line_chart,
    share_bar,
    spaced,
    swatch,
    tick_labels,
    tick_values,
)

ANY_NUMBER = st.floats(allow_nan=True, allow_infinity=True) | st.none() | st.floats(-2, 2)


def drawn(x: list[float], *panels: Panel, **settings: object) -> ElementTree.Element:
    words: dict[str, object] = {"name": "c", "title": "t", "description": "d", **settings}
    return ElementTree.fromstring(line_chart(x, panels, Axis("x", ((x[0], "a"),)), **words))  # type: ignore[arg-type]


def points(path: str) -> list[tuple[float, float]]:
    return [(float(a), float(b)) for a, b in re.findall(r"([-\d.e]+) ([-\d.e]+)", path)]


def paths(chart: ElementTree.Element, kind: str) -> list[list[tuple[float, float]]]:
    return [points(p.attrib["d"]) for p in chart.iter("path") if kind in p.attrib["class"].split()]


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0.0, 1.0, [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (0.42, 0.99, [0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]),
        (-3.0, 7.0, [-4.0, -2.0, 0.0, 2.0, 4.0, 6.0, 8.0]),
        (0.0, 110.0, [0.0, 20.0, 40.0, 60.0, 80.0, 100.0, 120.0]),
        (5.0, 5.0, [2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]),
        (0.0, 0.0, [-1.0, -0.5, 0.0, 0.5, 1.0]),
    ],
)
def test_ticks_are_round_and_cover_the_numbers(low: float, high: float, ticks: list[float]) -> None:
    assert tick_values(low, high) == pytest.approx(ticks)


@given(st.floats(-1e12, 1e12), st.floats(0, 1e12), st.booleans())
def test_ticks_of_any_range(low: float, span: float, whole: bool) -> None:
    high = low + span
    ticks = tick_values(low, high, whole=whole)
    assert 2 <= len(ticks) <= 8
    slack = 1e-6 * (ticks[1] - ticks[0])
    assert ticks[0] <= low + slack and ticks[-1] >= high - slack
    if whole:
        assert all(tick == round(tick) for tick in ticks)


@pytest.mark.parametrize(
    ("values", "percent", "words"),
    [
        ([0.0, 0.2, 0.4], False, ["0", ".2", ".4"]),
        ([-0.5, 0.0, 0.5], False, ["-.5", "0", ".5"]),
        ([0.0, 0.5, 1.0], False, ["0", ".5", "1.0"]),
        ([0.0, 500.0, 1000.0], False, ["0", "500", "1,000"]),
        ([0.0, 0.2], True, ["0 %", "20 %"]),
        ([0.0, 0.005], True, ["0 %", ".5 %"]),
        ([0.0, 1e-9], False, ["0", "1e-09"]),
        ([0.0, 1e9], False, ["0", "1e+09"]),
    ],
)
def test_tick_labels(values: list[float], percent: bool, words: list[str]) -> None:
    assert tick_labels(values, percent) == words


def test_labels_that_would_touch_are_left_out_but_never_the_last() -> None:
    ticks = [(math.log(n), f"{n:,}") for n in range(1, 1001)]
    kept = spaced(ticks, 0.0, math.log(1000))
    assert kept[0] == ticks[0] and kept[-1] == ticks[-1]
    assert 5 < len(kept) < 20
    per_unit = 460 / math.log(1000)  # 560 wide, 74 and 26 of them beside the axis
    for (a, left), (b, right) in itertools.pairwise(kept):
        assert (b - a) * per_unit > 9.5 * (len(left) + len(right)) / 2
    assert spaced((), 0.0, 1.0) == ()


def test_points_stand_where_the_numbers_say() -> None:
    """The axis is 460 wide from 74; a panel is 240 high from 14, and .05 of the extent is free at both ends."""
    chart = drawn([0.0, 1.0, 4.0], Panel("y", (Series("gold", [0.0, 1.0, 0.5]),)))
    [line] = paths(chart, "line")
    assert line == [
        (74.0, pytest.approx(254 - 240 * 0.05 / 1.1, abs=0.06)),
        (189.0, pytest.approx(24.9)),
        (534.0, 134.0),
    ]
    assert [float(circle.attrib["cx"]) for circle in chart.iter("circle")] == [74.0, 189.0, 534.0]


def test_an_axis_of_shares_begins_at_zero_and_ends_at_all() -> None:
    chart = drawn([0.0, 1.0], Panel("y", (Series("wrong", [0.5, 1.0]),), percent=True, least=0.0))
    [line] = paths(chart, "line")
    assert line == [(74.0, 134.0), (534.0, 14.0)]
    assert [text.text for text in chart.iter("text") if text.attrib["class"] == "up"][::5] == ["0 %", "100 %"]


def test_a_band_goes_there_along_the_low_end_and_back_along_the_high_end() -> None:
    series = Series("gold", [0.5, 0.5], [0.0, 0.25], [1.0, 0.75])
    [band] = paths(drawn([0.0, 1.0], Panel("y", (series,), percent=True, least=0.0)), "band")
    assert band == [(74.0, 254.0), (534.0, 194.0), (534.0, 74.0), (74.0, 14.0)]


def test_what_is_missing_leaves_a_gap() -> None:
    values = [1.0, None, 3.0, 4.0, math.nan, 6.0]
    chart = drawn([0.0, 1.0, 2.0, 3.0, 4.0, 5.0], Panel("y", (Series("plain", values),)))
    assert [len(line) for line in paths(chart, "line")] == [1, 2, 1]
    assert len(list(chart.iter("circle"))) == 4


def test_a_mark_is_a_line_a_dot_and_a_word() -> None:
    panel = Panel("y", (Series("gold", [0.0, 1.0, 0.0]),), percent=True)
    chart = drawn([0.0, 1.0, 4.0], panel, marks=[Mark(1.0, "peak", 0, 0)])
    [dot] = [c for c in chart.iter("circle") if "peak" in c.attrib["class"].split()]
    assert (dot.attrib["cx"], dot.attrib["class"]) == ("189.0", "peak gold")
    assert [p.attrib["d"] for p in chart.iter("path") if p.attrib["class"] == "mark-line"] == ["M189.0 14V254"]
    [word] = [text for text in chart.iter("text") if text.attrib["class"] == "mark-right"]
    assert word.text == "peak" and float(word.attrib["x"]) == 197.0


def test_a_chart_is_described_for_those_who_do_not_see_it() -> None:
    chart = drawn([0.0, 1.0], Panel("expected", (Series("gold", [0, 1]),)), title="a < b", description="x & y")
    assert chart.attrib["role"] == "img"
    assert chart.attrib["aria-labelledby"] == "c-title c-desc"
    assert [(part.tag, part.attrib["id"], part.text) for part in chart[:2]] == [
        ("title", "c-title", "a < b"),
        ("desc", "c-desc", "x & y"),
    ]


@given(st.lists(st.tuples(ANY_NUMBER, ANY_NUMBER, ANY_NUMBER), min_size=1, max_size=8), st.booleans(), st.text())
def test_nothing_is_drawn_outside_whatever_the_numbers_are(
    numbers: list[tuple[float | None, float | None, float | None]], percent: bool, words: str
) -> None:
    x = [float(index) for index in range(len(numbers))]
    series = Series("gold", *(list(column) for column in zip(*numbers, strict=True)))
    mark = Mark(x[-1], words, 0, 0)
    chart = drawn(x, Panel(words, (series,), percent=percent), Panel("b", ()), title=words, marks=[mark])
    _, _, wide, high = map(float, chart.attrib["viewBox"].split())
    assert wide == WIDTH
    for line in (*paths(chart, "line"), *paths(chart, "band")):
        assert all(0 <= a <= wide and 0 <= b <= high for a, b in line)
    for circle in chart.iter("circle"):
        assert 0 <= float(circle.attrib["cx"]) <= wide and 0 <= float(circle.attrib["cy"]) <= high
    for text in chart.iter("text"):
        assert 0 <= float(text.attrib["x"]) <= wide and 0 <= float(text.attrib["y"]) <= high
    assert not any(
        "style" in part.attrib or any(name.startswith("on") for name in part.attrib) for part in chart.iter()
    )


def test_words_cannot_become_elements() -> None:
    hostile = "</text></svg><script>alert(1)</script>\u202e\" onload='x'"
    panel = Panel(hostile, (Series("gold", [0.0, 1.0]),))
    made = drawn([0.0, 1.0], panel, title=hostile, description=hostile, marks=[Mark(0.0, hostile)])
    assert {part.tag for part in made.iter()} == {"svg", "title", "desc", "text", "path", "circle"}
    assert "⟨U+202E⟩" in "".join(made.itertext()) and "\u202e" not in "".join(made.itertext())


def test_bars() -> None:
    bar = ElementTree.fromstring(interval_bar(0.25, 0.1, 0.5, "bad"))
    assert bar.attrib["class"] == "bar bad" and bar.attrib["aria-hidden"] == "true"
    assert bar[1].attrib["width"] == "25.0" and bar[2].attrib["d"] == "M10.0 2V10M10.0 6H50.0M50.0 2V10"
    [_, first, second] = ElementTree.fromstring(share_bar((0.5, "full"), (0.7, "part")))
    assert [(r.attrib["class"], r.attrib["x"], r.attrib["width"]) for r in (first, second)] == [
        ("full", "0.0", "50.0"),
        ("part", "50.0", "50.0"),
    ]
    assert 'width="0"' in interval_bar(None, None, None) or 'width="0.0"' in interval_bar(math.nan, None, None)
    assert ElementTree.fromstring(swatch("gold")).attrib["class"] == "swatch"
