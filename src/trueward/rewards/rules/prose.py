r"""Prose: where in running text its last expression stands, how far it reaches, and what is offered beside it.

A statement is read as words and stretches. A stretch is everything between two words of prose: numbers, LaTeX, signs,
separators, letters that are glued to one of these, and a known unit behind a number. The last stretch with a value is
taken whole, so that nothing is picked out of `5; -5`, `7 miles` or `0x\sqrt{2}`; what is not the answer as a whole is
not the answer.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from trueward.tasks.text.units import is_known_unit

_TAIL = 4_000  # characters at the end of prose in which its last expression is looked for

# A dollar sign before a digit closes nothing: "$5 and $7" are two prices.
_DELIMITED = r"\$\$[^$]{1,300}\$\$|(?<!\\)\$[^$\n]{1,300}\$(?!\d)|\\\([^\n]{1,300}?\\\)|\\\[(?s:.{1,300}?)\\\]"
_TOKEN = re.compile(
    rf"(?P<delimited>{_DELIMITED})"
    r"|(?P<markup></?[a-zA-Z][a-zA-Z0-9]{0,20}\s?/?>)"
    r"|(?P<command>\\[a-zA-Z]+(?:\s?\{[^{}]{0,200}\})?)"
    # In "5 ! -5" nothing ends.
    r"|(?P<end>\n|(?<!\s)[.!?…]{1,9}(?=\s|$)|[.!?…]{1,9}(?=[^\S\n]*(?:\n|$)|\s+[A-Z]))"
    r"|(?P<number>\d(?:[\d,.]*\d)?|\.\d+)"
    r"|(?P<word>vs\.(?=\s)|[^\W\d_]+(?:'[^\W\d_]+)?)"
    r"|(?P<sign>\S)"
)
_OPERATORS = frozenset("=<>+-*/^_−×÷·≤≥≈∈±")
_BINDING = frozenset("+-*/^_=−×÷·")  # between a word and a number, without blanks, they make one expression of both
_FUNCTIONS = frozenset({"sin", "cos", "tan", "cot", "sec", "csc", "ln", "log", "exp", "sqrt", "pi"})
_LETTERS_AS_WORDS = frozenset({"a", "A", "I"})
_BEFORE_A_UNIT = frozenset(",.*})")
_FARTHEST_UNIT = 16  # characters behind a number
_NO_VALUE = r"text[a-z]*|math[a-z]*|mbox|q?quad|left|right|[a-zA-Z]*arrow|to|implies|land|lor"
_VALUE = re.compile(rf"\d|[∞π√]|{_DELIMITED}|\\(?!(?:{_NO_VALUE})(?![a-zA-Z]))[a-zA-Z]")
_LEADING = re.compile(
    r"(?:[\s,;:)\]}>*\"'`!?—–&]|\.(?!\d)|[-|/−#]+(?=\s)|=+>?|→|⇒|⟹|\\(?:Long)?[Rr]ight(?:arrow)|\\implies|\\to(?![a-z]))+"
)
_TRAILING = " \t,;:*\"'`_&=<—–-\\"
_EMPHASIS = re.compile(r"(?<![\w)}\]])(?:\*\*|__)(?=\S)|(?<=\S)(?:\*\*|__)(?=[\s,;]|$)")
_ENCLOSED = re.compile(r"\(([^()\[\]{},;|]+)\)")
_INNERMOST = re.compile(r"[(\[{][^()\[\]{}]*[)\]}]")
_MASK = re.compile(_DELIMITED)
_JOINT = re.compile(r"[,;]\s|\s+and\s+")
_EQUALS = re.compile(r"(?<![!<>])==?(?!>)|≈")
_NAMED_VALUE = re.compile(r"[$\s]*(\\?[A-Za-z]\w{0,3})\s*=")
_PLAIN_NUMBER = re.compile(r"[-+−]?[$€£¥]?\d[\d,.]*")
OR_WORDS = (
    r"(?<![^\W\d_])(?:or else|or maybe|or possibly|or|alternatively|otherwise|else|maybe|perhaps|possibly)(?![^\W\d_])"
)
"""Words between alternatives."""
_OR_WORDS = rf"(?:{OR_WORDS}|(?<![^\W\d_])(?:vs\.?|versus)(?![^\W\d_]))"
_HESITATION = r"(?:(?:it is|it's|perhaps|even|just|maybe|possibly)\s{1,3})?"
# What stands between two alternatives in prose: "12 km or maybe 13".
_BETWEEN = re.compile(
    rf"(?:\s?[^\W\d_]{{1,15}}){{0,2}}[,;]?\s{{0,5}}\(?{_OR_WORDS}\)?\s{{0,5}}{_HESITATION}"
    r"|[,;]?\s{0,5}\(?(?<![^\W\d_])(?:and|as well as|along with)(?![^\W\d_])\)?\s{0,5}",
    re.IGNORECASE,
)
_WORD_BEFORE = re.compile(
    rf"(?<![^\W\d_])(?P<word>[^\W\d_]{{2,40}})[,;]?\s{{0,5}}(?:\(?{_OR_WORDS}\)?\s{{1,5}}{_HESITATION}|[|/&]\s{{0,5}})$",
    re.IGNORECASE,
)
_WORD_BEHIND = re.compile(
    rf"[,;]?\s{{0,5}}(?:\(?{_OR_WORDS}\)?\s{{1,5}}|[|/&]\s{{0,5}})"
    r"(?!so\b|more\b|less\b|fewer\b|higher\b|lower\b|above\b|below\b)[^\W\d_]{2,40}(?=[\s.)]*$)",
    re.IGNORECASE,
)
# A word in dollars is no more of an expression than one without: what joins such two words need not be a word for "or".
_JOINS_WORDS = r"\s{0,5}(?:[^\w\s$:>]{1,3}|(?<![^\W\d_])(?:and|as well as)(?![^\W\d_]))\s{0,5}"
_ONE_WORD = re.compile(rf"\W*(?P<word>[^\W\d_]{{2,40}}){_JOINS_WORDS}")
_ONE_WORD_BEHIND = re.compile(rf"{_JOINS_WORDS}[^\W\d_]{{2,40}}(?=[\s.]*$)")
_WORD_IN_DOLLARS = re.compile(r"\$\s?(?:\\text\{)?[^\W\d_]{2,40}\}?\s?\$")
_OPENERS = frozenset({"so", "thus", "hence", "then", "therefore", "finally", "indeed", "clearly", "answer", "result"})
_DENIED_BEFORE = re.compile(r"(?:\bnot|n't|\bnever)\s{1,3}(?:equal to\s|be\s)?$", re.IGNORECASE)


@dataclass(frozen=True)
class Expression:
    """The last expression of a piece of prose.

    Attributes:
        text: the expression, with its unit and the alternatives beside it.
        denied: whether "not" stands before it.
        start, end: position of what `text` was read from.
    """

    text: str
    denied: bool
    start: int
    end: int


@dataclass(frozen=True)
class _Statement:
    """A sentence or line: its tokens without the mark that ends it, where it ends, and whether it is a question."""

    tokens: tuple[re.Match[str], ...]
    end: int
    asked: bool


def last_expression(text: str) -> Expression | None:
    """The last expression that the prose states; None where there is none. A question states nothing."""
    end = len(text)
    for paragraph in reversed(text[-_TAIL:].split("\n\n")):
        offset = end - len(paragraph)
        for statement in reversed(list(_statements(paragraph))):
            found = [] if statement.asked else _stretches(paragraph, statement.tokens)
            if found:
                one = _with_neighbours(paragraph, statement, found)
                return Expression(one.text, one.denied, one.start + offset, one.end + offset)
        end = offset - len("\n\n")
    return None


def without_emphasis(text: str) -> str:
    """`text` without Markdown's bold around or inside of it; a power, `2**3`, is none."""
    return _EMPHASIS.sub("", text) if "**" in text or "__" in text else text


def without_delimiters(text: str) -> str:
    """`text` without the dollars around parts of it: "$7$ km" is 7 km; what stands in them as a whole stays."""
    if "$" not in text and "\\(" not in text:
        return text
    return (
        text
        if _MASK.fullmatch(text)
        else _MASK.sub(
            lambda found: found.group().strip("$") if found.group().startswith("$") else found.group()[2:-2], text
        )
    )


def first_expression_at(text: str) -> int | None:
    """Where the first expression of the prose begins; None where there is none."""
    for statement in _statements(text):
        if found := _stretches(text, statement.tokens):
            return found[0][0]
    return None


def prose_words(text: str) -> list[str]:
    """The words of two letters and more that belong to no expression, in one case."""
    return [
        token.group().casefold()
        for statement in _statements(text)
        for index, token in enumerate(statement.tokens)
        if token.lastgroup == "word" and len(token.group()) > 1 and not _belongs(statement.tokens, index)
    ]


def _statements(text: str) -> Iterator[_Statement]:
    tokens: list[re.Match[str]] = []
    for token in _TOKEN.finditer(text):
        if token.lastgroup == "end":
            if tokens:
                yield _Statement(tuple(tokens), token.start(), token.group().startswith("?"))
            tokens = []
        else:
            tokens.append(token)
    if tokens:
        yield _Statement(tuple(tokens), len(text), False)


def _stretches(text: str, tokens: tuple[re.Match[str], ...]) -> list[tuple[int, int]]:
    """Where the expressions of a statement begin and end."""
    spans: list[tuple[int, int]] = []
    start = -1
    for index, token in enumerate(tokens):
        apart = token.lastgroup == "markup" or (token.lastgroup == "word" and not _belongs(tokens, index))
        if not apart:
            start = token.start() if start < 0 else start
        elif start >= 0:
            spans.append((start, tokens[index - 1].end()))
            start = -1
    if start >= 0:
        spans.append((start, tokens[-1].end()))
    return [span for span in (_trimmed(text, *span) for span in spans) if _VALUE.search(text, *span)]


def _belongs(tokens: tuple[re.Match[str], ...], index: int) -> bool:
    """Whether a word is a part of an expression: glued to one, a function, a variable, or the unit of a number."""
    token = tokens[index]
    word = token.group()
    before = tokens[index - 1] if index else None
    behind = tokens[index + 1] if index + 1 < len(tokens) else None
    if _glued_before(before, token) or _glued_behind(tokens, index):
        return True
    if word.casefold() in _FUNCTIONS:
        return behind is not None and behind.lastgroup != "word"
    if is_known_unit(word) and _follows_a_value(tokens, index):
        # "12 in total" are no inches.
        return word.casefold() != "in" or behind is None or behind.lastgroup != "word"
    if len(word) > 1:
        return False
    beside = [one.group() for one in (before, behind) if one is not None]
    if any(sign in _OPERATORS for sign in beside):
        return True
    if word.islower() and word != "a" and behind is not None and behind.lastgroup in ("number", "command"):
        return True
    return word not in _LETTERS_AS_WORDS and _follows_a_value(tokens, index)


def _glued_before(before: re.Match[str] | None, token: re.Match[str]) -> bool:
    if before is None or before.end() != token.start():
        return False
    return before.lastgroup in ("number", "command") or before.group() in _BINDING or before.group() in ")}"


def _glued_behind(tokens: tuple[re.Match[str], ...], index: int) -> bool:
    """Whether a value follows without a blank: abc12, f(3), COVID-19."""
    behind = tokens[index + 1] if index + 1 < len(tokens) else None
    if behind is None or behind.start() != tokens[index].end():
        return False
    if behind.lastgroup in ("number", "command") or behind.group() in ("(", "{", "^", "_"):
        return True
    after = tokens[index + 2] if index + 2 < len(tokens) else None
    if behind.group() not in _BINDING or after is None or after.start() != behind.end():
        return False
    return after.lastgroup in ("number", "command", "delimited")


def _follows_a_value(tokens: tuple[re.Match[str], ...], index: int) -> bool:
    """Whether a number or formula stands directly before, perhaps with marks or another unit between."""
    for before in reversed(tokens[max(0, index - _FARTHEST_UNIT) : index]):
        if before.group() not in _BEFORE_A_UNIT and not is_known_unit(before.group()):
            gap = tokens[index].start() - before.end()
            return before.lastgroup in ("number", "delimited", "command") and gap <= _FARTHEST_UNIT
    return False


def _trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    """Without what only leads up to the expression or follows it: punctuation, dashes, brackets that nothing closes."""
    while True:
        before = start, end
        if lead := _LEADING.match(text, start, end):
            start = lead.end()
        end = start + len(text[start:end].rstrip(_TRAILING))
        if text[start:end].endswith((" |", " /")):
            end -= 1
        opened, closed = (sum(text.count(mark, start, end) for mark in marks) for marks in ("([{", ")]}"))
        if opened > closed and text[start:end].startswith(("(", "[", "{")):
            start += 1
        elif opened != closed and text[start:end].endswith(("(", "[", "{") if opened > closed else (")", "]", "}")):
            end -= 1
        if (start, end) == before:
            return start, end


def _with_neighbours(text: str, statement: _Statement, found: list[tuple[int, int]]) -> Expression:
    """The last expression, with the alternatives that are joined to it and the denial before it."""
    start, end = found[-1]
    for other_start, other_end in reversed(found[:-1]):
        if not _BETWEEN.fullmatch(text, other_end, start):
            break
        start = other_start
    begin = statement.tokens[0].start()
    denied = _DENIED_BEFORE.search(text[max(begin, start - 20) : start]) is not None
    first, last = _with_words(text, begin, start, end, statement.end)
    if (first, last) != (start, end) or start != found[-1][0]:
        return Expression(text[first:last], denied, first, last)
    return Expression(_answer_of(text[start:end]), denied, start, end)


def _with_words(text: str, begin: int, start: int, end: int, stop: int) -> tuple[int, int]:
    """With a word that is offered beside the expression: "three or $4$", `4 | three`."""
    left, right = text[max(begin, start - 80) : start], text[end:stop]
    before, behind = _WORD_BEFORE.search(left), _WORD_BEHIND.match(right)
    if _WORD_IN_DOLLARS.fullmatch(text[start:end]):
        alone = _ONE_WORD.fullmatch(text[begin:start]) if start - begin < 80 else None
        before = before or (alone if alone and alone["word"].casefold() not in _OPENERS else None)
        behind = behind or _ONE_WORD_BEHIND.match(right)
    if before is not None:
        start -= len(before.string) - before.start("word")
    return start, end + (behind.end() if behind is not None else 0)


def _answer_of(text: str) -> str:
    """What a stretch says: the last side of what was worked out ("24 + 17 = 41"), otherwise all of it."""
    text = without_delimiters(without_emphasis(text))
    if enclosed := _ENCLOSED.fullmatch(text):
        text = enclosed[1].strip()
    parts = _split(text, _JOINT)
    if len(parts) > 1:
        if not all(_EQUALS.search(part) for part in parts):
            return text
        names = [name[1] if (name := _NAMED_VALUE.match(part)) else "" for part in parts]
        if names[0] and len(set(names)) == 1:
            return text
        text = parts[-1]
    sides = _split(text, _EQUALS)
    # 7 = 5 is no way to say 5.
    worked_out = any(not _PLAIN_NUMBER.fullmatch(side) for side in sides[:-1])
    return sides[-1] if worked_out and sides[-1] else text


def _split(text: str, separator: re.Pattern[str]) -> list[str]:
    """The parts between separators that stand outside of dollars and brackets."""
    masked = _MASK.sub(lambda found: "x" * len(found.group()), text)
    for _ in range(6):
        masked, count = _INNERMOST.subn(lambda found: "x" * len(found.group()), masked)
        if not count:
            break
    parts = []
    start = 0
    for found in separator.finditer(masked):
        parts.append(text[start : found.start()].strip())
        start = found.end()
    return [*parts, text[start:].strip()]
