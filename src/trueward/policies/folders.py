"""Folders of a saved model that appear whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole_folder(folder: str | Path) -> Iterator[Path]:
    """An empty folder beside `folder`, which takes its place when the block ends without an error.

    Raises:
        FileExistsError: there is a file of that name, or a folder that holds no saved model.
    """
    target = Path(folder).expanduser().resolve()
    if target.exists() and not (target / "config.json").is_file() and not _is_empty_folder(target):
        raise FileExistsError(f"{str(target)!r} is no saved model and is not overwritten; give another folder")
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    replaced = target.with_name(f".{target.name}.{os.getpid()}.old")
    try:
        yield temporary
        if target.exists():
            target.rename(replaced)
        temporary.rename(target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        shutil.rmtree(replaced, ignore_errors=True)


def _is_empty_folder(path: Path) -> bool:
    return path.is_dir() and not any(path.iterdir())
