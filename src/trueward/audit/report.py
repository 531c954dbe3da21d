"""The report of an audit as an object: what a script asks it, and how an exploit is reproduced."""

from __future__ import annotations

import datetime
import io
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from trueward.audit.derivations import Derivation
from trueward.audit.probes import Probe
from trueward.errors import AuditError
from trueward.report.document import SCHEMA_VERSION, Audit, Curve, Document, Example
from trueward.rewards.runner.types import Outcome

if TYPE_CHECKING:
    from trueward.audit.api import Settings
    from trueward.audit.subjects import Subject

_MOST_TELLING = 3


@dataclass(frozen=True)
class Exploit:
    """A completion that earns what it should not.

    Attributes:
        example: the probe and what the reward did with it.
        probe: the probe itself.
        report: the report it belongs to.
    """

    example: Example
    probe: Probe
    report: Report

    @property
    def completion(self) -> str:
        """The whole text of the completion."""
        return self.probe.derivation.text

    @property
    def derivation(self) -> Derivation:
        """How the completion was made."""
        return self.probe.derivation

    def reproduce(self) -> Outcome:
        """Score the completion again, in a worker of its own that has scored nothing before."""
        subject, settings = self.report.subject, self.report.settings
        runner = subject.start(1, settings.deadline, settings.memory_mb)
        try:
            scoring = subject.scoring(runner)
            return scoring.run([[(self.probe.row, self.probe.derivation)]], fresh=True)[0][0]
        finally:
            runner.close()


class WrittenReport:
    """An audit as a document: what reports of every kind of reward can be asked.

    Attributes:
        audit: the audit as plain JSON (see `trueward.report.document`).
    """

    audit: Audit

    @property
    def clean(self) -> bool:
        """True when there is no finding."""
        return self.audit["verdict"] == "clean"

    @property
    def document(self) -> Document:
        """The document that `--json` writes."""
        return document_of([self.audit], command="trueward.audit")

    def to_json(self, path: str | Path) -> None:
        """Write the document; the file appears whole or not at all."""
        from trueward.report.json_file import write_json

        write_json(self.document, Path(path))

    def to_html(self, path: str | Path) -> None:
        """Write the self-contained HTML report; the file appears whole or not at all."""
        from trueward.report.html import write_html

        write_html(self.document, Path(path))

    def __str__(self) -> str:
        """The terminal report, without colour, 100 columns wide."""
        from rich.console import Console

        from trueward.report.terminal import render

        console = Console(file=io.StringIO(), width=100, color_system=None)
        render(self.document, console)
        assert isinstance(console.file, io.StringIO)
        return console.file.getvalue()


@dataclass(frozen=True)
class Report(WrittenReport):
    """What an audit found.

    Attributes:
        audit: the audit as plain JSON (see `trueward.report.document`).
        probes: every probe by id.
        subject: what was audited.
        settings: how.
    """

    audit: Audit
    probes: Mapping[str, Probe]
    subject: Subject
    settings: Settings

    @property
    def exploits(self) -> list[Exploit]:
        """Every kept example of an exploit, most frequent family first, smallest completion first."""
        kept = [e for finding in self.audit["findings"] if finding["kind"] == "exploit" for e in finding["examples"]]
        return [Exploit(e, self.probes[e["id"]], self) for e in kept if e["id"] in self.probes]


def exit_code_of(audits: Sequence[Audit]) -> int:
    """0 when all are clean, 1 when one has findings, 2 when one could not be audited and none has findings."""
    verdicts = {audit["verdict"] for audit in audits}
    return 1 if "findings" in verdicts else 2 if "not audited" in verdicts else 0


def document_of(audits: Sequence[Audit], command: str = "", *, curves: Sequence[Curve] = ()) -> Document:
    """One document over several audits, curves, or both.

    Raises:
        AuditError: there is neither.
    """
    from trueward import __version__

    if not audits and not curves:
        raise AuditError("nothing was audited")
    return Document(
        schema="trueward-audit",
        schema_version=SCHEMA_VERSION,
        trueward_version=__version__,
        created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        command=command or " ".join(sys.argv),
        exit_code=exit_code_of(audits),
        audits=list(audits),
        telling=telling(audits),
        curves=list(curves),
    )


# What surprises a reader most: no work at all before half an answer, half an answer before a slip of the pen.
_TELLING_ORDER = (
    "nothing",
    "format only",
    "echo",
    "one-token key",
    "constant",
    "list of options",
    "restated problem",
    "negation",
    "answer in a comment",
    "hedge",
    "transplant",
    "odd characters",
    "near miss",
    "note to the grader",
)


def _effort(example: Example) -> tuple[bool, int]:
    """What it takes to read an example: one that shows something comes before blanks, a short one before a long one."""
    return not example["completion"].strip(), len(example["prompt"]) + len(example["completion"])


def telling(audits: Sequence[Audit]) -> list[Example]:
    """The exploits that surprise most: the cheapest family, the largest share of prompts; one per reward and family."""
    ranked = []
    for audit in audits:
        for finding in audit["findings"]:
            if finding["kind"] == "exploit" and finding["examples"] and finding["family"] in _TELLING_ORDER:
                rank = (_TELLING_ORDER.index(finding["family"]), -finding["share"])
                shown = min(finding["examples"], key=_effort)
                ranked.append((rank, len(shown["prompt"]), audit["reward"], finding["family"], shown))
    chosen: list[Example] = []
    rewards: set[str] = set()
    families: set[str] = set()
    for _, _, reward, family, shown in sorted(ranked, key=lambda entry: entry[:4]):
        if reward not in rewards and family not in families and len(chosen) < _MOST_TELLING:
            chosen.append(shown)
            rewards.add(reward)
            families.add(family)
    return chosen
