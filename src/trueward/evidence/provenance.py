"""What code a run was made with: versions of the libraries that decide numbers, and the commit where there is one."""

from __future__ import annotations

import functools
import importlib.metadata
import platform
import subprocess
from pathlib import Path

_DISTRIBUTIONS = ("trueward", "numpy", "scipy", "torch", "transformers", "ray")


@functools.cache
def versions() -> dict[str, str]:
    """Versions of Python and of the libraries that are installed; nothing is imported."""
    found = {"python": platform.python_version()}
    for name in _DISTRIBUTIONS:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


@functools.cache
def commit() -> str | None:
    """The git commit that this code stands at, with "+changes" where files differ from it; None outside a checkout."""
    folder = Path(__file__).resolve().parent
    head = _git(folder, "rev-parse", "HEAD")
    # An installed copy may lie inside somebody else's checkout.
    if head is None or _git(folder, "ls-files", "--error-unmatch", Path(__file__).name) is None:
        return None
    changed = _git(folder, "status", "--porcelain", "--untracked-files=no")
    return head + ("+changes" if changed else "")


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
