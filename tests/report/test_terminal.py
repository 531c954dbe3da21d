"""The terminal report: understood without the docs, inside the width, inert."""

from __future__ import annotations

import io
import re
from types import ModuleType
from typing import Any

import pytest
from rich.cells import cell_len
from rich.console import Console

from trueward.report.terminal import render


def shown(document: Any, width: int = 100, report_path: str | None = None, **settings: Any) -> str:
    console = Console(file=io.StringIO(), width=width, **{"color_system": None, **settings})
    render(document, console, report_path)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_one_audit_says_the_verdict_first(sample: ModuleType) -> None:
    lines = shown(sample.one()).splitlines()
    assert lines[0] == "✗ 5 findings: best cheap trick earns .83 of a right answer on 92% of prompts"
    assert lines[1] == "examples/rewards.py:last_number"
    assert lines[2] == "! answers are taken as unique: the data does not declare it"


@pytest.mark.parametrize("width", [80, 100, 160])
def test_one_audit_holds_everything_a_reader_needs(width: int, sample: ModuleType) -> None:
    text = shown(sample.one(), width, "out/report.html")
    lines = text.splitlines()
    assert any(re.match(r"✗ hedge +48 +44 \(92 %\) +0", line) for line in lines)
    assert any(re.match(r"✓ keywords +48 +no gain", line) for line in lines)
    assert any(re.match(r"✗ equivalents +48 +5 refused", line) for line in lines)
    assert "· grid: not tested: no certified probe for these answers" in lines
    assert " 1  pays 'A or B', or an answer that was taken back" in lines
    assert "    44 of 48 prompts (95 % interval 82–98 %)" in lines
    assert any(
        re.match(r" {4}completion +It is \\boxed\{.+\} or \\boxed\{17\}\.⏎I am not sure which\.", x) for x in lines
    )
    assert "    reward       1  (the right answer earns 1, no answer 0)" in lines
    assert "    reward       no score, timed out: no result within 5.0 s" in lines
    assert "  - partly pays answers that are close and wrong (2 of 48 prompts)" in lines
    assert "    report.exploits[0].reproduce()" in lines
    assert lines[-1] == "Report: out/report.html"


def test_many_audits_have_a_line_each_worst_first(sample: ModuleType) -> None:
    made = sample.many(12)
    lines = shown(made, 160, "report.html").splitlines()
    assert lines[0] == "7 of 12 rewards pay what they should not, or fail"
    rows = [line for line in lines if re.match(r"[✗✓–]  \S", line)]
    assert len(rows) == 12
    assert "".join(row[0] for row in rows) == "✗" * 7 + "–" + "✓" * 4
    assert "best cheap trick earns .83 of a right answer on 94% of prompts" in rows[0]
    assert "94 %: pays 'A or B'" in rows[0]
    assert "✗ 25 findings in 7 rewards   ✓ 4 clean   – 1 not audited" in lines
    assert sum(line.startswith("╭") for line in lines) == 3
    assert lines[-1] == "Report: report.html"


@pytest.mark.parametrize("width", [1, 2, 5, 11, 20, 33, 47, 60, 72, 80, 100, 139, 140, 160, 240])
@pytest.mark.parametrize("build", ["one", "many", "full", "hostile", "hostile alone", "failed", "unreadable"])
def test_no_line_is_longer_than_the_console(build: str, width: int, sample: ModuleType) -> None:
    documents = {
        "one": sample.one,
        "many": lambda: sample.many(12),
        "full": sample.full,
        "hostile": sample.hostile,
        "hostile alone": lambda: sample.document(sample.hostile()["audits"][:1]),
        "failed": lambda: sample.document([sample.failed("漢字" * 40)]),
        "unreadable": lambda: sample.document([sample.unreadable("a:b")]),
    }
    for line in shown(documents[build](), width, "r" * 120).splitlines():
        assert cell_len(line) <= max(width, 2), repr(line)
        assert line == line.rstrip(" ")


@pytest.mark.parametrize("colours", [None, "truecolor"])
def test_completions_cannot_command_the_terminal(colours: str | None, sample: ModuleType) -> None:
    made = sample.hostile()
    for document in (made, sample.document([made["audits"][0]])):
        text = shown(document, 100, color_system=colours, force_terminal=colours is not None)
        # What is left besides text are the colours of the report itself.
        plain = re.sub(r"\x1b\[[0-9;]*m", "", text)
        assert not re.search(
            r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]", plain
        )
        assert "[2J" in plain and "\\x08" in plain
        assert "\x1b]8;" not in text  # no links
        assert bool(colours) == ("\x1b[" in text)
    assert "! \\x1b[2J\\x1b]0;pwn\\x07 \\x0d\\x08\\x08\\x08\\x9b31m \\x00\n" in plain  # the last one is a header


def test_markup_in_a_completion_stays_text(sample: ModuleType) -> None:
    completion = "[red]markup[/red] [link=https://example.org]x[/link] [/] :smile:"
    made = sample.one()
    made["audits"][0]["findings"][0]["examples"][0]["completion"] = completion
    assert completion in shown(made, 160)


def test_an_empty_completion_is_said_to_be_empty(sample: ModuleType) -> None:
    made = sample.one()
    first = made["audits"][0]["findings"][0]["examples"][0]
    first["completion"] = ""
    assert "    completion   (empty)" in shown(made)
    first["completion"] = " \n "
    assert "    completion   (3 blank characters)" in shown(made)


def test_an_audit_without_verdict_says_why(sample: ModuleType) -> None:
    text = shown(sample.document([sample.failed("trl.rewards:accuracy_reward")]), 120)
    assert text.startswith("– not audited: trl.rewards:accuracy_reward needs the column 'solution'")


def test_a_reward_that_does_not_read_the_answer_says_so_first(sample: ModuleType) -> None:
    lines = shown(sample.document([sample.unreadable("a:b")]), 120).splitlines()
    assert lines[0].startswith("✗ 1 finding: does not read the answer")
    untested = (
        "· nothing, echo, constant, list of options, near miss, hedge, negation: not tested: the reward does not read"
    )
    assert any(line.startswith(untested) for line in lines) or any("not tested: the reward" in line for line in lines)
    assert not any(re.match(r"[✗✓~] hedge", line) for line in lines)


def test_an_output_in_ascii_gets_ascii(sample: ModuleType) -> None:
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding="ascii")
    render(sample.hostile(), Console(file=file, width=80))
    made = sample.full()
    made["audits"][0]["latency"]["median"] = 3e-6
    render(made, Console(file=file, width=80))
    file.flush()
    text = raw.getvalue().decode("ascii")
    assert "x 7 findings: best cheap trick earns" in text
    assert "a call takes 3 us" in text and "#### first exploit" not in text and "#" * 12 in text
    assert "<U+202E>" in "".join(text.split())


def test_a_search_is_told_with_the_steps_of_each_find(sample: ModuleType) -> None:
    lines = shown(sample.full()).splitlines()
    place = lines.index("Found by search")
    assert lines[place + 1].startswith("  Found 2 causes with 1,730 of 2,000 calls: 1,212 completions")
    numbers = [line[:4] for line in lines if re.match(r" \d  (pays|refuses|hangs)", line)]
    assert numbers == [f" {index}  " for index in range(1, 8)]
    assert lines[place + 14] == "                 3. the right answer hidden: think"
    made = lines.index("    made by      1. sign: -72", place + 14)
    assert lines[made + 1 : made + 4] == [
        "                 2. written as: sign",
        "                 3. ', km' behind the answer",
        "                 4. 'QED' at the end",
    ]
    assert sum("made by" in line for line in lines) == 2  # not for the findings of fixed probes


def test_a_search_without_finds_is_told(sample: ModuleType) -> None:
    made = sample.document([sample.audit(1, "a", ())])
    made["audits"][0]["search"] = {"budget": 9, "calls": 9, "candidates": 9, "discarded": 0, "causes": 0}
    assert "Found by search\n  Found nothing with 9 of 9 calls" in shown(made)


@pytest.mark.parametrize("width", [60, 100])
def test_a_log_is_told_over_its_steps(width: int, sample: ModuleType) -> None:
    lines = shown(sample.full(), width).splitlines()
    assert "What the training run was paid for" in lines
    assert "  runs/completions (TRL completions)" in lines
    assert "  What is wrong with them: 103 hedge, 34 wrong answer." in lines
    rows = [line for line in lines if re.match(r" *\d+ +\d+ +\d+ +(–|\d+ %) +[\d.]+", line)]
    assert len(rows) == 12
    assert rows[0].split() == ["0", "0", "0", "–", "0"]
    assert rows[4].split() == ["40", "32", "2", "6", "%", ".5", "█", "first", "exploit"]
    assert rows[11].split() == ["110", "60", "36", "60", "%", ".938", "█" * 12]
    assert sum("first exploit" in row for row in rows) == 1


def test_a_long_log_is_told_in_a_few_rows(sample: ModuleType) -> None:
    made = sample.full()
    made["audits"][0]["rollouts"] = sample.log(steps=1000)
    rows = [line for line in shown(made).splitlines() if re.match(r" *[\d,]+ +[\d,]+ +[\d,]+ +(–|\d+ %) ", line)]
    assert len(rows) == 12
    assert [row.split()[0] for row in rows[:2]] == ["0", "840"]
    assert "first exploit" in rows[0]  # step 40 is counted there


def test_a_comparison_comes_before_everything_else(sample: ModuleType) -> None:
    text = shown(sample.full())
    assert (
        "Compared with the baseline\n  last.json\n"
        "  3 probes count now and did not then; 1 probe counted then and does not now.\n"
        "  new: pays 'A or B', or an answer that was taken back\n" in text
    )
    assert text.index("Compared with") < text.index("Must not be paid")


def test_what_is_absent_is_not_told(sample: ModuleType) -> None:
    text = shown(sample.one())
    for unexpected in ("Compared with", "Found by search", "training run", "made by"):
        assert unexpected not in text


def test_many_audits_are_compared_in_a_line(sample: ModuleType) -> None:
    made = sample.many(12)
    assert "Against" not in shown(made)
    made["audits"][5]["comparison"] = sample.comparison()
    assert "Against last.json: 3 new probes in 1 reward, 1 gone\n" in shown(made)


def test_curves_alone_are_left_to_their_own_table(sample: ModuleType) -> None:
    assert shown(sample.curves_only()) == ""
    assert shown(sample.curves_only(), report_path="a.html") == "Report: a.html\n"
