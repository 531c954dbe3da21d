r"""The document for GitHub Actions: annotations on the reward's source, and a summary of the step.

    ::error file=rewards.py,line=12,title=pays 'A or B'::…

A completion is untrusted text, and a runner takes every line that begins with `::` for a command. So each finding is
one line, and what a completion holds of line ends, per cent signs and control characters is written in escapes.

Reference: GitHub, "Workflow commands for GitHub Actions"; the escapes are those of actions/toolkit, `command.ts`.
"""

from __future__ import annotations

import os
import string
from collections.abc import Mapping, Sequence
from pathlib import Path

from trueward.report.document import Audit, Document, Example, Finding
from trueward.report.escape import visible
from trueward.report.vocabulary import vocabulary_of
from trueward.report.wording import MARKS, earned, extent, percent, summary, verdict_sentence, worst_first

Place = tuple[str, int]  # path from the root of the repository, and line

_MOST_FINDINGS = 10  # GitHub shows ten annotations of each kind for a step
_LONGEST = 300
_LONGEST_CELL = 160
_ENTITIES = {ord(sign): f"&#{ord(sign)};" for sign in string.punctuation}


def render_github(document: Document, places: Mapping[str, Place] | None = None) -> str:
    """One command a finding, one notice a clean reward, one error for what could not be audited.

    Args:
        document: the audits. Where one holds a comparison with a baseline, only regressions are errors.
        places: reward → where it is defined.

    Returns:
        Lines, each a command of its own.
    """
    lines: list[str] = []
    for audit in worst_first(document["audits"]):
        place = (places or {}).get(audit["reward"])
        if audit["verdict"] == "not audited":
            lines.append(_command("error", place, f"{audit['reward']} could not be audited", [audit["error"]]))
            continue
        told = counting(audit)
        lines += [_finding(audit, finding, place) for finding in told[:_MOST_FINDINGS]]
        if len(told) > _MOST_FINDINGS:
            more = f"{len(told) - _MOST_FINDINGS} more findings"
            lines.append(
                _command("error", place, f"{audit['reward']}: {more}", ["The summary of the step has them all."])
            )
        if not told:
            lines.append(_command("notice", place, f"{audit['reward']}: {_all_well(audit)}", [summary(audit)]))
    return "".join(f"{line}\n" for line in lines)


def counting(audit: Audit) -> list[Finding]:
    """The findings that make the step fail: all of them, or with a baseline those that hold something new."""
    comparison = audit["comparison"]
    if comparison is None:
        return audit["findings"]
    new = set(comparison["new"])
    return [finding for finding in audit["findings"] if new & set(finding["hits"])]


def step_summary(document: Document) -> str:
    """The audits as Markdown: one table, and an example of every finding that counts."""
    audits = worst_first(document["audits"])
    lines = ["## Trueward", "", f"{verdict_sentence(audits)}.", "", "| | reward | what it pays |", "|---|---|---|"]
    for audit in audits:
        row = (MARKS[audit["verdict"]], code(audit["reward"]), _cell(summary(audit)))
        lines.append(f"| {' | '.join(row)} |")
    for audit in audits:
        for finding in counting(audit):
            lines += ["", *_section(audit, finding)]
    return "\n".join(lines) + "\n"


def write_step_summary(document: Document, path: str | Path | None = None) -> bool:
    """Append the summary to the step's own file.

    Args:
        document: the audits.
        path: the file; by default the one that the variable GITHUB_STEP_SUMMARY names.

    Returns:
        False when there is no such file to write to: this is not GitHub Actions.
    """
    target = path or os.environ.get("GITHUB_STEP_SUMMARY")
    if not target:
        return False
    with open(target, "a", encoding="utf-8") as file:
        file.write(step_summary(document))
    return True


def code(foreign: str, limit: int = _LONGEST_CELL) -> str:
    """Foreign text as code in Markdown, on one line and safe in a table: nothing in it is markup.

    HTML's own element is used, because no fence of backticks is safe in a table. Signs are written as entities, so that
    none of them is markup, the bar of a table, or part of a link.
    """
    return f"<code>{visible(foreign, limit).translate(_ENTITIES)}</code>"


def _all_well(audit: Audit) -> str:
    return "clean" if not audit["findings"] else "no regression"


def _finding(audit: Audit, finding: Finding, place: Place | None) -> str:
    said = [f"{audit['reward']}: {extent(finding)}"]
    smallest = _smallest(finding)
    if smallest is not None:
        words = vocabulary_of(smallest)
        said += [
            f"{words.prompt}: {visible(smallest['prompt'], _LONGEST)}",
            f"{words.completion}: {visible(smallest['completion'], _LONGEST) or '(empty)'}",
            f"earned: {earned(smallest)}",
        ]
    return _command("error", place, finding["title"], said)


def _smallest(finding: Finding) -> Example | None:
    return min(finding["examples"], key=lambda one: len(one["completion"]), default=None)


def _command(name: str, place: Place | None, title: str, said: Sequence[str]) -> str:
    properties = {} if place is None else {"file": place[0], "line": str(place[1])}
    properties["title"] = title
    written = ",".join(f"{key}={_property(value)}" for key, value in properties.items())
    return f"::{name} {written}::{_data(chr(10).join(visible(one, 2 * _LONGEST) for one in said))}"


def _data(text: str) -> str:
    escaped = text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    # The older form of a command is one wherever it stands in a line.
    return escaped.replace("##[", "# #[")


def _property(text: str) -> str:
    return _data(visible(text, _LONGEST)).replace(":", "%3A").replace(",", "%2C")


def _section(audit: Audit, finding: Finding) -> list[str]:
    words = vocabulary_of(finding)
    share = f"{percent(finding['share'])} of {words.unit}s"
    lines = [f"**{_cell(finding['title'])}** ({code(audit['reward'])}, {share})"]
    smallest = _smallest(finding)
    if smallest is not None:
        lines += ["", "| | |", "|---|---|"]
        rows = (
            (words.prompt, smallest["prompt"]),
            (words.completion, smallest["completion"]),
            ("earned", earned(smallest)),
        )
        lines += [f"| {name} | {code(value, _LONGEST) if value.strip() else '(empty)'} |" for name, value in rows]
    return lines


def _cell(foreign: str) -> str:
    """Foreign prose in Markdown: like `code`, in the letters of the text around it."""
    return code(foreign, _LONGEST).removeprefix("<code>").removesuffix("</code>")
