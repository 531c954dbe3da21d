"""Foreign text made harmless and visible: what a completion holds, in characters that only ever print.

A completion may hold terminal commands, characters that reverse or hide what stands beside them, and half of a
surrogate pair. Whatever shows a completion sends it through this module first.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator

# Shown as nothing (or as a space) by most fonts although their category is that of a letter, mark or symbol.
_BLANK = frozenset([0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0, 0x1D159])
_VARIATION_SELECTORS = ((0x180B, 0x180F), (0xFE00, 0xFE0F), (0xE0100, 0xE01EF))
# Controls, formats (bidirectional, zero-width, tags), surrogates, private use, unassigned, separators.
_HIDDEN_CATEGORIES = frozenset(["Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Zs"])


def _notation(code: int) -> str | None:
    """The notation of a character that must not be printed as it is, or None."""
    if code == 0x09:
        return "⇥"
    if code < 0x20 or 0x7F <= code <= 0x9F:
        return f"\\x{code:02x}"
    if code == 0x20:
        return None
    hidden = (
        unicodedata.category(chr(code)) in _HIDDEN_CATEGORIES
        or code in _BLANK
        or any(first <= code <= last for first, last in _VARIATION_SELECTORS)
    )
    return f"⟨U+{code:04X}⟩" if hidden else None


class _Notations(dict[int, str | int]):
    """Character → what is printed for it, found out once per character."""

    def __missing__(self, code: int) -> str | int:
        found: str | int = _notation(code) or code
        self[code] = found
        return found


_MULTI_LINE = _Notations({0x0A: 0x0A})
_ONE_LINE = _Notations({0x0A: "⏎"})


def visible(text: str, limit: int | None = None, *, multiline: bool = False) -> str:
    r"""`text` in characters that only print, for terminals and pages.

    Args:
        text: anything, lone surrogates included.
        limit: characters of `text` that are kept; a longer text loses its middle, and the number of characters left
            out stands in its place. None keeps all.
        multiline: keep line ends; otherwise they become `⏎`.

    Returns:
        No control character (besides `\n` with `multiline`), bidirectional, zero-width, tag, private-use or unassigned
        character and no lone surrogate: they become `\x1b` or `⟨U+202E⟩`.
    """
    table = _MULTI_LINE if multiline else _ONE_LINE
    if limit is None or len(text) <= limit:
        return text.translate(table)
    head, tail, left_out = _cut(text, limit)
    return f"{head.translate(table)}… {left_out:,} characters …{tail.translate(table)}"


def pieces(text: str, limit: int | None = None) -> list[str]:
    """`text` cut into what prints and what does not, for renderers that set the two apart.

    Args:
        text: anything.
        limit: as in `visible`.

    Returns:
        Printable text and notation in turn, printable text first: `["ab", "⟨U+202E⟩", "c"]`. Line ends are kept; the
        count of what was left out is notation too. Joined they are `visible(text, limit, multiline=True)`.
    """
    if limit is None or len(text) <= limit:
        return list(_pieces(text))
    head, tail, left_out = _cut(text, limit)
    first, last = list(_pieces(head)), list(_pieces(tail))
    notice = f"… {left_out:,} characters …"
    if len(first) % 2:
        first.append("")
    return [*first[:-1], first[-1] + notice, *last]


def _pieces(text: str) -> Iterator[str]:
    plain: list[str] = []
    hidden: list[str] = []
    for character in text:
        shown = _MULTI_LINE[ord(character)]
        if isinstance(shown, int):
            if hidden:
                yield "".join(plain)
                yield "".join(hidden)
                plain, hidden = [], []
            plain.append(character)
        else:
            hidden.append(shown)
    yield "".join(plain)
    if hidden:
        yield "".join(hidden)


def _cut(text: str, limit: int) -> tuple[str, str, int]:
    """Beginning and end that are kept (two to one), and how many characters are between them."""
    tail = limit // 3
    head = limit - tail
    return text[:head], text[len(text) - tail :], len(text) - limit
