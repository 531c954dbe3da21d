"""Where a reward is defined, found without running it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from trueward.rewards.source import place_of, source_of

SOURCE = '''"""Rewards."""
raise SystemExit("this file must not be run")


def first(completion): ...


class Box:
    async def inner(self, completion): ...


second = first


def first(completion): ...
'''


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "pack").mkdir()
    path = tmp_path / "pack" / "rewards.py"
    path.write_text(SOURCE)
    return path


@pytest.mark.parametrize(
    ("name", "line"), [("first", 15), ("Box", 8), ("Box(k=3)", 8), ("Box.inner", 9), ("second", 12), ("missing", 1)]
)
def test_lines_of_definitions(file: Path, name: str, line: int) -> None:
    found = source_of(f"{file}:{name}")
    assert found is not None and (found.file, found.line) == (file, line)


def test_modules_are_found_on_the_search_path(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(file.parents[1]), *sys.path])
    found = source_of("pack.rewards:second")
    assert found is not None and (found.file, found.line, found.folder) == (file, 12, file.parents[1])
    assert "pack.rewards" not in sys.modules


def test_a_hardened_reward_is_where_the_reward_is(file: Path) -> None:
    found = source_of(f"trueward.rewards.harden:Hardened(reward='{file}:first', template='', reads_answer=False)")
    assert found is not None and found.line == 15


@pytest.mark.parametrize(
    "address",
    ["reasoning_gym:gcd", "nowhere.py:reward", "no_such_module:x", "no colon", "hf:x/y", "http://127.0.0.1:1/x"],
)
def test_what_has_no_source_has_none(address: str) -> None:
    assert source_of(address) is None


def test_broken_source_has_no_lines(tmp_path: Path) -> None:
    path = tmp_path / "broken.py"
    path.write_text("def reward(:\n")
    assert source_of(f"{path}:reward") is None


def test_places_are_told_from_the_root_and_only_below_it(file: Path, tmp_path: Path) -> None:
    assert place_of(f"{file}:second", tmp_path) == ("pack/rewards.py", 12)
    assert place_of(f"{file}:second", tmp_path / "elsewhere") is None
