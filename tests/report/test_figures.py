"""The charts of curves and logs say what their numbers say."""

from __future__ import annotations

import math
import re
import xml.etree.ElementTree as ElementTree
from types import ModuleType

import pytest

from trueward.report.figures import exploits_over_steps, over_optimisation


def texts(chart: ElementTree.Element, kind: str) -> list[str]:
    return [text.text or "" for text in chart.iter("text") if text.attrib["class"] == kind]


def roles(chart: ElementTree.Element, kind: str) -> list[str]:
    return [p.attrib["class"] for p in chart.iter("path") if p.attrib["class"].split()[0] == kind]


def test_proxy_and_gold_on_one_scale_share_an_axis(sample: ModuleType) -> None:
    chart = ElementTree.fromstring(over_optimisation(sample.curve_of_rule(), "c"))
    assert roles(chart, "line") == ["line proxy", "line gold"]
    assert roles(chart, "band") == ["band proxy", "band gold"]
    assert texts(chart, "title") == [
        "KL from the policy, at most (nats)",
        "n, samples that the best is chosen from",
        "expected reward",
    ]
    assert texts(chart, "mark-right") == ["gold is highest at n = 16"]
    [peak] = [c for c in chart.iter("circle") if "peak" in c.attrib["class"].split()]
    # KL(16) = log 16 - 15/16 = 1.8351, of log 1000 - .999 = 5.9088; the axis is 460 wide from 74.
    assert peak.attrib["class"] == "peak gold"
    assert float(peak.attrib["cx"]) == pytest.approx(74 + 460 * 1.8351 / 5.9088, abs=0.1)
    assert set(texts(chart, "across")) >= {"1", "16", "1,000", "0", "5"}
    assert chart.findtext("title") == "reward and correct under best-of-n"
    assert "At n = 1,000 gold is .48 (95 % interval .45 to .51)" in (chart.findtext("desc") or "")


def test_proxy_and_gold_on_two_scales_have_an_axis_each(sample: ModuleType) -> None:
    chart = ElementTree.fromstring(over_optimisation(sample.curve_of_model(), "c"))
    assert texts(chart, "title")[2:] == ["expected proxy", "expected gold"]
    assert texts(chart, "mark-left") == ["gold is highest at n = 64"]


@pytest.mark.parametrize("changes", [{"n": [], "kl": []}, {"kl": [math.nan] * 11}, {"kl": [0.0]}])
def test_a_curve_that_cannot_be_drawn_is_left_out(changes: dict[str, list[float]], sample: ModuleType) -> None:
    assert over_optimisation({**sample.curve_of_rule(), **changes}, "c") == ""


def test_gold_that_is_not_finite_leaves_a_gap(sample: ModuleType) -> None:
    curve = sample.curve_of_rule()
    curve["gold_mean"][5] = math.nan
    chart = ElementTree.fromstring(over_optimisation(curve, "c"))
    assert roles(chart, "line") == ["line proxy", "line gold", "line gold"]


def test_exploits_over_steps(sample: ModuleType) -> None:
    log = sample.log()
    chart = ElementTree.fromstring(exploits_over_steps(log, "r"))
    assert roles(chart, "line") == ["line wrong", "line plain"]
    assert texts(chart, "title") == ["training step", "exploits / paid", "mean reward"]
    assert [*texts(chart, "mark-right"), *texts(chart, "mark-left")] == ["first exploit: step 40"]
    assert texts(chart, "across") == ["0", "20", "40", "60", "80", "100"]
    [share] = [p.attrib["d"] for p in chart.iter("path") if p.attrib["class"] == "line wrong"]
    assert len(re.findall(r"[ML]", share)) == 11  # nothing was paid at step 0
    [line] = [p.attrib["d"] for p in chart.iter("path") if p.attrib["class"] == "mark-line"]
    assert line.startswith("M241.3 ")  # 74 + 460 * 40 / 110


def test_a_log_without_rewards_has_one_panel_and_one_without_steps_no_chart(sample: ModuleType) -> None:
    log = sample.log()
    for step in log["steps"]:
        step["mean_reward"] = None
    assert texts(ElementTree.fromstring(exploits_over_steps(log, "r")), "title") == ["training step", "exploits / paid"]
    assert exploits_over_steps({**log, "steps": []}, "r") == ""
    one = ElementTree.fromstring(exploits_over_steps({**log, "steps": log["steps"][4:5]}, "r"))
    assert [c.attrib["cx"] for c in one.iter("circle")] == ["304.0"]  # the middle


def test_a_long_run_is_pooled(sample: ModuleType) -> None:
    chart = ElementTree.fromstring(exploits_over_steps(sample.log(steps=5000), "r"))
    for path in chart.iter("path"):
        assert len(re.findall(r"[ML]", path.attrib["d"])) <= 200


@pytest.mark.parametrize(
    ("proxy", "gold", "panels"),
    [
        ((0.0, 1.0), (0.50, 0.52), 1),  # two shares belong on one axis, however little one of them moves
        ((0.0, 8.0), (-1.0, 2.0), 1),  # 3 of 9: both shapes can be seen
        ((0.0, 8.0), (0.0, 1.9), 2),  # 1.9 of 8: one would lie flat
        ((10.0, 11.0), (0.0, 1.0), 2),  # each 1 of 11
    ],
)
def test_when_proxy_and_gold_share_an_axis(
    proxy: tuple[float, float], gold: tuple[float, float], panels: int, sample: ModuleType
) -> None:
    curve = sample.curve_of_rule()
    for kind, ends in (("proxy", proxy), ("gold", gold)):
        values = [ends[0] + (ends[1] - ends[0]) * index / 10 for index in range(11)]
        curve.update({f"{kind}_{part}": values for part in ("mean", "low", "high")})
    chart = ElementTree.fromstring(over_optimisation(curve, "c"))
    assert len(texts(chart, "title")) == 2 + panels
