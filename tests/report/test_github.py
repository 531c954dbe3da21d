"""Annotations and the step summary: one command a line whatever a completion holds, and no markup in it."""

from __future__ import annotations

import copy
import re
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trueward.report.document import Document
from trueward.report.github import code, counting, render_github, step_summary, write_step_summary

COMMAND = re.compile(r"::(error|notice) (?:file=[^,:\r\n]*,line=\d+,)?title=[^,:\r\n]*::[^\r\n]*")
HOSTILE = (
    "x\n::error::owned",
    "x\r::add-mask::a\r\n::set-env name=PATH::/tmp",
    "%0A::error::owned",
    "a,b:c::d",
    "##[add-path]/tmp",
    "::stop-commands::token",
    "line\u2028separator\u2029 \x0b\x0c\x85::error::owned",
    "`code` | a | <img src=x> [x](javascript:1) **b** ```\n```",
    "lone \ud800 surrogate",
    "\u202e right to left",
)


def with_completions(made: Document, texts: tuple[str, ...] | list[str]) -> Document:
    """A document in which every text that could come from a model, a reward or the data is one of these."""
    made = copy.deepcopy(made)
    index = 0
    for audit in made["audits"]:
        audit["headline"] = audit["error"] = texts[index % len(texts)]
        for finding in audit["findings"]:
            finding["title"] = texts[(index + 1) % len(texts)]
            for example in finding["examples"]:
                index += 1
                example["completion"] = texts[index % len(texts)]
                example["prompt"] = texts[(index + 1) % len(texts)]
                example["detail"] = texts[(index + 2) % len(texts)]
                example["status"] = "raised" if index % 2 else "ok"
    return made


def unescaped(text: str) -> str:
    return text.replace("%0A", "\n").replace("%0D", "\r").replace("%3A", ":").replace("%2C", ",").replace("%25", "%")


def test_one_error_a_finding_with_its_place(sample: ModuleType) -> None:
    made = sample.one()
    audit = made["audits"][0]
    lines = render_github(made, {audit["reward"]: ("src/my, rewards.py", 12)}).splitlines()
    assert len(lines) == len(audit["findings"])
    for line, finding in zip(lines, audit["findings"], strict=True):
        assert COMMAND.fullmatch(line)
        assert line.startswith("::error file=src/my%2C rewards.py,line=12,title=")
        assert unescaped(line).partition("title=")[2].startswith(finding["title"])


def test_escapes_by_hand(sample: ModuleType) -> None:
    made = with_completions(sample.one(), ["100 % of it: a, b\nc"])
    first = render_github(made).splitlines()[0]
    assert first.startswith("::error title=100 %25 of it%3A a%2C b⏎c::")
    assert "completion: 100 %25 of it: a, b⏎c%0Aearned" in first


@pytest.mark.parametrize("build", ["one", "many", "full", "hostile"])
def test_no_completion_makes_a_command_of_its_own(build: str, sample: ModuleType) -> None:
    for texts in (HOSTILE, sample.HOSTILE):
        written = render_github(with_completions(getattr(sample, build)(), texts))
        # A runner may split lines at any of the marks that str.splitlines knows.
        assert len(written.splitlines()) == written.count("\n")
        for line in written.splitlines():
            assert COMMAND.fullmatch(line), line
            assert "##[" not in line


@given(st.text(), st.text())
def test_nor_does_any_other_text(first: str, second: str) -> None:
    from trueward.report.github import _command

    line = _command("error", (first, 1), second, [first, second])
    assert len(line.splitlines()) == 1
    assert COMMAND.fullmatch(line)


def test_without_the_escapes_a_completion_would_make_one() -> None:
    assert any(line.startswith("::error::") for line in f"::error title=x::{HOSTILE[0]}".splitlines())


def test_clean_rewards_are_noticed_and_failed_ones_are_errors(sample: ModuleType) -> None:
    made = sample.many()
    lines = render_github(made).splitlines()
    clean = [audit for audit in made["audits"] if audit["verdict"] == "clean"]
    lost = [audit for audit in made["audits"] if audit["verdict"] == "not audited"]
    assert clean and sum(line.startswith("::notice") for line in lines) == len(clean)
    assert lost and sum("could not be audited" in line for line in lines) == len(lost)


def test_with_a_baseline_only_regressions_are_errors(sample: ModuleType) -> None:
    made = sample.one()
    audit = made["audits"][0]
    new = audit["findings"][1]["hits"][:1]
    audit["comparison"] = {"baseline": "b", "known": True, "new": new, "gone": [], "regressions": ["…"]}
    expected = [finding for finding in audit["findings"] if new[0] in finding["hits"]]
    assert counting(audit) == expected and len(expected) < len(audit["findings"])
    assert len(render_github(made).splitlines()) == len(expected)
    audit["comparison"] = {"baseline": "b", "known": True, "new": [], "gone": ["x"], "regressions": []}
    (line,) = render_github(made).splitlines()
    assert line.startswith("::notice") and "no regression" in line


def test_many_findings_are_cut_off_with_a_count(sample: ModuleType) -> None:
    made = sample.one()
    audit = made["audits"][0]
    audit["findings"] = [copy.deepcopy(audit["findings"][0]) for _ in range(13)]
    lines = render_github(made).splitlines()
    assert len(lines) == 11 and "3 more findings" in lines[-1]


class Tags(HTMLParser):
    """The tags of a text, and its text."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


@given(st.text() | st.sampled_from(HOSTILE))
def test_foreign_text_in_the_summary_is_only_text(text: str) -> None:
    written = code(text)
    inside = written.removeprefix("<code>").removesuffix("</code>")
    assert not set(re.sub(r"&#\d+;", "", inside)) & set("`|<>*_[]()#~!$@:{}\\\"'&\r\n")
    parsed = Tags()
    parsed.feed(written)
    assert parsed.tags == ["code"]


def test_the_summary_names_every_reward_and_every_finding_that_counts(sample: ModuleType) -> None:
    made = with_completions(sample.many(), HOSTILE)
    written = step_summary(made)
    parsed = Tags()
    parsed.feed(written)
    assert set(parsed.tags) <= {"code"}
    for audit in made["audits"]:
        assert audit["reward"] in parsed.text
    tables = [line for line in written.splitlines() if line.startswith("|")]
    assert tables and all(line.endswith("|") and line.count("|") in (3, 4) for line in tables)
    assert written.count("**") == 2 * sum(len(audit["findings"]) for audit in made["audits"])


def test_the_summary_is_added_to_the_file_of_the_step(
    sample: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = with_completions(sample.one(), HOSTILE)
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    assert not write_step_summary(made)
    path = tmp_path / "summary.md"
    path.write_text("what an earlier step wrote\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(path))
    assert write_step_summary(made)
    assert path.read_text(encoding="utf-8") == "what an earlier step wrote\n" + step_summary(made)
