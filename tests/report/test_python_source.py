"""Foreign text as Python source: the same text again, in lines that fit, and nothing that hides."""

from __future__ import annotations

import ast
import unicodedata
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trueward.audit.probes.explosions import EXPLOSIONS
from trueward.report.python_source import LONGEST, WIDTH, literal

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**9), 10**9)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=10,
)


@given(JSON)
def test_values_come_back(value: Any) -> None:
    source = literal(value, 8, 12)
    assert source is not None
    assert ast.literal_eval(source) == value


@given(
    st.text(alphabet="ab \n\t\r\"'\\{}\u202e\u200b\ud800\U0001f600éא０²\x00\x1b\u0301", max_size=400),
    st.integers(0, 20),
)
def test_texts_come_back_in_lines_that_fit(text: str, indent: int) -> None:
    source = literal(text, indent, 10)
    assert source is not None
    assert ast.literal_eval(source) == text
    assert all(len(line) <= WIDTH for line in source.splitlines()[1:])


@given(st.text())
def test_what_could_be_taken_for_something_else_is_escaped(text: str) -> None:
    source = literal(text) or ""
    for char in source.replace("\n", ""):
        assert char.isprintable()
        assert char.isascii() or unicodedata.bidirectional(char) not in ("R", "AL", "RLO", "LRO", "RLE", "BN")


def test_hostile_completions_come_back(sample: ModuleType) -> None:
    for text in sample.HOSTILE:
        assert ast.literal_eval(literal(text) or "") == text


@pytest.mark.parametrize(("name", "text"), EXPLOSIONS)
def test_parser_bombs_are_built_and_not_pasted(name: str, text: str) -> None:
    source = literal(text)
    assert source is not None and len(source) < 120
    assert eval(source, {"__builtins__": {}}) == text


def test_repetition_is_written_as_such_whatever_repeats() -> None:
    assert literal("(" * 3000 + "1" + ")" * 3000) == '"(" * 3000 + "1" + ")" * 3000'
    assert literal(" + " * 500) == '" + " * 500'
    assert literal("ab " * 20) == repr("ab " * 20).replace("'", '"')


def test_a_text_that_is_long_and_does_not_repeat_is_not_written() -> None:
    text = " ".join(str(number * number) for number in range(700))
    assert len(text) > LONGEST
    assert literal(text) is None
    assert literal({"a": [text]}) is None


def test_quotes_are_those_that_need_fewest_backslashes() -> None:
    assert literal('say "a"') == "'say \"a\"'"
    assert literal("it's") == '"it\'s"'
    assert literal("12") == '"12"'


def test_numbers_that_are_no_literals() -> None:
    assert literal(float("nan")) == 'float("nan")'
    assert eval(literal(float("-inf")) or "") == float("-inf")
