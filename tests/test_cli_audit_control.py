"""`trueward audit --env` as a user meets it: exit codes, files, and errors in one paragraph."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

import trueward.report
from trueward.cli.main import main

ROOT = Path(__file__).resolve().parents[1]
REWARDS = ROOT / "examples" / "control_rewards.py"
ARRIVED, BALANCED = f"{REWARDS}:arrived", f"{REWARDS}:balanced"
GRID = ("--env", "CliffWalking-v1", "--gold", ARRIVED, "--steps", "0", "--horizon", "100", "--starts", "5")
CART = ("--env", "CartPole-v1", "--gold", BALANCED, "--horizon", "100", "--starts", "8", "--steps", "8192")

_SCHEMA = json.loads(Path(trueward.report.__file__).with_name("audit.schema.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("flawed", "mended", "said"),
    [
        ("near_the_goal", "nearer_to_the_goal", "pays more for staying than for finishing"),
        ("checkpoint", "checkpoint_as_potential", "a lap of 2 steps earns .2 every time"),
        ("saturated_sensor", "whole_sensor", "is at its highest value where gold is far"),
        ("unnormalised_shaping", "normalised_shaping", "because of its part 'shaping'"),
    ],
)
def test_the_examples_fall_and_their_mended_twins_stand(
    flawed: str, mended: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["audit", f"{REWARDS}:{flawed}", *GRID]) == 1
    assert said in " ".join(capsys.readouterr().out.split())
    assert main(["audit", f"{REWARDS}:{mended}", *GRID]) == 0
    assert "clean" in capsys.readouterr().out


def test_a_pole_that_had_better_fall_and_one_that_had_better_stand(tmp_path: Path) -> None:
    page, out = tmp_path / "a.html", tmp_path / "a.json"
    command = [sys.executable, "-m", "trueward.cli", "audit", f"{REWARDS}:steady_cart", *CART, "--seeds", "1"]
    fallen = subprocess.run(
        [*command, "--html", str(page), "--json", str(out)], capture_output=True, text=True, timeout=300, cwd=ROOT
    )
    assert fallen.returncode == 1, fallen.stderr
    assert "pays more for ending the episode early than for going on" in fallen.stdout
    assert page.name in fallen.stdout
    document = json.loads(out.read_text())
    jsonschema.Draft202012Validator(_SCHEMA).validate(document)
    assert document["exit_code"] == 1
    assert document["audits"][0]["control"]["environment"] == "CartPole-v1"
    assert "What optimising the reward did" in page.read_text()
    # The same again, against what was found: nothing is new.
    assert main([*command[3:], "--baseline", str(out)]) == 0
    assert main(["audit", f"{REWARDS}:steady_standing_cart", *CART, "--seeds", "1"]) == 0


def test_several_rewards_give_one_table_and_github_its_commands(capsys: pytest.CaptureFixture[str]) -> None:
    names = [f"{REWARDS}:checkpoint", f"{REWARDS}:no_such_reward", "environment"]
    assert main(["audit", *names, *GRID]) == 1
    table = " ".join(capsys.readouterr().out.split())
    assert "1 of 3 rewards pays what it should not" in table
    assert "1 clean" in table and "1 not audited" in table
    assert main(["audit", names[0], *GRID, "--format", "github"]) == 1
    assert capsys.readouterr().out.startswith("::error ")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([f"{REWARDS}:arrived", "--env", "CliffWalkin-v1"], "'CliffWalking'"),
        ([f"{REWARDS}:arrived", "--gold", ARRIVED], "--env"),
        ([f"{REWARDS}:arrived", *GRID, "--data", "x.jsonl", "--search", "5"], "--data, --search"),
        ([f"{REWARDS}:no_such_reward", *GRID], "no_such_reward"),
        ([f"{REWARDS}:arrived", *GRID[:2], "--gold", f"{REWARDS}:no_such_gold"], "no_such_gold"),
        ([f"{REWARDS}:arrived", *GRID, "--discount", "1.5"], "discount=1.5"),
        ([f"{REWARDS}:balanced", *GRID[:2], "--gold", f"{REWARDS}:balanced", "--steps", "-3"], "steps=-3"),
    ],
)
def test_errors_are_one_paragraph_and_exit_2(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["audit", *arguments]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.strip().startswith("trueward: ") and "Traceback" not in error


@pytest.mark.parametrize("env", ["MiniGrid-Empty-5x5-v0", "minigrid:MiniGrid-Empty-5x5-v0", "Reacher-v5"])
def test_environments_of_other_libraries(env: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["audit", "environment", "--env", env, "--steps", "0", "--horizon", "5", "--starts", "5"]) == 0
    assert f"in {env}" in capsys.readouterr().out


def test_a_factory_in_a_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "envs.py").write_text(
        "import gymnasium\n\n\ndef make():\n    return gymnasium.make('FrozenLake-v1', is_slippery=False)\n"
    )
    command = ["audit", "environment", "--env", "envs.py:make", "--gold", "environment"]
    assert main([*command, "--steps", "0", "--horizon", "40"]) == 0
    assert "envs.py:make" in capsys.readouterr().out


def test_the_script_of_the_page_runs() -> None:
    page = (ROOT / "docs" / "control_audit.md").read_text(encoding="utf-8")
    [script] = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "False pays more for staying than for finishing"
