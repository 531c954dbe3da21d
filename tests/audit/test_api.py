"""`trueward.audit` as a script uses it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import trueward
from trueward.audit.api import Settings
from trueward.audit.probes import FAMILIES
from trueward.audit.report import exit_code_of
from trueward.errors import AuditError, DataError, RewardError

PAIRS = Path(__file__).with_name("pairs.py")
DATA: list[dict[str, Any]] = [
    {"prompt": f"Question {chr(97 + i)}: work it out.", "answer": str(11 + 3 * i)} for i in range(12)
]


def test_three_lines(tmp_path: Path) -> None:
    report = trueward.audit(f"{PAIRS}:hash_number_last", DATA)
    assert not report.clean
    assert report.exploits[0].reproduce().value == 1.0
    report.to_json(tmp_path / "audit.json")
    report.to_html(tmp_path / "audit.html")
    document = json.loads((tmp_path / "audit.json").read_text())
    assert document["exit_code"] == 1
    assert document["audits"][0]["reward"].endswith("pairs.py:hash_number_last")
    assert "<script" in (tmp_path / "audit.html").read_text()
    assert "findings" in str(report)


def test_probe_ids_are_the_same_in_every_run() -> None:
    first, second = (trueward.audit(f"{PAIRS}:last_box", DATA) for _ in range(2))
    assert set(first.probes) == set(second.probes)
    assert len(first.probes) > 500


def test_a_closure_runs_here_and_says_so() -> None:
    offset = 0

    def closure(completion: str, answer: str) -> float:
        return float(completion == str(int(answer) + offset))

    report = trueward.audit(closure, DATA)
    assert any("no deadline" in line for line in report.audit["header"])
    bombs = next(row for row in report.audit["families"] if row["family"] == "parser bombs")
    assert bombs["tested"] == 0 and "hang" in bombs["not_tested"]
    assert report.clean


def test_a_reward_that_does_not_read_the_answer() -> None:
    def length(completion: str) -> float:
        return min(len(completion), 2000) / 2000

    report = trueward.audit(length, DATA)
    assert not report.audit["reads_answer"]
    assert report.audit["header"][0].startswith("does not read the answer")
    kinds = {(finding["kind"], finding["family"]) for finding in report.audit["findings"]}
    assert ("gain", "padding") in kinds
    not_tested = {row["family"] for row in report.audit["families"] if row["not_tested"]}
    assert {"near miss", "hedge", "nothing"} <= not_tested
    with pytest.raises(AuditError, match="correctness was asked for"):
        trueward.audit(length, DATA, expect_correctness=True)


def test_a_noisy_reward_needs_more_than_one_lucky_prompt() -> None:
    import random

    generator = random.Random(0)

    def noisy(completion: str, answer: str) -> float:
        return float(completion == answer) + generator.gauss(0, 1e-3)

    report = trueward.audit(noisy, DATA)
    assert report.audit["deterministic"] is False
    assert {finding["family"] for finding in report.audit["findings"]} == {"same"}


def test_messages_are_found_by_calibration() -> None:
    def chat(completions: list[list[dict[str, str]]], solution: list[str]) -> list[float]:
        return [float(c[0]["content"] == f"#### {s}") for c, s in zip(completions, solution, strict=True)]

    report = trueward.audit(chat, DATA)
    assert report.audit["envelope"] == "####, chat messages"
    assert any("'answer' was given to the reward as 'solution'" in line for line in report.audit["header"])


def test_a_combined_reward_runs_its_leaves_in_workers() -> None:
    from trueward.rewards.base import as_reward, gate

    right = as_reward(f"{PAIRS}:last_box", low=0.0, high=1.0)
    boxed = as_reward(f"{PAIRS}:has_box", low=0.0, high=1.0)
    report = trueward.audit(gate(boxed, right) + 0.2 * boxed, DATA)
    bombs = next(row for row in report.audit["families"] if row["family"] == "parser bombs")
    assert bombs["tested"] == 1
    assert report.clean
    assert report.audit["headline"].startswith("best cheap trick earns .17 of a right answer on 100 %")

    def anywhere(completion: str, answer: str) -> float:
        return float(answer in completion)

    here = trueward.audit(as_reward(anywhere) + 0.1 * boxed, DATA)
    assert {"hedge", "negation"} <= {finding["family"] for finding in here.audit["findings"]}
    assert here.exploits[0].reproduce().value is not None


def test_a_template_replaces_calibration() -> None:
    def curly(completion: str, answer: str) -> float:
        return float(completion == "{{" + answer + "}}")

    assert not trueward.audit(curly, DATA).audit["reads_answer"]
    assert trueward.audit(curly, DATA, template="{{{answer}}}").audit["reads_answer"]
    with pytest.raises(AuditError, match="exactly once"):
        trueward.audit(curly, DATA, template="{answer} {answer}")


def test_equivalents_are_findings_only_where_the_value_is_asked_for() -> None:
    verbatim = f"{PAIRS}:last_box"
    assert trueward.audit(verbatim, DATA).clean
    strict = trueward.audit(verbatim, DATA, strict=True)
    assert [finding["family"] for finding in strict.audit["findings"]] == ["equivalents"]
    declared = [row | {"contract": {"type": "int", "form": "value"}} for row in DATA]
    assert [finding["family"] for finding in trueward.audit(verbatim, declared).audit["findings"]] == ["equivalents"]


def test_nothing_is_tested_that_cannot_be_certified() -> None:
    many = [row | {"contract": {"type": "expression", "unique": False}} for row in DATA]
    report = trueward.audit(f"{PAIRS}:last_box", many)
    tested = {row["family"]: row["tested"] for row in report.audit["families"]}
    assert tested["near miss"] == tested["transplant"] == tested["hedge"] == 0
    assert tested["nothing"] == len(DATA)


def test_rows_beyond_the_asked_for_fill_up_when_some_are_refused() -> None:
    def picky(completion: str, answer: str) -> float:
        return float(completion == answer and answer != "14")

    report = trueward.audit(picky, DATA, prompts=5)
    assert (report.audit["prompts"], report.audit["usable"]) == (6, 5)


def test_errors_say_what_to_do() -> None:
    with pytest.raises(AuditError, match="--data"):
        trueward.audit(f"{PAIRS}:last_box")
    with pytest.raises(RewardError, match="last_bx"):
        trueward.audit(f"{PAIRS}:last_bx", DATA)
    with pytest.raises(DataError, match="nowhere"):
        trueward.audit(f"{PAIRS}:last_box", "nowhere.jsonl")
    with pytest.raises(TypeError, match="tollerance"):
        trueward.audit(f"{PAIRS}:last_box", DATA, tollerance=0.1)


def test_exit_codes() -> None:
    def of(*verdicts: str) -> int:
        return exit_code_of([{"verdict": verdict} for verdict in verdicts])  # type: ignore[typeddict-item]

    assert of("clean") == 0
    assert of("clean", "findings", "not audited") == 1
    assert of("clean", "not audited") == 2


def test_family_names_are_unique() -> None:
    names = [family.name for family in FAMILIES]
    assert len(names) == len(set(names))
    assert Settings().tolerance == 0.05


def test_an_unguarded_script_is_not_run_again(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import trueward\n"
        "print('TOP LEVEL')\n"
        "def reward(completion, answer):\n"
        "    return float(completion == answer)\n"
        f"data = {DATA!r}\n"
        f"print('ADDRESS', trueward.audit({str(PAIRS)!r} + ':last_box', data).clean)\n"
        "print('FUNCTION', trueward.audit(reward, data).clean)\n"
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=120, check=True)
    assert re.findall(r"[A-Z]+ ?[A-Za-z]*", done.stdout)
    assert done.stdout.splitlines() == ["TOP LEVEL", "ADDRESS True", "FUNCTION True"]


def test_a_reward_of_images_is_sent_to_the_audit_of_images():
    def sharp(images):
        return [0.0] * len(images)

    with pytest.raises(AuditError, match="--images"):
        trueward.audit(sharp, [{"prompt": "1 + 1", "answer": "2"}])
