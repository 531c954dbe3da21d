r"""Foreign text as Python source: literals that read well, hold no surprise, and are the same text again.

A completion may hold quotes, line ends, characters that reverse or hide what stands beside them, and a million copies
of one bracket. Here it becomes `"a\u202eb"`, `"line one\n" "line two"`, or `"(" * 3000 + "1" + ")" * 3000`.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

from trueward.report.escape import visible

WIDTH = 88
LONGEST = 2_000  # characters of source that one text may take
_REPEATED = 300  # from this length on, repetition is looked for
_LONGEST_UNIT = 200
_LEAST_SAVED = 24
_ESCAPES = {"\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}
_RIGHT_TO_LEFT = ("R", "AL", "AN", "NSM")


def literal(value: Any, indent: int = 0, lead: int = 0) -> str | None:
    """A JSON value as Python source, over several lines where it does not fit into one.

    Args:
        value: text, number, boolean, None, or lists and mappings of these.
        indent: blanks before the line on which it begins.
        lead: characters before it and behind it on that line: `prompt=` and a comma.

    Returns:
        The source, formatted as formatters do; None where a text is longer than `LONGEST` and does not repeat itself.
    """
    if isinstance(value, str):
        return _text(value, indent, lead)
    if isinstance(value, float) and not math.isfinite(value):
        return f'float("{value}")'
    if isinstance(value, Mapping):
        return _several("{", "}", [(f"{_quoted(str(key))}: ", inner) for key, inner in value.items()], indent, lead)
    if isinstance(value, Sequence):
        return _several("[", "]", [("", inner) for inner in value], indent, lead)
    return repr(value)


def _several(opening: str, closing: str, parts: list[tuple[str, Any]], indent: int, lead: int) -> str | None:
    inner = [(name, literal(value, indent + 4, len(name) + 1)) for name, value in parts]
    written = [f"{name}{source}" for name, source in inner if source is not None]
    if len(written) < len(inner):
        return None
    line = opening + ", ".join(written) + closing
    if "\n" not in line and indent + lead + len(line) <= WIDTH:
        return line
    blanks = " " * (indent + 4)
    return "\n".join([opening, *(f"{blanks}{one}," for one in written), " " * indent + closing])


def _text(text: str, indent: int, lead: int) -> str | None:
    repeated = _repetitions(text) if len(text) >= _REPEATED else None
    if repeated is not None:
        line = " + ".join(repeated)
        return line if indent + lead + len(line) <= WIDTH else _broken(repeated, "+ ", indent)
    whole = _quoted(text) if len(text) <= LONGEST else ""
    if not whole or len(whole) > 2 * LONGEST:
        return None
    if indent + lead + len(whole) <= WIDTH:
        return whole
    if indent + 4 + len(whole) <= WIDTH:
        return f"(\n{' ' * (indent + 4)}{whole}\n{' ' * indent})"
    # One quote for all pieces, as formatters want it.
    quote = whole[0]
    return _broken([_quoted(piece, quote) for piece in _lines(text, WIDTH - indent - 6)], "", indent)


def _broken(pieces: Sequence[str], sign: str, indent: int) -> str:
    if len(pieces) == 1:
        return pieces[0]
    blanks = " " * (indent + 4)
    lines = [f"{blanks}{sign if index else ''}{piece}" for index, piece in enumerate(pieces)]
    return "\n".join(["(", *lines, " " * indent + ")"])


def _lines(text: str, width: int) -> list[str]:
    """`text` in pieces that end at line ends, else behind a blank, and fit the width when quoted."""
    pieces: list[str] = []
    piece, used, blank = "", 0, 0
    for char in text:
        size = len(_escaped(char, '"'))
        if used + size > width and piece:
            cut = blank or len(piece)
            pieces.append(piece[:cut])
            piece, blank = piece[cut:], 0
            used = sum(len(_escaped(one, '"')) for one in piece)
        piece += char
        used += size
        if char == " ":
            blank = len(piece)
        elif char == "\n":
            pieces.append(piece)
            piece, used, blank = "", 0, 0
    return [*pieces, piece] if piece else pieces


def _quoted(text: str, quote: str = "") -> str:
    """A literal in double quotes, or in single ones where that saves backslashes."""
    quote = quote or ("'" if text.count('"') > text.count("'") else '"')
    return quote + "".join(_escaped(char, quote) for char in text) + quote


def _escaped(char: str, quote: str) -> str:
    """A character as it may stand in a literal: itself only when nobody could take it for another one."""
    if char == quote:
        return f"\\{char}"
    if char in _ESCAPES:
        return _ESCAPES[char]
    code = ord(char)
    if char.isascii() and char.isprintable():
        return char
    plain = visible(char) == char and unicodedata.normalize("NFKC", char) == char
    if plain and not unicodedata.combining(char) and unicodedata.bidirectional(char) not in _RIGHT_TO_LEFT:
        return char
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _repetitions(text: str) -> list[str] | None:
    """Literals and repeated literals that add up to `text`; None where that does not make it shorter by much."""
    pieces: list[tuple[str, int]] = []
    plain = ""
    spent = position = 0
    while position < len(text):
        unit, times = _run(text, position)
        if times:
            pieces += [(plain, 1)] if plain else []
            pieces.append((unit, times))
            position += len(unit) * times
            spent += len(unit)
            plain = ""
        else:
            plain += text[position]
            position += 1
            spent += 1
        if spent > LONGEST:
            return None
    pieces += [(plain, 1)] if plain else []
    if 2 * spent > len(text):
        return None
    return [_quoted(unit) if times == 1 else f"{_quoted(unit)} * {times}" for unit, times in pieces]


def _run(text: str, start: int) -> tuple[str, int]:
    """The shortest unit that repeats from `start` on and saves enough, and how often it stands there."""
    for size in range(1, min(_LONGEST_UNIT, (len(text) - start) // 2) + 1):
        unit = text[start : start + size]
        end = start + size
        while text.startswith(unit, end):
            end += size
        times = (end - start) // size
        if times > 2 and (times - 1) * size >= _LEAST_SAVED:
            return unit, times
    return "", 0
