r"""A mathematical answer as plain text: without layout, `\text`, and the many ways to write the same command."""

from __future__ import annotations

import re

from trueward.tasks.text.numbers import strip_wrappers

_SYMBOLS = str.maketrans(
    {
        "−": "-",
        "–": "-",
        "×": "*",
        "·": "*",
        "⋅": "*",
        "÷": "/",
        "π": r"\pi ",
        "∞": r"\infty ",
        "≤": r"\le ",
        "≥": r"\ge ",
        "∪": r"\cup ",
        "∩": r"\cap ",
        "±": r"\pm ",
        "∈": r"\in ",
        "∅": r"\emptyset ",
        "√": r"\sqrt",
        "°": r"^\circ",
    }
)
_LAYOUT = re.compile(
    r"\\(?:left|right|displaystyle|textstyle|limits|bigl|bigr|big|quad|qquad|mathopen|mathclose)(?![a-zA-Z])\.?|\\[!]"
)
_SPACE = re.compile(r"\\[,;: ]|~|\s+")
_COMMANDS = (
    (re.compile(r"\\[dtc]frac(?![a-zA-Z])"), r"\\frac"),
    (re.compile(r"\\(?:leq|leqslant)(?![a-zA-Z])"), r"\\le"),
    (re.compile(r"\\(?:geq|geqslant)(?![a-zA-Z])"), r"\\ge"),
    (re.compile(r"\\(?:lbrace)(?![a-zA-Z])"), r"\\{"),
    (re.compile(r"\\(?:rbrace)(?![a-zA-Z])"), r"\\}"),
    (re.compile(r"\\(?:varnothing)(?![a-zA-Z])"), r"\\emptyset"),
    (re.compile(r"\\(?:cdot|times|ast)(?![a-zA-Z])"), "*"),
    (re.compile(r"\\(?:text|mathrm|textrm|textbf|mathbf|mathit|textit|mbox|operatorname)\{\s*(?:and|or)\s*\}"), ", "),
)
_ARGUMENT = r"(?:\{[^{}]*\}|[0-9a-zA-Z])"
_SHORT_FRACTION = re.compile(rf"\\frac\s*({_ARGUMENT})\s*({_ARGUMENT})")
_SHORT_ROOT = re.compile(r"\\?(?<![a-zA-Z])sqrt\s*(?:([0-9a-zA-Z])|\(([^()]*)\))")
_TEXT = re.compile(r"\\(?:text|mathrm|textrm|textbf|mathbf|mathit|textit|mbox)\s*\{([^{}]*)\}")
_UNIT_AT_END = re.compile(
    r"(?<=[\d}).])\s*(?:\\(?:text|mathrm|textrm|mbox|textbf)\s*\{\s*([^{}]*?)\s*\}(?:\^\{?\d\}?)?|\^\{?\s*\\circ\s*\}?\s*([CF]?))$"
)
_INFINITY = re.compile(r"(?<![\\a-zA-Z])(?:infinity|inf|oo)(?![a-zA-Z])")
_GROUPS = re.compile(r"(?<![\d.,])\d{1,3}(?: \d{3})+(?![\d,])")
_APPLIED = re.compile(
    r"\\(ln|sin|cos|tan|cot|sec|csc|exp|arctan|arcsin|arccos)\s*(\d+|[a-zA-Z]|\\pi)(?=\s*(?:$|[-+)},]))"
)
_BETWEEN_DIGITS = re.compile(r"(?<=\d)\s+(?=\d)")
_MATRIX = re.compile(r"\\begin\{([pb]?matrix)\}(.{1,2000}?)\\end\{\1\}", re.DOTALL)
_AND = re.compile(r"(?<![a-zA-Z\\]),?\s*\band\b\s*(?![a-zA-Z])")


def plain(text: str) -> tuple[str, str]:
    r"""The answer as plain text, and the unit that stands behind it in `\text` ("" for none).

    Example:
        >>> plain(r"$\dfrac12\,\text{ cm}$")
        ('\\frac{1}{2}', 'cm')
    """
    text = strip_wrappers(text)
    if not text.isascii():
        text = text.translate(_SYMBOLS)
    unit = ""
    if "\\" in text:
        text = _LAYOUT.sub("", text)
        for pattern, replacement in _COMMANDS:
            text = pattern.sub(replacement, text)
        text = text.replace("{,}", ",").replace(r"\$", "$").replace(r"\%", "%")
        text = _SHORT_FRACTION.sub(lambda found: rf"\frac{_braced(found[1])}{_braced(found[2])}", text)
        text = text.strip()
        if found := _UNIT_AT_END.search(text):
            unit, text = found.group(1) or f"°{found.group(2) or ''}", text[: found.start()]
        text = _TEXT.sub(r" \1 ", text)
        text = _APPLIED.sub(r"\\\1(\2)", _SPACE.sub(" ", text))
    elif " and " in text:
        text = _AND.sub(", ", text)
    if "sqrt" in text:
        text = _SHORT_ROOT.sub(lambda found: rf"\sqrt{{{found[1] or found[2] or ''}}}", text)
    if " " in text:
        text = _GROUPS.sub(lambda found: found.group().replace(" ", ""), text)
    if "inf" in text or "oo" in text:
        text = _INFINITY.sub(r"\\infty", text)
    return text.strip(), unit


def _braced(argument: str) -> str:
    return argument if argument.startswith("{") else f"{{{argument}}}"


def canonical(text: str) -> str:
    """Plain text in which only the letters count: no white space, one case where no command could be meant."""
    joined = "".join(_BETWEEN_DIGITS.sub("_", text).split())
    return joined if "\\" in joined else joined.casefold()


def matrix_of(text: str) -> list[list[str]] | None:
    r"""The cells of a matrix or vector in `pmatrix`, `bmatrix` or `matrix`, row by row; None for anything else."""
    found = _MATRIX.fullmatch(strip_wrappers(text))
    if found is None or r"\begin" in found[2]:
        return None
    rows = [row for row in found[2].split(r"\\") if row.strip()]
    return [[cell.strip() for cell in row.split("&")] for row in rows]


def split(text: str, separators: str) -> list[str]:
    """The parts of `text` between separators that stand outside of all brackets, whichever kind closes them."""
    parts: list[str] = []
    depth = start = 0
    for index, char in enumerate(text):
        if char in "([{":
            depth += 1
        elif char in ")]}":
            depth -= 1
        elif depth == 0 and char in separators:
            parts.append(text[start:index].strip())
            start = index + 1
    parts.append(text[start:].strip())
    return parts
