"""Audits of control in the words of control: starts and episodes, not prompts and completions."""

from __future__ import annotations

import io
import re
from pathlib import Path
from types import ModuleType

import pytest
from page_in_browser import browse
from rich.console import Console

from trueward.report.control_runs import played_said, runs_said, training_chart
from trueward.report.github import render_github, step_summary
from trueward.report.html import render_html
from trueward.report.terminal import render
from trueward.report.wording import reproduction


def shown(document: object, width: int = 100) -> str:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    render(document, console)  # type: ignore[arg-type]
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_terminal_speaks_of_starts_and_episodes(sample: ModuleType) -> None:
    lines = shown(sample.control()).splitlines()
    assert lines[0] == "✗ 1 finding: a policy that is paid as much as the competent one has none of its gold"
    assert "  in CartPole-v1, gold: stands" in lines
    assert "  2 runs of PPO of 10,240 steps on the reward, and as many on gold" in lines
    assert any(line.startswith("  exploitation gap: ") for line in lines)
    assert any(re.match(r"✗ ending early +16 +16 \(100 %\)", line) for line in lines)
    place = lines.index(" 1  pays more for ending the episode early than for going on")
    assert lines[place + 1] == "    16 of 16 starts (95 % interval 81–100 %)"
    assert lines[place + 2].startswith("    where        CartPole-v1, start 3")
    # The lines of an episode stay lines.
    begins = next(number for number, line in enumerate(lines) if line == "    episode      always action 0")
    assert lines[begins + 1] == "                 actions: 0 ×8"
    assert any("(the competent policy earns -13.4, one that knows nothing -2.84)" in line for line in lines)
    assert not re.search(r"prompt|completion|right answer|⏎", "\n".join(lines))


def test_there_is_no_python_for_what_only_a_command_shows_again(sample: ModuleType) -> None:
    document = sample.control()
    assert reproduction(document, document["audits"][0]) == []
    assert "Again: trueward audit rewards.py:steady --env CartPole-v1" in shown(document)


def test_audits_of_text_and_of_control_stand_in_one_table(sample: ModuleType) -> None:
    both = sample.document([sample.control_audit(), *sample.one()["audits"]])
    assert "worst finding (share of starts or prompts)" in shown(both, 160)


def test_github_speaks_of_starts_and_episodes(sample: ModuleType) -> None:
    document = sample.control()
    said = render_github(document) + step_summary(document)
    assert "16 of 16 starts" in said and "episode: always action 0" in said and "100 % of starts" in said
    assert "prompt" not in said and "completion" not in said


def test_the_page_speaks_of_starts_and_episodes_and_draws_the_runs(
    sample: ModuleType, chromium: str, tmp_path: Path
) -> None:
    page = tmp_path / "report.html"
    page.write_text(render_html(sample.control()), encoding="utf-8")
    seen = browse(chromium, page, tmp_path)
    assert seen.console == []
    assert "What optimising the reward did" in seen.text
    assert "of starts" in seen.text and "with the start as unit" in seen.text
    # Once above and once among the examples, which a script makes.
    assert len(re.findall(r"\bepisode always action 0", seen.text)) == 2
    assert not re.search(r"\bprompts?\b|\bcompletions?\b|right answer", seen.text)


def test_a_chart_is_drawn_only_of_runs(sample: ModuleType) -> None:
    run = sample.control_run()
    assert training_chart(run, "t").count("<path") >= 6  # three lines with their bands
    assert training_chart(sample.control_run(curves=False), "t") == ""
    assert str(runs_said(run)) == (
        "['exploitation gap: a policy that was trained on gold has 172 more gold (95 % interval over seeds 171 to 173) "
        "than one that was trained on the reward']"
    )
    less = runs_said({**run, "gap": -2.0, "gap_low": -5.0, "gap_high": 1.0})
    assert "has 2 less gold (95 % interval over seeds -1 to 5)" in less[0]


@pytest.mark.parametrize(("gold", "seeds"), [(None, 2), ("stands", 0)])
def test_what_was_not_done_is_not_told(gold: str | None, seeds: int, sample: ModuleType) -> None:
    run = {**sample.control_run(), "gold": gold, "seeds": seeds, "gap": None}
    said = " ".join(played_said(run))
    assert ("PPO" in said) == (seeds > 0)
    assert ("gold" in said) == (gold is not None)
    assert runs_said(run) == []
