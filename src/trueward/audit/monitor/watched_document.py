"""What was seen of a run as the document that the terminal, the page and the JSON file are made from."""

from __future__ import annotations

import platform
from datetime import UTC, datetime
from pathlib import Path

import trueward
from trueward.audit.monitor.notice import Notice
from trueward.audit.monitor.replay import Watched, planned_steps
from trueward.report.watch_document import (
    SCHEMA_VERSION,
    Kind,
    WatchDocument,
    WatchNotice,
    exit_code_of,
    gravest,
)


def document_of_watched(
    watched: Watched,
    path: Path,
    *,
    gold: str = "",
    budget: int | None = None,
    fail_on: Kind = "alarm",
    command: str = "",
) -> WatchDocument:
    """The document of a run as it stands.

    Args:
        watched: the run.
        path: where it is.
        gold: address of the check; "" for none.
        budget: checks a step.
        fail_on: from which kind on the exit code is 1.
        command: the command line as it was typed.
    """
    notices = [_notice(notice) for notice in watched.notices]
    state = gravest(notices)
    checked_here = watched.probe in ("asked", "logged")
    return {
        "schema": "trueward-watch",
        "schema_version": SCHEMA_VERSION,
        "source": str(path),
        "format": watched.format,
        "reward": watched.reward,
        "probe": watched.probe,
        "gold": gold,
        "budget": budget if checked_here else None,
        "state": state,
        "steps": list(watched.seen.steps),
        "steps_planned": planned_steps(path),
        "completions": watched.completions,
        "series": {name: list(values) for name, values in watched.seen.series.items()},
        "notices": notices,
        "remarks": watched.remarks,
        "fail_on": fail_on,
        "exit_code": exit_code_of(state, fail_on),
        "versions": {"python": platform.python_version(), "trueward": trueward.__version__},
        "command": command,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _notice(notice: Notice) -> WatchNotice:
    return {
        "kind": notice.kind,
        "source": notice.source,
        "step": notice.step,
        "message": notice.message,
        "examples": [
            {
                "prompt": example.prompt,
                "completion": example.completion,
                "reward": example.reward,
                "gold": example.gold,
                "why": example.why,
            }
            for example in notice.examples
        ],
    }
