"""An audit against an earlier one: new, gone, regressions, exit codes."""

from __future__ import annotations

import copy
import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "report"))
import sample

import trueward
from trueward.audit.regression import compare, compared, exit_code_against, hits_of, read_baseline
from trueward.errors import DataError
from trueward.report.document import SCHEMA_VERSION, Audit, Document
from trueward.report.json_file import write_json

PAIRS = Path(__file__).with_name("pairs.py")


@pytest.fixture
def baseline() -> Document:
    return sample.one()


@pytest.fixture
def audit(baseline: Document) -> Audit:
    return copy.deepcopy(baseline["audits"][0])


def test_the_same_again_is_no_regression(audit: Audit, baseline: Document) -> None:
    comparison = compare(audit, baseline, "last.json")
    assert comparison == {"baseline": "last.json", "known": True, "new": [], "gone": [], "regressions": []}
    assert exit_code_against(compared([audit], baseline, "last.json")) == 0


def test_one_new_hit_names_the_finding_that_holds_it(audit: Audit, baseline: Document) -> None:
    audit["findings"][1]["hits"].append("f00dfeed0000")
    comparison = compare(audit, baseline, "last.json")
    assert comparison["new"] == ["f00dfeed0000"]
    assert comparison["regressions"] == [audit["findings"][1]["title"]]
    assert exit_code_against(compared([audit], baseline, "last.json")) == 1


def test_what_is_mended_is_gone_and_costs_nothing(audit: Audit, baseline: Document) -> None:
    lost = audit["findings"].pop(0)
    elsewhere = {hit for finding in audit["findings"] for hit in finding["hits"]}
    comparison = compare(audit, baseline, "last.json")
    assert comparison["gone"] == sorted(set(lost["hits"]) - elsewhere)
    assert comparison["gone"] and not comparison["new"]
    assert exit_code_against(compared([audit], baseline, "last.json")) == 0


def test_a_hit_that_moves_to_another_finding_is_not_new(audit: Audit, baseline: Document) -> None:
    moved = audit["findings"][0]["hits"].pop()
    audit["findings"][1]["hits"].append(moved)
    assert compare(audit, baseline, "last.json")["regressions"] == []


def test_a_reward_that_the_baseline_lacks_is_new_and_says_so(audit: Audit, baseline: Document) -> None:
    audit["reward"] = "rewards.py:another"
    comparison = compare(audit, baseline, "last.json")
    assert not comparison["known"]
    assert set(comparison["new"]) == hits_of(audit)
    assert exit_code_against(compared([audit], baseline, "last.json")) == 1


def test_a_reward_that_could_not_be_audited_then_is_not_known(audit: Audit) -> None:
    earlier = sample.one()
    earlier["audits"] = [sample.failed(audit["reward"])]
    assert not compare(audit, earlier, "last.json")["known"]


def test_what_could_not_be_audited_now_is_exit_code_2_unless_something_fell_back(baseline: Document) -> None:
    lost = sample.failed("rewards.py:lost")
    fell = copy.deepcopy(baseline["audits"][0])
    fell["findings"][0]["hits"].append("f00dfeed0000")
    assert exit_code_against(compared([lost, baseline["audits"][0]], baseline, "b")) == 2
    assert exit_code_against(compared([lost, fell], baseline, "b")) == 1
    assert compared([lost], baseline, "b")[0]["comparison"] is None


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "cannot be read"),
        ("{", "is not JSON"),
        ("[]", "is not an audit"),
        ('{"schema": "trueward-audit", "schema_version": 0}', "schema version 0"),
        (f'{{"schema": "trueward-audit", "schema_version": {SCHEMA_VERSION}}}', "is missing"),
    ],
)
def test_a_baseline_that_cannot_be_used_is_a_data_error(content: str | None, words: str, tmp_path: Path) -> None:
    path = tmp_path / "last.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(DataError, match=words) as raised:
        read_baseline(path)
    assert f"--json {path}" in str(raised.value)


def test_ids_are_the_same_in_every_run_and_a_planted_bug_is_a_regression(tmp_path: Path) -> None:
    rows = [{"prompt": f"Question {chr(97 + i)}: work it out.", "answer": str(11 + 3 * i)} for i in range(6)]
    reward = tmp_path / "rewards.py"
    reward.write_text(PAIRS.read_text())
    settings = {"workers": 1, "families": ("hedge", "negation", "near miss")}
    flawed = trueward.audit(f"{reward}:last_box_first", rows, **settings)
    write_json(flawed.document, tmp_path / "last.json")
    baseline = read_baseline(tmp_path / "last.json")
    again = trueward.audit(f"{reward}:last_box_first", json.loads(json.dumps(rows)), **settings).audit
    assert hits_of(again) and compare(again, baseline, "last.json")["regressions"] == []
    # The same name pays more than it did: what it paid already is no regression, what it pays beside that is.
    reward.write_text(
        PAIRS.read_text() + "\n\ndef last_box_first(completion, answer):\n    return float(answer in completion)\n"
    )
    worse = trueward.audit(f"{reward}:last_box_first", rows, **settings).audit
    comparison = compare(worse, baseline, "last.json")
    assert comparison["regressions"] and set(comparison["new"]) == hits_of(worse) - hits_of(again)
