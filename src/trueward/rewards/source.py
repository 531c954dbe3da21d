"""Where a reward is defined: file and line, read without running anything."""

from __future__ import annotations

import ast
import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from trueward.errors import RewardError
from trueward.rewards.address import Address, parse

_HARDENED = ("trueward.rewards.harden", "Hardened")
_ELSEWHERE = ("reasoning_gym", "hf", "http", "https")


@dataclass(frozen=True)
class Source:
    """A place in the source.

    Attributes:
        file: the file.
        line: line of the definition, counted from 1; 1 where the file does not define the reward itself.
        folder: for a module, the folder from which its name is found; None for a file.
    """

    file: Path
    line: int
    folder: Path | None = None


def source_of(address: str) -> Source | None:
    """Where the reward at an address is defined; None where that is no Python source that can be read.

    A hardened reward is defined where the reward that it hardens is.

    Example:
        >>> source_of("trueward.rewards.source:source_of").file.name
        'source.py'
    """
    try:
        parts = parse(address)
    except RewardError:
        return None
    if (parts.place, parts.name) == _HARDENED:
        inner = _hardened(parts)
        return None if inner is None else source_of(inner)
    if parts.place in _ELSEWHERE:
        return None
    folder = None
    path = Path(parts.place).expanduser()
    if not parts.is_file:
        found = _module(parts.place)
        if found is None:
            return None
        path, folder = found
    try:
        body: Iterable[ast.stmt] = ast.parse(path.read_bytes()).body
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    return Source(path, _line(body, parts.name.split(".")), folder)


def place_of(address: str, root: Path) -> tuple[str, int] | None:
    """File, as a path below `root` with slashes, and line; None for what is defined elsewhere."""
    source = source_of(address)
    if source is None or not source.file.resolve().is_relative_to(root.resolve()):
        return None
    return source.file.resolve().relative_to(root.resolve()).as_posix(), source.line


def _hardened(parts: Address) -> str | None:
    positional, named = parts.arguments or ((), {})
    inner = named.get("reward", positional[0] if positional else None)
    return inner if isinstance(inner, str) else None


def _module(name: str) -> tuple[Path, Path] | None:
    """File of a module, and the folder of the search path that it lies in."""
    for folder in dict.fromkeys([*sys.path, os.getcwd()]):
        base = Path(folder or ".").joinpath(*name.split("."))
        for path in (base / "__init__.py", base.with_suffix(".py")):
            if path.is_file():
                return path, Path(folder or ".")
    return None


def _line(body: Iterable[ast.stmt], names: list[str]) -> int:
    """Line of the last definition of the first name, and of the others inside it; 1 when there is none."""
    found = 1
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and node.name == names[0]:
            inner = _line(node.body, names[1:]) if len(names) > 1 and isinstance(node, ast.ClassDef) else 1
            found = inner if inner > 1 else node.lineno
        elif isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == names[0] for t in node.targets):
            found = node.lineno
    return found
