r"""The sandbox: runs a program that nobody trusts, without network, without files, and within limits.

    with sandbox().start() as session:
        session.ask({"kind": "inputs", "program": "print(input()[::-1])", "inputs": ["abc"], "output": 1000})
        session.reply()      # b"ok\ncba\n"

A program has process, network, IPC, host-name and mount namespaces of its own, a root that holds the standard library
read-only and a small folder for temporary files, no privileges and no way to any, and a user id of its own (as root) or
a user namespace (otherwise). When its session ends, the kernel kills every process in it. What the platform cannot
enforce is named in `Sandbox.unenforced`. Reference: bubblewrap's README, "Sandboxing"; `man 7 namespaces`.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence
from dataclasses import dataclass, field

from trueward.errors import RewardError, Unavailable
from trueward.rewards.runner.sandbox_back_ends import BARE, BackEnd, candidates
from trueward.rewards.runner.sandbox_filter import seccomp_filter
from trueward.rewards.runner.sandbox_limits import Limits
from trueward.rewards.runner.sandbox_session import Session

__all__ = ["BARE", "Limits", "Sandbox", "Session", "sandbox", "working"]


@dataclass(frozen=True)
class Sandbox:
    """A back end with its limits.

    Attributes:
        back_end: how processes are isolated.
        limits: what they may use.
        folders: further folders that programs may read and import from.
    """

    back_end: BackEnd
    limits: Limits = field(default_factory=Limits)
    folders: tuple[str, ...] = ()

    @property
    def unenforced(self) -> tuple[str, ...]:
        """The limits that this platform cannot enforce, in words; () when all hold."""
        return self.back_end.unenforced(seccomp_filter() is not None)

    def start(self) -> Session:
        """A process that is ready for one program.

        Raises:
            Unavailable: it cannot be started, which is never the program's fault.
        """
        return Session(self)


@functools.cache
def working() -> tuple[BackEnd, ...]:
    """The back ends that work on this machine, the preferred first. Each is tried once per process."""
    return tuple(back_end for back_end in candidates() if _trouble(back_end) is None)


def sandbox(name: str = "auto", limits: Limits | None = None, folders: Sequence[str] = ()) -> Sandbox:
    """The sandbox to use on this machine.

    Args:
        name: "auto" for the first back end that works, "bubblewrap" or "namespaces" for one of them, or the name
            "none: runs untrusted code bare", which sets limits and isolates nothing.
        limits: what programs may use.
        folders: further folders that programs may read and import from.

    Raises:
        RewardError: none works, the named one does not work, or there is no such name.
    """
    if name not in ("auto", "bubblewrap", "namespaces", BARE):
        raise RewardError(f"sandbox {name!r} is not one of 'auto', 'bubblewrap', 'namespaces', {BARE!r}")
    missing = [folder for folder in folders if not os.path.isdir(folder)]
    if missing:
        raise RewardError(f"the sandbox cannot show {missing[0]!r}: there is no such folder")
    visible = tuple(os.path.abspath(folder) for folder in folders)
    named = [BackEnd(BARE)] if name == BARE else [one for one in candidates() if name in ("auto", one.name)]
    for back_end in named:
        if name == BARE or _trouble(back_end) is None:
            return Sandbox(back_end, limits or Limits(), visible)
    tried = "; ".join(f"{one.title}: {_trouble(one)}" for one in named)
    raise RewardError(
        f"programs that a model wrote run in a sandbox only, and none works here ({tried or 'this is not Linux'}). "
        "Install bubblewrap (apt install bubblewrap, dnf install bubblewrap), or allow user namespaces (a container: "
        f"--security-opt seccomp=unconfined, or --privileged). To run them unprotected all the same: sandbox={BARE!r}"
    )


_TRIAL = "import os; print(sorted(os.listdir('/')), os.path.exists('/etc/passwd'), os.getpid() <= 4, os.getuid() != 0)"


@functools.cache
def _trouble(back_end: BackEnd) -> str | None:
    """Why a back end does not work, or None: it runs a program, and the program sees what it should."""
    try:
        with Sandbox(back_end, Limits(seconds=10.0)).start() as session:
            session.ask({"kind": "inputs", "program": _TRIAL, "inputs": [""], "output": 4096})
            reply = session.reply() or b""
    except Unavailable as error:
        return str(error)
    seen = reply.decode("utf-8", "replace")
    isolated = seen.endswith("False True True\n") and "'proc'" not in seen and "'home'" not in seen
    return None if isolated else f"a program was not isolated: {' '.join(seen.split())[:200] or 'it said nothing'}"
