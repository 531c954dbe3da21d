"""The command line as a user meets it: exit codes, files, and errors without a traceback."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAIRS = ROOT / "tests" / "audit" / "pairs.py"


def trueward(*arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "trueward.cli", *arguments], capture_output=True, text=True, timeout=300, cwd=cwd
    )


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "data.jsonl"
    lines = ({"prompt": f"Question {chr(97 + i)}: work it out.", "answer": str(11 + 3 * i)} for i in range(8))
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def test_clean_findings_and_files(data: Path, tmp_path: Path) -> None:
    clean = trueward("audit", f"{PAIRS}:last_box", "--data", str(data))
    assert clean.returncode == 0, clean.stderr
    assert "clean" in clean.stdout
    html, out = tmp_path / "a.html", tmp_path / "a.json"
    found = trueward("audit", f"{PAIRS}:last_box_first", "--data", str(data), "--html", str(html), "--json", str(out))
    assert found.returncode == 1, found.stderr
    assert str(html.name) in found.stdout
    assert json.loads(out.read_text())["exit_code"] == 1
    assert html.read_text().startswith("<!doctype html>")


def test_several_rewards_give_one_table(data: Path) -> None:
    done = trueward(
        "audit",
        f"{PAIRS}:last_box",
        f"{PAIRS}:last_box_first",
        "reasoning_gym:gcd",
        "--data",
        str(data),
        "--prompts",
        "5",
    )
    assert done.returncode == 1, done.stderr
    for name in ("last_box", "last_box_first", "reasoning_gym:gcd"):
        assert name in done.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["audit", "nowhere.py:reward", "--data", "DATA"], "nowhere.py"),
        (["audit"], "at least one reward"),
        (["audit", "no_colon", "--data", "DATA"], "file.py:name"),
        (["audit", f"{PAIRS}:missing", "--data", "DATA"], "missing"),
        (["audit", f"{PAIRS}:last_box"], "--data"),
        (["audit", f"{PAIRS}:last_box", "--data", "nowhere.jsonl"], "nowhere.jsonl"),
        (["audit", f"{PAIRS}:last_box", "--data", "DATA", "--html", "no/such/folder/a.html"], "folder"),
        (["audit", f"{PAIRS}:last_box", "--data", "DATA", "--template", "nothing"], "{answer}"),
        (["audit", "reasoning_gym:no_such_set"], "no_such_set"),
    ],
)
def test_errors_are_one_paragraph_and_exit_2(arguments: list[str], words: str, data: Path) -> None:
    done = trueward(*[str(data) if argument == "DATA" else argument for argument in arguments])
    assert done.returncode == 2, done.stdout + done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_help_names_the_exit_codes() -> None:
    done = trueward("audit", "--help")
    assert done.returncode == 0
    assert "2 could not be audited" in done.stdout
