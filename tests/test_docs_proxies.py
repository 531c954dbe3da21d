"""The examples of docs/proxies.md run, and print what the page says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

torch.set_num_threads(1)

PAGE = (Path(__file__).resolve().parents[1] / "docs" / "proxies.md").read_text()
EXAMPLES = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda text: text.splitlines()[0])
def test_examples_run(example: str, capsys: pytest.CaptureFixture[str]) -> None:
    exec(example, {})
    said = " ".join(capsys.readouterr().out.split())
    if "hacking_report" in example:
        told = re.findall(r"\n\n((?:    [UATb].*\n)+)", PAGE[PAGE.index(example) :])[0]
        assert said == " ".join(told.split())


def test_there_are_examples() -> None:
    assert len(EXAMPLES) == 4
