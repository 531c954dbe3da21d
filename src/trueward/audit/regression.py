"""An audit against an earlier one: what is new, what is gone, and whether the reward fell back.

What counts is told by stable ids of (row, family, derivation): the same question to the reward has the same id in every
run, whatever order, number of workers or version of the data file it comes from. A prompt that is new in the data
brings ids that the baseline cannot have, so that what the reward does wrong on it counts as new; and an audit of fewer
prompts, or without a search that the baseline had, makes ids go that nobody mended. Write a new baseline when the data
or the settings change.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from trueward.errors import DataError
from trueward.report.document import Audit, Comparison, Document
from trueward.report.json_file import read_json


def read_baseline(path: str | Path) -> Document:
    """The document of an earlier audit, as `--json` wrote it.

    Raises:
        DataError: it cannot be read, is no audit, or is one of another schema version.
    """
    try:
        return read_json(path)
    except DataError as error:
        raise DataError(f"baseline {error}. Write a new one with: trueward audit … --json {path}") from error


def compare(audit: Audit, baseline: Document, path: str | Path) -> Comparison:
    """What changed since the baseline.

    Args:
        audit: the audit of now.
        baseline: the document of then.
        path: its file, for the reader.

    Returns:
        The comparison. A reward that the baseline does not hold, or could not audit, is not `known`: everything counts
        as new.
    """
    earlier = next((one for one in baseline["audits"] if one["reward"] == audit["reward"]), None)
    known = earlier is not None and earlier["verdict"] != "not audited"
    before = hits_of(earlier) if earlier is not None else set()
    now = hits_of(audit)
    new = now - before
    return Comparison(
        baseline=str(path),
        known=known,
        new=sorted(new),
        gone=sorted(before - now),
        regressions=[finding["title"] for finding in audit["findings"] if new & set(finding["hits"])],
    )


def compared(audits: Sequence[Audit], baseline: Document, path: str | Path) -> list[Audit]:
    """The audits with their comparisons filled in; one that could not be audited is left as it is."""
    done: list[Audit] = []
    for audit in audits:
        comparison = None if audit["verdict"] == "not audited" else compare(audit, baseline, path)
        done.append(Audit(**{**audit, "comparison": comparison}))
    return done


def hits_of(audit: Audit) -> set[str]:
    """Ids of every probe that counts against the reward."""
    return {hit for finding in audit["findings"] for hit in finding["hits"]}


def exit_code_against(audits: Sequence[Audit]) -> int:
    """The exit code with a baseline: 1 for a regression, 2 when one could not be audited and none fell back, else 0."""
    if any(audit["comparison"] is not None and audit["comparison"]["regressions"] for audit in audits):
        return 1
    return 2 if any(audit["verdict"] == "not audited" for audit in audits) else 0
