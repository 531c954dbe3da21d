"""Charts of experiments: places worked out by hand, inert, and whole as a file of their own."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from typing import Any

import experiment_sample
import pytest

from trueward.report.experiment_curves import ArmCurves, Band, against_kl, arm_curves
from trueward.report.experiment_figures import (
    ForestScale,
    arm_chart,
    forest_axis,
    forest_row,
    forest_scale,
    one_axis,
    overlay,
    small_multiples,
    threshold,
)

NOTHING = Band((None, None), (None, None), (None, None))


def statement(**changes: Any) -> Any:
    return {**experiment_sample.statement("a > b", "greater", 0.5, 0.25, "holds"), **changes}


def curves(name: str = "par", proxy: tuple[float, ...] = (0.0, 1.0), gold: tuple[float, ...] = (0.0, 0.5)) -> ArmCurves:
    made = [Band(values, tuple(v - 0.1 for v in values), tuple(v + 0.1 for v in values)) for values in (proxy, gold)]
    return ArmCurves(name, 5, (0.0, 100.0), (0.0, 2.0), *made)


@pytest.mark.parametrize(
    ("changes", "ends"),
    [
        ({}, (0.0, None)),
        ({"by": 0.1}, (0.1, None)),
        ({"by": 0.6, "b": None}, (0.0, None)),  # the number is already subtracted
        ({"kind": "less", "by": 0.1}, (None, -0.1)),
        ({"kind": "within", "margin": 0.2}, (-0.2, 0.2)),
    ],
)
def test_where_a_statement_is_true(changes: dict[str, Any], ends: tuple[float | None, float | None]) -> None:
    assert threshold(statement(**changes)) == ends


def test_a_row_stands_where_its_numbers_are() -> None:
    """340 wide with 10 at either side: on the scale from 0 to 1 the place of v is 10 + 320 v."""
    drawn = forest_row(statement(by=0.1), ForestScale(0.0, 1.0))
    assert '<rect class="true" x="42.0" y="3" width="288.0"' in drawn  # from .1 to the end
    assert 'class="interval" d="M90.0 9.0V19.0M90.0 14.0H250.0M250.0 9.0V19.0"' in drawn  # .25 to .75
    assert '<circle class="middle" cx="170.0"' in drawn  # .5
    assert '<path class="zero" d="M10.0 0V28"/>' in drawn


def test_without_ends_the_interval_is_everything_and_without_mean_there_is_none() -> None:
    scale = ForestScale(0.0, 1.0)
    assert 'class="interval unknown" d="M10 14.0H330"' in forest_row(statement(low=None, high=None), scale)
    drawn = forest_row(statement(mean=None, low=None, high=None), scale)
    assert "interval" not in drawn and "middle" not in drawn


def test_the_scale_covers_intervals_thresholds_and_zero() -> None:
    scale = forest_scale([statement(), statement(kind="within", margin=1.3, mean=None, low=None, high=None)])
    assert scale.low <= -1.3 and scale.high >= 1.3
    assert forest_scale([statement(low=0.4, high=0.6)]).low == 0.0
    assert forest_axis(ForestScale(0.0, 1.0)).count("<text") >= 2


def test_proxy_and_gold_share_an_axis_where_both_can_be_read() -> None:
    assert one_axis([curves()])
    assert not one_axis([curves(proxy=(0.0, 100.0))])
    assert one_axis([ArmCurves("x", 0, (0.0, 1.0), (None, None), NOTHING, NOTHING)])
    assert arm_chart(curves(), [curves()], "steps", "x").count('class="title"') == 2
    wide = curves(proxy=(0.0, 100.0))
    assert arm_chart(wide, [wide], "steps", "x").count('class="title"') == 3


def test_arms_side_by_side_have_one_scale() -> None:
    """The same numbers stand at the same height, whatever the arm itself reaches."""
    low, high = curves(proxy=(0.0, 0.5)), curves(proxy=(0.0, 1.0))
    first = [
        re.search(r'class="line gold" d="([^"]*)"', str(arm_chart(a, [low, high], "KL", "x"))) for a in (low, high)
    ]
    assert first[0] is not None and first[1] is not None
    assert first[0].group(1) == first[1].group(1)
    alone = re.search(r'class="line gold" d="([^"]*)"', str(arm_chart(low, [low], "KL", "x")))
    assert alone is not None and alone.group(1) != first[0].group(1)


def test_all_arms_in_one_chart_keep_their_colours_and_places() -> None:
    empty = ArmCurves("none", 0, (), (), Band((), (), ()), Band((), (), ()))
    short = ArmCurves("short", 5, (0.0, 50.0), (0.0, 1.0), NOTHING, curves().gold)
    drawn = str(overlay([curves(), empty, short], "gold", "steps", "x"))
    assert re.findall(r'class="line (\S+)" d="M([\d.]+) [\d.]+L([\d.]+)', drawn) == [
        ("arm-0", "74.0", "534.0"),
        ("arm-2", "74.0", "304.0"),  # half as many steps, half as far
    ]
    assert overlay([empty], "gold", "steps", "x") == ""
    assert arm_chart(empty, [empty], "steps", "x") == ""


def test_names_cannot_leave_the_drawing() -> None:
    hostile = curves("</text></svg><script>alert(1)</script>\u202e")
    for drawn in (arm_chart(hostile, [hostile], "KL", "x"), overlay([hostile], "proxy", "KL", "x")):
        assert "<script" not in drawn and "\u202e" not in drawn


def test_the_file_is_a_drawing_by_itself() -> None:
    arms = [arm_curves(arm) for arm in experiment_sample.document()["arms"][:3]]
    arms.append(ArmCurves("<b>&\x1b", 5, arms[0].at, arms[0].kl, arms[0].proxy, arms[0].gold))
    source = small_multiples(arms)
    root = ET.fromstring(source)
    space = "{http://www.w3.org/2000/svg}"
    assert root.tag == f"{space}svg"
    [style] = root.findall(f"{space}style")
    assert style.text is not None and ".line.gold" in style.text and "prefers-color-scheme: dark" in style.text
    assert not re.search(r"url\(|@import|https?:", style.text)
    assert [name.text for name in root.findall(f"{space}text")] == ["par", "vanilla", "minmax", "<b>&\\x1b"]
    assert len(root.findall(f".//{space}svg[@class='chart']")) == 4
    assert small_multiples([arm for arm in map(against_kl, arms) if arm.empty]) == ""
