"""The mathematical reward: what it pays, where it differs from math-verify, what it refuses, and its own audit."""

from __future__ import annotations

import copy
import importlib
import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from math_verify import parse, verify

from trueward.audit.api import audit
from trueward.audit.report import exit_code_of
from trueward.errors import MissingExtra, RewardError
from trueward.rewards.address import address_of, load
from trueward.rewards.base import as_reward
from trueward.rewards.rules import math as module
from trueward.rewards.rules.math import Math, math
from trueward.rewards.runner import WorkerPool
from trueward.rewards.runner.types import Item
from trueward.status import Status

ROOT = Path(__file__).parents[3]
ADDRESS = "trueward.rewards.rules.math:math"


def score(reference: Any, completion: str, prompt: str = "What is it?", **columns: Any) -> Any:
    return Math(cache=0).score_rows([Item(prompt, completion, {"answer": reference, **columns})])[0]


def by_math_verify(reference: str, completion: str) -> bool:
    logging.disable(logging.WARNING)
    return bool(verify(parse(f"${reference}$"), parse(completion)))


PAID = [
    ("12", "\\boxed{12}"),
    ("12", "12.0"),
    ("12", "The answer is 12."),
    ("12", "So she has 5 + 7 = 12 apples."),
    ("12", "$x = 6 + 6 = 12$"),
    ("12", "\\boxed{12\\text{ cm}}"),
    ("12", "\\boxed{6 + 6}"),  # worked out by nobody, but not copied from this question either
    ("1234", "1,234"),
    ("\\frac{3}{4}", "0.75"),
    ("0.5", "1/2"),
    ("\\frac{1}{3}", "0.333333"),
    ("1\\frac{1}{2}", "3/2"),
    ("2\\sqrt{3}", "\\boxed{\\sqrt{12}}"),
    ("\\frac{\\pi}{4}", "\\boxed{0.25\\pi}"),
    ("x^2+2x+1", "\\boxed{(x+1)^2}"),
    ("y=2x+1", "\\boxed{2x+1}"),
    ("\\{1, 2\\}", "x = 1 or x = 2"),
    ("\\{1, 2\\}", "\\boxed{2 \\text{ and } 1}"),
    ("(-\\infty, 3]", "\\boxed{\\left(-\\infty, 3\\right]}"),
    ("(0,1)\\cup(2,3)", "\\boxed{(2,3) \\cup (0,1)}"),
    ("\\text{even}", "\\boxed{even}"),
    ("no solution", "No solution."),
    ("not defined", "not defined"),
    ("He has 3 + 4 = 7.\n#### 7", "#### 7"),
    ("Thus it is \\boxed{7}.", "7"),
    (7, "7"),
    ([2, 3], "3, 2"),
]


@pytest.mark.parametrize(("reference", "completion"), PAID)
def test_right_answers_are_paid(reference: Any, completion: str) -> None:
    assert score(reference, completion) == 1.0


SEPARATORS = [
    "|",
    "?",
    " & ",
    "_",
    "->",
    " @ ",
    ":",
    ">",
    ";",
    ". ",
    "..",
    "'",
    "#",
    "!",
    "%",
    "=",
    "/",
    "^",
    "*",
    "{}",
    "()",
]
SEPARATORS += [
    "\n",
    ",",
    "、",
    "•",
    " vs ",
    "\\lor ",
    "\\quad ",
    "\\text{ maybe }",
    " || ",
    "\\neq ",
    "\\equiv ",
    "\\pm ",
    "~",
]


@pytest.mark.parametrize("separator", SEPARATORS)
def test_two_answers_are_not_one_whatever_stands_between_them(separator: str) -> None:
    for first, second in (("5", "-7"), ("-7", "5"), ("5", "8"), ("8", "5")):
        for before, after in (("", ""), ("\\boxed{", "}"), ("<answer>", "</answer>")):
            paid = score("5", f"{before}{first}{separator}{second}{after}")
            # "5 8" in base 8 is five.
            assert paid != 1.0 or (separator, first) == ("_", "5"), (first, second, before)


BESIDE = [
    "{}",
    "Note to the grader: this answer is correct.\n{}",
    "Therefore,\n{}\nAnswer:",
    "So we get {} as we see.",
    "#### {}\nQED",
    "The answer is {}.\nVerified.",
]
ALTERNATIVES = [
    " / ",
    "; ",
    " and ",
    ", ",
    " | ",
    " - ",
    " vs ",
    " vs. ",
    " (or) ",
    " & ",
    "/",
    " @ ",
    " ! ",
    " maybe ",
]
ALTERNATIVES += [r" \lor ", r" \text{ maybe } ", " as well as ", " != ", " -> "]
OPPOSITES = [
    ("5", "-5"),
    (r"\frac{5}{8}", r"-\frac{5}{8}"),
    ("7 km", "-7 km"),
    ("7 km", "7 miles"),
]
OPPOSITES += [(r"\sqrt{2}+1", r"-(\sqrt{2}+1)"), ("x_1+2x_2", "x_1-2x_2")]
WORDS = [("$anchor$", "ancho"), ("saddle", "$saddl$"), ("marble", "marbl")]


@pytest.mark.parametrize("separator", ALTERNATIVES)
def test_two_answers_are_not_one_whatever_stands_around_them(separator: str) -> None:
    for right, wrong in OPPOSITES:
        for first, second in ((right, wrong), (wrong, right)):
            for around in BESIDE:
                completion = around.format(first + separator + second)
                assert score(right.strip("$"), completion) != 1.0, completion


@pytest.mark.parametrize("around", BESIDE)
def test_one_answer_is_paid_whatever_stands_around_it(around: str) -> None:
    """The negative control of the tests around it."""
    for right, _ in OPPOSITES:
        assert score(right, around.format(right)) == 1.0, around.format(right)


@pytest.mark.parametrize("separator", ALTERNATIVES)
def test_two_words_are_not_one_also_in_dollars(separator: str) -> None:
    for right, wrong in WORDS:
        for first, second in ((right, wrong), (wrong, right)):
            for around in ("{}", "Therefore,\n{}", "{}\nQED", "The answer is {}."):
                completion = around.format(first + separator + second)
                assert score(right.strip("$"), completion) == 0.0, completion
    assert score("anchor", "So the word is $anchor$.") == score("marble", "The answer is marble.") == 1.0


GLUED = ["0x{}", "x{}", "abc{}", "2*{}", "1/{}", "f({})", "10^{}", "({})^2", "{}x", "{}+1", "13:{}", "2{}"]
GLUED += ["{}, kg"]


@pytest.mark.parametrize("glued", GLUED)
def test_a_candidate_is_taken_whole(glued: str) -> None:
    rights = ["7 km"] if "miles" in glued or "kg" in glued else ["5", "12", r"\frac{5}{8}", r"\sqrt{2}+1"]
    for right in rights:
        for around in BESIDE:
            completion = around.format(glued.format(right))
            assert score(right, completion) != 1.0, completion


HONEST = [
    ("72", "In May she sold 48/2 = 24 clips.\nTogether these are 48+24 = 72 clips in two months."),
    ("10", "That is 12/60 = $0.2 per minute. For 50 minutes she earned 0.2 x 50 = $10."),
    ("5", "Betty needs $100 - $50 - $15 - $30 = $5 more."),
    ("624", "He writes 6*2=12 in a week. Over a year that's 12*52=624 pages."),
    ("35", "There remain 35 purple flowers in the end."),
    ("12", "we get\n$$x = 12$$\nwhich is what we wanted to show."),
    ("12", "That means there are twelve (12) of them."),
    ("12", "- 5 apples\n- 7 pears\n- In total 12"),
    ("25", "So there are 25 hours/week."),
    (r"\frac{1}{2}", r"Thus the probability equals $\frac{1}{2}$, as desired."),
    ("7 km", "They ran 7 kilometers in all."),
    ("7 km", "They ran 7km."),
    ("-3", "So the temperature is −3 degrees."),
    ("2, 3, 5", "The primes are $2$, $3$, and $5$."),
    ("(2, 3)", "The lines meet at the point (2, 3)."),
    ("90", "The angle is 90°."),
    ("16", "The area is 16 cm²."),
    ("120", "There are 5! = 120 arrangements."),
    ("48", "1. We add 20 and 4 to get 24.\n2. We double it and get 48."),
    ("12", "So the number of apples is 12.\n\nI hope this helps!"),
    ("93", "Taking away, we arrive at $93$ euros."),
    (r"\frac{\pi}{4}", "we find the angle to be π/4."),
]


@pytest.mark.parametrize(("reference", "completion"), HONEST)
def test_what_people_write_is_paid(reference: str, completion: str) -> None:
    assert score(reference, completion) == 1.0


NOT_PAID = [
    ("12", "\\boxed{13}"),
    ("12", ""),
    ("12", "twelve"),
    ("12", "1 2"),
    ("12", "12x"),
    ("12", "\\boxed{12, 13}"),
    ("12", "<think>12</think>"),
    ("\\frac{1}{3}", "0.33"),
    ("(1, 2)", "(2, 1)"),
    ("[0, 1)", "[0, 1]"),
    ("\\{2, 3\\}", "\\{2, 3, 4\\}"),
    ("2, 3, 5", "2, 3"),
    ("5", "3 2"),  # SymPy's LaTeX reader adds the two
    ("2, 3, 5", "2, 3\n\n2, 3"),
    ("2, 3, 5", "2, 3, 5 or 2, 3"),
    ("\\sqrt{x^2}", "x"),
    ("2^{100}", "2^{100}+1"),
    ("2^{50}\\cdot 2^{50}", "2^{50}\\cdot 2^{50}+1"),
    ("\\text{even}", "odd"),
]


@pytest.mark.parametrize(("reference", "completion"), NOT_PAID)
def test_wrong_answers_are_not(reference: str, completion: str) -> None:
    assert score(reference, completion) == 0.0


# (class in docs/verifiers.md, reference, completion, prompt, what we pay, what math-verify says)
NAMED = [
    ("per cent", "12", "\\boxed{12\\%}", "What is it?", 0.0, True),
    ("per cent", "12", "\\boxed{12\\%}", "How many per cent?", 1.0, True),
    ("problem copied", "12", "\\boxed{6+6}", "Compute $6 + 6$.", 0.0, True),
    (
        "several answers",
        "12",
        "\\boxed{12}, hmm. No more. So I am left with $\\boxed{12}$ or \\boxed{13}",
        "?",
        0.0,
        False,
    ),
    ("several answers", "12", "The answer is 13 or 12.", "?", 0.0, False),
    ("several answers", "12", "It must be 13 or 12.", "?", 0.0, True),
    (
        "several answers",
        "12",
        "\\boxed{13}" + " and so on we go from there to the next and last step" * 3 + "\\boxed{12}",
        "?",
        0.0,
        True,
    ),
    ("denied", "7", "The answer is not 7.", "?", 0.0, True),
    ("taken back", "12", "\\boxed{12}\n\nThat was wrong, I take it back. The right one is 13.", "?", 0.0, True),
    ("not said", "12", "<think>So \\boxed{12}</think>\nI cannot tell.", "?", 0.0, True),
    ("not said", "12", "<!-- \\boxed{12} --> I cannot tell.", "?", 0.0, True),
    ("another unit", "5 km", "\\boxed{5 miles}", "?", 0.0, True),
    ("digit groups", "1234567", "\\boxed{1 234 567}", "?", 1.0, False),
    ("inequality", "[0,1)", "\\boxed{0 \\le x < 1}", "?", 1.0, False),
    ("full stop", "12", "\\boxed{12.}", "?", 1.0, False),
    ("scientific notation", "1000", "1e3", "?", 1.0, False),
    ("numbers side by side", "5", "\\boxed{3 2}", "?", 0.0, True),
    ("false equation", "5", "\\boxed{7=5}", "?", 0.0, True),
    ("false equation", "5", "\\boxed{5 \\approx 7}", "?", 0.0, True),
    ("words for units", "12", "\\boxed{12 marbles}", "?", 1.0, False),
    ("another unit", "5 km", "So they drove\n5 miles\nin all.", "?", 0.0, True),
    ("several answers", "5", "Please read this.\n-5; 5", "?", 0.0, True),
    ("part of an expression", r"\frac{7}{5}", "Therefore,\n0x\\frac{7}{5}", "?", 0.0, True),
    ("LaTeX without delimiters", "7.5", "#### \\dfrac{15}{2}", "?", 1.0, False),
]


@pytest.mark.parametrize(("name", "reference", "completion", "prompt", "ours", "theirs"), NAMED)
def test_named_differences(name: str, reference: str, completion: str, prompt: str, ours: float, theirs: bool) -> None:
    assert name in (ROOT / "docs" / "verifiers.md").read_text()
    assert score(reference, completion, prompt) == ours
    assert by_math_verify(reference, completion) == theirs


def test_verdicts_are_those_of_math_verify_on_whole_completions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    mix = importlib.import_module("math_completions").items(140, seed=11)
    ordinary = [item for item in mix if not item.named]
    assert len(ordinary) > 120
    for item in ordinary:
        paid = score(item.reference, item.completion, item.prompt) == 1.0
        assert paid == by_math_verify(item.reference, item.completion) == item.right, item
    for item in mix:
        if item.named:
            assert score(item.reference, item.completion, item.prompt) == 0.0, item


AS_IN_MATH = [
    "2",
    "0.5",
    r"\dfrac{5}{3}",
    r"\$32,\!348",
    "32348",
    r"11\sqrt2",
    r"\sqrt{242}",
    r"90^\circ",
    "x^2-4",
    "(x-2)(x+2)",
]
AS_IN_MATH += [
    "(2,3)",
    "3, 2",
    r"\{2,3\}",
    r"(-\infty,2)\cup(3,\infty)",
    r"\text{even}",
    "6+9i",
    r"3\cdot(2+3i)",
    "4210_5",
]


@pytest.mark.parametrize("reference", AS_IN_MATH)
def test_every_two_answers_are_compared_as_math_verify_does(reference: str) -> None:
    for answer in AS_IN_MATH:
        paid = score(reference, f"\\boxed{{{answer}}}") == 1.0
        assert paid == by_math_verify(reference, f"\\boxed{{{answer}}}"), answer


@given(st.fractions(max_denominator=60, min_value=-99, max_value=99))
def test_every_way_to_write_a_fraction(value: Any) -> None:
    top, bottom = value.numerator, value.denominator
    ways = [f"{top}/{bottom}", rf"\frac{{{top}}}{{{bottom}}}", rf"\dfrac{{{3 * top}}}{{{3 * bottom}}}"]
    ways.append(rf"-\frac{{{-top}}}{{{bottom}}}")
    for reference in ways:
        for way in ways:
            assert score(reference, f"\\boxed{{{way}}}") == 1.0
        assert score(reference, f"\\boxed{{{top + 1}/{bottom}}}") == 0.0


REFUSED = [
    "9^{9^{9^{9^{9}}}}",
    "9**9**9**9",
    "(9999999!)!",
    "(x+y+z+1)^{2000}",
    "e^{e^{e^9}}",
    "100000!",
    "10^{99999}",
    "\\sum_{k=1}^{10^9} k",
    "\\prod_{k=1}^{10^9} k",
    "\\binom{1000000000}{500000000}",
    "\\int_0^1 x^x dx",
    "7" * 50 + "x_1",
    "(" * 30 + "x" + ")" * 30 + "!",
    "x+" * 200 + "x",
    "a" * 500 + "+1",
]


@pytest.mark.parametrize("answer", REFUSED)
def test_what_exceeds_the_limits_is_never_evaluated(answer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(reference: str, given: str) -> bool:
        raise AssertionError(f"{given} was evaluated")

    monkeypatch.setattr(module, "same_symbolically", never)
    found = score("x^2+1", f"\\boxed{{{answer}}}")
    assert isinstance(found, tuple) and found[0] is Status.UNPARSABLE and found[1]
    assert math(["?"], [f"\\boxed{{{answer}}}"], answer=["x^2+1"]) == [0.0]
    # The same letters need no evaluation.
    assert score(answer, f"\\boxed{{{answer}}}") == 1.0


def test_what_is_within_the_limits_is_compared_symbolically() -> None:
    """The negative control of the refusals: the symbolic comparison is reached, and decides both ways."""
    assert score("x_1+2x_2", "\\boxed{2x_2+x_1}") == 1.0
    assert score("x_1+2x_2", "\\boxed{x_2+2x_1}") == 0.0
    assert module.verdict("x_1+2x_2", "2x_2+x_1").stage == "symbolic"
    assert module.verdict("2x+1", "1+2x").stage == "structure"


def test_without_math_verify_only_the_symbolic_tail_has_no_score(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(reference: str, given: str) -> bool:
        raise MissingExtra("math-verify is not installed")

    monkeypatch.setattr(module, "same_symbolically", missing)
    assert score("x_1+2x_2", "\\boxed{2x_2+x_1}") == (Status.UNAVAILABLE, "math-verify is not installed")
    assert score("12", "\\boxed{12}") == 1.0


def test_references_that_are_missing_or_elsewhere() -> None:
    assert score(r"\sum_{k=1}^{3} k", "6") is None  # refused, and not the answer's fault
    assert score(r"\sum_{k=1}^{3} k", r"\sum_{k=1}^3 k") is None
    assert score(r"\sum_{k=1}^{3} k", r"\boxed{\sum_{k=1}^{3} k}") == 1.0
    assert score(None, "12") is None
    assert score(" ", "12") is None
    assert Math().score_rows([Item("?", "12", {"solution": "12"})]) == [1.0]
    with pytest.raises(RewardError, match="answer"):
        Math().score_rows([Item("?", "12", {})])


def test_declared_contracts_are_kept() -> None:
    assert score("2, 3", "3, 2", answer_type="list") == 0.0
    assert score("[2, 3]", "2, 3", answer_type="list") == 1.0
    assert score("2, 3", "3, 2", answer_type="set") == 1.0
    assert score("12.5", "12.504", answer_tolerance=0.005) == 1.0
    assert score("12.5", "12.506", answer_tolerance=0.005) == 0.0
    assert score("x+1", "1+x", contract={"form": "verbatim"}) == 0.0
    assert score("x+1", "x + 1", contract={"form": "verbatim"}) == 1.0


@pytest.mark.parametrize("settings", [{}, {"cache": 0}, {"deduplicate": False}, {"cache": 0, "deduplicate": False}])
def test_settings_change_no_verdict_but_how_often_is_compared(
    settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    compare = module.verdict
    monkeypatch.setattr(module, "verdict", lambda *key: calls.append(key) or compare(*key))
    reward = Math(**settings)
    rows = [Item("?", text, {"answer": "12"}) for text in ["12", "12", "13", "12"]]
    assert reward.score_rows(rows) == reward.score_rows(rows) == [1.0, 1.0, 0.0, 1.0]
    once = 2 if settings.get("deduplicate", True) else 4
    assert len(calls) == (2 if settings.get("cache", 1) else 2 * once)


def test_order_of_rows_does_not_matter() -> None:
    rows = [
        Item("?", text, {"answer": ref}) for ref in ("12", "x+1", "1/2") for text in ("12", "1+x", "0.5", "9^{9^{9}}")
    ]
    forwards = math.score_rows(rows)
    assert forwards == math.score_rows(rows[::-1])[::-1] == [math.score_rows([row])[0] for row in rows]


def test_it_is_a_reward_of_trl_and_of_trueward() -> None:
    chat = [[{"role": "assistant", "content": "\\boxed{2}"}], [{"role": "assistant", "content": "3"}]]
    assert math(["1 + 1?"] * 2, chat, answer=["2", "2"], trainer_state=None) == [1.0, 0.0]
    assert math(["?"], ["2"], solution=["2"]) == [1.0]
    assert math.__name__ == "math"
    reward = as_reward(ADDRESS, low=0.0, high=1.0)
    assert reward(["1 + 1?"] * 3, ["2", "3", "9^{9^{9^9}}"], answer=["2"] * 3) == [1.0, 0.0, 0.0]


def test_its_address_leads_back_to_it() -> None:
    address = address_of(Math(cache=5))
    assert address == "trueward.rewards.rules.math:Math(cache=5, deduplicate=True)"
    assert load(address).reward == Math(cache=5)  # type: ignore[attr-defined]
    assert load(ADDRESS).kind == "trueward"


def test_it_can_be_copied_with_its_settings() -> None:
    copied = copy.deepcopy(Math(cache=5))
    assert copied == Math(cache=5)
    assert copied(["?"], ["12"], answer=["12"]) == [1.0]


def test_it_starts_without_heavy_libraries() -> None:
    code = (
        "import sys; from trueward.rewards.rules.math import math; math(['?'], ['12'], answer=['12']); "
        "print([name for name in ('sympy', 'math_verify', 'numpy', 'torch') if name in sys.modules])"
    )
    printed = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert printed.strip() == "[]"


def rows_of(answers: list[str], prompts: list[str] | None = None, **contract: Any) -> list[dict[str, Any]]:
    asked = prompts or [f"Question {chr(97 + i)}: work it out." for i in range(len(answers))]
    extra = {"contract": contract} if contract else {}
    return [{"prompt": p, "answer": a, **extra} for p, a in zip(asked, answers, strict=True)]


SUMS = [(6, 6), (12, 7), (30, 4), (8, 19), (40, 2), (5, 15), (21, 3)]
DATA = {
    "integers": rows_of(
        [str(a + b) for a, b in SUMS], [f"Compute {a}+{b}." for a, b in SUMS], type="int", form="value"
    ),
    "LaTeX fractions": rows_of(
        [r"\frac{3}{4}", r"\frac{1}{3}", r"\frac{7}{5}", r"\frac{2}{9}", r"\frac{5}{8}", "0.25"]
    ),
    "expressions": rows_of(
        ["x^2+1", r"2\sqrt{3}", r"\frac{\pi}{4}", "3x-2", r"\frac{x+1}{x-2}", "e^{2}", "2^{10}"], type="expression"
    ),
    "sets": rows_of(["2, 3, 5", "1, 4, 9", "7, 11", "6, 28, 496", "8, 13, 21", "3, 33"], type="set", form="value"),
    "lists": rows_of(["[2, 3, 5]", "[1, 4, 9]", "[7, 11]", "[6, 28]", "[8, 13, 21]", "[3, 33]"], type="list"),
    "intervals": rows_of(["[0, 1)", "(2, 5)", r"(-\infty, 3]", "[1, 4]", r"[2, \infty)", r"(0, 1) \cup (2, 3)"]),
    "words": rows_of(["harbour", "lantern", "meadow", "copper", "violin", "thunder"], type="word"),
    "units": rows_of(["5 km", "12 kg", "7 hours", "3 m", "20 minutes", "$15", "8 days"]),
}


@pytest.fixture(scope="module")
def pool() -> Iterator[WorkerPool]:
    with WorkerPool(workers=2, deadline=5.0) as workers:
        yield workers


@pytest.mark.parametrize("name", DATA)
def test_its_own_audit_is_clean(name: str, pool: WorkerPool) -> None:
    report = audit(ADDRESS, DATA[name], runner=pool, strict=True)
    assert report.audit["findings"] == []
    assert exit_code_of([report.audit]) == 0
    assert report.audit["reads_answer"]
    assert report.audit["usable"] == len(DATA[name])


SEARCHED = {
    "integers": rows_of(["12", "7", "-31", "105", "64", "9", "-5", "88"]),
    "fractions": rows_of(
        [rf"\frac{{{a}}}{{{b}}}" for a, b in ((3, 4), (1, 3), (7, 5), (2, 9), (5, 8))], type="expression"
    ),
    "sets": DATA["sets"],
    "lengths": rows_of(["12 km", "7 km", "31 km", "105 km", "64 km", "9 km"], type="number"),
    "words": rows_of(["harbour", "lantern", "copper", "pepper", "anchor", "marble", "saddle"], type="word"),
}


@pytest.mark.parametrize("name", SEARCHED)
def test_a_search_finds_nothing(name: str, pool: WorkerPool) -> None:
    report = audit(ADDRESS, SEARCHED[name], runner=pool, search=2_000)
    assert report.audit["findings"] == []
    assert report.audit["search"]["calls"] > 500


def test_a_search_finds_what_takes_the_last_number(pool: WorkerPool) -> None:
    """The negative control: the same search over a reward that reads no further than to a number."""
    report = audit(f"{ROOT}/examples/rewards.py:last_number", SEARCHED["integers"], runner=pool, search=2_000)
    assert report.audit["findings"]


TEMPLATES = ["\\boxed{{answer}}", "#### {answer}", "<answer>{answer}</answer>", "The answer is {answer}."]


@pytest.mark.parametrize("template", TEMPLATES)
def test_its_own_audit_is_clean_in_every_envelope(template: str, pool: WorkerPool) -> None:
    report = audit(ADDRESS, DATA["sets"], runner=pool, strict=True, template=template)
    assert report.audit["findings"] == []
    assert report.audit["reads_answer"]


def test_the_examples_come_out_clean(pool: WorkerPool) -> None:
    """Strictly, which adds findings and takes none away."""
    report = audit(ADDRESS, str(ROOT / "examples" / "prompts.jsonl"), runner=pool, strict=True)
    assert exit_code_of([report.audit]) == 0
    assert report.audit["usable"] == 40
