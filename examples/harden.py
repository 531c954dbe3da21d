"""What `harden` changes in the rewards of the demo: the tables of docs/harden.md.

    python examples/harden.py [--write docs/harden.md]

Audits every reward of `examples/demo.py` that takes prompts, as it is and hardened.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

import tyro

from trueward.audit.api import Settings
from trueward.audit.before_after import both, effects_of, markdown
from trueward.cli import audit_all
from trueward.report.atomic import write_whole

sys.path.insert(0, str(Path(__file__).resolve().parent))
from demo import ON_PROMPTS, PROMPTS, ROOT

BEGIN, END = "<!-- tables: made by examples/harden.py -->", "<!-- end of tables -->"


@dataclass(frozen=True)
class Comparison:
    """Where the tables go."""

    write: Path | None = None
    """A Markdown file that holds the two comments around the tables; without it they are printed."""


def main(comparison: Comparison) -> None:
    """Audit everything twice and write the tables."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    path = None if comparison.write is None else comparison.write.resolve()
    os.chdir(ROOT)
    # Strict, so that refused ways to write the right answer are counted.
    settings = Settings(workers=max(1, min(8, os.cpu_count() or 1)), strict=True)
    audits = audit_all(both(ON_PROMPTS, PROMPTS), settings)
    tables = markdown(effects_of(audits))
    if path is None:
        print(tables)
        return
    before, _, rest = path.read_text().partition(BEGIN)
    after = rest.partition(END)[2]
    write_whole(path, f"{before}{BEGIN}\n\n{tables}\n{END}{after}".encode())


if __name__ == "__main__":
    main(tyro.cli(Comparison))
