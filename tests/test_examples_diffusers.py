"""The scripts of diffusers take two steps with tiny random models, and name what they miss."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest
import torch

torch.set_num_threads(1)

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
NAMES = ("gdro", "seppo", "artifact_reward", "euphonium")


def run(name: str, *arguments: str) -> None:
    sys.argv = [f"diffusers_{name}.py", *arguments]
    runpy.run_path(str(EXAMPLES / f"diffusers_{name}.py"), run_name="__main__")


@pytest.fixture(autouse=True)
def _arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", [])


@pytest.mark.parametrize("name", NAMES)
def test_two_steps_with_a_tiny_model(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(name, "--tiny", "--directory", str(tmp_path / "run"))
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == ["step 0", "step 1", "step 2"]
    assert "nan" not in lines[2] and len(lines[2].split()) > 3
    assert (tmp_path / "run" / "lora" / "pytorch_lora_weights.safetensors").is_file()


@pytest.mark.parametrize(("name", "missing"), [("seppo", "--images"), ("artifact_reward", "--judge")])
def test_what_is_missing_is_told(name: str, missing: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        run(name)
    assert stopped.value.code == 2 and missing in capsys.readouterr().err


def test_there_is_one_script_per_method() -> None:
    assert {path.stem for path in EXAMPLES.glob("diffusers_*.py")} == {f"diffusers_{name}" for name in NAMES}
