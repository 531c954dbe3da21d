"""The tests of a row, in the forms in which data sets keep them.

- inputs and outputs: `{"inputs": […], "outputs": […]}` as APPS, TACO and verl have it, with `fn_name` where a function
  is called instead of a program being run; a list of `{"input": …, "output": …}`, as LiveCodeBench and open-r1 have it;
- assertions: a list of `assert …` (MBPP), or source with `check(candidate)` and an `entry_point` (HumanEval);

each as an object, or as the JSON text of one.
"""

from __future__ import annotations

import ast
import builtins
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trueward.errors import RewardError
from trueward.rewards.rules.code_asserts import Check, free_names, parsed, take_apart

TEST_COLUMNS = (
    "tests",
    "test_list",
    "test_cases",
    "input_output",
    "verification_info",
    "official_tests",
    "private_test_cases",
    "public_test_cases",
    "unit_tests",
    "test",
    "test_code",
    "ground_truth",
)
_ROUNDED = 1e-6  # by which decimal fractions in JSON may differ, absolutely or relatively
_INPUT_NAMES = ("input", "inputs", "stdin")
_OUTPUT_NAMES = ("output", "outputs", "expected_output", "stdout", "expected")


@dataclass(frozen=True)
class Runs:
    """A program is run once for each input, and must print the output that belongs to it."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.inputs)


@dataclass(frozen=True)
class Checks:
    """A program is loaded once, and each check asks it for one value.

    Attributes:
        preamble: imports that stand beside the program.
        checks: what must hold.
    """

    preamble: str
    checks: tuple[Check, ...]

    def __len__(self) -> int:
        return len(self.checks)


@dataclass(frozen=True)
class Statements:
    """Tests that are programs themselves: they run in a sandbox of their own and call the program by value.

    Attributes:
        setup: what is run first: imports, helper functions.
        statements: one test each.
        remote: names that stand for functions of the program.
    """

    setup: str
    statements: tuple[str, ...]
    remote: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.statements)


Tests = Runs | Checks | Statements


def read_tests(columns: Mapping[str, Any], column: str = "") -> Tests:
    """The tests of a row.

    Args:
        columns: the row's columns.
        column: which of them holds the tests; by default the first of `TEST_COLUMNS` that does, and verl's
            `reward_model.ground_truth`.

    Raises:
        RewardError: there are none, or they have none of the known forms.
    """
    nested = columns.get("reward_model")
    if "ground_truth" not in columns and isinstance(nested, Mapping) and "ground_truth" in nested:
        columns = {**columns, "ground_truth": nested["ground_truth"]}
    named = [column] if column else [name for name in TEST_COLUMNS if columns.get(name) not in (None, "", [], {})]
    if not named or named[0] not in columns:
        wanted = repr(column) if column else f"one of {', '.join(TEST_COLUMNS)}"
        raise RewardError(f"the row has no tests: expected the column {wanted}; it has {', '.join(columns) or 'none'}")
    try:
        found = _read(_unwrapped(columns[named[0]]), columns)
    except (ValueError, TypeError, RecursionError) as error:
        raise RewardError(f"column {named[0]!r} holds no tests that can be read: {error}") from error
    if not len(found):
        raise RewardError(f"column {named[0]!r} holds no test at all")
    return found


def _unwrapped(value: Any) -> Any:
    """The value itself where it is the JSON text of an object or a list."""
    if isinstance(value, str) and value.lstrip()[:1] in ("{", "["):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


def _read(value: Any, columns: Mapping[str, Any]) -> Tests:
    if isinstance(value, Mapping):
        for name in ("test_cases", "tests", "official_tests"):
            if name in value:
                return _read(_unwrapped(value[name]), {**columns, **{k: v for k, v in value.items() if k != name}})
        return _from_table(value, columns)
    if isinstance(value, str):
        return _from_source(value, columns)
    if isinstance(value, Sequence) and value:
        if all(isinstance(one, str) for one in value):
            return _from_assertions(list(value), columns)
        if all(isinstance(one, Mapping) for one in value):
            return _from_cases(list(value), columns)
    raise ValueError(f"expected an object, a list or text, got {type(value).__name__} {repr(value)[:80]}")


def _from_cases(cases: list[Mapping[str, Any]], columns: Mapping[str, Any]) -> Tests:
    inputs = [_one_of(case, _INPUT_NAMES) for case in cases]
    outputs = [_one_of(case, _OUTPUT_NAMES) for case in cases]
    names = [case.get("fn_name") or case.get("func_name") for case in cases]
    table = {"inputs": inputs, "outputs": outputs, "fn_name": names[0] or columns.get("fn_name")}
    return _from_table(table, columns)


def _one_of(case: Mapping[str, Any], names: Sequence[str]) -> Any:
    for name in names:
        if name in case:
            return case[name]
    raise ValueError(f"a test has none of {', '.join(names)}; it has {', '.join(map(str, case))}")


def _from_table(table: Mapping[str, Any], columns: Mapping[str, Any]) -> Tests:
    inputs, outputs = _one_of(table, _INPUT_NAMES), _one_of(table, _OUTPUT_NAMES)
    if isinstance(inputs, str) and isinstance(outputs, str):
        inputs, outputs = [inputs], [outputs]
    if not isinstance(inputs, Sequence) or not isinstance(outputs, Sequence) or len(inputs) != len(outputs):
        raise ValueError("expected as many outputs as inputs, in two lists")
    name = table.get("fn_name") or table.get("func_name")
    if not name:
        return Runs(tuple(map(_text, inputs)), tuple(map(_text, outputs)))
    wrapped = all(isinstance(_from_json(output), list) and len(_from_json(output)) == 1 for output in outputs)
    checks = []
    for given, wanted in zip(inputs, outputs, strict=True):
        value = _from_json(wanted)
        # APPS wraps every result in a list; where all are lists of one, nobody can tell, and both forms count.
        right = (value, value[0]) if wrapped else (value,)
        checks.append(Check("json", right, call=str(name), arguments=_arguments(given), relative=_ROUNDED))
    return Checks("", tuple(checks))


def _text(value: Any) -> str:
    """Text for standard input or output; a list stands for lines."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "\n".join(map(str, value))
    return str(value)


def _from_json(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value


def _arguments(given: Any) -> tuple[Any, ...]:
    """The arguments of one call: a list of them, or text with one JSON value per line."""
    if isinstance(given, str):
        return tuple(_from_json(line) for line in given.splitlines() if line.strip())
    return tuple(given) if isinstance(given, list) else (given,)


def _from_source(source: str, columns: Mapping[str, Any]) -> Tests:
    """A file of tests: assertions, or functions that hold them, such as HumanEval's `check(candidate)`."""
    body = parsed(source)
    entry = str(columns.get("entry_point") or "")
    checker = next((one for one in body if isinstance(one, ast.FunctionDef) and one.name == "check"), None)
    if checker is None:
        return _from_statements(body, columns, entry)
    if not entry:
        raise ValueError("check(candidate) needs the column 'entry_point' with the name of the function")
    if len(checker.args.args) != 1:
        raise ValueError("check() must take the candidate and nothing else")
    inner = [one for one in checker.body if not (isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant))]
    renamed = [_Renamed(checker.args.args[0].arg, entry).visit(ast.parse(ast.unparse(one)).body[0]) for one in inner]
    checks = take_apart(renamed, (entry,))
    if checks:
        return Checks("", tuple(checks))
    return Statements(source, (f"check({entry})",), (entry,))


class _Renamed(ast.NodeTransformer):
    """Puts the program's function where its stand-in is called."""

    def __init__(self, old: str, new: str) -> None:
        self.old, self.new = old, new

    def visit_Name(self, node: ast.Name) -> ast.Name:
        """One name."""
        return ast.copy_location(ast.Name(self.new if node.id == self.old else node.id, node.ctx), node)


def _from_assertions(sources: list[str], columns: Mapping[str, Any]) -> Tests:
    setup = "\n".join(str(columns.get(name) or "") for name in ("test_setup_code",))
    imports = columns.get("test_imports") or []
    body = parsed("\n".join([*map(str, imports), setup, *sources]))
    return _from_statements(body, columns, str(columns.get("entry_point") or ""))


def _from_statements(body: list[ast.stmt], columns: Mapping[str, Any], entry: str) -> Tests:
    imports = [one for one in body if isinstance(one, ast.Import | ast.ImportFrom)]
    rest = [one for one in body if not isinstance(one, ast.Import | ast.ImportFrom)]
    outside = free_names(body) - set(dir(builtins))
    remote = tuple(sorted({*outside, *([entry] if entry else [])}))
    if not remote:
        raise ValueError("they call no function of the program")
    modules = {name for one in imports for name in _imported(one)}
    checks = take_apart(rest, {*remote, *modules})
    if checks is not None:
        return Checks("\n".join(map(ast.unparse, imports)), tuple(checks))
    tests = [one for one in rest if isinstance(one, ast.Assert)]
    if not tests:
        raise ValueError("there is no assertion among them")
    # What stands between the assertions belongs to the next one.
    pieces: list[list[ast.stmt]] = [[]]
    for statement in rest:
        pieces[-1].append(statement)
        if isinstance(statement, ast.Assert):
            pieces.append([])
    statements = ["\n".join(map(ast.unparse, piece)) for piece in pieces if piece]
    return Statements("\n".join(map(ast.unparse, imports)), tuple(statements), remote)


def _imported(statement: ast.Import | ast.ImportFrom) -> list[str]:
    return [(alias.asname or alias.name).partition(".")[0] for alias in statement.names]
