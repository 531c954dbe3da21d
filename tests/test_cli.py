"""The command line as a user meets it: exit codes, files, and errors without a traceback."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAIRS = ROOT / "tests" / "audit" / "pairs.py"
FLAWS = PAIRS.with_name("flaws.py")


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
        (["audit", f"{PAIRS}:last_box", f"{PAIRS}:word", "--data", "DATA", "--write-tests", "t.py"], "audit one"),
        (["audit", f"{PAIRS}:last_box", "--data", "DATA", "--baseline", "nowhere.json"], "nowhere.json"),
        (["audit", f"{PAIRS}:last_box", "--rollouts", "nowhere.parquet"], "nowhere.parquet"),
        (["curve", "DATA", "--proxy", "reward", "--gold", "correct"], "reward"),
        (["harden"], "name a reward"),
        (["audit", "http://user:secret@127.0.0.1:9/score", "--data", "DATA"], "TRUEWARD_REWARD_TOKEN"),
    ],
)
def test_errors_are_one_paragraph_and_exit_2(arguments: list[str], words: str, data: Path) -> None:
    done = trueward(*[str(data) if argument == "DATA" else argument for argument in arguments])
    assert done.returncode == 2, done.stdout + done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_search_tests_and_baseline(data: Path, tmp_path: Path) -> None:
    """A flaw is found, written as tests that fail, and forgiven by a baseline until another one comes."""
    reward = tmp_path / "rewards.py"
    shutil.copy(FLAWS, reward)
    tests, before = tmp_path / "test_reward.py", tmp_path / "before.json"
    address = f"{reward}:sign_before_brackets"
    options = ["--data", str(data), "--search", "2000"]
    found = trueward("audit", address, *options, "--json", str(before), "--write-tests", str(tests))
    assert found.returncode == 1, found.stderr
    assert "'-' before it" in found.stdout
    run = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tests)]
    flawed = subprocess.run(run, capture_output=True, text=True, timeout=300, cwd=tmp_path)
    assert flawed.returncode == 1, flawed.stdout
    again = trueward("audit", address, *options, "--baseline", str(before), "--format", "github")
    assert again.returncode == 0, again.stderr
    assert again.stdout.startswith("::notice ")
    # The mended reward passes the tests; one with another flaw falls back from the baseline.
    source = reward.read_text()
    lost = 'fullmatch(r"[-+]?\\((\\d+)\\)|(-?\\d+)"'
    assert lost in source
    reward.write_text(source.replace(lost, 'fullmatch(r"\\((\\d+)\\)|(-?\\d+)"'))
    mended = subprocess.run(run, capture_output=True, text=True, timeout=300, cwd=tmp_path)
    assert mended.returncode == 0, mended.stdout
    reward.write_text(
        source.replace("def sign_before_brackets", "def other").replace("def cut_off", "def sign_before_brackets")
    )
    fallen = trueward(
        "audit", address, "--data", str(data), "--search", "2000", "--baseline", str(before), "--format", "github"
    )
    assert fallen.returncode == 1, fallen.stdout + fallen.stderr
    assert "::error " in fallen.stdout


def test_curve(tmp_path: Path) -> None:
    samples = tmp_path / "samples.jsonl"
    lines = [{"prompt": f"p{p}", "reward": s / 4, "correct": float(s == 1)} for p in range(12) for s in range(4)]
    samples.write_text("".join(json.dumps(line) + "\n" for line in lines))
    html, out = tmp_path / "c.html", tmp_path / "c.json"
    options = ["--proxy", "reward", "--gold", "correct", "--html", str(html), "--json", str(out)]
    done = trueward("curve", str(samples), *options)
    assert done.returncode == 0, done.stderr
    [curve] = json.loads(out.read_text())["curves"]
    assert curve["n"] == [1, 2, 4]
    # The best of two of 0, .25, .5, .75 is .25 with probability 1/6, .5 with 2/6, .75 with 3/6.
    assert curve["proxy_mean"] == pytest.approx([0.375, (0.25 + 2 * 0.5 + 3 * 0.75) / 6, 0.75])
    assert curve["gold_mean"] == pytest.approx([0.25, 1 / 6, 0.0])
    assert "reward" in done.stdout and "<svg" in html.read_text()


def test_harden_prints_before_and_after(data: Path) -> None:
    done = trueward("harden", f"{PAIRS}:hash_number_last", "--data", str(data))
    assert done.returncode == 0, done.stderr
    assert "hash_number_last" in done.stdout and "→" in done.stdout


def test_a_log_of_a_run(tmp_path: Path) -> None:
    log = tmp_path / "1.jsonl"
    lines = [
        {"input": f"What is {n} + 1?", "output": text, "gts": str(n + 1), "score": 1.0, "step": 1}
        for n in range(8)
        for text in (f"The answer is {n + 1}.", f"The answer is not {n + 1}.")
    ]
    log.write_text("".join(json.dumps(line) + "\n" for line in lines))
    done = trueward("audit", f"{PAIRS}:hash_number_last", "--rollouts", str(log), "--answer-type", "int")
    assert done.returncode == 1, done.stderr
    assert "8 of 16" in done.stdout


def test_help_names_the_exit_codes() -> None:
    done = trueward("audit", "--help")
    assert done.returncode == 0
    assert "2 could not be audited" in done.stdout
