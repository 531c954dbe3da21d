"""The harness: runs a program inside the sandbox, on one input after another or call by call, and tells what came out.

Sent to the sandbox's interpreter as code, behind `sandbox_inside`. Nothing that it says is trusted: it shares its user
with the program, which may forge every word of it. It therefore never gets to see what would be right.

Frames in both directions are four bytes of length and a body. Requests are marshalled by whoever started the sandbox;
replies are plain text that the reader parses without building anything but plain values.
"""

from __future__ import annotations

import gc
import marshal
import os
import select
import sys

# What this module needs for its annotations would double the time that the interpreter takes to start.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_CHUNK = 1 << 16
_IDLE = 20  # milliseconds after which finished runs are told, though another one is not
_PARENT_IN, _PARENT_OUT = 10, 11


def receive(descriptor: int) -> Any:
    """The next request; the process ends when the one who asks has gone."""
    body = _take(descriptor, int.from_bytes(_take(descriptor, 4), "big"))
    return marshal.loads(body)


def _take(descriptor: int, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = os.read(descriptor, min(size - len(data), 1 << 20))
        if not more:
            os._exit(1)
        data += more
    return data


def send(descriptor: int, body: bytes) -> None:
    """One frame."""
    view = memoryview(len(body).to_bytes(4, "big") + body)
    while view:
        view = view[os.write(descriptor, view) :]


def serve(isolated: bool) -> None:
    """Say that everything is in place, then do the one job that comes."""
    send(1, b"ready")
    job = receive(0)
    if job["kind"] == "inputs":
        _run_inputs(job, isolated)
    else:
        _run_calls(job, isolated)


def _compiled(source: str) -> Any:
    try:
        return compile(source, "<program>", "exec", dont_inherit=True)
    except BaseException as error:
        return f"does not compile: {type(error).__name__}"


class _Replies:
    """Replies that wait until there are many, or until nothing else happens: whoever reads them is woken less often."""

    def __init__(self) -> None:
        self.waiting = bytearray()

    def add(self, body: bytes) -> None:
        self.waiting += len(body).to_bytes(4, "big") + body
        if len(self.waiting) > _CHUNK:
            self.flush()

    def flush(self) -> None:
        view = memoryview(bytes(self.waiting))
        self.waiting.clear()
        while view:
            view = view[os.write(1, view) :]


def _run_inputs(job: dict[str, Any], isolated: bool) -> None:
    code = _compiled(job["program"])
    # Objects that the collector never looks at stay shared between the processes.
    gc.freeze()
    replies = _Replies()
    null = os.open("/dev/null", os.O_WRONLY)
    for text in job["inputs"]:
        if isinstance(code, str):
            replies.add(code.encode() + b"\n")
            continue
        feed, take = os.pipe()
        give, collect = os.pipe()[::-1]
        child = os.fork()
        if not child:
            try:
                _become(feed, give, null)
                _finish(code)
            finally:
                os._exit(1)
        os.close(feed)
        os.close(give)
        status, output = _watch(child, take, collect, text, job["output"], replies)
        _end_all(child, isolated)
        replies.add(status.encode() + b"\n" + output)
    replies.flush()


def _become(feed: int, give: int, null: int) -> None:
    """In the new process: standard input and output are the two pipes, everything else is closed."""
    os.setpgid(0, 0)
    os.dup2(feed, 0)
    os.dup2(give, 1)
    os.dup2(null, 2)
    os.closerange(3, 256)


def _finish(code: Any) -> None:
    """Run a program to its end as the interpreter would, and end the process."""
    status = 0
    try:
        exec(code, _namespace("__main__"))
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else 0 if error.code is None else 1
    except BaseException:
        status = 1
    try:
        if "threading" in sys.modules:
            sys.modules["threading"]._shutdown()
        if "atexit" in sys.modules:
            sys.modules["atexit"]._run_exitfuncs()
        sys.stdout.flush()
    except BaseException:
        status = status or 1
    os._exit(status & 0xFF)


def _namespace(name: str) -> dict[str, Any]:
    """A module of its own, so that classes, pickling and `import __main__` see the program and not the harness."""
    module = type(sys)(name)
    sys.modules[name] = module
    return module.__dict__


def _watch(child: int, take: int, collect: int, text: str, most: int, replies: _Replies) -> tuple[str, bytes]:
    """Feed a process and collect what it prints, until it ends or prints too much."""
    pending = memoryview(text.encode("utf-8", "surrogatepass"))
    os.set_blocking(take, False)
    os.set_blocking(collect, False)
    ended = os.pidfd_open(child)
    poll = select.poll()
    poll.register(collect, select.POLLIN)
    poll.register(ended, select.POLLIN)
    poll.register(0, 0)
    if pending:
        poll.register(take, select.POLLOUT)
    else:
        os.close(take)
    output = bytearray()
    status = ""
    while not status:
        events = poll.poll(_IDLE if replies.waiting else None)
        if not events:
            replies.flush()
        for descriptor, event in events:
            if descriptor == 0 and event & (select.POLLHUP | select.POLLERR):
                os._exit(1)
            if descriptor == take and pending:
                pending = _feed(take, pending)
                if not pending:
                    poll.unregister(take)
                    os.close(take)
            if descriptor == collect and not _collect(collect, output, most):
                poll.unregister(collect)
            if descriptor == ended:
                status = "ended"
        if len(output) > most:
            status = "prints too much"
    if status == "ended":
        _collect(collect, output, most)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        status = "ok" if code == 0 else f"exit code {code}" if code > 0 else f"signal {-code}"
        if len(output) > most:
            status = "prints too much"
    if pending:
        os.close(take)
    os.close(collect)
    os.close(ended)
    return status, bytes(output[:most])


def _feed(take: int, pending: memoryview) -> memoryview:
    try:
        return pending[os.write(take, pending[:_CHUNK]) :]
    except BlockingIOError:
        return pending
    except OSError:  # it reads no more
        return pending[:0]


def _collect(collect: int, output: bytearray, most: int) -> bool:
    """Read what is there; False at the end."""
    while len(output) <= most:
        try:
            data = os.read(collect, _CHUNK)
        except BlockingIOError:
            return True
        if not data:
            return False
        output += data
    return True


def _end_all(child: int, isolated: bool) -> None:
    """Kill whatever the process has left behind: in a process namespace that is everybody else."""
    try:
        # Outside a namespace this would end every process of the user; one of the first numbers proves there is one.
        if isolated and os.getpid() <= 2:
            os.kill(-1, 9)
        else:
            os.killpg(child, 9)
    except OSError:
        pass
    try:
        while True:
            os.waitpid(-1, 0)
    except ChildProcessError:
        return


def _run_calls(job: dict[str, Any], isolated: bool) -> None:
    """A process that loads the program, then answers calls on the two descriptors of whoever asks."""
    child = os.fork()
    if child:
        os.close(1)
        os.waitpid(child, 0)
        _end_all(child, isolated)
        os._exit(0)
    os.dup2(0, _PARENT_IN)
    os.dup2(1, _PARENT_OUT)
    null = os.open("/dev/null", os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    os.closerange(3, _PARENT_IN)
    os.closerange(_PARENT_OUT + 1, 256)
    os.setpgid(0, 0)
    namespace = _namespace(job["name"])
    namespace.update(job.get("given", {}))
    if job["kind"] == "grader":
        namespace.update({name: _Remote(name) for name in job["remote"]})
    _answer(job, namespace)
    os._exit(0)


def _answer(job: dict[str, Any], namespace: dict[str, Any]) -> None:
    try:
        code = _compiled(job["program"])
        if isinstance(code, str):
            send(_PARENT_OUT, b"E" + code.encode())
            return
        exec(code, namespace)
    except BaseException as error:
        send(_PARENT_OUT, b"E" + _named(error))
        return
    send(_PARENT_OUT, b"L")
    while True:
        request = receive(_PARENT_IN)
        try:
            send(_PARENT_OUT, b"R" + _reply(request, namespace).encode("ascii"))
        except BaseException as error:
            send(_PARENT_OUT, b"E" + _named(error))


def _reply(request: dict[str, Any], namespace: dict[str, Any]) -> str:
    if "expression" in request:
        return encode(eval(compile(request["expression"], "<test>", "eval", dont_inherit=True), namespace))
    if "statement" in request:
        exec(compile(request["statement"], "<test>", "exec", dont_inherit=True), namespace)
        return encode(None)
    called = namespace.get(request["call"])
    if called is None and "Solution" in namespace:
        called = getattr(namespace["Solution"](), request["call"])
    if called is None:
        raise NameError(request["call"])
    arguments, named = request["arguments"], request.get("named", {})
    result = called(*arguments, **named)
    # What a function has changed in its arguments is seen by the caller, so it goes back too.
    return encode([result, arguments])


def _named(error: BaseException) -> bytes:
    return type(error).__name__.encode("ascii", "replace")[:100]


class NotPlain(TypeError):
    """A value that is more than data."""


def encode(value: Any, depth: int = 0) -> str:
    """A plain value as JSON text, what JSON lacks as an array whose first entry names it.

    Raises:
        NotPlain: for anything else.
    """
    from _json import encode_basestring_ascii

    if value is None or value is True or value is False:
        return {None: "null", True: "true", False: "false"}[value]
    kind = type(value)
    if kind is str:
        return str(encode_basestring_ascii(value))
    if kind is int:
        return str(value)
    if kind is float:
        return "NaN" if value != value else {1e999: "Infinity", -1e999: "-Infinity"}.get(value) or float.__repr__(value)
    if depth > 60:
        raise NotPlain("nested too deeply")
    deeper = depth + 1
    for base, mark in ((list, "l"), (tuple, "t"), (set, "s"), (frozenset, "f")):
        if isinstance(value, base):
            return f'["{mark}"' + "".join("," + encode(item, deeper) for item in list(value)) + "]"
    if isinstance(value, dict):
        items = [item for pair in dict.items(value) for item in pair]
        return '["d"' + "".join("," + encode(item, deeper) for item in items) + "]"
    if kind is complex:
        return f'["c",{encode(value.real)},{encode(value.imag)}]'
    if kind in (bytes, bytearray):
        return f'["b","{bytes(value).hex()}"]'
    for plain in (str, int, float):
        if isinstance(value, plain):
            return encode(plain(value), deeper)
    if hasattr(value, "tolist"):
        return encode(value.tolist(), deeper)
    raise NotPlain(kind.__name__)


class _Remote:
    """A function of the program, which lives in another sandbox: called by value through whoever asks."""

    def __init__(self, name: str) -> None:
        self.__name__ = name

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        text = encode([self.__name__, list(arguments), named])
        send(_PARENT_OUT, b"C" + text.encode("ascii"))
        answer = receive(_PARENT_IN)
        if "error" in answer:
            import builtins

            kind = getattr(builtins, answer["error"], None)
            if not isinstance(kind, type) or not issubclass(kind, Exception):
                kind = RuntimeError
            raise kind(answer["error"])
        result, after = answer["result"]
        for mine, changed in zip(arguments, after, strict=True):
            if type(mine) is list and type(changed) is list:
                mine[:] = changed
            elif type(mine) in (dict, set) and type(changed) is type(mine):
                mine.clear()
                mine.update(changed)
        return result
