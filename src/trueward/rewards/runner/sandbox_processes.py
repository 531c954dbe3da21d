"""The processes of a sandbox, seen from outside through /proc: who they are, what they use, and when they are dead."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence

_PAGE = os.sysconf("SC_PAGE_SIZE")
_MOST = 10_000


def descendants(pid: int) -> list[int]:
    """Every process below `pid`, as far as the kernel tells."""
    found: list[int] = []
    waiting = [pid]
    while waiting and len(found) < _MOST:
        with contextlib.suppress(OSError):
            one = waiting.pop()
            for thread in os.listdir(f"/proc/{one}/task"):
                with open(f"/proc/{one}/task/{thread}/children") as file:
                    children = [int(word) for word in file.read().split()]
                found += children
                waiting += children
    return found


def death_descriptors(pids: Sequence[int]) -> list[int]:
    """Descriptors that become readable when these processes are dead; those that are dead already are left out."""
    found = []
    for pid in pids:
        with contextlib.suppress(OSError):
            found.append(os.pidfd_open(pid))
    return found


def used_by(pid: int) -> tuple[int, int]:
    """Resident memory of a process and everything below it, in bytes, and how many processes these are."""
    everybody = [pid, *descendants(pid)]
    resident = 0
    for one in everybody:
        with contextlib.suppress(OSError, IndexError, ValueError), open(f"/proc/{one}/statm") as file:
            words = file.read().split()
            # Pages shared with the interpreter's files are counted once per process at most by the limit itself.
            resident += (int(words[1]) - int(words[2])) * _PAGE
    return resident, len(everybody)
