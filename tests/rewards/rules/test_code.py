"""Programs are scored by what they compute, in every format of tests, and nothing that they do to the grader pays."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest

from trueward.errors import RewardError, Unavailable
from trueward.rewards.address import address_of, load
from trueward.rewards.rules import code as module
from trueward.rewards.rules.code import Code, code, program_of
from trueward.rewards.rules.code_run import grade
from trueward.rewards.rules.code_tests import Checks, Runs, Statements, read_tests
from trueward.rewards.runner import WorkerPool, sandbox_session
from trueward.rewards.runner import sandbox as sandbox_module
from trueward.rewards.runner.sandbox import Limits, Sandbox, sandbox, working
from trueward.rewards.runner.sandbox_back_ends import BARE
from trueward.rewards.runner.types import Item
from trueward.rewards.runner.worker import score
from trueward.status import Status

RUNS = {"tests": {"inputs": ["6 7", "2 3"], "outputs": ["42\n", "6\n"]}}
ASSERTS = {"test_list": ["assert f(6, 7) == 42", "assert f(2, 3) == 6"]}
LOOP = {
    "test": "def check(candidate):\n    for a in range(2, 5):\n        assert candidate(a, 7) == a * 7\n",
    "entry_point": "f",
}
NAMED = {"input_output": json.dumps({"fn_name": "f", "inputs": [[6, 7], [2, 3]], "outputs": [42, 6]})}
PRINTS = "a, b = map(int, input().split())\nprint(a * b)"
DEFINES = "def f(a, b):\n    return a * b"


def scored(program: str, columns: dict[str, Any], **settings: Any) -> float:
    (value,) = Code(**settings).score_rows([Item("Multiply.", f"```python\n{program}\n```", columns)])
    return value


def statuses(program: str, columns: dict[str, Any], **settings: Any) -> list[str]:
    return [verdict.status for verdict in Code(**settings).verdicts(f"```python\n{program}\n```", columns)]


@pytest.mark.parametrize(
    ("columns", "kind", "program"),
    [
        (RUNS, Runs, PRINTS),
        ({"tests": json.dumps(RUNS["tests"])}, Runs, PRINTS),
        ({"reward_model": {"ground_truth": json.dumps(RUNS["tests"])}}, Runs, PRINTS),
        ({"test_cases": [{"input": "6 7", "output": "42"}]}, Runs, PRINTS),
        (
            {"verification_info": {"test_cases": [{"type": "stdin_stdout", "input": "6 7", "output": "42"}]}},
            Runs,
            PRINTS,
        ),
        ({"public_test_cases": '[{"input": "6 7", "output": "42", "testtype": "stdin"}]'}, Runs, PRINTS),
        ({"input_output": {"inputs": [["6 7"]], "outputs": [["42"]]}}, Runs, PRINTS),
        (NAMED, Checks, DEFINES),
        (NAMED, Checks, "class Solution:\n    def f(self, a, b):\n        return a * b"),
        ({"tests": {"fn_name": "f", "inputs": ["6\n7"], "outputs": ["42"]}}, Checks, DEFINES),
        ({"tests": {"fn_name": "f", "inputs": [[6, 7]], "outputs": [[42]]}}, Checks, DEFINES),
        (ASSERTS, Checks, DEFINES),
        ({"tests": "assert f(6, 7) == 42\nassert f(2, 3) == 6"}, Checks, DEFINES),
        ({"test": "def check(c):\n    assert c(6, 7) == 42\n", "entry_point": "f"}, Checks, DEFINES),
        (
            {"test": "def check(c):\n    assert True, 'easy'\n    assert c(6, 7) == 42\n", "entry_point": "f"},
            Checks,
            DEFINES,
        ),
        (
            {"tests": {"fn_name": "f", "inputs": [[6, 7]], "outputs": [[[42.0, 0]]]}},
            Checks,
            "def f(a, b):\n    return a * b + 1e-9, 0",
        ),
        (LOOP, Statements, DEFINES),
        ({"test_list": ["x = 42\nassert f(6, 7) == x", "assert f(1, 1) == 1"]}, Statements, DEFINES),
        ({"test_list": ["assert f(6, 7) == f(7, 6)"]}, Statements, DEFINES),
    ],
)
def test_every_format_tells_right_from_wrong(columns: dict[str, Any], kind: type, program: str) -> None:
    assert isinstance(read_tests(columns), kind)
    assert scored(program, columns) == 1.0
    assert scored(program.replace("*", "-"), columns) == 0.0


@pytest.mark.parametrize(
    ("assertion", "right", "wrong"),
    [
        ("assert f(3) == 9", "x * x", "x + x"),
        ("assert 9 == f(3)", "x * x", "x + x"),
        ("assert f(3) == (9, [1], {2}, {3: None})", "(x * x, [1], {2}, {x: None})", "(x * x, [1], {2}, {4: None})"),
        ("assert f(3) == [1, 2]", "[1, 2]", "(1, 2)"),
        ("assert f(3) is True", "x == 3", "1"),
        ("assert f(3) is None", "None", "0"),
        ("assert f(3)", "[0]", "[]"),
        ("assert not f(3)", "[]", "[0]"),
        ("assert f(3) in (9, 10)", "9", "11"),
        ("assert abs(f(3) - 1.5) < 1e-3", "1.5004", "1.502"),
        ("assert math.isclose(f(3), 2.0, rel_tol=1e-2)", "2.01", "2.1"),
        ("assert set(f(3)) == set([1, 2])", "[2, 1, 1]", "[1]"),
        ("assert sorted(f(3)) == [1, 2]", "{2, 1}", "{2, 3}"),
        ("assert f(3) == 2 ** 10 - 24", "1000", "1001"),
        ("assert f(3) == float('inf')", "1e999", "-1e999"),
        ("assert f(3) == 'ä\\n\\x00'", "'ä\\n\\x00'", "'a'"),
        ("assert f(3) == b'\\xff'", "b'\\xff'", "'\\xff'"),
        ("assert f(3) == frozenset({1}) and True", "frozenset({1})", "frozenset()"),
        ("assert f(3) == 1 + 2j", "1 + 2j", "1"),
        ("assert len(f(3)) == 3, 'a message'", "'abc'", "'ab'"),
        ("assert f(3) == [i * i for i in range(3)]", "[0, 1, 4]", "[0, 1]"),
        (
            "try:\n    f(-1)\n    assert False\nexcept ValueError:\n    pass\nassert f(1) == 1",
            "[1][x - 1 if x > 0 else int('x')]",
            "1",
        ),
    ],
)
def test_every_kind_of_assertion_tells_right_from_wrong(assertion: str, right: str, wrong: str) -> None:
    columns = {"test_list": ["import math\n" + assertion if "math" in assertion else assertion]}
    assert scored(f"def f(x): return {right}", columns) == 1.0
    assert scored(f"def f(x): return {wrong}", columns) == 0.0


def test_partial_pays_the_share() -> None:
    program = "print(6)"
    assert scored(program, RUNS) == 0.0
    assert scored(program, RUNS, partial=True) == 0.5
    assert scored("def f(a, b): return 6", ASSERTS, partial=True) == 0.5
    assert scored("def f(a, b): return 1 / (a - 6)", ASSERTS, partial=True) == 0.0
    assert statuses("def f(a, b): return 6 / (a - 6)", ASSERTS) == ["raised ZeroDivisionError", "wrong value"]


def test_arguments_that_a_function_changes_are_seen_by_the_tests() -> None:
    columns = {"test_list": ["x = [3, 1, 2]\nf(x)\nassert x == [1, 2, 3]"]}
    assert scored("def f(x): x.sort()", columns) == 1.0
    assert scored("def f(x): return sorted(x)", columns) == 0.0


@pytest.mark.parametrize(
    ("observed", "expected", "same"),
    [
        ("42", "42\n\n", True),
        ("42  \n", "42", True),
        (" 42", "42", True),
        ("0.33333333", "0.3333333", True),
        ("0.3334", "0.3333", False),
        ("1", "1.0", True),
        ("1.0", "1", False),
        ("4 2", "42", False),
        ("nan", "0.5", False),
        ("", "42", False),
        ("42 ", "42 1", False),
        ("YES", "yes", False),
    ],
)
def test_outputs_are_compared_as_judges_do(observed: str, expected: str, same: bool) -> None:
    columns = {"tests": {"inputs": [""], "outputs": [expected]}}
    assert scored(f"print({observed!r}, end='')", columns) == float(same)


TAMPERING = {
    "leaves early": "import sys\nsys.exit(0)",
    "leaves at once": "import os\nos._exit(0)",
    "leaves when it is called": "import os\ndef f(a, b): os._exit(0)",
    "says that all passed": "print('All tests passed')\nprint('PASSED')\nprint('OK')",
    "writes a verdict of its own": (
        "import os\nfor fd in range(1, 32):\n    try: os.write(fd, b'\\0\\0\\0\\3ok\\n')\n    except OSError: pass"
    ),
    "writes replies of its own": (
        "import os\n"
        "for fd in range(1, 32):\n"
        "    try: os.write(fd, b'\\0\\0\\0\\1L' + b'\\0\\0\\0\\5Rtrue' * 8)\n"
        "    except OSError: pass"
    ),
    "says that it passed before exit": "import atexit\natexit.register(print, 'passed')\ndef f(a, b): return True",
    "equals everything": (
        "class T(int):\n    def __eq__(self, other): return True\n    __hash__ = int.__hash__\n"
        "    def __ne__(self, other): return False\ndef f(a, b): return T()\nprint(T())"
    ),
    "equals everything and is no number": (
        "class T:\n    def __eq__(self, other): return True\n    def __repr__(self): return '*'\n"
        "def f(a, b): return T()\nprint(T())"
    ),
    "changes print": "import builtins\nbuiltins.print = lambda *a, **k: None\nprint(1)\ndef f(a, b): return None",
    "changes the built-in functions": (
        "import builtins\nfor n in ('all', 'any', 'isinstance', 'abs', 'eval', 'compile'):\n"
        "    setattr(builtins, n, lambda *a, **k: True)\ndef f(a, b): return True"
    ),
    "replaces modules": (
        "import sys\nfor n in ('json', 'ast', '_json', 'marshal', 'math'):\n    sys.modules[n] = sys\n"
        "sys.dumps = sys.loads = sys.encode_basestring_ascii = lambda *a: 'null'\ndef f(a, b): return 'x'"
    ),
    "replaces the harness's functions": (
        "import sys\nframe = sys._getframe()\nwhile frame:\n"
        "    for n in list(frame.f_globals):\n"
        "        if n in ('encode', '_reply', '_named'): frame.f_globals[n] = lambda *a: 'true'\n"
        "    frame = frame.f_back\ndef f(a, b): return True"
    ),
    "looks through the disk": (
        "import os\nanswer = None\nfor place in ('/', '/tmp', '.', '..'):\n"
        "    for folder, inner, names in os.walk(place):\n"
        "        inner[:] = [name for name in inner if name not in ('usr', 'lib', 'lib64', 'dev')]\n"
        "        for name in names:\n"
        "            if '42' in open(os.path.join(folder, name), errors='replace').read(100_000): answer = 42\n"
        "print(answer)\ndef f(a, b): return answer"
    ),
    "writes reward files": (
        "import os\nfor name in ('reward.txt', '/tmp/reward.txt', '/logs/verifier/reward.txt', 'result.json'):\n"
        "    try:\n"
        "        os.makedirs(os.path.dirname(name) or '.', exist_ok=True)\n"
        "        open(name, 'w').write('1')\n"
        "    except OSError: pass"
    ),
    "edits tests": (
        "for name in ('conftest.py', 'test_solution.py', 'sitecustomize.py', 'json.py'):\n"
        "    open('/tmp/' + name, 'w').write('def pytest_runtest_call(item): pass')"
    ),
    "skips tests": (
        "try:\n"
        "    import pytest\n"
        "    pytest.skip('done', allow_module_level=True)\n"
        "except ImportError:\n"
        "    raise SystemExit(0)"
    ),
    "patches unittest": (
        "import unittest\nunittest.TestCase.run = lambda *a, **k: None\nunittest.TestCase.assertEqual = lambda *a: None"
    ),
    "keeps a thread running": (
        "import threading, time\n"
        "threading.Thread(target=lambda: time.sleep(60), daemon=True).start()\n"
        "def f(a, b): return 0"
    ),
    "traces calls": (
        "import sys\nsys.settrace(lambda *a: None)\nsys.setprofile(lambda *a: None)\ndef f(a, b): return True"
    ),
    "swallows the requests": (
        "import os\n"
        "for fd in (0, 10):\n"
        "    try: os.set_blocking(fd, False); os.read(fd, 1 << 20)\n"
        "    except OSError: pass\n"
        "def f(a, b): return True"
    ),
    "returns itself by name": "def f(a, b): return 'f(6, 7)'\nprint('f(6, 7)')",
    "raises what passes": "class Passed(BaseException): pass\ndef f(a, b): raise Passed\nraise SystemExit('passed')",
    "closes every descriptor": "import os\nos.closerange(0, 256)\ndef f(a, b): return True",
    "returns too much": "def f(a, b): return 'x' * (1 << 24)\nprint('x' * (1 << 24))",
    "returns what is too deep": "x = []\nfor _ in range(100000): x = [x]\ndef f(a, b): return x",
    "returns what refers to itself": "x = []\nx.append(x)\ndef f(a, b): return x\nprint(x)",
    "returns a number that is too long": "def f(a, b): return 10 ** 10000",
}


@pytest.mark.parametrize("columns", [RUNS, ASSERTS, LOOP, NAMED], ids=["runs", "asserts", "loop", "named"])
@pytest.mark.parametrize("name", TAMPERING)
def test_tampering_with_the_grader_pays_nothing(name: str, columns: dict[str, Any]) -> None:
    assert scored(TAMPERING[name], columns, seconds=2.0, partial=True) == 0.0


SEARCH = """
import gc, sys
key = str(len([0] * 8) * 11110 + 1)
seen, waiting, answer = set(), [*gc.get_objects(), sys.argv, sys._getframe().f_globals], None
frame = sys._getframe()
while frame:
    waiting += [frame.f_locals, frame.f_globals]
    frame = frame.f_back
while waiting:
    one = waiting.pop()
    if id(one) in seen:
        continue
    seen.add(id(one))
    if type(one) in (str, bytes, int):
        text = one.decode("latin-1") if type(one) is bytes else str(one) if type(one) is str or one < 10**9 else ""
        if one is not key and key in text and len(text) < 2000:
            answer = text
    elif type(one) in (dict, list, tuple, set):
        waiting += gc.get_referents(one)
"""


@pytest.mark.parametrize("use", ["print(answer)", "def f(a, b): return answer and 88881"])
@pytest.mark.parametrize(
    "columns",
    [
        {"tests": {"inputs": ["6 7"], "outputs": ["88881"]}},
        {"test_list": ["assert f(6, 7) == 88881"]},
        {"test_list": ["x = 88881\nassert f(6, 7) == x"]},
        {"tests": {"fn_name": "f", "inputs": [[6, 7]], "outputs": [88881]}},
    ],
    ids=["runs", "asserts", "statements", "named"],
)
def test_the_expected_value_is_nowhere_in_memory(columns: dict[str, Any], use: str) -> None:
    program = SEARCH + use.replace("88881", "int(key)")
    assert scored(program, columns) == 0.0
    # The same search finds it where it is: what is expected is among the inputs here.
    if "inputs" in columns.get("tests", {}) and "print" in use:
        leaking = {"tests": {"inputs": ["88881"], "outputs": ["88881"]}}
        assert scored(program, leaking) == 1.0


@pytest.mark.parametrize("columns", [RUNS, ASSERTS, LOOP, NAMED], ids=["runs", "asserts", "loop", "named"])
def test_expected_values_never_enter_the_sandbox_of_the_program(
    columns: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[Any] = []
    ask = sandbox_module.Session.ask

    def listening(session: Any, request: dict[str, Any]) -> None:
        said.append((id(session), request))
        ask(session, request)

    monkeypatch.setattr(sandbox_module.Session, "ask", listening)
    columns = json.loads(json.dumps(columns).replace("42", "4242"))
    scored(PRINTS + "\n" if columns.keys() & {"tests"} else DEFINES, columns)
    programs = {session for session, request in said if request.get("name") == "program" or "inputs" in request}
    assert programs
    assert not any("4242" in repr(request) for session, request in said if session in programs)


def test_the_program_is_the_last_block_of_python() -> None:
    assert (
        program_of("```python\nprint(1)\n```\nNo:\n```python\nprint(2)\n```\nRun it:\n```bash\npython x.py\n```")
        == "print(2)\n"
    )
    assert program_of("```\nprint(1)\n```") == "print(1)\n"
    assert program_of("print(1)") == "print(1)"
    assert program_of("Use `print(1)`.\n```c\nint main() {}\n```") == ""
    assert program_of("```python\nprint(1)") == ""
    assert program_of("") == program_of(" \n") == ""


def test_chat_messages_and_prose_are_read() -> None:
    message = [{"role": "assistant", "content": f"So:\n```python\n{PRINTS}\n```"}]
    rows = [Item("", message, RUNS), Item("", "It is 42.", RUNS), Item("", "", RUNS), Item("", PRINTS, RUNS)]
    assert Code().score_rows(rows) == [1.0, 0.0, 0.0, 1.0]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"answer": "42"}, "the row has no tests"),
        ({"tests": "x = ="}, "no Python"),
        ({"tests": {"inputs": ["1"], "outputs": []}}, "as many outputs as inputs"),
        ({"tests": {"inputs": [], "outputs": []}}, "no test at all"),
        ({"tests": 42}, "expected an object, a list or text, got int 42"),
        ({"tests": [{"input": "1"}]}, "has none of output"),
        ({"tests": "assert 1 == 1"}, "call no function"),
        ({"test": "def check(candidate):\n    assert candidate(1) == 1"}, "entry_point"),
        ({"test_list": ["assert f(lambda: 1) == [i for i in [1]]"]}, "such as a function"),
        ({"test_list": ["import nowhere\nassert f(1) == [i for i in [1]]"]}, "cannot be loaded"),
    ],
)
def test_tests_that_cannot_be_read_are_nobodys_fault(columns: dict[str, Any], message: str) -> None:
    with pytest.raises(RewardError, match=message):
        scored("def f(x): return [x()]", columns)
    ((value, status, _),) = score(
        Code(), [Item("", "print(1)" if "lambda" not in str(columns) else "def f(x): return [x()]", columns)]
    )
    assert (value, status) == (None, Status.MISSING_REFERENCE)


def test_input_that_is_no_text_is_nobodys_fault() -> None:
    columns = {"tests": {"inputs": ["\ud800"], "outputs": ["3"]}}
    assert scored("import sys\nprint(len(sys.stdin.buffer.read()))", columns) == 1.0
    assert statuses("print('\ud800')", columns)[0].startswith("does not compile")


def test_a_named_column_is_used() -> None:
    columns = {"tests": RUNS["tests"], "hidden": {"inputs": ["1 1"], "outputs": ["2"]}}
    assert scored("print(2)", columns, column="hidden") == 1.0
    with pytest.raises(RewardError, match="expected the column 'other'"):
        scored("print(2)", columns, column="other")


def test_hanging_is_the_answers_fault_and_a_lost_sandbox_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    assert statuses("while True: pass", RUNS, seconds=0.5) == ["time limit", "time limit"]
    reward = Code()
    monkeypatch.setattr(sandbox_session, "command", lambda *arguments: ["false"])
    with pytest.raises(Unavailable):
        reward.verdicts(PRINTS, RUNS)
    ((value, status, _),) = score(reward, [Item("", PRINTS, RUNS)])
    assert (value, status) == (None, Status.UNAVAILABLE)


def test_without_a_sandbox_it_cannot_be_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox_module, "candidates", lambda: [])
    module._box.cache_clear()
    with pytest.raises(RewardError, match="bubblewrap"):
        Code()
    assert Code(sandbox=BARE).score_rows([Item("", PRINTS, RUNS)]) == [1.0]
    module._box.cache_clear()


@pytest.mark.parametrize("back_end", working(), ids=lambda one: one.title)
def test_all_back_ends_agree(back_end: Any) -> None:
    box = Sandbox(back_end, Limits(seconds=2.0))
    for columns, program in ((RUNS, PRINTS), (ASSERTS, DEFINES), (LOOP, DEFINES), (NAMED, DEFINES)):
        tests = read_tests(columns)
        assert [verdict.passed for verdict in grade(program, tests, box)] == [True] * len(tests)
        assert not any(verdict.passed for verdict in grade(program.replace("*", "+"), tests, box))


def test_it_is_a_reward_under_its_address_and_as_a_function() -> None:
    reward = Code(partial=True, seconds=2.0)
    address = str(address_of(reward))
    assert address.startswith("trueward.rewards.rules.code:Code(partial=True, seconds=2.0")
    calls = [[Item("", PRINTS, RUNS)], [Item("", "print(6)", RUNS)], [Item("", "print(7)", RUNS)]]
    with WorkerPool(workers=1, deadline=20) as pool:
        outcomes = [one[0] for one in pool.run(address, calls)]
        plain = [one[0] for one in pool.run("trueward.rewards.rules.code:code", calls)]
    assert [outcome.value for outcome in outcomes] == [1.0, 0.5, 0.0]
    assert [outcome.value for outcome in plain] == [1.0, 0.0, 0.0]
    assert all(outcome.effects == () for outcome in (*outcomes, *plain))
    assert load("trueward.rewards.rules.code:code").containers == ("text", "chat")
    assert code(["print(6)", PRINTS], tests=[RUNS["tests"]] * 2, trainer_state=None) == [0.0, 1.0]


def test_a_worker_needs_the_standard_library_only() -> None:
    import subprocess

    script = "import sys, trueward.rewards.rules.code; print({'numpy', 'torch', 'psutil'} & set(sys.modules))"
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert told.stdout.strip() == "set()", told.stderr


def test_programs_of_a_batch_may_run_at_the_same_time() -> None:
    rows = [Item("", f"print({n})", {"tests": {"inputs": [""], "outputs": [str(n % 3)]}}) for n in range(9)]
    assert Code(parallel=4).score_rows(rows) == Code().score_rows(rows) == [1.0] * 3 + [0.0] * 6
    with pytest.raises(RewardError, match="parallel is 0"):
        Code(parallel=0)


def test_what_is_not_enforced_can_be_asked() -> None:
    assert all("cannot enforce here" in notice for notice in Code().notices)
    (notice,) = Code(sandbox=BARE).notices
    assert "network, files" in notice
    assert "network" not in Code().box().unenforced
    assert "network" in Code(sandbox=BARE).box().unenforced
    assert sandbox().back_end.isolates
