"""Folders that are built once, whole, however many processes ask for them and whenever one is killed."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a file lock; whoever comes second waits. The system drops it when its holder dies.

    The file stays: deleting it would let two processes hold locks on two files of one name.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def build_once(folder: Path, build: Callable[[Path], None]) -> Path:
    """The folder, built by `build` unless it is there.

    It is filled under another name and renamed when it is done, so that it exists whole or not at all. What a killed
    build left is thrown away by the next one, which holds the lock and so knows that nobody works on it.

    Args:
        folder: its final name.
        build: fills an empty folder. What it raises is passed on, and the next caller builds again.
    """
    if folder.is_dir():
        return folder
    with locked(folder.with_name(f".{folder.name}.lock")):
        if folder.is_dir():
            return folder
        unfinished = folder.with_name(f".{folder.name}.building")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir()
        build(unfinished)
        unfinished.rename(folder)
    return folder
