"""Acts right after a module has been imported, whoever imports it."""

from __future__ import annotations

import importlib.abc
import importlib.util
import sys
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType


class _Loader(importlib.abc.Loader):
    """The loader that was found, and what follows it."""

    def __init__(self, found: importlib.abc.Loader, then: Callable[[], None]) -> None:
        self.found, self.then = found, then

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self.found.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        module.__loader__ = self.found
        if module.__spec__ is not None:
            module.__spec__.loader = self.found
        self.found.exec_module(module)
        self.then()


class _Finder(importlib.abc.MetaPathFinder):
    """Finds one module as everybody else does, and steps aside afterwards."""

    def __init__(self, name: str, then: Callable[[], None]) -> None:
        self.name, self.then = name, then

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != self.name:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(fullname)
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader, self.then)
        return spec


def after_import(name: str, then: Callable[[], None]) -> None:
    """Call a function once a module has been executed; at once where it has been already.

    What the function raises is raised by the import, where it can be seen.

    Args:
        name: of the module.
        then: what follows.
    """
    module = sys.modules.get(name)
    if module is not None and not getattr(module.__spec__, "_initializing", False):
        then()
    else:
        sys.meta_path.insert(0, _Finder(name, then))
