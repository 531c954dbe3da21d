"""The package as it is installed: what importing it costs, what the wheel holds, that shapes are checked."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import numpy as np
import pytest
from jaxtyping import TypeCheckError

import trueward
from trueward.batch import Part
from trueward.status import Status

ROOT = Path(__file__).resolve().parents[1]
HEAVY = ("torch", "numpy", "trl", "transformers", "rich", "jinja2", "tyro", "pyarrow", "math_verify", "reasoning_gym")


def modules_after(code: str) -> set[str]:
    program = f"{code}\nimport json, sys\nprint(json.dumps(sorted({{name.partition('.')[0] for name in sys.modules}})))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_importing_the_package_imports_nothing_heavy() -> None:
    loaded = modules_after("import trueward")
    assert "trueward" in loaded
    assert loaded.isdisjoint(HEAVY)


def test_the_check_above_sees_what_is_imported() -> None:
    assert "numpy" in modules_after("import trueward\ntrueward.Rollouts")


def test_the_command_line_and_the_audit_need_no_torch() -> None:
    assert modules_after("import trueward.cli, trueward.audit.api").isdisjoint({"torch", "trl", "transformers"})


def test_the_version_is_the_same_everywhere() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == trueward.__version__
    assert f"## [{trueward.__version__}]" in (ROOT / "CHANGELOG.md").read_text()


def test_the_constraints_pin_what_the_project_asks_for_and_nothing_of_one_machine() -> None:
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if line and not line.startswith("#")]
    assert all(line.count("==") == 1 and not set(line) & set("/@+ ") for line in lines)
    pinned = {line.partition("==")[0].lower().replace("_", "-") for line in lines}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = (
        project["dependencies"] + project["optional-dependencies"]["audit"] + project["optional-dependencies"]["dev"]
    )
    assert {need.partition(">=")[0].lower().replace("_", "-") for need in asked} <= pinned
    assert "torch" in pinned


def test_the_wheel_holds_what_the_package_reads(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(ROOT)]
    subprocess.run(command, capture_output=True, check=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    package = ROOT / "src" / "trueward"
    data = [file for file in package.rglob("*") if file.is_file() and file.suffix not in (".py", ".pyc")]
    assert {file.name for file in data} >= {"py.typed", "audit.schema.json"}
    assert any(file.parent.name == "templates" for file in data)
    assert {file.relative_to(package.parent).as_posix() for file in data} <= names
    assert not any(name.startswith(("tests", "examples")) for name in names)


def test_shapes_and_types_are_checked_while_tests_run() -> None:
    assert Part(np.array([1.0]), [Status.OK]).values.shape == (1,)
    # Nothing but the annotation objects to integers.
    with pytest.raises(TypeCheckError, match="values"):
        Part(np.array([1]), [Status.OK])
