"""Telling two expressions apart by evaluating both, under limits that are checked before anything is computed."""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeVar

Value = TypeVar("Value", float, Fraction)

_LONGEST = 300
_DEEPEST = 40
_LARGEST_EXPONENT = 60
_LARGEST = 1e60
_MOST_BITS = 4_000  # of a numerator or denominator in exact arithmetic
# Arbitrary points where simple expressions are defined; two that differ agree on all three only by accident.
_POINTS = (0.731, 1.2909, 1.8173)
# sqrt(x^2) and x agree wherever x is positive; where one of two is not defined here, this point says nothing.
_NEGATIVE = -0.6173

_FUNCTIONS: dict[str, Callable[[float], float]] = {
    "sin": math.sin,
    "cos": math.cos,
    "tan": math.tan,
    "cot": lambda value: 1 / math.tan(value),
    "sec": lambda value: 1 / math.cos(value),
    "csc": lambda value: 1 / math.sin(value),
    "arcsin": math.asin,
    "arccos": math.acos,
    "arctan": math.atan,
    "exp": math.exp,
    "ln": math.log,
    "lg": math.log10,
    "sqrt": math.sqrt,
    "abs": abs,
}
FUNCTIONS = frozenset(_FUNCTIONS)
"""Names that are read as functions where a bracket follows."""

_REPLACEMENTS = (
    (re.compile(r"\\left|\\right|\\[,;! ]|\$|\\displaystyle"), ""),
    (re.compile(r"\\(?:cdot|times|ast)(?![a-zA-Z])|×|·|⋅"), "*"),
    (re.compile(r"\\div(?![a-zA-Z])|÷"), "/"),
    (re.compile(r"−|–"), "-"),
    (re.compile(r"\\pi(?![a-zA-Z])|π"), " pi "),
    (re.compile(rf"\\({'|'.join(_FUNCTIONS)})(?![a-zA-Z])"), r" \1"),
    (re.compile(r"\^"), "**"),
)
_FRACTION = re.compile(r"\\[dt]?frac\{([^{}]*)\}\{([^{}]*)\}")
_ROOT = re.compile(r"\\sqrt\{([^{}]*)\}")
_NTH_ROOT = re.compile(r"\\sqrt\[(\d)\]\{([^{}]*)\}")
_AMBIGUOUS = "eEiC"  # variables, or constants


@dataclass(frozen=True)
class Expression:
    """An expression that has been read, and can be evaluated.

    Attributes:
        tree: its syntax.
        variables: its variables.
        euler: whether "e" is Euler's number; otherwise an expression with an e has no value.
    """

    tree: ast.expr
    variables: frozenset[str]
    euler: bool = False

    def at(self, point: float) -> float | None:
        """Value where every variable is set by `point`; None where it has none, or one beyond 1e60."""
        try:
            value = float(_value(self.tree, point, self.euler, exact=False, depth=0))
        except (ValueError, ZeroDivisionError, OverflowError):
            return None
        return value if math.isfinite(value) and abs(value) <= _LARGEST else None

    def exactly(self) -> Fraction | None:
        """Value in exact arithmetic at one rational point; None with roots, functions or numbers that grow too long."""
        try:
            value = _value(self.tree, _POINTS[0], self.euler, exact=True, depth=0)
        except (ValueError, ZeroDivisionError, OverflowError):
            return None
        return value if isinstance(value, Fraction) else None


def read_expression(text: str, euler: bool = False) -> Expression | None:
    """Read an arithmetic or simple LaTeX expression.

    Every one-letter name but e, E, i and C is a variable. None for whatever is not fully understood, for lengths over
    300 characters and nesting over 40: nothing is computed that could be slow.

    Args:
        text: the expression.
        euler: read e as Euler's number.
    """
    tree = _parse(text)
    if tree is None:
        return None
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)} - _FUNCTIONS.keys() - {"pi"}
    constants = {"e"} if euler else set()
    if any(len(name) > 1 or (name in _AMBIGUOUS and name not in constants) for name in names):
        return None
    return Expression(tree, frozenset(names - constants), euler)


def evaluate(text: str, point: float = _POINTS[0]) -> float | None:
    """Value of an expression where every variable is set by `point`; None where it cannot be read or has none."""
    expression = read_expression(text)
    return None if expression is None else expression.at(point)


def differ(first: str, second: str) -> bool | None:
    """True when two expressions certainly differ in value, False when they agree at all points, None when unknown."""
    a, b = read_expression(first), read_expression(second)
    return None if a is None or b is None else values_differ(a, b)


def values_differ(a: Expression, b: Expression) -> bool | None:
    """As `differ`, for expressions that have been read."""
    verdict: bool | None = False
    for point in _POINTS if a.variables | b.variables else _POINTS[:1]:
        first, second = a.at(point), b.at(point)
        if first is None or second is None:
            return None
        gap = abs(first - second) / max(1.0, abs(first), abs(second))
        if gap > 1e-6:
            return True
        if gap > 1e-12:
            verdict = None
    exact = a.exactly(), b.exactly()
    if exact[0] is not None and exact[1] is not None:
        # Floats cannot tell 2^100 from 2^100 + 1, and rounding may be meant.
        return False if exact[0] == exact[1] else None
    if a.variables | b.variables:
        first, second = a.at(_NEGATIVE), b.at(_NEGATIVE)
        if first is not None and second is not None and abs(first - second) > 1e-6 * max(1.0, abs(first), abs(second)):
            return True
    return verdict


# 0x7 is seven to a programmer and a product to anybody else.
_BASED_NUMBER = re.compile(r"(?<![0-9a-zA-Z.])0[xXbBoO][0-9a-fA-F]")


def _parse(text: str) -> ast.expr | None:
    """A Python syntax tree of the expression, or None."""
    if len(text) > _LONGEST:
        return None
    text = text.strip().rstrip(".")
    if "\\" in text:
        text = _without_fractions(text)
    for pattern, replacement in _REPLACEMENTS:
        text = pattern.sub(replacement, text)
    text = text.replace("{", "(").replace("}", ")")
    if "\\" in text or not re.fullmatch(r"[0-9a-zA-Z+\-*/(). ]+", text) or _BASED_NUMBER.search(text):
        return None
    product = _multiply_neighbours(text)
    try:
        return ast.parse(product, mode="eval").body if product else None
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _without_fractions(text: str) -> str:
    while True:
        text, fractions = _FRACTION.subn(r"((\1)/(\2))", text)
        text, roots = _ROOT.subn(r" sqrt(\1)", text)
        text, others = _NTH_ROOT.subn(r"((\2)**(1/\1))", text)
        if not fractions + roots + others:
            return text


def _multiply_neighbours(text: str) -> str:
    """Writes the product sign that people leave out: 2x, 2(x + 1), (x)(y), x y.

    Returns "" where the reading is open: two numbers side by side, a product without a sign behind a division (1/2x).
    """
    tokens = re.findall(r"\d+\.?\d*|\.\d+|[a-zA-Z]+|\*\*|[+\-*/()]", text)
    if "".join(tokens) != text.replace(" ", ""):
        return ""
    out: list[str] = []
    for token in tokens:
        if out and (token[0].isalnum() or token[0] in "(.") and (out[-1][-1].isalnum() or out[-1][-1] in ")."):
            if token[0] in "0123456789." and out[-1][-1] in "0123456789.":
                return ""
            if not (token == "(" and out[-1] in _FUNCTIONS):
                if "/" in out[-2:-1]:
                    return ""
                out.append("*")
        out.append(token)
    return "".join(out)


def _value(node: ast.expr, point: float, euler: bool, exact: bool, depth: int) -> float | Fraction:
    if depth > _DEEPEST:
        raise ValueError("nested too deeply")
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        return Fraction(repr(node.value)) if exact else float(node.value)
    if isinstance(node, ast.Name):
        return _named(node.id, point, euler, exact)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
        inner = _value(node.operand, point, euler, exact, depth + 1)
        return -inner if isinstance(node.op, ast.USub) else inner
    if isinstance(node, ast.BinOp):
        left = _value(node.left, point, euler, exact, depth + 1)
        right = _value(node.right, point, euler, exact, depth + 1)
        if isinstance(left, Fraction) and isinstance(right, Fraction):
            return _operate_exactly(node.op, left, right)
        return _operate(node.op, float(left), float(right))
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and len(node.args) == 1 and not exact:
        return _FUNCTIONS[node.func.id](float(_value(node.args[0], point, euler, exact, depth + 1)))
    raise ValueError(type(node).__name__)


def _named(name: str, point: float, euler: bool, exact: bool) -> float | Fraction:
    if len(name) == 1 and not (name == "e" and euler):
        if name in _AMBIGUOUS:
            raise ValueError(name)
        number = ord(name) % 32
        return Fraction(repr(point)) * (1 + Fraction(number, 7)) if exact else point * (1 + number / 7)
    if exact or name not in ("pi", "e"):
        raise ValueError(name)
    return math.pi if name == "pi" else math.e


def _operate(operator: ast.operator, left: float, right: float) -> float:
    if isinstance(operator, ast.Pow) and abs(right) <= _LARGEST_EXPONENT:
        power = left**right
        if isinstance(power, complex):
            raise ValueError("complex")
        return float(power)
    return calculated(operator, left, right)


def _operate_exactly(operator: ast.operator, left: Fraction, right: Fraction) -> Fraction:
    bits = max(left.numerator.bit_length(), left.denominator.bit_length())
    if isinstance(operator, ast.Pow):
        if right.denominator != 1 or abs(right) > _LARGEST_EXPONENT or bits * abs(right) > _MOST_BITS:
            raise ValueError("not rational, or too long")
        return Fraction(left ** int(right))
    if max(bits, right.numerator.bit_length(), right.denominator.bit_length()) > _MOST_BITS:
        raise ValueError("too long")
    return calculated(operator, left, right)


def calculated(operator: ast.operator, left: Value, right: Value) -> Value:
    """left + right, left − right, left · right or left / right.

    Raises:
        ValueError: another operator.
        ZeroDivisionError: right is 0 in a division.
    """
    match operator:
        case ast.Add():
            return left + right
        case ast.Sub():
            return left - right
        case ast.Mult():
            return left * right
        case ast.Div():
            return left / right
    raise ValueError(type(operator).__name__)
