"""The record of a run names the code that made it."""

from __future__ import annotations

import importlib.metadata
import platform
import subprocess
from pathlib import Path

import pytest

from trueward.evidence import provenance


def test_versions_are_those_of_the_environment() -> None:
    found = provenance.versions()
    assert found["python"] == platform.python_version()
    assert found["numpy"] == importlib.metadata.version("numpy")


def test_the_commit_of_a_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def git(*arguments: str) -> str:
        who = ("-c", "user.name=n", "-c", "user.email=n@example.org")
        return subprocess.run(
            ["git", *who, *arguments], cwd=tmp_path, check=True, capture_output=True, text=True
        ).stdout.strip()

    def commit() -> str | None:
        provenance.commit.cache_clear()
        return provenance.commit()

    source = tmp_path / "provenance.py"
    monkeypatch.setattr(provenance, "__file__", str(source))
    assert commit() is None
    git("init", "-q")
    source.touch()
    (tmp_path / "other").touch()
    git("add", "other")
    git("commit", "-q", "-m", "first")
    assert commit() is None  # a checkout, but not of this file: an installed copy inside it
    git("add", ".")
    git("commit", "-q", "-m", "second")
    assert commit() == git("rev-parse", "HEAD")
    source.write_text("changed")
    assert commit() == git("rev-parse", "HEAD") + "+changes"
    provenance.commit.cache_clear()
