"""What a sandbox's own interpreter does first: leave the world of the host, then lower its limits.

Sent to the interpreter as code, so that no file of this package is visible inside. To start in milliseconds it uses
modules in C only, and `ctypes` only where it makes the namespaces itself. All of it is done before the program runs.
"""

from __future__ import annotations

import os
import sys

# What this module needs for its annotations would double the time that the interpreter takes to start.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_NEW_MOUNTS, _NEW_CONTROL_GROUPS, _NEW_HOST_NAME, _NEW_IPC = 0x00020000, 0x02000000, 0x04000000, 0x08000000
_NEW_USERS, _NEW_PROCESSES, _NEW_NETWORK = 0x10000000, 0x20000000, 0x40000000
_READ_ONLY, _NO_SET_UID, _NO_DEVICES, _NO_EXECUTION, _REMOUNT, _BIND, _RECURSIVE = 1, 2, 4, 8, 32, 4096, 16384
_PRIVATE, _DETACH = 1 << 18, 2
_DEATH_SIGNAL, _DUMPABLE, _SECCOMP, _NO_NEW_PRIVILEGES = 1, 4, 22, 38
_MOUNT_SETATTR, _PIVOT_ROOT = 442, {"x86_64": 155, "aarch64": 41}
_OLD = "/.old"


class _Kernel:
    """System calls that Python does not offer. A call that fails raises OSError with its name."""

    def __init__(self) -> None:
        import ctypes

        self.ctypes = ctypes
        self.library = ctypes.CDLL(None, use_errno=True)

    def call(self, name: str, *arguments: Any) -> None:
        unsigned = [self.ctypes.c_ulong(a) if isinstance(a, int) else a for a in arguments]
        if getattr(self.library, name)(*unsigned) < 0:
            number = self.ctypes.get_errno()
            raise OSError(number, f"{name} failed: {os.strerror(number)}")

    def mount(self, source: str | None, target: str, kind: str | None, flags: int, options: str | None = None) -> None:
        texts = [text.encode() if text is not None else None for text in (source, target, kind)]
        self.call("mount", *texts, flags, options.encode() if options else None)

    def bind(self, source: str, target: str) -> None:
        """Show `source`, with whatever is mounted in it, at `target`, read-only."""
        self.mount(source, target, None, _BIND | _RECURSIVE)
        # struct mount_attr: set, clear, propagation, user namespace
        attributes = b"".join(part.to_bytes(8, "little") for part in (_READ_ONLY | _NO_SET_UID | _NO_DEVICES, 0, 0, 0))
        try:
            self.call("syscall", _MOUNT_SETATTR, -100, target.encode(), 0x8000, attributes, len(attributes))
        except OSError:  # a kernel before 5.12
            kept = os.statvfs(target).f_flag & (_NO_EXECUTION | 1024 | 2048 | 4096)
            flags = {1024: 1024, 2048: 2048, 4096: 1 << 21}
            kept = (kept & _NO_EXECUTION) | sum(flag for bit, flag in flags.items() if kept & bit)
            self.mount(None, target, None, _REMOUNT | _BIND | _READ_ONLY | _NO_SET_UID | _NO_DEVICES | kept)


def enter_namespaces(settings: dict[str, Any]) -> None:
    """Leave the host's namespaces and files; the process that returns is the first one of the new process namespace.

    The calling process stays outside, waits, and ends as the first one did.
    """
    kernel = _Kernel()
    kernel.call("prctl", _DEATH_SIGNAL, 9, 0, 0, 0)
    if os.getppid() != settings["parent"]:
        os._exit(1)
    user, group = os.geteuid(), os.getegid()
    flags = _NEW_MOUNTS | _NEW_PROCESSES | _NEW_NETWORK | _NEW_IPC | _NEW_HOST_NAME | _NEW_CONTROL_GROUPS
    kernel.call("unshare", flags if settings["privileged"] else flags | _NEW_USERS)
    if not settings["privileged"]:
        for name, text in (("setgroups", "deny"), ("uid_map", f"65534 {user} 1"), ("gid_map", f"65534 {group} 1")):
            with open(f"/proc/self/{name}", "w") as file:
                file.write(text)
    kernel.call("sethostname", b"sandbox", 7)
    _build_root(kernel, settings)
    child = os.fork()
    if child:
        for descriptor in (0, 1, 2):
            os.close(descriptor)
        os._exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) & 0xFF)
    # Not before: a namespace keeps the limit of whoever made it for all processes of that user together.
    lower_limits(settings)
    _set_user(settings)
    _drop_privileges(kernel, settings)


def _build_root(kernel: _Kernel, settings: dict[str, Any]) -> None:
    """A root of its own: the interpreter read-only, four devices, a small folder for temporary files, nothing else."""
    kernel.mount(None, "/", None, _RECURSIVE | _PRIVATE)
    kernel.mount("tmpfs", "/tmp", "tmpfs", _NO_SET_UID | _NO_DEVICES, "size=1m,nr_inodes=1024,mode=755")
    os.mkdir("/tmp" + _OLD)
    os.chdir("/tmp")
    kernel.call("syscall", _PIVOT_ROOT[os.uname().machine], b".", b"." + _OLD.encode())
    os.chdir("/")
    os.mkdir("/tmp")
    options = f"size={settings['disk']},nr_inodes=4096,mode=1777"
    kernel.mount("tmpfs", "/tmp", "tmpfs", _NO_SET_UID | _NO_DEVICES | _NO_EXECUTION, options)
    for source, kind in settings["shown"]:
        if kind == "link":
            os.symlink(os.readlink(_OLD + source), source)
            continue
        os.makedirs(source if kind == "folder" else os.path.dirname(source), exist_ok=True)
        if kind == "empty":
            kernel.mount("tmpfs", source, "tmpfs", _READ_ONLY | _NO_SET_UID | _NO_DEVICES, "size=4k,mode=755")
            continue
        if kind != "folder":
            os.close(os.open(source, os.O_CREAT | os.O_WRONLY, 0o644))
        if kind == "device":
            kernel.mount(_OLD + source, source, None, _BIND)
        else:
            kernel.bind(_OLD + source, source)
    kernel.call("umount2", _OLD.encode(), _DETACH)
    os.rmdir(_OLD)
    kernel.mount(None, "/", None, _REMOUNT | _BIND | _READ_ONLY | _NO_SET_UID | _NO_DEVICES)
    os.chdir("/tmp")


def _drop_privileges(kernel: _Kernel, settings: dict[str, Any]) -> None:
    # A change of user clears the death signal, so it is set after that.
    kernel.call("prctl", _DEATH_SIGNAL, 9, 0, 0, 0)
    kernel.call("prctl", _DUMPABLE, 0, 0, 0, 0)
    header = (0x20080522).to_bytes(4, "little") + bytes(4)
    kernel.call("capset", header, bytes(24))
    kernel.call("prctl", _NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    program = settings["filter"]
    if program:
        ctypes = kernel.ctypes
        held = ctypes.create_string_buffer(program, len(program))
        head = (len(program) // 8).to_bytes(8, "little") + ctypes.addressof(held).to_bytes(8, "little")
        kernel.call("prctl", _SECCOMP, 2, head, 0, 0)


def _set_user(settings: dict[str, Any]) -> None:
    if settings["user"] is not None:
        os.setgroups([])
        os.setresgid(*[settings["user"]] * 3)
        os.setresuid(*[settings["user"]] * 3)


def lower_limits(settings: dict[str, Any]) -> None:
    """The limits that the kernel keeps per process or user; what the kernel lacks is left out."""
    import resource

    for name, amount in settings["limits"]:
        kind = getattr(resource, "RLIMIT_" + name, None)
        if kind is None:
            continue
        hard = resource.getrlimit(kind)[1]
        if hard != resource.RLIM_INFINITY:
            amount = min(amount, hard)
        resource.setrlimit(kind, (amount, amount))


def begin(settings: dict[str, Any]) -> None:
    """Whatever the back end needs; raises OSError when something cannot be had."""
    if settings["back_end"] == "namespaces":
        enter_namespaces(settings)
    else:
        lower_limits(settings)
        _set_user(settings)
    sys.argv = ["program"]
    sys.path += settings["folders"]
