"""Tests written as assertions, taken apart: what the program computes, and what must come out.

`assert f(1, 2) == 3` becomes the expression `f(1, 2)`, which is evaluated beside the program, and the value 3, which
never goes there.
"""

from __future__ import annotations

import ast
import builtins
import math
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

_MAKERS: dict[str, Any] = {
    "set": set,
    "frozenset": frozenset,
    "tuple": tuple,
    "list": list,
    "dict": dict,
    "sorted": sorted,
    "float": float,
    "complex": complex,
}
_CONSTANTS = {"pi": math.pi, "e": math.e, "inf": math.inf, "tau": math.tau}
_MOST_CHARACTERS = 1_000_000

Kind = Literal["equal", "identical", "close", "in", "true", "false", "json"]


@dataclass(frozen=True)
class Check:
    """One thing that must hold of what a program computes.

    Attributes:
        kind: how the value is compared: with ==; as True, False or None; as a number; as a member; as true or false;
            or as JSON.
        expected: the value (for "in", the container; for "json", every value that counts as right).
        expression: Python to be evaluated beside the program; empty where `call` is used.
        call: a function, with `arguments`.
        absolute, relative: tolerances of "close".
    """

    kind: Kind
    expected: Any = None
    expression: str = ""
    call: str = ""
    arguments: tuple[Any, ...] = ()
    absolute: float = 0.0
    relative: float = 0.0


def parsed(source: str) -> list[ast.stmt]:
    """The statements of a test.

    Raises:
        ValueError: it is no Python.
    """
    if len(source) > _MOST_CHARACTERS:
        raise ValueError(f"the tests are {len(source):,} characters long; the most is {_MOST_CHARACTERS:,}")
    try:
        with warnings.catch_warnings():
            # Data that is no Python at all is parsed too, to find that out.
            warnings.simplefilter("ignore")
            return ast.parse(source).body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ValueError(f"the tests are no Python: {error}") from error


def take_apart(statements: Sequence[ast.stmt], known: Iterable[str]) -> list[Check] | None:
    """The checks that these statements make, or None when one of them is more than a simple assertion.

    Args:
        statements: of the tests.
        known: names, besides those of built-in functions, that exist beside the program.
    """
    checks = []
    names = {*known, *dir(builtins)}
    for statement in statements:
        if not isinstance(statement, ast.Assert):
            return None
        if isinstance(statement.test, ast.Constant) and statement.test.value:
            # HumanEval marks its sections with `assert True`.
            continue
        check = _check(statement.test)
        # Whatever else an expression names lives with the tests, and must not come near the program.
        if check is None or not free_names([ast.parse(check.expression)]) <= names:
            return None
        checks.append(check)
    return checks


def free_names(nodes: Iterable[ast.AST]) -> set[str]:
    """Names that are read and never bound in these statements."""
    read: set[str] = set()
    bound: set[str] = set()
    for node in (inner for outer in nodes for inner in ast.walk(outer)):
        if isinstance(node, ast.Name):
            (read if isinstance(node.ctx, ast.Load) else bound).add(node.id)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            bound.add(node.name)
        elif isinstance(node, ast.arg):
            bound.add(node.arg)
        elif isinstance(node, ast.alias):
            bound.add((node.asname or node.name).partition(".")[0])
        elif isinstance(node, ast.ExceptHandler) and node.name:
            bound.add(node.name)
    return read - bound


def _check(test: ast.expr) -> Check | None:
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        return _of(test.operand, "false")
    if isinstance(test, ast.Compare) and len(test.ops) == 1:
        return _comparison(test.left, test.ops[0], test.comparators[0])
    if isinstance(test, ast.Call):
        return _closeness(test) or _of(test, "true")
    return None


def _of(node: ast.expr, kind: Kind, expected: Any = None, absolute: float = 0.0, relative: float = 0.0) -> Check | None:
    """A check of an expression that asks the program something: one that calls nothing would ask nothing."""
    if not any(isinstance(inner, ast.Call) for inner in ast.walk(node)):
        return None
    return Check(kind, expected, ast.unparse(node), absolute=absolute, relative=relative)


def _comparison(left: ast.expr, operator: ast.cmpop, right: ast.expr) -> Check | None:
    try:
        match operator:
            case ast.Eq():
                try:
                    return _of(left, "equal", constant(right))
                except ValueError:
                    return _of(right, "equal", constant(left))
            case ast.Is():
                value = constant(right)
                return _of(left, "identical", value) if value is None or isinstance(value, bool) else None
            case ast.In():
                return _of(left, "in", constant(right))
            case ast.Lt() | ast.LtE():
                return _difference(left, constant(right))
    except ValueError:
        return None
    return None


def _difference(left: ast.expr, bound: Any) -> Check | None:
    """`abs(f(x) − y) < ε`."""
    if not (isinstance(left, ast.Call) and isinstance(left.func, ast.Name) and left.func.id == "abs"):
        return None
    inside = left.args[0] if len(left.args) == 1 else None
    if not isinstance(inside, ast.BinOp) or not isinstance(inside.op, ast.Sub) or not isinstance(bound, int | float):
        return None
    try:
        return _of(inside.left, "close", constant(inside.right), absolute=float(bound))
    except ValueError:
        return _of(inside.right, "close", constant(inside.left), absolute=float(bound))


def _closeness(call: ast.Call) -> Check | None:
    """`math.isclose(f(x), y, rel_tol=…, abs_tol=…)`."""
    if ast.unparse(call.func) not in ("math.isclose", "isclose") or len(call.args) != 2:
        return None
    try:
        named = {str(keyword.arg): constant(keyword.value) for keyword in call.keywords}
        first, second = call.args
        absolute, relative = float(named.get("abs_tol", 0.0)), float(named.get("rel_tol", 1e-9))
        try:
            return _of(first, "close", constant(second), absolute, relative)
        except ValueError:
            return _of(second, "close", constant(first), absolute, relative)
    except (ValueError, TypeError):
        return None


def constant(node: ast.expr) -> Any:
    """The value of an expression that computes nothing but plain values, without running it.

    Raises:
        ValueError: it is more than that.
    """
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        pass
    match node:
        case ast.List(elts=items):
            return [constant(item) for item in items]
        case ast.Tuple(elts=items):
            return tuple(constant(item) for item in items)
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]) if name in _MAKERS:
            try:
                return _MAKERS[name](*[constant(argument) for argument in arguments])
            except (TypeError, ValueError, OverflowError) as error:
                raise ValueError(str(error)) from error
        case ast.Attribute(value=ast.Name(id="math"), attr=name) if name in _CONSTANTS:
            return _CONSTANTS[name]
        case ast.UnaryOp(op=ast.USub(), operand=inner):
            value = constant(inner)
            if isinstance(value, int | float):
                return -value
        case ast.BinOp(left=first, op=operator, right=second):
            return _arithmetic(constant(first), operator, constant(second))
    raise ValueError(f"{ast.unparse(node)} is no constant")


def _arithmetic(first: Any, operator: ast.operator, second: Any) -> int | float:
    if not all(type(one) in (int, float) and abs(one) < 10**30 for one in (first, second)):
        raise ValueError("no numbers of a reasonable size")
    try:
        match operator:
            case ast.Add():
                return first + second  # type: ignore[no-any-return]
            case ast.Sub():
                return first - second  # type: ignore[no-any-return]
            case ast.Mult():
                return first * second  # type: ignore[no-any-return]
            case ast.Div():
                return first / second  # type: ignore[no-any-return]
            case ast.FloorDiv():
                return first // second  # type: ignore[no-any-return]
            case ast.Mod():
                return first % second  # type: ignore[no-any-return]
            case ast.Pow() if abs(second) <= 200:
                return first**second  # type: ignore[no-any-return]
    except (ArithmeticError, ValueError) as error:
        raise ValueError(str(error)) from error
    raise ValueError("no such arithmetic")
