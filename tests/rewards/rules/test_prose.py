"""The last expression of prose: where it stands, how far it reaches, and what is offered beside it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trueward.rewards.rules.prose import first_expression_at, last_expression, prose_words

STATED = [
    ("So 24 + 17 - 9 = 32 apples are left.", "32"),
    ("It is 12, so that 5 + 7 = 12 is right.", "12"),
    ("She ran 7 miles today.", "7 miles"),
    ("She ran **7** miles today.", "7 miles"),
    ("She ran $7$ miles today.", "7 miles"),
    ("She ran 7, miles", "7, miles"),
    ("There are 12 in total.", "12"),
    ("They are 12 inches apart.", "12 inches"),
    ("Therefore,\n0x\\frac{7}{5}", "0x\\frac{7}{5}"),
    ("We see that\n5; -5", "5; -5"),
    ("We see that\n5 & -5\nQED", "5 & -5"),
    ("We see that\n5 - -5\n\nAnswer:", "5 - -5"),
    ("We get 5 vs. -5.", "5 vs. -5"),
    ("We get 5 as well as -5.", "5 as well as -5"),
    ("The word is ancho or $anchor$.", "ancho or $anchor$"),
    ("The word is $anchor$.", "$anchor$"),
    ("It is 12 or twelve.", "12 or twelve"),
    ("That makes 12 or so.", "12"),
    ("The room abc12 is free.", "abc12"),
    ("We know f(3) by now.", "f(3)"),
    ("It costs $5 and we get $7 back.", "$7"),
    ("The point is (2, 3) then.", "(2, 3)"),
    ("There are twelve (12) of them.", "12"),
    ("The primes are 2, 3 and 5.", "2, 3 and 5"),
    ("From a = 3, b = 4 we get a + b = 7", "7"),
    ("Hence 7 = 5", "7 = 5"),  # false, and so no way to say 5
    ("Hence -5 != 5", "-5 != 5"),
    ("so it is .25", ".25"),
    ("The temperature - at last - is -3.", "-3"),
    ("the difference - 3", "3"),
    ("Therefore:\n\\[\nx = 12\n\\]", "\\[\nx = 12\n\\]"),
    ("12 are right. Is it 13?", "12"),
    ("<b>12</b> of them", "12"),
]


@pytest.mark.parametrize(("text", "expression"), STATED)
def test_last_expression(text: str, expression: str) -> None:
    found = last_expression(text)
    assert found is not None
    assert (found.text, found.denied) == (expression, False)


def test_a_denied_expression_is_marked() -> None:
    found = last_expression("So it is not 12.")
    assert found is not None
    assert (found.text, found.denied) == ("12", True)


@pytest.mark.parametrize("text", ["", "nothing", "Is it 12?", "- * ( ;", "a word, a line;\nanother one"])
def test_prose_without_an_expression(text: str) -> None:
    assert last_expression(text) is None


def test_positions_are_those_of_the_text() -> None:
    for padding in ("", "word " * 2_000, "word\n\n"):
        text = f"{padding}So we get 7 km here."
        found = last_expression(text)
        assert found is not None
        assert text[found.start : found.end] == "7 km"
    assert first_expression_at("So 12 of 13") == 3
    assert first_expression_at("none at all") is None


def test_units_functions_and_letters_are_no_words() -> None:
    assert prose_words("7 km/-7 km") == []
    assert prose_words("2 sin(x) + 3 km") == []
    assert prose_words("7 apples") == ["apples"]
    assert prose_words("km are what we count") == ["km", "are", "what", "we", "count"]


PIECES = ["12", "13", "km", "apples", "or", "and", ";", "|", "(", ")", "$", "=", "-", ".", "?", "\n", "*", "x", "so"]


@given(st.lists(st.sampled_from([*PIECES, "\\frac{1}{2}"]), max_size=12))
def test_an_expression_stands_in_the_text_and_has_a_value(parts: list[str]) -> None:
    text = " ".join(parts)
    found = last_expression(text)
    if found is not None:
        assert 0 <= found.start < found.end <= len(text)
        assert "1" in text[found.start : found.end] or "$" in text[found.start : found.end]
