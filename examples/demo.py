"""Audits published scorers, and three rewards as people write them: what `make demo` runs.

    python examples/demo.py [--html report.html] [--json report.json] [--prompts 10]

Every scorer of reasoning-gym that can be created with defaults, the rewards that TRL ships, math-verify's recommended
use, and `examples/rewards.py`. Ends with one line per reward, the most telling exploits, and the path of the report.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import tyro
from rich.console import Console

from trueward.audit.api import Settings
from trueward.audit.report import document_of
from trueward.audit.subjects import Subject, subject_of
from trueward.cli import audit_all
from trueward.report.html import write_html
from trueward.report.json_file import write_json
from trueward.report.terminal import render
from trueward.rewards.address import expand

ROOT = Path(__file__).resolve().parents[1]
PROMPTS = "examples/prompts.jsonl"

ON_PROMPTS = (
    "examples/rewards.py:last_number",
    "examples/rewards.py:boxed_or_contains",
    "examples/rewards.py:format_and_answer",
    "examples/published.py:math_verify_reward",
    "trl.rewards:accuracy_reward",
    "trl.rewards:reasoning_accuracy_reward",
    "trl.rewards:think_format_reward",
    "trl.rewards:get_cosine_scaled_reward(max_len=1000)",
    "trl.rewards:get_repetition_penalty_reward(ngram_size=3, max_penalty=-1.0)",
    "trl.rewards:get_soft_overlong_punishment(max_completion_len=100, soft_punish_cache=20)",
)


@dataclass(frozen=True)
class Demo:
    """What to write, and how much to audit."""

    html: Path = Path("report.html")
    """Self-contained report."""
    json: Path = Path("report.json")
    """The same as JSON."""
    prompts: int = 10
    """Prompts of each reasoning-gym set; the other rewards get all of examples/prompts.jsonl."""


def subjects(prompts: int) -> list[tuple[str, Callable[[], Subject]]]:
    """Name of every reward that is audited, and what finds it; paths are relative to the root of the project."""
    os.chdir(ROOT)
    found = [(address, partial(subject_of, address, PROMPTS)) for address in ON_PROMPTS]
    return found + [(name, partial(subject_of, name, None, prompts)) for name in expand("reasoning_gym:*")]


def main(demo: Demo) -> None:
    """Audit everything and write the report."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    started = time.monotonic()
    html, json = demo.html.resolve(), demo.json.resolve()
    audits = audit_all(subjects(demo.prompts), Settings(workers=max(1, min(8, os.cpu_count() or 1))))
    document = document_of(audits, command="make demo")
    write_json(document, json)
    write_html(document, html)
    render(document, Console(), report_path=str(demo.html))
    calls = sum(audit["calls"] for audit in audits)
    print(f"\n{len(audits)} rewards, {calls:,} reward calls, {time.monotonic() - started:.0f} s. JSON: {demo.json}")


if __name__ == "__main__":
    main(tyro.cli(Demo))
