"""Programs that try to leave the sandbox, or to take more than their share.

Each prints `denied …` for what it could not do and `reached …` for what it could. `HOST`, a mapping with what the test
has set up outside (ports, paths, process ids), is written in front of each.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

PRELUDE = """
import os, sys, socket
def attempt(function, *arguments):
    try:
        print("reached", function.__name__, function(*arguments))
    except BaseException as error:
        print("denied", function.__name__, type(error).__name__)
def call(name, *arguments):
    import ctypes
    library = ctypes.CDLL(None, use_errno=True)
    result = getattr(library, name)(*arguments)
    if result < 0:
        raise OSError(ctypes.get_errno(), name)
    return result
"""


@dataclass(frozen=True)
class Escape:
    """One attempt.

    Attributes:
        name: what is tried.
        program: the attempt.
        sees: pattern of everything that it prints; by default nothing but denials.
        status: how its run ends.
        limits: fields of `Limits` that it is given.
        ends: pattern of why its session ends before it replies; empty when it replies.
    """

    name: str
    program: str
    sees: str = r"(denied \w+ \w+\n)+"
    status: str = "ok"
    limits: dict[str, Any] = field(default_factory=dict)
    ends: str = ""


NETWORK = [
    Escape("TCP to the host", "attempt(socket.create_connection, ('127.0.0.1', HOST['tcp']), 1)"),
    Escape("TCP to the outside", "attempt(socket.create_connection, ('192.0.2.1', 80), 1)"),
    Escape("TCP over IPv6", "attempt(socket.create_connection, ('::1', HOST['tcp']), 1)"),
    Escape(
        "UDP to the host",
        "attempt(socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto, b'x', ('127.0.0.1', HOST['udp']))",
        # A loop of its own may take the packet; the host's socket must not.
        sees="denied sendto OSError\n|reached sendto 1\n",
    ),
    Escape("name resolution", "attempt(socket.getaddrinfo, 'example.org', 80)"),
    Escape("a socket in the host's files", "attempt(socket.socket(socket.AF_UNIX).connect, HOST['socket'])"),
    Escape("an abstract socket of the host", "attempt(socket.socket(socket.AF_UNIX).connect, HOST['abstract'])"),
    Escape("a socket to the hypervisor", "attempt(socket.socket, 40, socket.SOCK_STREAM)"),
    Escape("a netlink socket", "attempt(socket.socket, 16, socket.SOCK_RAW)"),
    Escape("a raw socket", "attempt(socket.socket, socket.AF_INET, socket.SOCK_RAW, 1)"),
]

FILES = [
    Escape("the accounts of the host", "attempt(open, '/etc/passwd')\nattempt(open, '/etc/shadow')"),
    Escape("this repository", "attempt(open, HOST['source'])\nattempt(os.listdir, os.path.dirname(HOST['source']))"),
    Escape("a file of the host beside its own", "attempt(open, HOST['secret'])"),
    Escape(
        "writing outside its folder",
        "for place in ('/', '/usr/lib', '/dev', os.path.dirname(os.__file__)):\n"
        "    attempt(open, os.path.join(place, 'escaped'), 'w')",
    ),
    Escape("changing the standard library", "attempt(open, os.__file__, 'a')\nattempt(os.unlink, os.__file__)"),
    Escape("the installed packages", "import json\nattempt(__import__, 'numpy')\nattempt(__import__, 'trueward')"),
    Escape("the environment of another process", "attempt(open, '/proc/1/environ')\nattempt(os.listdir, '/proc')"),
    Escape(
        "its own environment",
        "print(sorted(os.environ))",
        sees=r"\['HOME', 'LANG', 'PATH', ('PWD', )?'PYTHONHASHSEED'\]\n",
    ),
    Escape(
        "descriptors left open",
        "def open_ones():\n"
        "    found = []\n"
        "    for number in range(3, 1024):\n"
        "        try:\n"
        "            found.append((number, os.fstat(number)))\n"
        "        except OSError:\n"
        "            pass\n"
        "    return found or 1 / 0\n"
        "attempt(open_ones)",
    ),
    Escape(
        "a device node",
        (
            "attempt(os.mknod, '/tmp/disk', 0o60666, os.makedev(8, 0))\n"
            "attempt(os.mknod, '/tmp/mem', 0o20666, os.makedev(1, 1))"
        ),
    ),
    Escape("a mount", "attempt(call, 'mount', b'proc', b'/tmp', b'proc', 0, None)"),
    Escape("making its root writable", "attempt(call, 'mount', None, b'/', None, 32 | 4096, None)"),
    Escape(
        "leaving by chroot",
        "os.mkdir('/tmp/inner')\nattempt(os.chroot, '/tmp/inner')\n"
        "os.chdir('/' + '../' * 30)\nattempt(os.stat, 'etc/passwd')",
    ),
    Escape(
        "a link out of its folder",
        "os.symlink('/etc/passwd', '/tmp/a')\nattempt(open, '/tmp/a')\n"
        "os.symlink('/proc/1/root', '/tmp/b')\nattempt(os.listdir, '/tmp/b/')\nattempt(os.link, os.__file__, '/tmp/c')",
    ),
    Escape(
        "a file by its handle",
        "import ctypes\nhandle = (8).to_bytes(4, 'little') + (1).to_bytes(4, 'little') + (2).to_bytes(8, 'little')\n"
        "attempt(call, 'open_by_handle_at', os.open('/', os.O_RDONLY), handle, 0)",
    ),
    Escape(
        "the old root",
        "attempt(os.listdir, '/.old')\nattempt(os.listdir, '/oldroot')\nattempt(os.listdir, '/tmp/.old')",
    ),
]

PROCESSES = [
    Escape(
        "a fork bomb",
        "import time\nmade = 0\n"
        "try:\n"
        "    while made < 500:\n"
        "        if os.fork() == 0:\n"
        "            time.sleep(30)\n"
        "            os._exit(0)\n"
        "        made += 1\n"
        "except OSError:\n"
        "    print('denied fork after', made <= 40)\n",
        sees="denied fork after True\n",
        limits={"seconds": 5.0},
        ends="processes|memory",
    ),
    Escape(
        "a bomb of threads",
        "import threading, time\nmade = 0\n"
        "try:\n"
        "    while made < 500:\n"
        "        threading.Thread(target=time.sleep, args=(30,), daemon=True).start()\n"
        "        made += 1\n"
        "except RuntimeError:\n"
        "    print('denied thread after', made <= 60)\n"
        "os._exit(sys.stdout.flush() or 0)",
        sees="denied thread after True\n",
    ),
    Escape(
        "a process that stays behind",
        "import time\n"
        "if os.fork() == 0:\n"
        "    os.setsid()\n"
        "    if os.fork() == 0:\n"
        "        time.sleep(600)\n"
        "    os._exit(0)\n"
        "time.sleep(0.2)\nprint('left')",
        sees="left\n",
    ),
    Escape(
        "killing everybody",
        "attempt(os.kill, -1, 9)",
        sees="reached kill None\n|denied kill ProcessLookupError\n",
        ends="ended",
    ),
    Escape(
        "a signal to the host",
        "attempt(os.kill, HOST['pid'], 9)\nattempt(os.kill, HOST['parent'], 15)\nattempt(os.killpg, HOST['pid'], 9)",
    ),
    Escape(
        "killing the harness",
        "import time\nos.kill(os.getppid(), 9)\ntime.sleep(0.3)\nprint('alive')",
        sees="alive\n",
        ends="ended|time limit",
    ),
    Escape("tracing the harness", "attempt(call, 'ptrace', 16, os.getppid(), None, None)"),
    Escape("reading the harness's memory", "attempt(call, 'process_vm_readv', os.getppid(), None, 0, None, 0, 0)"),
    Escape(
        "a namespace of its own",
        "for flag in (0x10000000, 0x20000, 0x40000000, 0x20000000):\n    attempt(call, 'unshare', flag)",
    ),
    Escape(
        "a clone in a namespace of its own",
        "attempt(call, 'syscall', {'x86_64': 56}.get(os.uname().machine, 220), 0x10000011, 0, 0, 0, 0)",
    ),
    Escape("entering another namespace", "attempt(call, 'setns', 0, 0)"),
    Escape(
        "becoming root",
        "attempt(os.setuid, 0)\nattempt(os.setresuid, 0, 0, 0)\nattempt(os.setgid, 0)\nattempt(os.setgroups, [0])",
    ),
    Escape("a set-user-id file", "attempt(os.execv, '/usr/bin/su', ['su'])\nattempt(os.execv, '/bin/sh', ['sh'])"),
    Escape(
        "rights over the machine",
        "attempt(socket.sethostname, 'escaped')\nattempt(os.nice, -5)\nimport time\nattempt(time.clock_settime, 0, 0)",
    ),
    Escape(
        "parts of the kernel",
        "for name, number in {'bpf': 321, 'perf': 298, 'userfaultfd': 323, 'io_uring': 425, 'keyctl': 250}.items():\n"
        "    if os.uname().machine == 'x86_64':\n"
        "        attempt(call, 'syscall', number, 0, 0, 0, 0, 0)\n"
        "attempt(call, 'unshare', 0)",
    ),
]

RESOURCES = [
    Escape("memory at once", "attempt(bytearray, 2 << 30)"),
    Escape(
        "memory of many processes",
        "import time\n"
        "for _ in range(3):\n"
        "    if os.fork() == 0:\n"
        "        held = b'x' * (70 << 20)\n"
        "        time.sleep(30)\n"
        "time.sleep(30)",
        sees="",
        limits={"memory_mb": 128, "seconds": 10.0},
        ends="memory",
    ),
    Escape("memory that nobody counts", "attempt(os.memfd_create, 'x')\nattempt(call, 'shmget', 0, 1 << 20, 0o1600)"),
    Escape(
        "memory that outlives its process", "import mmap\nattempt(mmap.mmap, -1, 1 << 20)\nattempt(open, '/dev/zero')"
    ),
    Escape("endless output", "while True:\n    os.write(1, b'x' * 65536)", sees="x{1048576}", status="prints too much"),
    Escape(
        "filling the disk",
        "def fill():\n"
        "    for number in range(100):\n"
        "        with open(f'/tmp/{number}', 'wb') as file:\n"
        "            file.write(b'x' * (1 << 20))\n"
        "attempt(fill)\nprint(sum(os.path.getsize(f'/tmp/{name}') for name in os.listdir('/tmp')) <= 16 << 20)",
        sees="denied fill OSError\nTrue\n",
    ),
    Escape(
        "one large file",
        "import signal\nsignal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "def fill():\n"
        "    with open('/tmp/large', 'wb') as file:\n"
        "        file.truncate(1 << 30)\n"
        "attempt(fill)",
    ),
    Escape(
        "open files",
        "held = []\n"
        "def open_many():\n"
        "    while len(held) < 1000:\n"
        "        held.append(os.open('/dev/null', os.O_RDONLY))\n"
        "attempt(open_many)\nprint(len(held) < 64)",
        sees="denied open_many OSError\nTrue\n",
    ),
    Escape("endless work", "while True:\n    pass", sees="", limits={"seconds": 0.5}, ends="time limit"),
    Escape("endless sleep", "import time\ntime.sleep(1e6)", sees="", limits={"seconds": 0.5}, ends="time limit"),
    Escape(
        "ignoring signals",
        "import signal, time\n"
        "for number in range(1, 32):\n"
        "    try:\n"
        "        signal.signal(number, signal.SIG_IGN)\n"
        "    except OSError:\n"
        "        pass\n"
        "while True:\n"
        "    time.sleep(1)",
        sees="",
        limits={"seconds": 0.5},
        ends="time limit",
    ),
    Escape(
        "a process that holds the output open",
        "import time\nprint('done', flush=True)\nif os.fork() == 0:\n    time.sleep(600)\nos._exit(0)",
        sees="done\n",
    ),
    Escape(
        "raising its limits",
        "import resource\n"
        "for kind in (resource.RLIMIT_AS, resource.RLIMIT_NPROC, resource.RLIMIT_NOFILE, resource.RLIMIT_CPU):\n"
        "    if resource.getrlimit(kind)[1] != resource.RLIM_INFINITY:\n"
        "        attempt(resource.setrlimit, kind, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))",
    ),
    Escape("a crash", "import ctypes\nctypes.string_at(0)", sees="", status="signal 11"),
    Escape("no reading of its input", "print('done')", sees="done\n"),
]

ESCAPES = [*NETWORK, *FILES, *PROCESSES, *RESOURCES]
