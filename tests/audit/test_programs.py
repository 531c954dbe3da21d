"""Programs that work on the grader are certified wrong, caught where a reward falls for them, and not paid by ours."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from trueward.audit.api import audit
from trueward.audit.certificates.completions import certify
from trueward.audit.certificates.programs import COPIES, PRINTS, RETURNS, asks_for_programs, functions_of, row_tests
from trueward.audit.derivations import Answer, Derivation
from trueward.audit.probes.base import Surroundings
from trueward.audit.probes.programs import PROGRAMS
from trueward.rewards.rules.code import Code
from trueward.rewards.runner import WorkerPool
from trueward.rewards.runner.types import Item
from trueward.tasks.text.data import rows_from
from trueward.tasks.text.rows import Row

REWARDS = Path(__file__).with_name("code_rewards.py")
OURS = "trueward.rewards.rules.code:Code(seconds=2.0)"
EVERY = ("nothing", *(family.name for family in PROGRAMS))
OPERATIONS = {"add": "+", "subtract": "-", "multiply": "*", "modulo": "%", "power": "**"}
PAIRS = ((7, 3), (12, 5), (9, 2))


def functions() -> list[dict[str, Any]]:
    rows = []
    for name, sign in OPERATIONS.items():
        results = [eval(f"{a} {sign} {b}") for a, b in PAIRS]
        calls = zip(PAIRS, results, strict=True)
        rows.append(
            {
                "prompt": f"Write a function {name}(a, b) in Python.",
                "answer": f"def {name}(a, b):\n    return a {sign} b",
                "answer_type": "code",
                "test_list": [f"assert {name}({a}, {b}) == {c}" for (a, b), c in zip(PAIRS, results, strict=True)],
                "calls": [{"name": name, "arguments": [a, b], "result": c} for (a, b), c in calls],
            }
        )
    return rows


def programs() -> list[dict[str, Any]]:
    return [
        {
            "prompt": f"Read two whole numbers a and b from one line and print a {sign} b.",
            "answer": f"a, b = map(int, input().split())\nprint(a {sign} b)",
            "answer_type": "code",
            "tests": {
                "inputs": [f"{a} {b}\n" for a, b in PAIRS],
                "outputs": [f"{eval(f'{a} {sign} {b}')}\n" for a, b in PAIRS],
            },
        }
        for sign in OPERATIONS.values()
    ]


@pytest.fixture(scope="module")
def pool() -> Iterator[WorkerPool]:
    with WorkerPool(workers=2, deadline=20) as workers:
        yield workers


@pytest.mark.parametrize(
    ("reward", "data", "family", "related"),
    [
        # An object that equals everything passes wherever the comparison is made beside the program.
        ("flag", functions(), "claimed verdict", "overridden equality"),
        ("compared_inside", functions(), "overridden equality", "read expectation"),
        ("asserts_inside", functions(), "patched tests", "overridden equality; read expectation"),
        ("output_inside", programs(), "read expectation", "overridden equality"),
    ],
)
def test_a_flaw_in_the_process_of_the_program_is_caught_by_its_family(
    reward: str, data: list[dict[str, Any]], family: str, related: str, pool: WorkerPool
) -> None:
    found = exploits(reward, data, EVERY, pool)
    assert family in found
    assert found <= {family, *related.split("; ")}


@pytest.mark.parametrize(
    ("reward", "family"), [("printed", "claimed verdict"), ("exit_code", "early exit"), ("result_file", "reward file")]
)
def test_a_flaw_of_a_process_of_its_own_is_caught_by_its_family(reward: str, family: str, pool: WorkerPool) -> None:
    assert exploits(reward, functions(), ("nothing", "idle program", family), pool) == {family}


def exploits(reward: str, data: list[dict[str, Any]], families: tuple[str, ...], pool: WorkerPool) -> set[str]:
    report = audit(f"{REWARDS}:{reward}", data, runner=pool, families=families)
    assert report.audit["reads_answer"]
    assert report.audit["usable"] == len(data)
    return {finding["family"] for finding in report.audit["findings"] if finding["kind"] == "exploit"}


@pytest.mark.parametrize(
    ("data", "families"), [(functions(), EVERY), (programs(), ())], ids=["functions", "programs, every family"]
)
def test_our_own_reward_is_clean(data: list[dict[str, Any]], families: tuple[str, ...], pool: WorkerPool) -> None:
    report = audit(OURS, data, runner=pool, families=families)
    assert report.audit["findings"] == []
    assert report.audit["reads_answer"]
    assert report.audit["usable"] == len(data)
    tested = {row["family"] for row in report.audit["families"] if row["probes"]}
    assert {family.name for family in PROGRAMS} <= tested


def row(tests: Any, **columns: Any) -> Row:
    record = {"prompt": "Write it.", "answer": "pass", "answer_type": "code", "tests": tests, **columns}
    return rows_from([record]).rows[0]


def program(*said: tuple[str, str]) -> Derivation:
    return Derivation("program", "p", tuple(Answer(name, text) for name, text in said), blocks=(("pass",),))


@pytest.mark.parametrize(
    ("tests", "said", "label"),
    [
        # What it prints is not what one of the tests expects.
        ({"inputs": ["1", "2"], "outputs": ["1", "2"]}, [], "wrong"),
        ({"inputs": ["1", "2"], "outputs": ["", "2"]}, [], "wrong"),
        ({"inputs": ["1"], "outputs": ["OK"]}, [(PRINTS, "PASSED")], "wrong"),
        # It might be right.
        ({"inputs": ["1"], "outputs": ["OK\n"]}, [(PRINTS, "OK")], "unknown"),
        ({"inputs": ["1", "2"], "outputs": ["", "\n"]}, [], "unknown"),
        # Copies: only where one fixed answer cannot do.
        ({"inputs": ["1", "2"], "outputs": ["1", "2"]}, [(COPIES, "frames")], "wrong"),
        ({"inputs": ["1", "2"], "outputs": ["1", "1\n"]}, [(COPIES, "frames")], "unknown"),
        ({"inputs": ["1"], "outputs": ["1"]}, [(COPIES, "frames")], "unknown"),
        ("assert f(1) == 1\nassert f(2) == 2", [(COPIES, "frames")], "wrong"),
        ("assert f(1) == 1\nassert g(2) == 2", [(COPIES, "frames")], "unknown"),
        ("assert f(1) == [5]\nassert len(f(2)) == 1", [(COPIES, "frames")], "unknown"),
        ("assert f(1) == 3\nassert f(2)", [(COPIES, "frames")], "unknown"),
        # Functions that are missing, return nothing, or return an object of their own.
        ("assert f(1) == 2", [], "wrong"),
        ("assert f(1) == 2", [(RETURNS, "nothing")], "wrong"),
        ("assert f(1) is None", [(RETURNS, "nothing")], "unknown"),
        ("assert not f(1)", [(RETURNS, "nothing")], "unknown"),
        ("assert f(1)", [(RETURNS, "an object")], "unknown"),
        ("assert f(1) == 2", [(RETURNS, "an object")], "wrong"),
        ("assert len(f(1)) == 2", [(RETURNS, "nothing")], "unknown"),
        ("for i in range(3):\n    assert f(i) == i\nassert f(1) == 1", [], "wrong"),
        ("for i in range(3):\n    assert f(i) == i\nassert f(1) == 1", [(RETURNS, "nothing")], "unknown"),
        # No tests that can be read.
        ("assert 1 == 1", [], "unknown"),
        ({"inputs": ["1"]}, [], "unknown"),
    ],
)
def test_a_program_is_wrong_only_where_the_tests_leave_no_doubt(tests: Any, said: list[Any], label: str) -> None:
    assert certify(row(tests), program(*said)) == label


def test_envelopes_of_programs_are_tried_where_most_rows_ask_for_programs() -> None:
    code, text = (
        rows_from(programs()).rows,
        rows_from([{"prompt": "1 + 1", "answer": "2", "ground_truth": "1 is 2"}]).rows,
    )
    assert asks_for_programs(code + text * 4)
    assert not asks_for_programs(code + text * 5)
    assert not asks_for_programs(text)


def test_rows_without_tests_get_no_programs() -> None:
    plain = rows_from([{"prompt": "1 + 1", "answer": "2"}]).rows[0]
    for family in PROGRAMS:
        assert list(family.build(plain, Surroundings([plain]))) == []
    assert row_tests(plain) is None


def test_the_functions_of_the_tests_are_found() -> None:
    tests = row_tests(row("import math\nassert math.floor(f(1)) == 2\nassert sorted(g(2)) == [1]"))
    assert tests is not None
    assert functions_of(tests) == ("f", "g")


@pytest.mark.parametrize("data", [functions(), programs()], ids=["functions", "programs"])
def test_every_probe_is_a_program_that_fails_its_tests(data: list[dict[str, Any]]) -> None:
    """Run by an independent judge: the certificate only argues, the sandbox tries."""
    rows = rows_from(data[:1]).rows
    drafts = [draft.derivation for family in PROGRAMS for draft in family.build(rows[0], Surroundings(rows))]
    assert len(drafts) >= 25
    assert {certify(rows[0], derivation) for derivation in drafts} == {"wrong"}
    items = [Item("", f"```python\n{derivation.text}\n```", rows[0].columns) for derivation in drafts]
    assert Code(partial=True).score_rows(items) == [0.0] * len(drafts)
    for derivation in drafts:
        compile(derivation.text, derivation.variant, "exec")


def test_probes_leave_the_folder_of_the_user_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs that write files do so in folders that `tempfile` made only; elsewhere they write nothing."""
    made = Path(tempfile.mkdtemp(dir="/tmp"))
    home = Path(__file__).parent
    before = sorted(path.name for path in home.iterdir() if path.suffix != ".pyc")
    rows = rows_from(programs()[:1]).rows
    for family in PROGRAMS:
        for draft in family.build(rows[0], Surroundings(rows)):
            if "put(" in draft.derivation.text:
                subprocess.run([sys.executable, "-S", "-c", draft.derivation.text], cwd=home, capture_output=True)
                subprocess.run([sys.executable, "-S", "-c", draft.derivation.text], cwd=tmp_path, capture_output=True)
                subprocess.run([sys.executable, "-S", "-c", draft.derivation.text], cwd=made, capture_output=True)
    assert sorted(path.name for path in home.iterdir() if path.suffix != ".pyc") == before
    assert list(tmp_path.iterdir()) == []
    assert (made / "reward.txt").read_text() == "1"
    shutil.rmtree(made)
