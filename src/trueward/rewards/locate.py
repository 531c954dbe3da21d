"""Finding the module of a reward: a file by its path, a module by its name, with errors that say what to do."""

from __future__ import annotations

import ast
import difflib
import importlib
import importlib.util
import os
import sys
import threading
import traceback
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from trueward.errors import MissingExtra, RewardError

_EXTRAS = {
    "trl": "audit",
    "reasoning_gym": "audit",
    "math_verify": "audit",
    "safetensors": "train",
    "torch": "train",
    "transformers": "train",
}
_PATIENCE = 60.0  # seconds to wait for another thread that is importing the same file

_files: dict[str, tuple[str, tuple[int, int]]] = {}  # private module name → path, (modified, size)
_guard = threading.Lock()
_importing: dict[str, tuple[int, threading.Event]] = {}  # path → thread, set when it is done


def file_of(module: str) -> str | None:
    """Path of a file that `module_at` imported under this private name; None for other modules."""
    entry = _files.get(module)
    return None if entry is None else entry[0]


def module_at(typed: str) -> ModuleType:
    """The module in a file, imported once under a private name, so that two files of one name do not clash.

    The file's folder is put in front of `sys.path`, as `python file.py` does. A file that has changed is imported anew.

    Args:
        typed: path of the file, as it was typed.

    Raises:
        RewardError: there is no such file, or importing it fails (with file and line).
        MissingExtra: it needs a library that comes with an extra.
    """
    path = Path(typed).expanduser()
    if not path.is_file():
        raise RewardError(_no_file(path, typed))
    real = str(path.resolve())
    for name, loaded in list(sys.modules.items()):
        # Through the dict: modules that import lazily may do anything when asked for an attribute.
        if name != "__main__" and name not in _files and getattr(loaded, "__dict__", {}).get("__file__") == real:
            return loaded
    with _one_at_a_time(real, typed):
        name = f"_trueward_file_{path.stem}_{zlib.crc32(os.fsencode(real)):08x}"
        about = path.stat()
        stamp = (about.st_mtime_ns, about.st_size)
        if name in sys.modules and _files.get(name) == (real, stamp):
            return sys.modules[name]
        return _import_file(name, real, stamp, typed)


def _import_file(name: str, real: str, stamp: tuple[int, int], typed: str) -> ModuleType:
    folder = os.path.dirname(real)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    spec = importlib.util.spec_from_file_location(name, real)
    if spec is None or spec.loader is None:
        raise RewardError(f"{typed!r} is not a Python file; expected 'file.py:name'")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    _files[name] = (real, stamp)
    try:
        spec.loader.exec_module(module)
    except BaseException as error:
        del sys.modules[name], _files[name]
        if isinstance(error, KeyboardInterrupt):
            raise
        raise _import_failed(error, real, typed) from error
    return module


def module_named(name: str, typed: str) -> ModuleType:
    """The module of this name; the current folder is searched too.

    Args:
        name: dotted name.
        typed: the address as it was typed, for messages.

    Raises:
        RewardError: there is no such module, or importing it fails.
        MissingExtra: it, or what it imports, comes with an extra that is not installed.
    """
    here = os.getcwd()
    if not {"", here} & set(sys.path):
        sys.path.append(here)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise _import_failed(error, "", typed) from error
        _raise_missing_extra(error.name, typed, error)
        raise RewardError(_no_module(name, error.name, typed)) from error
    except Exception as error:
        raise _import_failed(error, "", typed) from error


@contextmanager
def _one_at_a_time(real: str, typed: str) -> Iterator[None]:
    """Lets one thread import a file; refuses a file that asks for itself while it is imported."""
    mine = threading.get_ident()
    while True:
        with _guard:
            thread, done = _importing.get(real, (0, None))
            if done is None:
                done = threading.Event()
                _importing[real] = (mine, done)
                break
        if thread == mine or not done.wait(_PATIENCE):
            raise RewardError(
                f"{typed!r} is asked for while it is being imported: it starts an audit at its top level. Put that "
                "under 'if __name__ == \"__main__\":'"
            )
    try:
        yield
    finally:
        with _guard:
            del _importing[real]
        done.set()


def _no_file(path: Path, typed: str) -> str:
    if path.is_dir():
        return f"{typed!r} is a folder; expected a Python file, as in '{typed.rstrip(os.sep)}/rewards.py:name'"
    folder = path.parent
    if not folder.is_dir():
        return f"there is no file {typed!r}: no folder {str(folder)!r} in {os.getcwd()!r}"
    names = sorted(entry.name for entry in folder.iterdir() if entry.suffix == ".py")
    close = difflib.get_close_matches(path.name, names, n=3, cutoff=0.5)
    if close:
        return f"there is no file {typed!r}. Did you mean {' or '.join(repr(str(folder / name)) for name in close)}?"
    listed = f"the Python files there are {', '.join(names[:8])}" if names else "there is no Python file in that folder"
    return f"there is no file {typed!r}: {listed}"


def _no_module(name: str, missing: str, typed: str) -> str:
    as_file = Path(*name.split(".")).with_suffix(".py")
    if as_file.is_file():
        return f"{typed!r}: there is no module {missing!r}; for the file write '{as_file}:name'"
    what = f"no module {missing!r}" if missing == name else f"no module {name!r}, because there is no {missing!r}"
    return f"{typed!r}: there is {what}. Install it here, or give a file as 'file.py:name'"


def _raise_missing_extra(missing: str, typed: str, cause: BaseException) -> None:
    library = missing.partition(".")[0]
    if library in _EXTRAS and library == missing:
        raise MissingExtra(_missing_extra(library, typed)) from cause


def require(libraries: Iterable[str], typed: str) -> None:
    """Refuse to go on without libraries that come with an extra. None of them is imported.

    Args:
        libraries: their names.
        typed: the address as it was typed, for the message.

    Raises:
        MissingExtra: one is not installed; the message names the extra.
    """
    for library in libraries:
        try:
            missing = sys.modules.get(library) is None and importlib.util.find_spec(library) is None
        except (ImportError, ValueError) as error:
            raise MissingExtra(_missing_extra(library, typed)) from error
        if missing:
            raise MissingExtra(_missing_extra(library, typed))


def _missing_extra(library: str, typed: str) -> str:
    return f"{typed!r} needs {library}, which is not installed: pip install 'trueward[{_EXTRAS[library]}]'"


def _import_failed(error: BaseException, real: str, typed: str) -> Exception:
    """What to raise when code that is being imported raised."""
    if isinstance(error, RewardError | MissingExtra):
        return error
    if isinstance(error, ModuleNotFoundError) and error.name:
        try:
            _raise_missing_extra(error.name, typed, error)
        except MissingExtra as missing:
            return missing
    place = _place(error, real)
    said = str(error).splitlines()[0] if str(error) else ""
    if isinstance(error, SyntaxError):
        said = error.msg or said
    what = f"{type(error).__name__}: {said}" if said else type(error).__name__
    advice = ""
    if isinstance(error, ImportError) and "relative import" in str(error):
        advice = ". It belongs to a package: give it as 'package.module:name'"
    return RewardError(f"importing {typed!r} failed at {place}: {what}{advice}")


def _place(error: BaseException, real: str) -> str:
    """`file:line` in the user's file, and the innermost one where that is another."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}"
    frames = [f for f in traceback.extract_tb(error.__traceback__) if not f.filename.startswith("<frozen")]
    mine = [frame for frame in frames if frame.filename == real]
    shown = [f"{frame.filename}:{frame.lineno}" for frame in (*mine[-1:], *frames[-1:])]
    return " → ".join(dict.fromkeys(shown))


def functions_in(path: Path) -> list[str]:
    """Names of the public functions and classes that a file defines, read without running it."""
    try:
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return []
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return [node.name for node in tree.body if isinstance(node, kinds) and not node.name.startswith("_")]
