"""Programs run, and none of the committed attempts gets out, under every back end that works here."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from trueward.errors import RewardError, Unavailable
from trueward.rewards.rules.code import Code
from trueward.rewards.runner import sandbox as module
from trueward.rewards.runner import sandbox_session
from trueward.rewards.runner.sandbox import Limits, Sandbox, sandbox, working
from trueward.rewards.runner.sandbox_back_ends import BARE, BackEnd, interpreter
from trueward.rewards.runner.sandbox_processes import descendants
from trueward.rewards.runner.types import Item

sys.path.insert(0, str(Path(__file__).parent))
from escapes import ESCAPES, PRELUDE, Escape

sys.path.pop(0)

SECRET = "the host's own words"
OUTPUT = 1 << 20


def test_a_back_end_works() -> None:
    assert working(), "no sandbox works on this machine: install bubblewrap, or allow user namespaces"


BACK_ENDS = pytest.mark.parametrize("back_end", working(), ids=lambda one: one.title)


@dataclass(frozen=True)
class Seen:
    """What came back from one program."""

    replies: list[tuple[str, str]]
    ended: str
    processes: list[psutil.Process]


def run(box: Sandbox, program: str, *inputs: str) -> Seen:
    processes: dict[int, psutil.Process] = {}
    with box.start() as session:
        session.ask({"kind": "inputs", "program": program, "inputs": list(inputs or ("",)), "output": OUTPUT})
        replies = []
        for _ in inputs or ("",):
            reply = session.reply()
            for pid in descendants(session._process.pid):
                try:
                    processes[pid] = psutil.Process(pid)
                except psutil.NoSuchProcess:
                    continue
            if reply is None:
                break
            status, _, output = reply.partition(b"\n")
            replies.append((status.decode(), output.decode("utf-8", "replace")))
    return Seen(replies, session.ended, list(processes.values()))


def gone(process: psutil.Process) -> bool:
    """Whether it has ended; the kernel of a busy machine may take a moment to take its threads down."""
    ends = time.monotonic() + 10
    while time.monotonic() < ends:
        with contextlib.suppress(psutil.NoSuchProcess):
            if process.is_running() and process.status() not in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD):
                time.sleep(0.01)
                continue
        return True
    return False


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """Everything that an escape could reach: servers, files, processes."""
    folder = tmp_path_factory.mktemp("host")
    (folder / "secret").write_text(SECRET)
    (folder / "secret").chmod(0o644)
    victim = subprocess.Popen(["sleep", "600"])
    sockets = []
    for family, kind, address in (
        (socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 0)),
        (socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", 0)),
        (socket.AF_UNIX, socket.SOCK_STREAM, str(folder / "socket")),
        (socket.AF_UNIX, socket.SOCK_STREAM, f"\0trueward-{os.getpid()}"),
    ):
        one = socket.socket(family, kind)
        one.bind(address)
        if kind == socket.SOCK_STREAM:
            one.listen(16)
        one.setblocking(False)
        sockets.append(one)
    os.chmod(folder / "socket", 0o777)
    yield {
        "tcp": sockets[0].getsockname()[1],
        "udp": sockets[1].getsockname()[1],
        "socket": str(folder / "socket"),
        "abstract": f"\0trueward-{os.getpid()}",
        "secret": str(folder / "secret"),
        "source": str(Path(module.__file__)),
        "pid": victim.pid,
        "parent": os.getpid(),
    }
    # Nobody came, and nothing was changed.
    for one in sockets:
        with pytest.raises(BlockingIOError):
            one.accept() if one.type == socket.SOCK_STREAM else one.recv(10)
        one.close()
    assert (folder / "secret").read_text() == SECRET
    assert sorted(path.name for path in folder.iterdir()) == ["secret", "socket"]
    assert victim.poll() is None
    victim.kill()
    victim.wait()


def outside() -> tuple[Any, ...]:
    """What an attempt might have changed on the host."""
    places = ("/", "/usr/lib", "/dev", os.path.dirname(os.__file__))
    return (
        [os.path.exists(os.path.join(place, "escaped")) for place in places],
        socket.gethostname(),
        os.stat(os.__file__).st_mtime_ns,
        time.time() > 1.7e9,
    )


@BACK_ENDS
@pytest.mark.parametrize("escape", ESCAPES, ids=lambda one: one.name)
def test_an_escape_is_denied(escape: Escape, back_end: BackEnd, host: dict[str, Any]) -> None:
    before = outside()
    program = f"HOST = {host!r}\n{PRELUDE}\n{escape.program}\n"
    box = Sandbox(back_end, Limits(**{"seconds": 10.0, **escape.limits}))
    seen = run(box, program)
    if seen.replies or not escape.ends:
        assert [status for status, _ in seen.replies] == [escape.status], seen
        assert re.fullmatch(escape.sees, seen.replies[0][1]), seen.replies[0][1][:2000]
        assert "reached" not in seen.replies[0][1] or "reached" in escape.sees
    else:
        assert re.fullmatch(escape.ends, seen.ended)
    assert all(gone(process) for process in seen.processes)
    assert outside() == before


@pytest.mark.parametrize("escape", ESCAPES, ids=lambda one: one.name)
def test_an_escape_is_not_paid(escape: Escape, host: dict[str, Any]) -> None:
    program = f"HOST = {host!r}\n{PRELUDE}\n{escape.program}\n"
    item = Item("Print 42.", f"```python\n{program}```", {"tests": {"inputs": [""], "outputs": ["42\n"]}})
    assert Code(seconds=1.0, memory_mb=128).score_rows([item]) == [0.0]


def test_bare_programs_reach_what_the_sandbox_denies(host: dict[str, Any]) -> None:
    """The attempts are no straw men: without a sandbox the harmless ones among them succeed."""
    for name in ("the accounts of the host", "this repository", "a file of the host beside its own", "open files"):
        escape = next(one for one in ESCAPES if one.name == name)
        seen = run(sandbox(BARE), f"HOST = {host!r}\n{PRELUDE}\n{escape.program}\n")
        assert ("reached" in seen.replies[0][1]) == (name != "open files")


def test_there_are_at_least_thirty_escapes() -> None:
    assert len({escape.program for escape in ESCAPES}) >= 30


@BACK_ENDS
def test_a_program_reads_its_input_and_prints(back_end: BackEnd) -> None:
    program = "import sys\nprint(sum(map(int, sys.stdin.read().split())))"
    assert run(Sandbox(back_end), program, "1 2 3", "40\n2").replies == [("ok", "6\n"), ("ok", "42\n")]


@BACK_ENDS
def test_long_inputs_and_outputs_pass(back_end: BackEnd) -> None:
    text = "ä€ " * 100_000
    program = "print(open(0).read())"
    assert run(Sandbox(back_end), program, text).replies == [("ok", text + "\n")]


@BACK_ENDS
def test_runs_share_no_state(back_end: BackEnd) -> None:
    program = (
        "import builtins, json\nprint(hasattr(builtins, 'seen'), hasattr(json, 'seen'))\nbuiltins.seen = json.seen = 1"
    )
    assert [output for _, output in run(Sandbox(back_end), program, "", "").replies] == ["False False\n"] * 2


@BACK_ENDS
@pytest.mark.parametrize(
    ("program", "status"),
    [
        ("x = ", "does not compile: SyntaxError"),
        ("1 / 0", "exit code 1"),
        ("raise SystemExit(3)", "exit code 3"),
        ("raise SystemExit", "ok"),
        ("import os\nos._exit(0)", "ok"),
        ("import os\nos.abort()", "signal 6"),
        ("import atexit\natexit.register(print, 'late')", "ok"),
    ],
)
def test_the_end_of_a_program_is_told(program: str, status: str, back_end: BackEnd) -> None:
    assert run(Sandbox(back_end), program).replies[0][0] == status


@BACK_ENDS
def test_threads_and_atexit_finish_as_under_the_interpreter(back_end: BackEnd) -> None:
    program = (
        "import atexit, threading, time\n"
        "atexit.register(print, 'last')\n"
        "threading.Thread(target=lambda: (time.sleep(0.1), print('thread'))).start()\n"
        "print('main')"
    )
    assert run(Sandbox(back_end), program).replies == [("ok", "main\nthread\nlast\n")]


@BACK_ENDS
def test_further_folders_can_be_imported_from_and_not_written(back_end: BackEnd, tmp_path: Path) -> None:
    for folder in (tmp_path, *tmp_path.parents[:3]):
        folder.chmod(folder.stat().st_mode | 0o055)
    (tmp_path / "extra.py").write_text("VALUE = 42")
    program = (
        "import extra\nprint(extra.VALUE)\n"
        "try:\n    open(extra.__file__, 'a')\nexcept OSError as error:\n    print(type(error).__name__)"
    )
    box = Sandbox(back_end, folders=(str(tmp_path),))
    assert run(box, program).replies[0][1] in ("42\nOSError\n", "42\nPermissionError\n")


def test_the_caller_may_end_a_session_at_any_time() -> None:
    session = sandbox().start()
    session.ask({"kind": "inputs", "program": "while True: pass", "inputs": [""], "output": 10})
    time.sleep(0.1)
    processes = [psutil.Process(pid) for pid in descendants(session._process.pid)]
    session.close()
    session.close()
    assert all(gone(process) for process in processes)


def test_everything_ends_with_the_process_that_asked() -> None:
    script = (
        "import os, time\n"
        "from trueward.rewards.runner.sandbox import sandbox\n"
        "from trueward.rewards.runner.sandbox_processes import descendants\n"
        "session = sandbox().start()\n"
        "session.ask({'kind': 'inputs', 'program': 'import time\\ntime.sleep(600)', 'inputs': [''], 'output': 10})\n"
        "session._deadline = time.monotonic() + 0.3\n"
        "session.reply()\n"
        "print(*descendants(os.getpid()), flush=True)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    pids = [int(word) for word in told.stdout.split()]
    assert len(pids) >= 3
    waited = time.monotonic() + 10
    while any(psutil.pid_exists(pid) for pid in pids) and time.monotonic() < waited:
        time.sleep(0.02)
    assert not any(psutil.pid_exists(pid) for pid in pids)


BOMB = PRELUDE + next(escape for escape in ESCAPES if escape.name == "a fork bomb").program
AS_A_USER = f"""
import subprocess, sys
others = [subprocess.Popen(["sleep", "60"]) for _ in range(int(sys.argv[1]))]
try:
    from trueward.rewards.runner.sandbox import Sandbox, working
    for back_end in working():
        with Sandbox(back_end).start() as session:
            session.ask({{"kind": "inputs", "program": {BOMB!r}, "inputs": [""], "output": 1000}})
            print(back_end.title, session.reply(), session.ended, session.box.back_end.counts_processes)
finally:
    for other in others:
        other.kill()
"""


def test_it_works_for_an_ordinary_user_with_many_processes() -> None:
    """Limits that the kernel keeps per user must count the processes of the sandbox alone."""
    user = {"user": 65534, "group": 65534, "extra_groups": []} if os.geteuid() == 0 else {}
    folder = tempfile.mkdtemp()
    try:
        shutil.copytree(Path(module.__file__).parents[2], Path(folder, "trueward"))
        for path in (Path(folder), *Path(folder).rglob("*")):
            path.chmod(0o755 if path.is_dir() else 0o644)
        for python in (interpreter(), "/usr/bin/python3"):
            try:
                command = [python, "-S", "-c", "import sys; sys.exit(sys.version_info < (3, 11))"]
                usable = subprocess.run(command, cwd="/", **user).returncode == 0  # type: ignore[call-overload]
            except OSError:
                continue
            if usable:
                break
        else:
            pytest.skip("no interpreter here may be run by another user than root")
        quiet, busy = (
            subprocess.run(  # type: ignore[call-overload]
                [python, "-S", "-c", AS_A_USER, others], cwd=folder, capture_output=True, text=True, **user
            )
            for others in ("0", "60")
        )
    finally:
        shutil.rmtree(folder)
    assert quiet.stdout, quiet.stderr
    assert busy.stdout == quiet.stdout
    for line in quiet.stdout.splitlines():
        if line.endswith("True"):
            assert "b'ok\\ndenied fork after True\\n'" in line, quiet.stdout
        else:
            assert re.search(r"None (processes|memory) False", line), quiet.stdout


def test_what_cannot_be_enforced_is_said() -> None:
    bare = sandbox(BARE)
    assert "network" in bare.unenforced
    assert "files" in bare.unenforced
    for back_end in working():
        assert not {"network", "files"} & set(Sandbox(back_end).unenforced)


def test_bare_programs_run_within_limits_when_asked_for_by_name() -> None:
    box = sandbox(BARE, Limits(seconds=0.5))
    assert run(box, "print(input())", "bare").replies == [("ok", "bare\n")]
    assert run(box, "while True: pass").ended == "time limit"


def test_without_a_sandbox_it_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "candidates", lambda: [])
    with pytest.raises(RewardError, match=r"apt install bubblewrap.*none: runs untrusted code bare"):
        sandbox()
    assert sandbox(BARE).unenforced


def test_a_back_end_that_does_not_isolate_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    # A back end that shows the host's root must fail its trial, whatever it calls itself.
    monkeypatch.setattr(
        sandbox_session, "command", lambda back_end, settings, filter_fd, start: [sys.executable, "-S", "-c", start]
    )
    fake = BackEnd("pretended")
    assert "not isolated" in str(module._trouble.__wrapped__(fake))


def test_an_unknown_sandbox_is_refused() -> None:
    with pytest.raises(RewardError, match="'docker' is not one of 'auto'"):
        sandbox("docker")
    with pytest.raises(RewardError, match="seconds is 0; expected a positive number"):
        Limits(seconds=0)
    with pytest.raises(RewardError, match="no such folder"):
        sandbox(folders=("/nowhere",))


def test_a_sandbox_that_does_not_start_is_nobodys_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    box = sandbox()
    monkeypatch.setattr(sandbox_session, "command", lambda *arguments: ["false"])
    with pytest.raises(Unavailable, match="did not start"):
        box.start()
    monkeypatch.setattr(sandbox_session, "command", lambda *arguments: ["/nowhere/at/all"])
    with pytest.raises(Unavailable, match="cannot be started"):
        box.start()
