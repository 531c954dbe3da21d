"""The example of docs/images.md runs, and prints what the page says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from trueward.audit.images.perturbations import FAMILIES

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "images.md").read_text(encoding="utf-8")
[EXAMPLE] = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)


def test_the_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(ROOT / "examples"))
    exec(EXAMPLE, {})
    [told] = re.findall(r"^# (.*)$", EXAMPLE, flags=re.MULTILINE)
    assert capsys.readouterr().out.strip() == told


def test_the_page_names_every_family() -> None:
    for family in FAMILIES:
        assert family in PAGE.replace("shuffled pixels", "shuffled"), family


@pytest.mark.parametrize("path", re.findall(r"\]\(([^)#:]+)\)", PAGE))
def test_links_lead_somewhere(path: str) -> None:
    assert (ROOT / "docs" / path).exists()
