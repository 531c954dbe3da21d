"""Writes docs/published.md: audits of published scorers, each finding with the lines that show it.

    python examples/audits_page.py [--page docs/published.md] [--search 500]

Audits what `make demo` audits, with a search, and runs the lines of every finding in a process of their own.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import tyro
from demo import subjects

from trueward.audit.api import Settings
from trueward.audit.report import document_of
from trueward.cli import audit_all
from trueward.report.atomic import write_whole
from trueward.report.document import Audit
from trueward.report.markdown import key_of, render_markdown, reproduction

TIMEOUT = 120.0


@dataclass(frozen=True)
class Page:
    """What to write, and how much to audit."""

    page: Path = Path("docs/published.md")
    """The page."""
    prompts: int = 10
    """Prompts of each reasoning-gym set; the other rewards get all of examples/prompts.jsonl."""
    search: int = 500
    """Calls that the search may make for each reward."""


def confirmed(audit: Audit) -> dict[str, bool]:
    """Which findings of an audit are seen again when their lines are run by themselves, in a new process."""
    found: dict[str, bool] = {}
    for finding in audit["findings"]:
        for example in finding["examples"][:1]:
            lines = reproduction(audit, example)
            if not lines or example["status"] != "ok":
                continue
            first = next(i for i, line in enumerate(lines) if line.startswith(("reward(", "data.score")))
            source = "\n".join([*lines[:first], "result = " + lines[first], *lines[first + 1 :], "print(repr(result))"])
            try:
                done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, timeout=TIMEOUT)
                printed = done.stdout.strip().splitlines()[-1].strip("[]")
                found[key_of(audit, example)] = abs(float(printed) - float(example["reward"] or 0.0)) < 1e-6
            except (subprocess.TimeoutExpired, IndexError, ValueError):
                found[key_of(audit, example)] = False
    return found


def main(page: Page) -> None:
    """Audit everything, run every reproduction, write the page."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    path = page.page.resolve()
    settings = Settings(workers=max(1, min(8, os.cpu_count() or 1)), search=page.search)
    audits = audit_all(subjects(page.prompts), settings)
    document = document_of(audits, command="python examples/audits_page.py")
    runs: Mapping[str, bool] = {key: seen for audit in audits for key, seen in confirmed(audit).items()}
    text = render_markdown(document, "Audits of published scorers", "python examples/audits_page.py", runs)
    write_whole(path, text.encode())
    print(f"{page.page}: {len(audits)} rewards, {sum(runs.values())} of {len(runs)} findings seen again by themselves")


if __name__ == "__main__":
    main(tyro.cli(Page))
