"""`trueward audit --images` as a user meets it: exit codes, files, and errors in one paragraph."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
from PIL import Image

import trueward.report
from trueward.cli.main import main

ROOT = Path(__file__).resolve().parents[1]
REWARDS = ROOT / "examples" / "image_rewards.py"
SCORERS = ROOT / "tests" / "audit" / "images" / "image_scorers.py"

_SCHEMA = json.loads(Path(trueward.report.__file__).with_name("audit.schema.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Digits as PNG files, enlarged, in one folder for each: what a user has."""
    spec = importlib.util.spec_from_file_location("image_rewards_of_examples", REWARDS)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    folder = tmp_path_factory.mktemp("images") / "digits"
    module.write_digits(folder, count=24, side=16)
    return folder


def test_three_flawed_rewards_fall_and_a_sound_one_stands(digits: Path, tmp_path: Path) -> None:
    page, out = tmp_path / "a.html", tmp_path / "a.json"
    rewards = [f"{REWARDS}:{name}" for name in ("brightness", "ink", "logit", "readable")]
    command = [
        sys.executable,
        "-m",
        "trueward.cli",
        "audit",
        *rewards,
        "--images",
        str(digits),
        "--deadline",
        "30",
        "--workers",
        "1",
    ]
    found = subprocess.run(
        [*command, "--html", str(page), "--json", str(out)], capture_output=True, text=True, timeout=300, cwd=ROOT
    )
    assert found.returncode == 1, found.stderr
    assert "3 of 4 rewards pay what they should not, or fail" in found.stdout
    document = json.loads(out.read_text())
    jsonschema.Draft202012Validator(_SCHEMA).validate(document)
    verdicts = {audit["reward"].rpartition(":")[2]: audit["verdict"] for audit in document["audits"]}
    assert verdicts == {"brightness": "findings", "ink": "findings", "logit": "findings", "readable": "clean"}
    families = {
        audit["reward"].rpartition(":")[2]: {one["family"] for one in audit["findings"]} for audit in document["audits"]
    }
    assert "constant" in families["brightness"] and "borders" in families["ink"] and "growth" in families["logit"]
    run = document["audits"][0]["images"]
    assert (run["images"], run["sizes"], run["prompts"]) == (24, "16 × 16", 8)
    said = page.read_text()
    assert said.count('src="data:image/png;base64,') == sum(len(one["images"]["sheets"]) for one in document["audits"])
    assert "img-src data:;" in said


def test_one_reward_at_length_and_against_itself(
    digits: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "a.json"
    command = ["audit", f"{REWARDS}:ink", "--images", str(digits), "--prompts", "16"]
    held = ["--holdout", f"{REWARDS}:readable", "--workers", "1"]
    assert main([*command, *held, "--deadline", "30", "--json", str(out)]) == 1
    said = " ".join(capsys.readouterr().out.split())
    assert "16 images of 16 × 16 pixels" in said
    assert re.search(r"✗ constant \+[\d.]+ \(\+[\d.]+ to \+[\d.]+\) 16 of 16 white", said)
    assert "image constant, white" in said and "made from" in said
    assert "rises where" in said
    assert "right answer" not in said and "completion" not in said
    # The same again, against what was found: nothing is new.
    assert main([*command, "--deadline", "30", "--baseline", str(out)]) == 0


def test_a_clean_reward_ends_with_0(digits: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        main(["audit", f"{REWARDS}:like_real_ones", "--images", str(digits), "--deadline", "30", "--workers", "1"]) == 0
    )
    assert "nothing that spoils an image raises the reward" in " ".join(capsys.readouterr().out.split())


def test_github_gets_one_line_a_finding(digits: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["audit", f"{SCORERS}:mean", "--images", str(digits), "--prompts", "8", "--format", "github"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines and all(line.startswith("::error ") for line in lines)
    assert any("one even colour (white)" in line for line in lines)


def test_what_cannot_be_audited_ends_with_2_and_one_paragraph(
    digits: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    empty, broken, one = (tmp_path / name for name in ("empty", "broken", "one"))
    for folder in (empty, broken, one):
        folder.mkdir()
    (broken / "a.png").write_bytes(b"no image")
    Image.new("RGB", (16, 16)).save(one / "a.png")
    ink = f"{REWARDS}:ink"
    cases = [
        (["audit", ink, "--images", str(tmp_path / "nowhere")], "does not exist; --images needs a folder of images"),
        (["audit", ink, "--images", str(empty)], "holds no image; expected files that end with"),
        (["audit", ink, "--images", str(broken)], "a.png: cannot be read as an image"),
        (["audit", ink, "--images", str(one)], "1 image are too few to audit with; at least 8"),
        (["audit", f"{SCORERS}:of_words", "--images", str(digits)], "none of its parameters is named images"),
        (["audit", f"{SCORERS}:raises", "--images", str(digits)], "raised: ValueError: this model was not loaded"),
        (["audit", f"{SCORERS}:by_column", "--images", str(digits)], "needs the column 'bonus'"),
        (["audit", f"{SCORERS}:nowhere", "--images", str(digits)], "has no 'nowhere'"),
        (["audit", ink, "--images", str(digits), "--data", "a.jsonl"], "--data: only for rewards of text"),
        (["audit", ink, "--images", str(digits), "--env", "CartPole-v1"], "give one of them"),
        (["audit", ink, "--holdout", ink], "needs a folder of them: give --images"),
        (["audit", ink, "--images", str(digits), "--holdout", ink], "is the audited reward itself"),
        (["audit", ink, "--images", str(digits), "--prompts", "3"], "most=3 (at least 8)"),
        (["audit", ink, "--images", str(digits), "--prompts", "8", "--expect-correctness"], "does not read the prompt"),
    ]
    for arguments, said in cases:
        assert main(arguments) == 2, arguments
        told = capsys.readouterr()
        assert said in told.err, told.err
        assert told.err.strip().startswith("trueward: ") and "Traceback" not in told.err


def test_of_several_rewards_one_that_cannot_be_audited_stops_no_other(
    digits: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    several = [f"{SCORERS}:raises", f"{SCORERS}:mean"]
    assert main(["audit", *several, "--images", str(digits), "--prompts", "8"]) == 1
    said = " ".join(capsys.readouterr().out.split())
    assert "1 not audited" in said and "1 of 2 rewards pays what it should not" in said
