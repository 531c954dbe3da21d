"""The page of all systems: one row each, a section for each result, foreign text in code only."""

from __future__ import annotations

import re
from typing import Any

import experiment_sample

from trueward.report.experiment_markdown import render_systems_page


def page(made: Any, pictures: dict[str, str] | None = None) -> str:
    systems: Any = [
        {"name": "par", "title": made["title"], "claim": made["claim"], "verdict": "", "parts": made["parts"]},
        {"name": "clip", "title": "Clip | delta", "claim": "Less is more.", "verdict": "not run", "parts": []},
    ]
    return render_systems_page(systems, {"par": made}, pictures or {})


def test_a_row_for_every_system() -> None:
    lines = page(experiment_sample.document()).splitlines()
    assert (
        "| [Preference as reward](#par) | A sigmoid of the reward centred on a reference keeps gold up where the raw "
        "reward is hacked. | ✗ contradicted | `gold(par) > gold(minmax) + 0.05`: difference -.01 [-.03, .01] over "
        "5 seeds | `centred, GroupRelative` |"
    ) in lines
    assert r"| Clip \| delta | Less is more. | not run | |  |" in lines
    assert "## clip" not in lines


def test_a_section_for_every_result() -> None:
    text = page(experiment_sample.document(), {"par": "systems/par.svg"})
    section = text.split("## par\n")[1]
    for expected in (
        "**Preference as reward.** A. Author",
        "| ✓ claim holds | `gold(par) > gold(vanilla)` | .31 [.23, .39] | 5 |",
        "| ? claim open | `¦kl(par) − kl(vanilla)¦ ≤ 0.5` | .2 [-.4, .8] | 5 |",
        "| ✓ precondition holds | `proxy(vanilla) > 0.6` | .30 [.25, .35] | 5 |",
        "Would refute it: Gold falls under the shaped reward as it does under the raw one. **Not met** "
        "(`gold(par) < gold(vanilla)`: difference .31 [.23, .39] over 5 seeds).",
        "](systems/par.svg)",
        "| **vanilla**: the reward as it is | baseline | .35 [.33, .37] | .95 [.93, .97] | 4.00 [3.98, 4.02] |",
        "| par | `reward.k=3.0` | .65 | ✓ |",
        "    GRPOTrainer(reward_funcs=reward)",
        "`trueward evidence --only par`, 12 min 34 s in all, 2025-01-02",
    ):
        assert expected in section
    assert "![" not in page(experiment_sample.document())  # without a picture


def test_failures_are_published() -> None:
    made = experiment_sample.document(failures=[{"arm": "par", "seed": 3, "error": "it `broke`"}])
    assert "Failed: par, seed 3: `` it `broke` ``" in page(made)


def test_tables_keep_their_columns_whatever_the_text_holds() -> None:
    made = experiment_sample.document()
    bad = "a | b\nc `d` <script>"
    made.update(title=bad, claim=bad, parts=[bad])
    made["arms"][0].update(name=bad, about=bad)
    made["claims"][0]["text"] = bad
    made["tuning"][0]["settings"] = {bad: bad}
    text = page(made)
    assert "<script>" not in re.sub(r"(`+).*?\1", "", text)
    rows = [line for line in text.splitlines() if line.startswith("|")]
    for table in re.split(r"\n(?!\|)", "\n".join(text.splitlines())):
        columns = {len(re.findall(r"(?<!\\)\|", row)) for row in table.split("\n") if row.startswith("|")}
        assert len(columns) <= 1
    assert len(rows) > 15
