"""What the README shows runs as it stands."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
SCRIPTS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


@pytest.mark.parametrize("number", range(len(SCRIPTS)))
def test_scripts_run(number: int, tmp_path: Path) -> None:
    # In a folder of its own, because some write.
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    done = subprocess.run(
        [sys.executable, "-c", SCRIPTS[number]], capture_output=True, text=True, timeout=120, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr


def test_there_are_scripts_and_every_file_it_names_is_there() -> None:
    assert len(SCRIPTS) == 5
    for path in re.findall(r"\]\(([^)#:]+)\)", README) + re.findall(r"(examples/[\w.]+)", README):
        assert (ROOT / path).exists(), path


def test_addresses_resolve() -> None:
    from trueward.rewards.address import expand, load

    placeholders = {"rewards.py:my_reward", "my_scorers.py:score", "hf:path/to/reward-model"}
    control = {"examples/control_rewards.py:steady_cart"}
    for address in set(re.findall(r"trueward audit ('[^']+'|[\w./:-]+)", README)) - placeholders - control:
        for one in expand(address.strip("'"))[:1]:
            assert load(one).score_rows


def test_the_example_of_training_runs(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples" / "train.py"), str(tmp_path / "run")],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    rewards = [float(found) for found in re.findall(r"reward ([\d.]+)", done.stdout)]
    wanted = [float(found) for found in re.findall(r"wanted ([\d.]+)", done.stdout)]
    assert rewards[-1] > rewards[0] + 0.1
    assert wanted[-1] < wanted[0]
