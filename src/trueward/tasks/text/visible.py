"""Text as a person reads it, whatever characters it is stored in."""

from __future__ import annotations

import re
import unicodedata

_MOST_MARKS = 30  # on one letter, as in UAX #15, "Stream-Safe Text Format"
_RAISED = re.compile(r"[⁰¹²³⁴⁵⁶⁷⁸⁹]+")


def visible_text(text: str) -> str:
    """`text` as a person reads it: no zero-width or direction characters, superscripts as powers, plain digits.

    Raises nothing; text that changes direction is read in the order in which it is stored.
    """
    if text.isascii():
        return text
    different = set(text)
    hidden = {ord(char): None for char in different if unicodedata.category(char) in ("Cf", "Cs")}
    text = text.translate(hidden)
    marks = [char for char in different if unicodedata.combining(char)]
    if marks:
        # Sorting the marks of one letter takes time in the square of their number.
        run = f"[{''.join(map(re.escape, marks))}]"
        text = re.sub(f"({run}{{{_MOST_MARKS}}}){run}+", r"\1", text)
    powers = _RAISED.sub(lambda found: "^" + unicodedata.normalize("NFKC", found.group()), text)
    return unicodedata.normalize("NFKC", powers)
