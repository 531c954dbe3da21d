"""The examples of docs/generators.md run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

torch.set_num_threads(1)

PAGE = (Path(__file__).resolve().parents[1] / "docs" / "generators.md").read_text()
EXAMPLES = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_examples_run(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    exec(EXAMPLES[number], {})
    said = capsys.readouterr().out
    if "shifted=True" in EXAMPLES[number]:
        assert said.strip() == "True"
    if "reward_function" in EXAMPLES[number]:
        assert said.strip() == "[51.0, 51.0]"
    if "save_lora" in EXAMPLES[number]:
        assert list((tmp_path / "lora").iterdir())


def test_there_are_examples() -> None:
    assert len(EXAMPLES) == 5


@pytest.mark.parametrize("path", re.findall(r"\]\(([^)#:]+)\)", PAGE))
def test_links_lead_somewhere(path: str) -> None:
    assert (Path(__file__).resolve().parents[1] / "docs" / path).exists()
