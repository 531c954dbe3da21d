"""Back ends of the sandbox: how a process gets namespaces of its own, and which of them work on this machine.

- bubblewrap: `bwrap`, a small program made for this.
- namespaces: the same system calls, made by the sandbox's own interpreter.

Both show a program the interpreter's standard library and nothing else. As root a program runs under a user id that
nobody else has; otherwise in a user namespace of its own.
"""

from __future__ import annotations

import functools
import itertools
import os
import platform
import re
import shutil
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path
from typing import Any

BARE = "none: runs untrusted code bare"
_LIBRARIES = ("/lib", "/lib64", "/lib32", "/usr/lib", "/usr/lib64", "/usr/lib32")
# Not /dev/zero: shared memory can be made of it.
_DEVICES = ("/dev/null", "/dev/random", "/dev/urandom")
_count = itertools.count()


@dataclass(frozen=True)
class BackEnd:
    """One way to make a sandbox.

    Attributes:
        name: "bubblewrap", "namespaces", or the name that admits to having none.
        privileged: whether it uses root's rights; otherwise a user namespace.
    """

    name: str
    privileged: bool = False

    @property
    def isolates(self) -> bool:
        """False for the one that only sets limits."""
        return self.name != BARE

    @property
    def title(self) -> str:
        """For messages."""
        return f"{self.name} as root" if self.privileged else self.name

    @property
    def counts_processes(self) -> bool:
        """True when the kernel counts the processes of one sandbox apart from all others."""
        if self.privileged:
            return True
        # Root's processes are not counted; before Linux 5.14 those of all of a user's namespaces were counted together.
        return self.isolates and os.geteuid() != 0 and _kernel() >= (5, 14)

    def unenforced(self, has_filter: bool) -> tuple[str, ...]:
        """The limits that this machine cannot enforce under this back end, in words."""
        if not self.isolates:
            return ("network", "files", "processes", "memory of all processes together", "what runs on", "system calls")
        missing = [] if has_filter else ["system calls"]
        if not self.counts_processes:
            missing.append("processes (counted 20 times a second instead)")
        if self.name == "bubblewrap":
            missing.append("number of temporary files (their size is limited)")
        return tuple(missing)


def candidates() -> list[BackEnd]:
    """Every back end that might work here, the preferred first."""
    rights = [True, False] if os.geteuid() == 0 else [False]
    names = ["bubblewrap", "namespaces"] if shutil.which("bwrap") else ["namespaces"]
    return [BackEnd(name, privileged) for name in names for privileged in rights] if sys.platform == "linux" else []


def _kernel() -> tuple[int, int]:
    found = re.match(r"(\d+)\.(\d+)", platform.release())
    return (int(found[1]), int(found[2])) if found else (0, 0)


def own_user() -> int | None:
    """A user id for one sandbox that no account and no other sandbox has; None without root's rights."""
    if os.geteuid() != 0:
        return None
    with open("/proc/self/uid_map") as file:
        first, _, length = (int(word) for word in file.readline().split())
    place = os.getpid() * 64 + next(_count) % 64
    if first == 0 and length > (1 << 30) + (1 << 29):
        return (1 << 30) + place % (1 << 29)
    # A container with few user ids: the highest below `nobody`.
    return first + length - 3 - place % max(1, min(4096, length // 4))


def interpreter() -> str:
    """The interpreter itself, not the link to it in a virtual environment."""
    return os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable)


@functools.cache
def shown(extra: tuple[str, ...] = ()) -> tuple[tuple[str, str], ...]:
    """What a program gets to see: (path, "folder", "file", "link", "device" or "empty"), outer folders first.

    Args:
        extra: further folders that programs may import from.
    """
    paths: dict[str, str] = {}
    # In a virtual environment one of the two is its own folder, which holds nothing of the standard library.
    own = sys.prefix != sys.base_prefix
    standard = [path for path in map(sysconfig.get_path, ("stdlib", "platstdlib")) if not own or not _below(path)]
    outside = [] if sys.base_prefix in ("/usr", "/") else [os.path.join(sys.base_prefix, "lib")]
    for path in (*_LIBRARIES, *outside, *(path for path in standard if path)):
        if os.path.islink(path):
            paths[path] = "link"
        elif os.path.isdir(path):
            paths[path] = "folder"
    for path in (interpreter(), "/etc/ld.so.cache", *_loaded_libraries()):
        if os.path.isfile(path) and not _inside(path, paths):
            paths[path] = "file"
    for path in standard:
        for packages in ("site-packages", "dist-packages"):
            hidden = os.path.join(path or "", packages)
            if os.path.isdir(hidden) and not any(f"{one}/".startswith(f"{hidden}/") for one in extra):
                paths[hidden] = "empty"
    paths |= {path: "device" for path in _DEVICES if os.path.exists(path)}
    paths |= {os.path.abspath(path): "folder" for path in extra}
    kept = {path: kind for path, kind in paths.items() if kind != "folder" or not _inside(path, paths) or path in extra}
    return tuple(kept.items())


def _below(path: str | None) -> bool:
    return bool(path) and f"{path}/".startswith(f"{sys.prefix}/")


def _inside(path: str, paths: dict[str, str]) -> bool:
    return any(kind == "folder" and path != outer and path.startswith(outer + "/") for outer, kind in paths.items())


def _loaded_libraries() -> list[str]:
    """Shared libraries that this interpreter itself is linked with, such as libpython."""
    try:
        lines = Path("/proc/self/maps").read_text().splitlines()
    except OSError:
        return []
    found = {line.split(maxsplit=5)[5] for line in lines if "libpython" in line and line.count("/")}
    return sorted(path for path in found if path.startswith("/"))


def command(back_end: BackEnd, settings: dict[str, Any], filter_fd: int | None, start: str) -> list[str]:
    """The command line that starts the sandbox's interpreter, which then runs `start`.

    Args:
        back_end: which.
        settings: as `sandbox_inside` takes them.
        filter_fd: descriptor from which bubblewrap reads the seccomp filter.
        start: the first lines of Python.
    """
    # No site packages, no writing of bytecode, UTF-8 whatever the locale, and only the standard library on the path.
    python = [interpreter(), "-P", "-s", "-S", "-B", "-X", "utf8", "-c", start]
    if back_end.name != "bubblewrap":
        return python
    options = ["--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"]
    options += ["--die-with-parent", "--new-session", "--hostname", "sandbox", "--cap-drop", "ALL"]
    if back_end.privileged:
        options += ["--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]
    else:
        options += ["--unshare-user", "--uid", "65534", "--gid", "65534"]
    options += ["--perms", "1777", "--size", str(settings["disk"]), "--tmpfs", "/tmp"]
    made = {"/tmp"}
    for path, kind in settings["shown"]:
        # Left to itself, bubblewrap makes the folders above a file readable for root alone.
        for above in reversed(Path(path).parents[:-1]):
            if str(above) not in made and not _inside(str(above) + "/.", dict(settings["shown"])):
                made.add(str(above))
                options += ["--dir", str(above)]
        if kind == "link":
            options += ["--symlink", os.readlink(path), path]
        elif kind == "empty":
            options += ["--size", "4096", "--tmpfs", path, "--remount-ro", path]
        else:
            options += ["--dev-bind" if kind == "device" else "--ro-bind", path, path]
    options += ["--remount-ro", "/", "--chdir", "/tmp"]
    if filter_fd is not None:
        options += ["--seccomp", str(filter_fd)]
    return [str(shutil.which("bwrap")), *options, "--", *python]
