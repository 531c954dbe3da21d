"""What an audit found, as pytest cases: each fails until the reward is mended, and guards it from then on.

A case holds everything that it needs: prompt, columns, the completion, a right one, and completions without an answer.
It uses the fixture of `trueward.pytest_plugin`.
"""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trueward.audit.calibration import BARE, ENVELOPES, template_envelope
from trueward.audit.derivations import Answer, Envelope, single
from trueward.audit.judge import CHEAP, LEAST_GAIN
from trueward.audit.payoff import PARTIAL
from trueward.audit.probes.base import Surroundings
from trueward.audit.probes.near import plainly_wrong
from trueward.audit.probes.nothing import NULLS
from trueward.audit.report import Report
from trueward.errors import AuditError
from trueward.report.atomic import write_whole
from trueward.report.document import Example, Finding
from trueward.report.escape import visible
from trueward.report.python_source import literal
from trueward.rewards.address import parse, shown
from trueward.rewards.source import source_of
from trueward.tasks.text.rows import Row

_NOT_AN_EXPLOIT = 0.98  # just below what the audit calls paid in full
_DEADLINE = 5.0  # what the fixture waits when it is not told
_LONGEST_NAME = 60
_LONGEST_TITLE = 72

_HEADER = '''"""What an audit of a reward found, one test for each example.

Written by `trueward audit … --write-tests`, for pytest. Each test fails until the reward
is mended. Payoffs: 1 is what the right answer earns, 0 is what no answer earns.
"""
'''


@dataclass(frozen=True)
class Case:
    """One test.

    Attributes:
        title: what is wrong, for its docstring.
        name: of the function.
        method: of the fixture.
        arguments: keyword → JSON value, or source as `_Source`.
    """

    title: str
    name: str
    method: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True)
class _Source:
    """A piece of source: a name, a number as it should be written."""

    text: str


def write_tests(reports: Report | Sequence[Report], path: str | Path) -> int:
    """Write every example of every finding as a test.

    Args:
        reports: of one reward or of several.
        path: the Python file; it appears whole or not at all.

    Returns:
        How many tests there are. With none, nothing is written: tests of an earlier audit stay, and keep the reward
        from falling back.

    Raises:
        AuditError: a reward has no address by which a test could find it.
        OSError: the file cannot be written.
    """
    chosen = [reports] if isinstance(reports, Report) else list(reports)
    source, count = source_of_tests([report for report in chosen if report.audit["findings"]], Path(path))
    if count:
        write_whole(Path(path), source.encode())
    return count


def source_of_tests(reports: Sequence[Report], path: Path) -> tuple[str, int]:
    """The source of the tests for a file at `path`, and their number."""
    written: dict[str, str] = {}
    constants: list[str] = []
    folders: list[str] = []
    uses_here = False
    for index, report in enumerate(reports, 1):
        number = "" if len(reports) == 1 else f"_{index}"
        address, folder = _address(report, path)
        uses_here |= "HERE" in address or folder is not None
        folders += [folder] if folder is not None and folder not in folders else []
        nulls = [envelope_of(report).completion(null.text) for null in NULLS]
        constants.append(f"REWARD{number} = {address}")
        constants.append(f"NULLS{number} = {literal(nulls, 0, len(f'NULLS{number} = '))}")
        for case in _cases(report, number):
            # One probe may count in two findings of a reward, and has the same id for every reward.
            names = (case.name + number, f"{case.name}{number}_{case.method.removeprefix('assert_')}")
            name = next((name for name in names if name not in written), None)
            if name is not None:
                written[name] = _function(dataclasses.replace(case, name=name), number)
    lines = [_HEADER]
    lines += ["import sys"] if folders else []
    lines += ["from pathlib import Path\n"] if uses_here else []
    lines += ["HERE = Path(__file__).resolve().parent"] if uses_here else []
    lines += [f"sys.path.append(str(HERE / {folder}))" for folder in folders]
    source = "\n".join([*lines, *constants]) + "\n\n\n" + "\n\n\n".join(written.values()) + "\n"
    return source, sum(one.startswith("def ") for one in written.values())


def _address(report: Report, path: Path) -> tuple[str, str | None]:
    """Source of the address as found from the test's folder, and of a folder where its module must be looked for."""
    subject = report.subject
    if subject.is_local:
        raise AuditError(
            f"{subject.name} has no address, so that no test could find it: put it into a file and audit "
            "'file.py:name' to write tests"
        )
    if shown(subject.address) != subject.address:
        raise AuditError(
            f"{subject.name} has an address with what may be a secret, which does not belong into a file of tests. Put "
            "a function that asks it into a file, and audit 'file.py:name'"
        )
    here = path.resolve().parent
    place, colon, rest = subject.address.partition(":")
    if parse(subject.address).is_file:
        relative = os.path.relpath(Path(place).expanduser().resolve(), here)
        return f"str(HERE / {literal(Path(relative).as_posix())}) + {literal(colon + rest)}", None
    found = source_of(subject.address)
    if found is not None and found.folder is not None and found.folder.resolve() == Path.cwd():
        return str(literal(subject.address)), literal(Path(os.path.relpath(Path.cwd(), here)).as_posix())
    return str(literal(subject.address)), None


def _cases(report: Report, number: str) -> list[Case]:
    """The tests of one reward.

    Of a reward that scores the same text differently from call to call only that is written down: whether a single
    completion is paid depends on luck, and a test must not.
    """
    cases = []
    noisy = report.audit["deterministic"] is False
    rows = {row.id: row for row in report.subject.rows}
    for finding in report.audit["findings"]:
        for example in finding["examples"]:
            row = rows.get(example["row"])
            made = None if row is None else _case(report, finding, example, row, number)
            if made is not None and (made.method == "assert_same" or not noisy):
                cases.append(made)
    return cases


def _case(report: Report, finding: Finding, example: Example, row: Row, number: str) -> Case | None:
    """The test of one example; None where an example alone does not show what was found."""
    kind = finding["kind"]
    envelope = envelope_of(report)
    probe = report.probes.get(example["id"])
    own = probe.derivation.envelope if probe is not None else envelope
    completion = own.completion(probe.derivation.text if probe is not None else example["completion"])
    title = visible(finding["title"]).partition(" (")[0]
    name = _name(example)

    def case(method: str, **arguments: Any) -> Case:
        patience = None if report.settings.deadline == _DEADLINE else report.settings.deadline
        given = {"prompt": row.prompt, "completion": completion, **arguments, "deadline": patience}
        return Case(title, name, method, {key: value for key, value in given.items() if value is not None})

    columns = _columns(report, row)
    scale: dict[str, Any] = {
        "columns": columns,
        "right": _right(report, row, example),
        "null": _null(report, example, number),
    }
    if kind == "exploit":
        return case("assert_not_paid", **scale, at_most=_NOT_AN_EXPLOIT)
    if kind == "cheap":
        paid_alone = example["payoff"] is not None and example["payoff"] > CHEAP
        return case("assert_not_paid", **scale, at_most=CHEAP) if paid_alone else None
    if kind == "gain":
        if probe is None or probe.against is None:
            return None
        base = own.completion(probe.against.text)
        return case("assert_no_gain", base=base, columns=columns, at_most=_allowed_gain(example))
    if kind == "refusal":
        if finding["family"] == "right answer":
            return case("assert_paid", columns=columns, null=scale["null"])
        return case("assert_paid", **scale, at_least=PARTIAL)
    if example["relation"] == "same":
        return case("assert_same", columns=columns)
    if example["status"] == "ok":
        wrong = plainly_wrong(row, Surroundings(report.subject.rows, (), report.subject.checker))
        worse = [envelope.completion(single(answer).inside(envelope).text) for answer in wrong]
        if not worse:
            return None
        return case("assert_not_paid", columns=columns, right=scale["right"], null=worse, at_most=LEAST_GAIN)
    return case("assert_scored", columns=columns)


def _columns(report: Report, row: Row) -> dict[str, Any]:
    """The columns under the names that the reward wants, but for the prompt, which the test gives anyway."""
    renamed = {wanted: row.columns[present] for wanted, present in report.subject.aliases.items()}
    columns = {**row.columns, **renamed}
    return {name: value for name, value in columns.items() if name != "prompt" or value != row.prompt}


def _allowed_gain(example: Example) -> float:
    """What a mended reward may still pay more: a twentieth of its scale, or, where it has none, half of the gain."""
    right, null = example["right_reward"], example["null_reward"]
    if right is not None and null is not None and right > null:
        return round(LEAST_GAIN * (right - null), 6)
    reward, base = example["reward"], example["base_reward"]
    return round((reward - base) / 2, 6) if reward is not None and base is not None else 0.0


def envelope_of(report: Report) -> Envelope:
    """The envelope that the audit found, from its title."""
    template = report.settings.template
    known = (template_envelope(template),) if template is not None else ENVELOPES
    every = [envelope.in_container(container) for envelope in known for container in ("text", "chat")]
    return next((envelope for envelope in every if envelope.title == report.audit["envelope"]), BARE)


def _right(report: Report, row: Row, example: Example) -> Any:
    """A right completion, or its reward where the row stores no answer or the reward declares what is full."""
    if report.subject.full is not None or not (row.answer or "").strip():
        return example["right_reward"]
    envelope = envelope_of(report)
    return envelope.completion(single(Answer("reference", (row.answer or "").strip())).inside(envelope).text)


def _null(report: Report, example: Example, number: str) -> Any:
    return example["null_reward"] if report.subject.full is not None else _Source(f"NULLS{number}")


def _name(example: Example) -> str:
    words = re.sub(r"[^a-z0-9]+", "_", f"{example['family']} {example['variant']}".lower()).strip("_")
    return f"test_{words[:_LONGEST_NAME].rstrip('_')}_{example['id']}"


def _function(case: Case, number: str) -> str:
    """The source of one test; a comment in its place where a completion is too long to be written down."""
    arguments = [f"REWARD{number}"]
    for key, value in case.arguments.items():
        source = value.text if isinstance(value, _Source) else literal(value, 8, len(key) + 2)
        if source is None:
            return f"# {case.name} is left out: it needs a text that is too long to be written down."
        arguments.append(f"{key}={source}")
    body = "".join(f"        {argument},\n" for argument in arguments)
    return f'def {case.name}(trueward):\n    """{_docstring(case.title)}"""\n    trueward.{case.method}(\n{body}    )'


def _docstring(title: str) -> str:
    """A title as the first line of a docstring: short, and with nothing that ends it."""
    title = title.replace("\\", "/").replace('"', "'")
    title = title if len(title) <= _LONGEST_TITLE else f"{title[: _LONGEST_TITLE - 1]}…"
    return f"{title[:1].upper()}{title[1:]}."
