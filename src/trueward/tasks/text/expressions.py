"""Telling two expressions apart by evaluating both, under limits that are checked before anything is computed."""

from __future__ import annotations

import ast
import math
import re

_LONGEST = 300
_DEEPEST = 40
_LARGEST_EXPONENT = 60
_LARGEST = 1e60
# Arbitrary points where simple expressions are defined; two that differ agree on all three only by accident.
_POINTS = (0.731, 1.2909, 1.8173)

_REPLACEMENTS = (
    (re.compile(r"\\left|\\right|\\[,;! ]|\$|\\displaystyle"), ""),
    (re.compile(r"\\(?:cdot|times|ast)(?![a-zA-Z])|×|·|⋅"), "*"),
    (re.compile(r"\\div(?![a-zA-Z])|÷"), "/"),
    (re.compile(r"−|–"), "-"),
    (re.compile(r"\\pi(?![a-zA-Z])|π"), " pi "),
    (re.compile(r"\\(sin|cos|tan|exp|ln|sqrt)(?![a-zA-Z])"), r" \1"),
    (re.compile(r"\^"), "**"),
)
_FRACTION = re.compile(r"\\[dt]?frac\{([^{}]*)\}\{([^{}]*)\}")
_ROOT = re.compile(r"\\sqrt\{([^{}]*)\}")
_FUNCTIONS = {
    "sin": math.sin,
    "cos": math.cos,
    "tan": math.tan,
    "exp": math.exp,
    "ln": math.log,
    "sqrt": math.sqrt,
}


def evaluate(text: str, point: float = _POINTS[0]) -> float | None:
    """Value of an arithmetic or simple LaTeX expression, every one-letter variable but e, E, i and C set by `point`.

    Returns None for whatever it does not fully understand, for lengths over 300 characters, nesting over 40, exponents
    over 60 and values over 1e60: nothing is computed that could be slow.
    """
    tree = _parse(text)
    if tree is None:
        return None
    try:
        value = _value(tree, point, 0)
    except (ValueError, ZeroDivisionError, OverflowError):
        return None
    return value if math.isfinite(value) and abs(value) <= _LARGEST else None


def differ(first: str, second: str) -> bool | None:
    """True when two expressions certainly differ in value, False when they agree at three points, None when unknown."""
    verdict: bool | None = False
    for point in _POINTS:
        a, b = evaluate(first, point), evaluate(second, point)
        if a is None or b is None:
            return None
        gap = abs(a - b) / max(1.0, abs(a), abs(b))
        if gap > 1e-6:
            return True
        if gap > 1e-12:
            verdict = None
    return verdict


def _parse(text: str) -> ast.expr | None:
    """A Python syntax tree of the expression, or None."""
    if len(text) > _LONGEST:
        return None
    text = text.strip().rstrip(".")
    while True:
        text, fractions = _FRACTION.subn(r"((\1)/(\2))", text)
        text, roots = _ROOT.subn(r" sqrt(\1)", text)
        if not fractions + roots:
            break
    for pattern, replacement in _REPLACEMENTS:
        text = pattern.sub(replacement, text)
    text = text.replace("{", "(").replace("}", ")")
    if "\\" in text or not re.fullmatch(r"[0-9a-zA-Z+\-*/(). ]+", text):
        return None
    product = _multiply_neighbours(text)
    try:
        return ast.parse(product, mode="eval").body if product else None
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


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


def _value(node: ast.expr, point: float, depth: int) -> float:
    if depth > _DEEPEST:
        raise ValueError("nested too deeply")
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        return float(node.value)
    if isinstance(node, ast.Name):
        if node.id == "pi":
            return math.pi
        if len(node.id) == 1 and node.id not in "eEiC":
            return point * (1 + (ord(node.id) % 32) / 7)
        raise ValueError(node.id)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
        inner = _value(node.operand, point, depth + 1)
        return -inner if isinstance(node.op, ast.USub) else inner
    if isinstance(node, ast.BinOp):
        return _operate(node.op, _value(node.left, point, depth + 1), _value(node.right, point, depth + 1))
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and len(node.args) == 1:
        return _FUNCTIONS[node.func.id](_value(node.args[0], point, depth + 1))
    raise ValueError(ast.dump(node))


def _operate(operator: ast.operator, left: float, right: float) -> float:
    match operator:
        case ast.Add():
            return left + right
        case ast.Sub():
            return left - right
        case ast.Mult():
            return left * right
        case ast.Div():
            return left / right
        case ast.Pow() if abs(right) <= _LARGEST_EXPONENT:
            power = left**right
            if isinstance(power, complex):
                raise ValueError("complex")
            return float(power)
    raise ValueError(type(operator).__name__)
