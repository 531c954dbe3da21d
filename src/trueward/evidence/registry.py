"""Finds recipes by name. A recipe is the value `RECIPE` of a module; its heavy libraries load when it runs."""

from __future__ import annotations

import difflib
import importlib
import pkgutil
import sys
from types import ModuleType

from trueward.errors import EvidenceError
from trueward.evidence.recipe import Recipe


def recipes_in(package: str) -> dict[str, Recipe]:
    """Every recipe of a package, by name, in the order of their names.

    Args:
        package: its full name. The harness does not import the recipes on its own account: whoever calls it says where
            they are.

    Raises:
        EvidenceError: the package cannot be imported, or two of its recipes have one name.
    """
    found: dict[str, Recipe] = {}
    for name in _modules(package):
        recipe = getattr(_imported(name), "RECIPE", None)
        if not isinstance(recipe, Recipe):
            continue
        if recipe.name in found:
            raise EvidenceError(f"two recipes in {package} are named {recipe.name!r}")
        found[recipe.name] = recipe
    return dict(sorted(found.items()))


def get(name: str, package: str) -> Recipe:
    """The recipe with this name.

    Raises:
        EvidenceError: there is none; the message names those that are close.
    """
    found = recipes_in(package)
    if name in found:
        return found[name]
    close = difflib.get_close_matches(name, found, n=3)
    hint = f"did you mean {' or '.join(close)}?" if close else f"there are: {', '.join(found) or 'none'}"
    raise EvidenceError(f"there is no recipe {name!r}; {hint}")


def load(module: str) -> Recipe:
    """The recipe of a module, by the name that `module_of` gave.

    Raises:
        EvidenceError: the module cannot be imported or holds no recipe.
    """
    recipe = getattr(_imported(module), "RECIPE", None)
    if not isinstance(recipe, Recipe):
        raise EvidenceError(f"module {module!r} holds no recipe: it needs a value RECIPE")
    return recipe


def module_of(recipe: Recipe) -> str | None:
    """The module under whose name another process finds this recipe; None where there is none."""
    # First the module of its function: others may have imported the recipe by its name.
    for name in (recipe.run.__module__, *sys.modules.copy()):
        module = sys.modules.get(name)
        # vars, because some modules import what is asked of them.
        if name != "__main__" and module is not None and vars(module).get("RECIPE") is recipe:
            return name
    return None


def _modules(package: str) -> list[str]:
    folder = _imported(package)
    return [module.name for module in pkgutil.iter_modules(folder.__path__, prefix=f"{package}.")]


def _imported(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise EvidenceError(f"module {name!r} cannot be imported: {error}") from error
