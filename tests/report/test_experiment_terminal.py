"""Experiments on a terminal: verdict first, inside the width, inert."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from typing import Any

import experiment_sample
import pytest
from rich.cells import cell_len
from rich.console import Console

from trueward.report.experiment_terminal import render_system, render_systems, render_verdict


def shown(render: Callable[..., None], what: Any, *more: Any, width: int = 110, **named: Any) -> str:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    render(what, console, *more, **named)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_verdict_comes_first_and_then_what_it_rests_on() -> None:
    lines = shown(render_verdict, experiment_sample.document(), "out/report.html").splitlines()
    assert lines[0] == "✗ contradicted: Preference as reward (par)"
    assert lines[3] == "  5 arms, 5 seeds, scale small"
    assert "✓ holds gold(par) > gold(vanilla)  difference .31 [.23, .39] over 5 seeds" in lines
    assert "✗ fails gold(par) > gold(minmax) + 0.05  difference -.01 [-.03, .01] over 5 seeds" in lines
    assert "✓ holds proxy(vanilla) > 0.6  difference from 0.6: .30 [.25, .35] over 5 seeds" in lines
    assert "✓ not met   Gold falls under the shaped reward as it does under the raw one." in "\n".join(lines)
    assert any(re.match(r"vanilla +baseline +\.35 \[\.33, \.37\] +\.95 \[\.93, \.97\] +4\.00", line) for line in lines)
    assert "  par: sigmoid of the centred reward (reward.transform=par, reward.k=3.0)" in lines
    assert lines[-1] == "Report: out/report.html"


def test_failures_are_named() -> None:
    made = experiment_sample.document(failures=[{"arm": "par", "seed": 3, "error": "it broke"}])
    assert "✗ par, seed 3: it broke" in shown(render_verdict, made)
    assert "Failed runs" not in shown(render_verdict, experiment_sample.document())


def test_all_that_is_known_of_a_system() -> None:
    text = shown(render_system, experiment_sample.document())
    lines = text.splitlines()
    start = lines.index("Curve of vanilla")
    assert lines[start + 1].split() == ["step", "KL", "proxy,", "95", "%", "gold,", "95", "%"]
    assert re.match(r" +150 +2\.40 +\.73 \[\.71, \.75\] +\.51 \[\.49, \.53\] +gold peaks", lines[start + 5])
    assert "Curve of par" in lines and "Curve of minmax" in lines
    assert "Curve of uncentred" not in lines  # the method and its baselines
    assert "  trueward.credit.GroupRelative" in lines
    assert "      GRPOTrainer(reward_funcs=reward)" in lines
    assert "  2025-01-02, commit 0123abcd: trueward evidence --only par" in lines


def test_gold_that_rises_to_the_end_has_no_peak() -> None:
    lines = shown(render_system, experiment_sample.document()).splitlines()
    start = lines.index("Curve of par")
    assert not any("gold peaks" in line for line in lines[start : start + 8])


def test_a_system_that_was_never_run_says_so() -> None:
    made = experiment_sample.document(verdict="unclear", claims=[], preconditions=[], falsifiers=[])
    for arm in made["arms"]:
        arm.update(metrics={}, curves={})
    text = shown(render_system, made, was_run=False)
    assert text.startswith("not run: Preference as reward (par)")
    assert "unclear" not in text and "Curve" not in text and "Last result" not in text
    assert "par        method" in text and "–" not in text


def test_the_table_of_systems() -> None:
    systems = [
        {"name": "par", "title": "Preference", "claim": "", "verdict": "shown", "parts": ["a.b.centred", "a.group"]},
        {"name": "clip", "title": "Clip", "claim": "", "verdict": "not run", "parts": []},
    ]
    lines = shown(render_systems, systems).splitlines()
    assert lines[0].split() == ["name", "system", "verdict", "made", "of"]
    assert re.match(r"par +Preference +✓ shown +centred, group$", lines[1])
    assert re.match(r"clip +Clip +not run$", lines[2])
    assert shown(render_systems, []) == "There is no system yet.\n"


@pytest.mark.parametrize("width", [60, 80, 160])
@pytest.mark.parametrize("render", [render_verdict, render_system])
def test_nothing_leaves_the_width_or_commands_the_terminal(render: Callable[..., None], width: int) -> None:
    made = experiment_sample.document()
    bad = " ".join(experiment_sample.HOSTILE)
    made.update(title=bad, claim=bad, paper=bad, why=bad, notes=bad, at_scale=bad, command=bad, parts=[bad])
    made["arms"][0].update(name=bad, about=bad, differs={bad: "[red]x[/red]"})
    made["claims"][0]["text"] = "[bold]gold[/bold] " + bad
    made["failures"] = [{"arm": bad, "seed": 0, "error": bad}]
    text = shown(render, made, width=width)
    assert max(map(cell_len, text.splitlines())) <= width
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b\u202e]", text)
    assert "[bold]gold[/bold]" in " ".join(text.split())


def test_an_output_in_ascii_does_not_end_in_an_error() -> None:
    raw = io.BytesIO()
    console = Console(file=io.TextIOWrapper(raw, encoding="ascii"), width=80, color_system=None)
    render_system(experiment_sample.document(), console)  # type: ignore[arg-type]
    console.file.flush()
    assert raw.getvalue().decode("ascii").startswith("x contradicted")
