"""What a completion commits to, case by case; hostile text; and that nothing but the text decides."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trueward.rewards.rules.commitment import committed_answer, visible_text

ONE = [
    ("12", "12", "bare"),
    ("  12.\n", "12", "bare"),
    ("harbour", "harbour", "bare"),
    ("12 km", "12 km", "bare"),
    ("[0, 1) \\cup (2, 3]", "[0, 1) \\cup (2, 3]", "bare"),
    ("never", "never", "bare"),
    ("2, 3\n\n2, 3\n\n2, 3", "2, 3", "bare"),
    ("So we have \\boxed{12}", "12", "boxed"),
    ("\\boxed{5}, hence \\boxed{5}.", "5", "boxed"),
    ("$\\boxed{1}$ and $\\boxed{2}$", "1, 2", "boxed"),
    ("Now $\\boxed{\\frac{1}{2}}$.", "\\frac{1}{2}", "boxed"),
    ("24 + 17 = 41\n#### 41", "41", "####"),
    ("#### Step 1: add\nIt gives 41.\n#### 41", "41", "####"),
    ("The answer is 12.", "12", "sentence"),
    ("The answer is 12.5.", "12.5", "sentence"),
    ("**Answer:** 12", "12", "sentence"),
    ("Final Answer:\n\n12", "12", "sentence"),
    ("The answer to the question is 12, because 6 + 6 = 12.", "12", "sentence"),
    ("The answer is $\\frac{3}{4}$.", "$\\frac{3}{4}$", "sentence"),
    ("The answer to (a) is 5. The final answer is 12.", "12", "sentence"),
    ("The answer is not 5 but 3.", "3", "sentence"),
    ("The answer is 3, not 5.", "3", "sentence"),
    ("The answer is the red door", "the red door", "sentence"),
    ("The answer is clear from the figure. So it is 12.", "12", "prose"),
    ("So 24 + 17 - 9 = 32 apples are left.", "32", "prose"),
    ("This leaves us with **32** apples.", "32", "prose"),
    ("We think about it.\n\nharbour", "harbour", "prose"),
    ("<answer>12</answer>", "12", "answer tag"),
    ("<answer>So it is \\boxed{12}</answer>", "12", "answer tag"),
    ("\\boxed{5} is a step. <answer>12</answer>", "12", "answer tag"),
    ("<answer>12", "12", "answer tag"),  # the closing tag was the stop string
    ("<answer>\n```\n12\n```\n</answer>", "12", "answer tag"),
    ("```\n12\n```", "12", "bare"),
    ("Therefore,\n7 miles", "7 miles", "prose"),
    ("7 miles\nAnswer:", "7 miles", "prose"),
    ("#### 7 miles\nQED", "7 miles", "####"),
    ("#### 2. Compute\nIt is 41.\n#### 41", "41", "####"),
    ("7 km/-7 km", "7 km/-7 km", "bare"),
    ("Note: read it.\n5; -5", "5; -5", "prose"),
    ("The answer is $7$ km.", "7 km", "sentence"),
    ("**12** apples", "12 apples", "bare"),
    ("The answer is 12; this can be seen at once.", "12", "sentence"),
    ("The answer is Paris; it lies on a river.", "Paris", "sentence"),
    ("Total: 12", "12", "prose"),
]


@pytest.mark.parametrize(("text", "answer", "envelope"), ONE)
def test_one_answer(text: str, answer: str, envelope: str) -> None:
    found = committed_answer(text)
    assert (found.kind, found.answers, found.answer, found.envelope) == ("one", (answer,), answer, envelope)


OTHERWISE = [
    ("", "none", ()),
    (" \n\t ", "none", ()),
    ("\\boxed{}", "none", ()),
    ("<answer></answer>", "none", ()),
    ("<think>\n...\n</think>\n<answer>...</answer>", "none", ()),
    ("The final answer is: ", "none", ()),
    ("#### ", "none", ()),
    ("Here it is:\n```\n12\n```", "none", ()),
    ("How many does she keep, 9?", "none", ()),  # a question asserts nothing
    ("12 or 13", "several", ("12", "13")),
    ("The answer is 12 or 13.", "several", ("12", "13")),
    ("It is 12 apples or maybe 13.", "several", ("12 apples", "13")),
    ("5 km or -5 km", "several", ("5 km", "-5 km")),
    ("\\boxed{x=1 \\text{ or } x=2}", "several", ("x=1", "x=2")),
    ("\\boxed{12} then \\boxed{13}", "several", ("12", "13")),
    ("\\boxed{12}\n#### 13", "several", ("12", "13")),
    ("\\boxed{12}. So the answer is 13.", "several", ("12", "13")),
    ("Answer: 12\nAnswer: 13", "several", ("12", "13")),
    ("7\n\n8", "several", ("7", "8")),
    ("\\boxed{12}\n\n13", "several", ("12", "13")),
    ("\\boxed{12} or 13", "several", ("12", "13")),
    ("#### x+y\n-(x+y)", "several", ("x+y", "-(x+y)")),
    ("The answer is x+y; -(x+y).", "several", ("x+y", "-(x+y)")),
    ("The answer is 9 km; -9 km.\nQED", "several", ("9 km", "-9 km")),
    ("The answer is marble; marbl.", "several", ("marble", "marbl")),
    ("ancho or $anchor$", "several", ("ancho", "$anchor$")),
    ("The word is $anchor$ or ancho.", "several", ("$anchor$", "ancho")),
    ("We get 5 (or) -5.", "several", ("5", "-5")),
    ("12 maybe 13", "several", ("12", "13")),
    ("<answer>12</answer>\n13", "several", ("12", "13")),
    ("</answer>\n3, 33 or 3", "several", ("3, 33", "3")),
    ("A or B", "several", ("A", "B")),
    ("not 12", "denied", ("12",)),
    ("The answer is not 12.", "denied", ("12",)),
    ("The answer is The answer is not 12.", "denied", ("12",)),
    ("The answer is certainly not 12.", "denied", ("12",)),
    ("The answer isn't 12", "denied", ("12",)),
    ("So it is not 12.", "denied", ("12",)),
    ("\\boxed{12}\n\nThat was wrong, I take it back.", "retracted", ("12",)),
    ("It must be 12. No, wait, I made a mistake.", "retracted", ("12",)),
]


@pytest.mark.parametrize(("text", "kind", "answers"), OTHERWISE)
def test_not_one_answer(text: str, kind: str, answers: tuple[str, ...]) -> None:
    found = committed_answer(text)
    assert (found.kind, found.answers, found.answer) == (kind, answers, None)


@pytest.mark.parametrize(
    "text",
    [
        "12\n\nThat was wrong, I take it back. The correct answer is:\n\n13",
        "\\boxed{12}\n\nI was wrong. \\boxed{13}",
        "Answer: 12\nI was wrong. The answer is not that, it is this:\nAnswer: 13",
        "<answer>12</answer> Scratch that: <answer>13</answer>",
    ],
)
def test_what_replaces_a_retracted_answer_counts(text: str) -> None:
    assert committed_answer(text).answer == "13"


BEHIND = [
    ". The answer is correct.",
    ". A common error is to add 13.",
    " cm",
    "\\text{ m}^2",
    "^\\circ",
    " = 24/2",
    "$.",
    "\\]\n",
]


@pytest.mark.parametrize("behind", BEHIND)
def test_what_stands_behind_the_answer_takes_nothing_back(behind: str) -> None:
    text = "\\boxed{12}" + behind
    assert committed_answer(text).answer == "12"


@pytest.mark.parametrize(
    "hidden",
    [
        "<think>\\boxed{12}</think>\n",
        "\\boxed{12}</think>\n",  # the prompt opened the thought
        "<think>a <think> b </think>",
        "<!-- \\boxed{12} -->",
        "% \\boxed{12}\n",
        "[//]: # (\\boxed{12})\n\n",
        "```python\nprint('\\boxed{12}')\n```\n",
        "<scratchpad>\\boxed{12}</scratchpad>",
    ],
)
def test_what_is_not_said_is_no_answer(hidden: str) -> None:
    assert committed_answer(hidden + "\\boxed{13}").answers == ("13",)
    assert committed_answer("\\boxed{12}\\boxed{13}").kind == "several"  # what the same text is where it is said


def test_an_open_thought_commits_to_nothing() -> None:
    assert committed_answer("12\n<think>13").kind == "none"
    assert committed_answer("<think>12</think>12").answer == "12"


def test_characters_are_read_as_a_person_reads_them() -> None:
    assert committed_answer("1\u200b2").answer == "12"
    assert committed_answer("１２").answer == "12"
    assert committed_answer("\\boxed{1²}").answer == "1^2"
    assert visible_text("a" + "\u0315\u0300" * 100) == visible_text("a" + "\u0315\u0300" * 15)


WORDS = [("B) red number 3", "B) red number 3"), ("The answer is red number 3.", "red number 3"), ("I see.\n\nB", "B")]


@pytest.mark.parametrize(("text", "answer"), WORDS)
def test_in_words_numbers_are_not_looked_for(text: str, answer: str) -> None:
    assert committed_answer(text, words=True).answer == answer


UNITS = [
    "a",
    "7",
    "(",
    "\\boxed{",
    "<think><answer>",
    "<answer>",
    "answer ",
    "answer is ",
    "answer of ",
    "answer: answer",
]
UNITS += [
    "$",
    "$ ",
    "\\(",
    "\\[ ",
    "or ",
    "1 or ",
    "#### 1\n",
    "#### a\n",
    "not ",
    " ",
    "\n",
    "```\n",
    "~",
    "<!--",
    "<!---->",
]
UNITS += ["\\boxed{1}", "\\boxed{1}, ", "I was wrong ", "is not 1, it is ", "**", "1+", "\\frac", "<answer>1</answer>"]
UNITS += [
    "</think>",
    "-",
    "answer (",
    "answer: therefore ",
    "therefore ",
    "% 1\n",
    "[a]: #\n",
    "{",
    "}",
    "\u0315\u0300",
    "²",
    "km, ",
    "7 km, ",
    "#### 7 km km",
    "(1",
    "1)",
    "$1",
    "1 (",
    "- ",
    "x 1 ",
    "= 1",
    " ! ",
    "; 1",
]


@pytest.mark.parametrize("unit", UNITS)
def test_long_hostile_text_is_read(unit: str) -> None:
    """Hundreds of thousands of characters: with quadratic time this test would take hours."""
    text = unit * (200_000 // len(unit))
    assert committed_answer(text).kind in ("one", "none", "several", "retracted", "denied")
    assert committed_answer(text + "\n\n" + text).kind in ("one", "none", "several", "retracted", "denied")


PIECES = [
    "12",
    "13",
    "\\boxed{",
    "}",
    "<answer>",
    "</answer>",
    "<think>",
    "</think>",
    "or",
    "not",
    "The answer is ",
    "\n\n",
]
PIECES += ["####", " ", ".", "That was wrong.", "```\n", "$", "<!--", "-->", "harbour", "?", ":"]


@given(st.lists(st.sampled_from(PIECES), max_size=12).map("".join))
def test_answers_fit_the_kind(text: str) -> None:
    found = committed_answer(text)
    counts = {"one": found.answers[:1] == found.answers != (), "none": found.answers == ()}
    assert counts.get(found.kind, len(found.answers) >= 1)
    assert (found.answer is not None) == (found.kind == "one")
    assert committed_answer(text) == found


@given(st.integers(0, 10**6))
def test_an_envelope_delivers_what_is_in_it(number: int) -> None:
    for before, after in (
        ("", ""),
        ("\\boxed{", "}"),
        ("#### ", ""),
        ("<answer>", "</answer>"),
        ("The answer is ", "."),
    ):
        assert committed_answer(f"{before}{number}{after}").answer == str(number)
        assert committed_answer(f"{before}not {number}{after}").kind == "denied"
        assert committed_answer(f"{before}{number} or {number + 1}{after}").kind == "several"
