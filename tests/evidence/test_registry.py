"""Recipes are found by name, and by the name of their module."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest
import toy_recipe

from trueward.errors import EvidenceError
from trueward.evidence.registry import get, load, module_of, recipes_in


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    name = f"recipes_of_{tmp_path.name}"
    folder = tmp_path / name
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "bed.py").write_text("SIZE = 3\n")
    for recipe in ("walk", "run"):
        (folder / f"{recipe}.py").write_text(
            f"import dataclasses, toy_recipe\nRECIPE = dataclasses.replace(toy_recipe.RECIPE, name={recipe!r})\n"
        )
    monkeypatch.syspath_prepend(tmp_path)
    return name


def test_finds_every_recipe_of_a_package(package: str) -> None:
    found = recipes_in(package)
    assert list(found) == ["run", "walk"]
    assert get("walk", package) is found["walk"]


def test_a_typo_is_told(package: str) -> None:
    with pytest.raises(EvidenceError, match="did you mean walk"):
        get("wlak", package)
    with pytest.raises(EvidenceError, match="there are: run, walk"):
        get("zzz", package)


def test_two_recipes_of_one_name_are_refused(package: str, tmp_path: Path) -> None:
    (tmp_path / package / "again.py").write_text((tmp_path / package / "run.py").read_text())
    with pytest.raises(EvidenceError, match="two recipes"):
        recipes_in(package)


def test_a_recipe_is_found_again_by_its_module(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = get("walk", package)
    assert module_of(found) == f"{package}.walk"
    assert load(f"{package}.walk") is found
    # Whoever else has it under that name does not count.
    holder = sys.modules.pop("toy_recipe")
    monkeypatch.setitem(sys.modules, "imported_before", ModuleType("imported_before"))
    monkeypatch.setitem(sys.modules, "toy_recipe", holder)
    monkeypatch.setattr(sys.modules["imported_before"], "RECIPE", toy_recipe.RECIPE, raising=False)
    assert module_of(toy_recipe.RECIPE) == "toy_recipe"


def test_what_cannot_be_loaded(package: str) -> None:
    with pytest.raises(EvidenceError, match="holds no recipe"):
        load(f"{package}.bed")
    with pytest.raises(EvidenceError, match="cannot be imported"):
        load("no_such_module_anywhere")
    with pytest.raises(EvidenceError, match="cannot be imported"):
        recipes_in("no_such_package")
