r"""The short value inside worked solutions."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trueward.tasks.text.reference import boxed, reference_of, short_answer


@pytest.mark.parametrize(
    ("text", "short"),
    [
        ("Natalia sold 48/2 = <<48/2=24>>24 clips.\n48+24 = 72\n#### 72", "72"),
        ("first #### 3\nthen #### 1,234 ", "1,234"),
        (r"so it is $\boxed{\frac{3}{4}}$.", r"\frac{3}{4}"),
        (r"\boxed{1} is too small, so \boxed{2}", "2"),
        (r"\boxed{\{1, 2\}}", r"\{1, 2\}"),
        (r"\boxed {7} and \fbox{8}", "8"),
        (r"\boxed{\text{outer \boxed{5}}}", "5"),
        (r"\boxed{9} but then \boxed{10", "9"),
        (r"#### $\boxed{6}$", "6"),
        ("#### Step one\nadd\n#### Step two\nthe sum is\n\\boxed{4}", "4"),
        ("#### a heading\nand prose", "#### a heading\nand prose"),
        (r"\boxed{}", r"\boxed{}"),
        (r"\unboxed{3}", r"\unboxed{3}"),
        (r"{\boxed}{3}", r"{\boxed}{3}"),
        ("  Paris \n", "Paris"),
        ("####", "####"),
        (r"\\{5}", r"\\{5}"),
    ],
)
def test_short_values(text: str, short: str) -> None:
    assert short_answer(text) == short


@pytest.mark.parametrize(
    ("value", "text", "ambiguous"),
    [
        (72, "72", False),
        (0.5, "0.5", False),
        (True, "True", False),
        (None, None, False),
        (float("nan"), None, False),
        (" \n", None, False),
        ([1, "ä"], '[1, "ä"]', True),
        ({"value": "x", "aliases": ["y"]}, '{"value": "x", "aliases": ["y"]}', True),
        (r"\boxed{2} or \boxed{3}", "3", True),
        (r"\boxed{2}, as said \boxed{2}", "2", False),
        (r"\boxed{2} hence 3\n#### 3".replace(r"\n", "\n"), "3", False),
    ],
)
def test_references(value: object, text: str | None, ambiguous: bool) -> None:
    reference = reference_of(value)
    assert (reference.text, reference.ambiguous) == (text, ambiguous)


def test_code_is_left_alone() -> None:
    code = "\n    # #### 5\n    return {1}\n"
    assert reference_of(code, verbatim=True).text == "    # #### 5\n    return {1}"


@given(st.text(alphabet="a {}\\#\n"), st.text(alphabet="xyz+-^_", min_size=1))
def test_a_closing_box_is_always_found(before: str, value: str) -> None:
    assert short_answer(f"{before}\n\\boxed{{{value}}}") == value


@given(st.text())
def test_there_is_always_a_value(text: str) -> None:
    assert short_answer(text) == short_answer(text).strip()
    assert all(box in text for box in boxed(text))


def test_hostile_nesting_costs_one_pass() -> None:
    # Ten times the length may cost ten times the time, not a hundred times; the margin is for a busy machine.
    def seconds(n: int) -> float:
        text = r"\boxed{" * n + "1" + "}" * n + r"\boxed{" * n
        start = time.process_time()
        assert boxed(text) == ["1"]
        return time.process_time() - start

    seconds(1000)
    assert seconds(100_000) < 40 * max(seconds(10_000), 0.01)
