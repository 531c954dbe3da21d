r"""Comparing two mathematical answers without a computer algebra system: letters, numbers, sets, intervals, equations.

Each comparison says True or False only where that is certain, and None where it cannot read one of the two; then the
symbolic comparison is asked. Where mathematics leaves a convention open (is `(1, 2)` a pair or an interval?), it is the
one that math-verify follows.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from trueward.rewards.rules.math_intervals import (
    Collection,
    interval_of,
    is_variable,
    same_interval_unions,
    union_of,
)
from trueward.rewards.rules.math_text import canonical, matrix_of, plain, split
from trueward.rewards.rules.math_values import (
    PLAIN,
    Terms,
    constant,
    expression_of,
    number_of,
    same_numbers,
    same_up_to_a_factor,
    same_values,
    same_words,
    word_of,
)
from trueward.tasks.text.units import may_be_one_unit

_DEEPEST = 6
_LONGEST = 2_000

_INTEGER = re.compile(r"[-+]?\d{1,18}")
_RELATION = re.compile(r"\\(?:le|ge|lt|gt|neq|ne|approx|in|equiv)(?![a-zA-Z])|<=|>=|!=|==|[=<>]")
_SIDE_BY_SIDE = re.compile(r"\d\s+[\d_]")
_UNREADABLE = re.compile(r"\\(?:cap|setminus|begin|sum|prod|int|lim)(?![a-zA-Z])")
_SAME_SIGN = {"<=": r"\le", ">=": r"\ge", r"\lt": "<", r"\gt": ">", "==": "="}
_EQUAL = ("=", r"\in")  # "x in (0, 1)" gives x a value, as far as an answer is concerned


def same(reference: str, given: str, terms: Terms = PLAIN, depth: int = 0) -> bool | None:
    """Whether two answers are the same; None when that cannot be said.

    Args:
        reference: the reference answer.
        given: the answer, without envelope.
        terms: on what terms.
        depth: how deep inside of other answers these two stand.
    """
    if _INTEGER.fullmatch(reference) and _INTEGER.fullmatch(given) and terms.tolerance is None:
        return int(reference) == int(given)
    if max(len(reference), len(given)) > _LONGEST or depth > _DEEPEST:
        return True if reference.strip() == given.strip() else None
    if r"\begin" in reference and r"\begin" in given:
        return _same_matrices(matrix_of(reference), matrix_of(given), terms, depth)
    (a, unit_a), (b, unit_b) = plain(reference), plain(given)
    numbers = number_of(a), number_of(b)
    if numbers[0] is not None and numbers[1] is not None:
        return same_numbers(numbers[0], numbers[1], (unit_a, unit_b), terms)
    if canonical(a) == canonical(b):
        return not (unit_a and unit_b) or may_be_one_unit(unit_a, unit_b)
    if _SIDE_BY_SIDE.search(b):
        # Only by their letters: SymPy's reader takes 3 2 for 3 + 2.
        return False
    if _UNREADABLE.search(a) or _UNREADABLE.search(b):
        return None
    return _same_kind(a, b, terms, depth)


def _same_kind(a: str, b: str, terms: Terms, depth: int) -> bool | None:
    """Sets with sets, equations with equations, then single values."""
    first, second = union_of(a), union_of(b)
    if first is not None and second is not None:
        return _same_unions(first, second, terms, depth)
    if _RELATION.search(a) or _RELATION.search(b):
        return _same_relations(a, b, terms, depth)
    if first is not None:
        return _same_as_only_element(first, b, terms, depth)
    if second is not None:
        return _same_as_only_element(second, a, terms, depth)
    by_letters = same_words(word_of(a), word_of(b), number_of(a) is not None or number_of(b) is not None)
    return by_letters if by_letters is not None else same_values(a, b, terms)


def _same_as_only_element(collections: tuple[Collection, ...], value: str, terms: Terms, depth: int) -> bool | None:
    """One value against several: the same only as the one element of a set."""
    if len(collections) == 1 and collections[0].kind == "set" and len(collections[0].elements) == 1:
        return same(collections[0].elements[0], value, terms, depth + 1)
    readable = number_of(value) is not None or bool(word_of(value)) or expression_of(value) is not None
    return False if readable else None


def _same_matrices(a: list[list[str]] | None, b: list[list[str]] | None, terms: Terms, depth: int) -> bool | None:
    if a is None or b is None:
        return None
    if [len(row) for row in a] != [len(row) for row in b]:
        return False
    cells = zip((cell for row in a for cell in row), (cell for row in b for cell in row), strict=True)
    return _all(same(x, y, terms, depth + 1) for x, y in cells)


def _same_unions(a: tuple[Collection, ...], b: tuple[Collection, ...], terms: Terms, depth: int) -> bool | None:
    if len(a) == len(b) == 1:
        return _same_collections(a[0], b[0], terms, depth)
    if all(piece.kind == "interval" for piece in (*a, *b)):
        return same_interval_unions(a, b)
    return None


def _same_collections(a: Collection, b: Collection, terms: Terms, depth: int) -> bool | None:
    """Sets and lists in any order; tuples, and whatever is compared with one, in order."""
    if a.kind == b.kind == "interval" and not terms.ordered:
        return a.brackets == b.brackets and _same_in_order(a, b, terms, depth)
    if not terms.ordered and any(one.kind == "interval" and one.brackets != "()" for one in (a, b)):
        return False
    if a.kind in ("tuple", "interval") or terms.ordered:
        return len(a.elements) == len(b.elements) and _same_in_order(a, b, terms, depth)
    return _same_elements(_different(a.elements, terms, depth), _different(b.elements, terms, depth), terms, depth)


def _same_in_order(a: Collection, b: Collection, terms: Terms, depth: int) -> bool | None:
    return _all(same(x, y, terms, depth + 1) for x, y in zip(a.elements, b.elements, strict=True))


def _all(verdicts: Iterable[bool | None]) -> bool | None:
    found = list(verdicts)
    return False if False in found else None if None in found else True


def _different(elements: Sequence[str], terms: Terms, depth: int) -> list[str]:
    """Each element once."""
    kept: list[str] = []
    for element in elements:
        if not any(same(other, element, terms, depth + 1) for other in kept):
            kept.append(element)
    return kept


def _same_elements(a: Sequence[str], b: Sequence[str], terms: Terms, depth: int) -> bool | None:
    if len(a) != len(b):
        return False
    left = list(b)
    unsure = False
    for element in a:
        verdicts = [same(element, other, terms, depth + 1) for other in left]
        if True in verdicts:
            del left[verdicts.index(True)]
        elif None in verdicts:
            unsure = True
        else:
            return False
    return None if unsure else True


def _same_relations(a: str, b: str, terms: Terms, depth: int) -> bool | None:
    """Equations and inequalities; a value stands for "x = value" on either side."""
    if r"\approx" in b:
        return _same_as_approximated(a, b, terms, depth)
    first, second = _chain(a), _chain(b)
    if first is None or second is None:
        # 7 \equiv 5 says nothing of 5.
        return False if r"\equiv" in b and r"\equiv" not in a else None
    if len(first) > 1 and len(second) > 1:
        return _same_chains(first, second, terms, depth)
    if len(second) > 1:
        # x = 12 for 12, x = 6 + 6 = 12 for 12.
        if all(sign in _EQUAL for sign in second[1::2]):
            return same(a, second[-1], terms, depth + 1) if _holds(second) else False
        return _same_as_interval(second, a)
    if first[1] in _EQUAL:
        return same(first[2], b, terms, depth + 1) if len(first) == 3 and is_variable(first[0]) else None
    return _same_as_interval(first, b)


def _same_as_approximated(a: str, b: str, terms: Terms, depth: int) -> bool | None:
    r"""`\sqrt{2} \approx 1.414`: the exact side counts, or the other one where it is only a name."""
    exact, _, rounded = b.partition(r"\approx")
    exact = exact.rpartition("=")[2].strip()
    if r"\approx" in rounded or not exact or not rounded.strip():
        return None
    if is_variable(exact):
        return same(a, rounded.strip(), terms, depth + 1)
    return same(a, exact, terms, depth + 1) if _holds([exact, "=", rounded.strip()]) else False


def _holds(chain: Sequence[str]) -> bool:
    """False for equations between numbers that differ: 7 = 5 is no way to say 5."""
    values = [value for part in chain[::2] if (value := constant(part)) is not None]
    return all(abs(value - values[-1]) <= 1e-2 * max(1.0, abs(value)) for value in values)


def _same_as_interval(chain: Sequence[str], other: str) -> bool | None:
    """An inequality against what is none: the same as an interval, different from numbers and words."""
    interval, pieces = interval_of(chain), union_of(other)
    if interval is None:
        return None
    if pieces is None:
        return False if number_of(other) is not None or word_of(other) else None
    return same_interval_unions((interval,), pieces) if all(piece.kind == "interval" for piece in pieces) else None


def _chain(text: str) -> list[str] | None:
    """Expressions and the relations between them, alternating; None with several relations side by side."""
    if not _RELATION.search(text):
        return [text]
    if len(split(text, ",;")) > 1:
        return None
    parts: list[str] = []
    start = 0
    for sign in _RELATION.finditer(text):
        parts += [text[start : sign.start()].strip(), _SAME_SIGN.get(sign.group(), sign.group())]
        start = sign.end()
    parts.append(text[start:].strip())
    known = all(sign in (*_EQUAL, "<", ">", r"\le", r"\ge") for sign in parts[1::2])
    return parts if known and all(parts) else None


def _same_chains(a: Sequence[str], b: Sequence[str], terms: Terms, depth: int) -> bool | None:
    first, second = interval_of(a), interval_of(b)
    if first is not None and second is not None:
        names = [next(part for part in chain[::2] if is_variable(part)) for chain in (a, b)]
        return names[0].casefold() == names[1].casefold() and same_interval_unions((first,), (second,))
    if len(a) == len(b) == 3 and a[1] == b[1] and a[1] in _EQUAL:
        return _same_equations(a, b, terms, depth)
    return None


def _same_equations(a: Sequence[str], b: Sequence[str], terms: Terms, depth: int) -> bool | None:
    """The same on both sides, or the sides exchanged; different only where both give the value of a name."""
    for left, right in ((b[0], b[2]), (b[2], b[0])):
        if same(a[0], left, terms, depth + 1) and same(a[2], right, terms, depth + 1):
            return True
    if is_variable(a[0]) and is_variable(b[0]):
        if canonical(a[0]) == canonical(b[0]):
            return same(a[2], b[2], terms, depth + 1)
        return False if constant(a[2]) is not None and constant(b[2]) is not None else None
    return same_up_to_a_factor((a[0], a[2]), (b[0], b[2]))
