"""A watched run on a terminal: the gravest first, inside the width, inert."""

from __future__ import annotations

import io
import re
from typing import Any

import pytest
import watch_sample
from rich.cells import cell_len
from rich.console import Console

from trueward.report.watch_terminal import dashboard, notice_line, render_watch, sparkline


def shown(document: Any, *more: Any, width: int = 100, encoding: str = "utf-8") -> str:
    raw = io.BytesIO()
    console = Console(file=io.TextIOWrapper(raw, encoding=encoding), width=width, color_system=None)
    render_watch(document, console, *more)
    console.file.flush()
    return raw.getvalue().decode(encoding)


def screen(document: Any, width: int = 100) -> str:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(dashboard(document, console, "the last step came 3 s ago"), end="")
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_sparklines() -> None:
    assert sparkline([0, 1, 2, 3, 4, 5, 6, 7], 8) == "▁▂▃▄▅▆▇█"
    assert sparkline([7.0, None, 0.0], 8) == "█ ▁"
    assert sparkline([2.0, 2.0], 8) == "▄▄"  # nothing changes
    assert sparkline([0, 2, 4, 6], 2) == "▁█"
    assert sparkline([0, 7], 8, unicode=False) == "_@"
    assert sparkline([None, None], 8) == "  "
    assert sparkline([], 8) == ""


def test_what_was_found_comes_first_and_then_curves_and_rollouts() -> None:
    text = shown(watch_sample.document(), "out/page.html")
    lines = text.splitlines()
    assert lines[:4] == [
        "✗ alarm at step 24",
        "runs/sums/seed-0",
        "  step 40 of 100, 2,560 completions; trueward rollouts, reward: reward",
        "  gold: as the run logged it, 8 checks a step",
    ]
    assert re.match(r"reward +\.215  ▁.*█ +\.8$", lines[6])
    assert re.match(r"gold, as checked +\.6  █{19}▁{21} +\.3  line \.55$", lines[7])
    assert "share timed out" in text and "detector" not in text
    marks = next(line for line in lines if line.startswith("found"))
    start = lines[6].index("▁")
    assert {place - start: mark for place, mark in enumerate(marks[start:], start) if mark != " "} == {
        14: "?",
        23: "✗",
        29: "?",
    }
    assert text.index("✗ alarm  step 24, gold probe: gold is .30") < text.index("? hint   step 15, length: completions")
    for expected in (
        "completion  It is 3. It is 4.",
        "reward      .95, gold 0",
        "why         pays twice",
        "and 1 more rollout",
        "What this means",
        "! 16 completions were logged again",
    ):
        assert expected in text
    assert lines[-1] == "Report: out/page.html"


def test_words_are_explained_where_they_stand() -> None:
    def meanings(document: Any) -> list[str]:
        lines = shown(document).splitlines()
        return re.findall(r"^  (\w+)  +\w", "\n".join(lines[lines.index("What this means") :]), re.MULTILINE)

    assert meanings(watch_sample.document()) == ["alarm", "hint", "line"]
    hint = watch_sample.document(notices=[watch_sample.notice("hint", 3, "x")], state="hint", probe="none")
    del hint["series"]["probe/line"]
    assert meanings(hint) == ["hint", "gold"]
    assert "there can be no alarm" in " ".join(shown(hint).split())
    assert "What this means" not in shown(watch_sample.empty())


def test_a_run_without_a_step_says_so() -> None:
    assert shown(watch_sample.empty()).splitlines()[0] == "… waiting for the first step"
    assert "Nothing was found" not in screen(watch_sample.empty())
    quiet = watch_sample.document(notices=[], state="quiet")
    assert screen(quiet).splitlines()[0] == "✓ nothing found in 40 steps"
    assert "Nothing was found so far." in screen(quiet)


def test_the_screen_shows_the_newest_hint_first_below_the_alarm() -> None:
    text = screen(watch_sample.document())
    places = [text.index(said) for said in ("step 24, gold probe", "step 30, length", "step 15, length")]
    assert places == sorted(places)
    assert text.count("completion  ") == 1  # of the alarm
    assert text.splitlines()[-1] == "the last step came 3 s ago; Ctrl-C ends"


def test_a_notice_on_one_line() -> None:
    made = watch_sample.notice("alarm", 1234, "gold\nis \x1b[31m.3")
    assert notice_line(made).plain == "✗ alarm at step 1,234, gold probe: gold⏎is \\x1b[31m.3"  # type: ignore[arg-type]


@pytest.mark.parametrize("width", [40, 60, 80, 160])
@pytest.mark.parametrize("on_screen", [False, True])
def test_nothing_leaves_the_width_or_commands_the_terminal(on_screen: bool, width: int) -> None:
    text = screen(watch_sample.hostile(), width) if on_screen else shown(watch_sample.hostile(), width=width)
    assert max(map(cell_len, text.splitlines())) <= width
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b\u202e]", text)
    assert "[red]markup[/red]" in re.sub(r"\s+", " ", text) or width < 80


def test_many_steps_fit() -> None:
    steps = list(range(1, 5001))
    made = watch_sample.document(steps=steps, series={"reward": [float(step) for step in steps]})
    lines = shown(made, width=80).splitlines()
    assert max(map(cell_len, lines)) <= 80
    assert re.search(r"step 1 +5,000", lines[5])
    marks = next(line for line in lines if line.startswith("found"))
    assert [mark for mark in marks[5:] if mark != " "] == ["✗"]  # of one column the gravest


def test_an_output_in_ascii_does_not_end_in_an_error() -> None:
    lines = shown(watch_sample.document(), encoding="ascii").splitlines()
    assert lines[0] == "x alarm at step 24"
    assert re.match(r"gold, as checked +\.6  @{19}_{21} +\.3  line \.55$", lines[7])
