"""Written tests: they fail on the flawed reward, pass on the mended one, and hold nothing but text of completions."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import trueward
from trueward.audit.report import Report
from trueward.audit.written_tests import source_of_tests, write_tests
from trueward.errors import AuditError

ROWS = [{"prompt": f"Question {chr(97 + i)}: work it out.", "answer": str(21 + 3 * i)} for i in range(8)]

# A reward with its mended twin, and what the audit says of it.
PLANTED = {
    "contains": (
        "return float(answer in completion)",
        "return float(completion.strip() == answer)",
        {"exploit"},
    ),
    "keywords": (
        "return float(completion.split()[-1:] == [answer]) + 0.3 * ('verified' in completion)",
        "return float(completion.strip() == answer)",
        {"gain"},
    ),
    "fragile": (
        "return float(int(completion) == int(answer)) if completion.strip() else 0.0",
        "return float(completion.strip() == answer)",
        {"failure"},
    ),
    "lenient": (
        "return float(completion.strip() == answer) or 0.6 * (not any(c.isalnum() for c in completion.strip() or 'x'))",
        "return float(completion.strip() == answer)",
        {"failure"},
    ),
    "drifting": (
        "CALLS.append(1); return float(completion == answer) + 1e-4 * len(CALLS)",
        "return float(completion == answer)",
        {"failure"},
    ),
    "verbatim": (
        "return float(completion == answer)",
        "return float(re.sub(r'\\$|\\.0$', '', completion) == answer)",
        {"refusal"},
    ),
    "choosy": (
        "return float(completion == answer and int(answer) < 42)",
        "return float(completion == answer)",
        {"refusal"},
    ),
    "cheap": (
        "return 1.0 if completion == answer else 0.95 * (completion == '0')",
        "return float(completion == answer)",
        {"cheap"},
    ),
}


def source(mended: bool) -> str:
    bodies = {name: planted[mended] for name, planted in PLANTED.items()}
    functions = (f"def {name}(completion, answer):\n    {body}\n" for name, body in bodies.items())
    return "import re\nCALLS = []\n\n\n" + "\n\n".join(functions)


def audit(address: str, **settings: Any) -> Report:
    return trueward.audit(address, ROWS, **{"workers": 1, **settings})


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the flawed rewards and the tests of all of them."""
    folder = tmp_path_factory.mktemp("written")
    (folder / "src").mkdir()
    (folder / "tests").mkdir()
    (folder / "src" / "rewards.py").write_text(source(mended=False))
    reports = []
    for name, (_, _, kinds) in PLANTED.items():
        report = audit(f"{folder}/src/rewards.py:{name}", strict=name == "verbatim")
        assert kinds <= {finding["kind"] for finding in report.audit["findings"]}, name
        reports.append(report)
    assert write_tests(reports, folder / "tests" / "test_reward.py") > len(PLANTED)
    return folder


def run_tests(folder: Path, *arguments: str) -> dict[str, str]:
    """Outcome of every test of the folder, in a pytest of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-rA", "--tb=no", "-p", "no:cacheprovider", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
    )
    lines = [line.split(" - ")[0].split() for line in done.stdout.splitlines() if line.startswith(("PASSED", "FAILED"))]
    assert lines and "ERROR" not in done.stdout, done.stdout + done.stderr
    return {line[1].partition("::")[2]: line[0] for line in lines}


def test_they_fail_on_the_flawed_rewards_and_pass_on_the_mended_ones(written: Path) -> None:
    flawed = run_tests(written)
    assert set(flawed.values()) == {"FAILED"}
    methods = {node.attr for node in ast.walk(ast.parse((written / "tests" / "test_reward.py").read_text()))
               if isinstance(node, ast.Attribute) and node.attr.startswith("assert_")}  # fmt: skip
    expected = {"not_paid", "paid", "no_gain", "scored", "same"}
    assert methods == {f"assert_{name}" for name in expected}
    (written / "src" / "rewards.py").write_text(source(mended=True))
    try:
        # From the folder of the tests, too: what they name is found from where they lie.
        mended = run_tests(written / "tests", "test_reward.py")
    finally:
        (written / "src" / "rewards.py").write_text(source(mended=False))
    assert set(mended.values()) == {"PASSED"}
    assert set(mended) == set(flawed)


def test_the_file_pleases_ruff(written: Path) -> None:
    path = str(written / "tests" / "test_reward.py")
    for arguments in (["check", "--isolated", "--select", "E,F,W,I,UP,B,SIM,RUF,PT,Q,N", "--line-length", "100"],
                      ["format", "--isolated", "--check"]):  # fmt: skip
        done = subprocess.run(["ruff", *arguments, path], capture_output=True, text=True, env={"PATH": _bin()})
        assert done.returncode == 0, done.stdout + done.stderr


def _bin() -> str:
    return str(Path(sys.executable).parent)


def test_the_same_audit_gives_the_same_file(tmp_path: Path) -> None:
    (tmp_path / "rewards.py").write_text(source(mended=False))
    reports = [audit(f"{tmp_path}/rewards.py:contains", families=("hedge", "near miss")) for _ in range(2)]
    first, second = (source_of_tests([report], tmp_path / "test_reward.py")[0] for report in reports)
    assert first == second
    assert str(tmp_path) not in first


def test_a_clean_audit_leaves_the_tests_of_an_earlier_one(tmp_path: Path) -> None:
    (tmp_path / "rewards.py").write_text(source(mended=True))
    path = tmp_path / "test_reward.py"
    path.write_text("# kept\n")
    report = audit(f"{tmp_path}/rewards.py:contains", families=("hedge",))
    assert report.clean
    assert write_tests(report, path) == 0
    assert path.read_text() == "# kept\n"


def test_a_reward_without_an_address_cannot_be_tested_by_a_file(tmp_path: Path) -> None:
    report = trueward.audit(lambda completion, answer: float(answer in completion), ROWS, families=("hedge",))
    with pytest.raises(AuditError, match="no address"):
        write_tests(report, tmp_path / "test_reward.py")
    assert not list(tmp_path.iterdir())


def test_hostile_rows_and_completions_are_only_text(tmp_path: Path) -> None:
    (tmp_path / "rewards.py").write_text(source(mended=False))
    hostile = '"""\nimport os\nos.abort()\n"""\\\u202e\u2028\x1b[2J\' {REWARD} %s'
    rows = [
        {**row, "prompt": f"{hostile} {index}", "hint": [hostile, {hostile: None}]} for index, row in enumerate(ROWS)
    ]
    report = trueward.audit(f"{tmp_path}/rewards.py:contains", rows, workers=1, families=("hedge", "echo"))
    path = tmp_path / "test_reward.py"
    assert write_tests(report, path) > 0
    text = path.read_text()
    assert all(char.isprintable() for char in text.replace("\n", ""))
    calls = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)]
    told = {getattr(call.func, "attr", getattr(call.func, "id", "")) for call in calls}
    assert told <= {"assert_not_paid", "str", "resolve", "Path"}
    prompts = [
        ast.literal_eval(keyword.value) for call in calls for keyword in call.keywords if keyword.arg == "prompt"
    ]
    assert prompts and all(prompt.startswith(hostile) for prompt in prompts)
    assert set(run_tests(tmp_path).values()) == {"FAILED"}


def test_modules_chat_messages_and_templates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pack").mkdir()
    (tmp_path / "tests").mkdir()
    (tmp_path / "pack" / "__init__.py").write_text("")
    body = "return [float(f'Result: {a}' in c[0]['content']) for c, a in zip(completions, solution)]"
    (tmp_path / "pack" / "my_rewards.py").write_text(f"def chat(completions, solution, **columns):\n    {body}\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    report = audit("pack.my_rewards:chat", template="Result: {answer}", families=("hedge",))
    assert write_tests(report, tmp_path / "tests" / "test_chat.py") > 0
    text = (tmp_path / "tests" / "test_chat.py").read_text()
    assert re.search(r'right=\[\{"role": "assistant", "content": "Result: \d\d"\}\],', text)
    assert re.search(r'"solution": "\d\d"', text)
    assert set(run_tests(tmp_path / "tests").values()) == {"FAILED"}
    (tmp_path / "pack" / "my_rewards.py").write_text(
        f"def chat(completions, solution, **columns):\n    {body.replace(' in ', ' == ', 1)}\n"
    )
    assert set(run_tests(tmp_path / "tests").values()) == {"PASSED"}


def test_reasoning_gym_sets(tmp_path: Path) -> None:
    report = trueward.audit("reasoning_gym:fraction_simplification", prompts=6, workers=1, families=("hedge",))
    if report.clean:  # a new release of reasoning-gym
        pytest.fail("the sample set of this test has no finding any more: choose another one")
    assert write_tests(report, tmp_path / "test_gym.py") > 0
    assert set(run_tests(tmp_path).values()) == {"FAILED"}
