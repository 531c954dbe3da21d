"""Paired randomness, and folders that are shared: built once, whole, whoever dies."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from trueward.errors import EvidenceError
from trueward.evidence.run import Run


def make(root: Path, arm: str = "a", seed: int = 0) -> Run:
    return Run("toy", arm, "smoke", seed, {}, root / "toy" / "smoke" / f"seed-{seed}" / arm)


def test_arms_of_a_seed_draw_alike(tmp_path: Path) -> None:
    a, b, other = make(tmp_path, "a"), make(tmp_path, "b"), make(tmp_path, "a", seed=1)
    assert a.generator("task").random(4).tolist() == b.generator("task").random(4).tolist()
    assert a.seed_for("task") == b.seed_for("task") != other.seed_for("task")
    assert a.seed_for("task") != a.seed_for("policy")
    # `printf 0:task | sha256sum`: the first 16 digits are 3d3ffd3a12a929c3, halved.
    assert a.seed_for("task") == 0x3D3FFD3A12A929C3 // 2


SCRIPT = """
import os, signal, sys, time
from pathlib import Path
from trueward.evidence.run import Run
root, how = Path(sys.argv[1]), sys.argv[2]
run = Run("toy", how, "smoke", 0, {}, root / "toy" / "smoke" / "seed-0" / how)
def build(folder):
    with (root / "builds.txt").open("a") as file:
        file.write(how + chr(10))
    (folder / "first").write_text("1" * 10_000)
    if how == "dies":
        (folder / "only of the dead").write_text("x")
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.3)
    (folder / "second").write_text("2")
folder = run.shared("warm start", {"size": 1}, build)
print(folder, (folder / "second").read_text())
"""


def start(root: Path, how: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", SCRIPT, str(root), how], stdout=subprocess.PIPE, text=True)


def test_processes_that_ask_at_once_build_once(tmp_path: Path) -> None:
    processes = [start(tmp_path, f"arm {number}") for number in range(4)]
    answers = {process.communicate(timeout=60)[0] for process in processes}
    assert len(answers) == 1 and answers.pop().endswith(" 2\n")
    assert len((tmp_path / "builds.txt").read_text().splitlines()) == 1


def test_a_build_that_is_killed_leaves_nothing_half_built(tmp_path: Path) -> None:
    dead = start(tmp_path, "dies")
    assert dead.wait(timeout=60) == -signal.SIGKILL
    shared = tmp_path / "toy" / "shared" / "seed-0"
    assert [path for path in shared.iterdir() if not path.name.startswith(".")] == []
    assert any(shared.rglob("only of the dead"))  # it did die in the middle
    answer, _ = start(tmp_path, "lives").communicate(timeout=60)
    [folder] = [path for path in shared.iterdir() if not path.name.startswith(".")]
    assert answer == f"{folder} 2\n"
    assert sorted(path.name for path in folder.iterdir()) == ["first", "key.json", "second"]
    assert (tmp_path / "builds.txt").read_text() == "dies\nlives\n"


def test_what_is_shared_depends_on_name_seed_and_settings_alone(tmp_path: Path) -> None:
    built: list[Path] = []
    first = make(tmp_path, "a").shared("model", {"size": 1, "deep": [1]}, built.append)
    assert make(tmp_path, "b").shared("model", {"deep": [1], "size": 1}, built.append) == first
    others = [
        make(tmp_path, "a").shared("model", {"size": 2, "deep": [1]}, built.append),
        make(tmp_path, "a").shared("critic", {"size": 1, "deep": [1]}, built.append),
        make(tmp_path, "a", seed=1).shared("model", {"size": 1, "deep": [1]}, built.append),
    ]
    assert len({first, *others}) == 4 == len(built)
    assert json.loads((first / "key.json").read_text()) == {
        "name": "model",
        "seed": 0,
        "settings": {"size": 1, "deep": [1]},
    }


def test_a_build_that_raises_is_tried_again(tmp_path: Path) -> None:
    def broken(folder: Path) -> None:
        raise ArithmeticError("broken")

    with pytest.raises(ArithmeticError):
        make(tmp_path).shared("model", {}, broken)
    folder = make(tmp_path).shared("model", {}, lambda folder: (folder / "weights").touch())
    assert (folder / "weights").exists()


def test_refuses_settings_that_are_no_json_and_names_that_are_no_file(tmp_path: Path) -> None:
    with pytest.raises(EvidenceError, match="JSON"):
        make(tmp_path).shared("model", {"path": tmp_path}, lambda folder: None)
    with pytest.raises(EvidenceError, match="plain name"):
        make(tmp_path).shared("../model", {}, lambda folder: None)
