"""What of a log is certified, what never is, and from which reward on a completion counts as paid."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import reasoning_gym

from trueward.audit.calibration import ENVELOPES
from trueward.audit.certificates.completions import certify
from trueward.audit.certificates.logged import WHY, certify_logged, read_logged
from trueward.audit.logs import audit_log, audit_rollouts, reward_column, rows_of_log
from trueward.audit.payoff import Scale
from trueward.audit.probes import FAMILIES, Surroundings
from trueward.audit.probes.guesses import options_of
from trueward.errors import AuditError, DataError
from trueward.measures.intervals import wilson
from trueward.tasks.text.contract import Contract
from trueward.tasks.text.data import rows_from
from trueward.tasks.text.reasoning_gym import rows_of as reasoning_gym_rows
from trueward.tasks.text.rollouts import LoadedRollouts, LoggedCompletion
from trueward.tasks.text.rows import Row

DATA = Path(__file__).resolve().parents[1] / "data" / "rollouts"
SUMS = rows_from(
    [{"prompt": f"What is {a} + {b}?", "answer": str(a + b)} for a, b in ((1, 2), (2, 3), (3, 4), (4, 5))]
).rows


def row(answer: str, prompt: str = "How many apples are there?", **contract: Any) -> Row:
    return Row("r", prompt, answer, {}, Contract(**contract))


def questions(answers: list[str], **contract: Any) -> list[dict[str, Any]]:
    # Prompts hold letters only, because rows would otherwise be told apart by numbers that occur in answers.
    declared = {"contract": contract} if contract else {}
    return [
        {"prompt": f"Question {'x' * i}: work it out.", "answer": text} | declared for i, text in enumerate(answers)
    ]


# name → rows, and the least share of their certified wrong probes that is found again in the text alone
PROBED: dict[str, tuple[list[dict[str, Any]], float]] = {
    "whole numbers": (questions(["12", "-31", "2048", "7"]), 0.6),
    "declared whole numbers": (questions(["105", "9", "360"], type="int"), 0.6),
    "sums": ([{"prompt": f"What is {a} + {a + 6}?", "answer": str(2 * a + 6)} for a in (6, 31, 40)], 0.6),
    "decimals": (questions(["12.5", "0.25", "-3.75"], type="number", tolerance=1e-6), 0.6),
    "fractions": (questions([r"\frac{3}{4}", r"\frac{7}{5}", r"\frac{11}{6}"]), 0.6),
    "sets": (questions(["2, 3, 5", "1, 4, 9", "7, 11"], type="set"), 0.6),
    "words": (questions(["harbour", "lantern", "copper"], type="word"), 0.7),
    "letters": (questions(list("ABCD") * 2, type="choice", choices=["A", "B", "C", "D"]), 0.4),
    # "automobile" is a way to say "car": of words that nobody declared, only the plainest probes are certain.
    "undeclared words": (questions(["meadow", "violin", "thunder"]), 0.1),
}


@pytest.mark.parametrize("name", PROBED)
def test_a_text_is_never_read_against_the_way_in_which_it_was_made(name: str) -> None:
    data, least = PROBED[name]
    rows = rows_from(data).rows
    surroundings = Surroundings(rows, options_of(rows))
    counts: Counter[bool] = Counter()
    for asked in rows:
        for family in FAMILIES:
            if family.name == "parser bombs":
                continue
            for envelope in ENVELOPES:
                for probe in family.probes(asked, surroundings, envelope):
                    made = certify(asked, probe.derivation)
                    read = certify_logged(asked, probe.derivation.text)
                    is_wrong = read.label in ("wrong", "unearned")
                    assert not (made == "right" and is_wrong), (asked.answer, probe.derivation.text, read)
                    assert not (made in ("wrong", "unearned") and read.label == "right"), probe.derivation.text
                    assert (read.family in WHY) == is_wrong
                    if made in ("wrong", "unearned"):
                        counts[is_wrong] += 1
    share = counts[True] / counts.total()
    assert counts.total() > 500
    assert share >= least, share


# Completions that a person could call right: nothing here may be called wrong.
HONEST: dict[tuple[str, str], list[str]] = {
    ("12", "int"): [
        r"We have 3 boxes with 4 apples, so 3*4 = 12. \boxed{12}",
        "He has twelve apples.",
        "He has a dozen apples.",
        "x = 12",
        "5 + 7 = 12",
        "12 = 5 + 7",
        "The answer is 12, not 13.",
        "The answer is not 13. It is 12.",
        "The answer isn't 13, it's 12.",
        "It looks like 13 at first, but the answer is obtained by adding 5 and 7, which gives 12.",
        "Answer: 12 apples",
        "**12**",
        "<think>maybe 13 or 14</think><answer>12</answer>",
        "The answer is 7. Wait, that is the number of pears: 5 + 7 = 12.",
        r"\boxed{7} is the number of pears, so in total 12.",
        r"\boxed{7} is the number of pears, and in total there are twelve.",
        r"First \boxed{5}, then \boxed{7}, in total \boxed{12}",
        r"First \boxed{12}, and as a check \boxed{5}",
        "The answer is 12 or so.",
        "The answer is 12 or, written as a fraction, 24/2",
        "12 or twelve",
        "The answer is not only 12 but also the number of months.",
        "I made a mistake in the first line, corrected above. The answer is 12.",
        r"So \boxed{12}. I was wrong to think that the answer is 13.",
        r"So \boxed{12}. I was wrong about that being hard.",
        "The answer is 12. That is wrong if you forget 5; then the answer is 7.",
        "Step 1. The answer is 5.\nStep 2. Adding seven gives twelve.",
        "Step 1. The answer is 5.\nStep 2: add 7. So 12",
        "The answer for the pears is 7 and the answer for all is 12",
        "The answer is x - 3 where x = 15.",
        "Douze.",
        "la réponse est douze",
        "XII",
        "１２",
        "十二",
        "Answer: 24/2",
        "The answer is 5+7.",
        "Answer: (C)",
        "C",
        "The answer is C) 12",
        "12,00",
        "12 dollars",
        "There are 12 apples in 3 boxes.",
        "The answer is greater than 11 and less than 13",
        r"The final answer is $\boxed{12}$. Next problem: what is 5 + 5? The answer is 10.",
        r"\boxed{\frac{24}{2}}",
        r"\boxed{x=12}",
        "13 is not the answer. 12 is.",
        "0xC",
        "I'm sorry, it is twelve.",
        "I am afraid I cannot say more than a dozen.",
        "It is as often as there are months in a year.",
        "★★★★★★★★★★★★",
        "||||||||||||",
        "",
    ],
    ("1234", "int"): [
        "1.234",
        "1 234",
        "1 2 3 4",
        "1'234",
        "1.2 thousand",
        r"\boxed{1{,}234}",
        "The answer is 1.234 euros",
    ],
    ("0", "int"): ["none", "No apples are left.", "nothing is left", "It is empty.", "zero"],
    ("1", "int"): ["a single apple", "just the one that is left", "yes", "unity"],
    (r"\infty", "expression"): ["∞", "infinity", "It is infinite.", "inf"],
    ("plus", "word"): ["+"],
    ("0.5", "number"): ["1/2", "half", "0,5", "50%", "The answer is one half.", "5e-1"],
    ("2.425", "undeclared"): ["2.43", "2,425", "about 2.4"],
    (r"\frac{3}{4}", "expression"): ["75%", "three quarters", "6/8", "3:4", r"\frac34"],
    ("x^2+1", "expression"): ["f(x)=x^2+1", "y = x^2+1", "t^2+1", "x^2 + 1 + C"],
    ("Paris", "undeclared"): ["It is Paris.", "the city of light", "Lutetia", "The answer is not London but Paris"],
    ("H2O", "undeclared"): ["water", "The answer is water.", "H₂O"],
    ("B", "undeclared"): [
        "B) 12",
        "12",
        "The answer is the second option.",
        r"\boxed{\text{B}}",
        "It can't be A or C: B",
    ],
    ("45°", "number"): ["0.785", r"\frac{\pi}{4}", "45 degrees", "50 grad", "45"],
    ("5 km", "number"): ["5000 m", "5", "3.1 miles"],
    ("50%", "number"): ["0.5", "50", "half"],
    ("(3, 4)", "list"): ["x=3, y=4", "3 and 4", "x = 3 and y = 4"],
    ("1, 2", "set"): ["1 or 2", "x=1 or x=2", "1; 2", "1 and 2"],
    (r"\pm 2", "undeclared"): ["2 or -2", "2, -2"],
    ("3", "int"): [r"\sqrt{9}", "3.14", "2.9999999", "III", "the third", r"\log_2 8", "ceil(2.5)"],
    ("100000", "int"): ["10^5", "100k", "0.1 million"],
}


@pytest.mark.parametrize(("answer", "kind"), HONEST)
def test_what_could_be_right_is_never_called_wrong(answer: str, kind: str) -> None:
    for contract in ({"type": kind}, {}):
        for text in HONEST[answer, kind]:
            if text:
                assert certify_logged(row(answer, **contract), text).label in ("right", "unknown"), text


STYLES = (
    r"So it is {right}. \boxed{{{right}}}",
    r"\boxed{{{right}}}",
    "#### {right}",
    "The answer is {right}.",
    "The answer is {right} because {a} and {b} were used up.",
    "<think>is it {a}? or {b}?</think>\n<answer>{right}</answer>",
    "Final answer: {right}",
    "**Answer:** {right}",
    "Therefore we get {right}",
    "so the result equals {right}",
    "{right}",
    r"Thus $x = {right}$.",
    r"We conclude that the answer is $\boxed{{{right}}}$. It is not {a} and not {b}.",
)
STEPS = (
    "First we take {a} and {b}.",
    "The answer to the first part is {a}.",
    "Is it {a}? No, wait, that is wrong.",
    "Some would say the answer is {a}, or {b}, but no.",
    "{a} or {b} are not possible here.",
    r"A partial result is \boxed{{{a}}}.",
    "I made a mistake: {a} is not {b}.",
    "Hmm, {a} + {b} = {c}.",
)


def test_honest_solutions_with_other_numbers_in_them_are_never_called_wrong() -> None:
    draw = random.Random(0)
    for _ in range(3000):
        right = draw.choice((draw.randint(2, 30), draw.randint(100, 2000)))
        numbers = {name: draw.randint(2, 40) for name in "abc"} | {"right": right}
        steps = [step.format(**numbers) for step in draw.sample(STEPS, draw.randint(0, 3))]
        text = "\n".join([*steps, draw.choice(STYLES).format(**numbers)])
        assert certify_logged(row(str(right)), text).label in ("right", "unknown"), text


SETS = """ab advanced_geometry basic_arithmetic bitwise_arithmetic caesar_cipher calendar_arithmetic complex_arithmetic
countdown emoji_mystery family_relationships fraction_simplification knights_knaves letter_counting manipulate_matrix
pool_matrix polynomial_equations rotate_matrix simple_equations simple_integration spell_backward time_intervals
word_sorting zebra_puzzles"""


def test_right_answers_of_many_kinds_are_never_called_wrong() -> None:
    styles = ("{}", r"\boxed{{{}}}", "#### {}", "The answer is {}.", "It is 3 or 4.\nThe final answer is {}")
    seen: Counter[str] = Counter()
    for name in SETS.split():
        made = reasoning_gym.create_dataset(name, size=4, seed=1)
        for asked in reasoning_gym_rows(name, {number: made[number] for number in range(4)}, name):
            for contract in (asked.contract, Contract()):
                for style in styles:
                    text = style.format(asked.answer)
                    label = certify_logged(replace(asked, contract=contract), text).label
                    assert label in ("right", "unknown"), (name, text)
                    seen[label] += 1
    assert seen["right"] > seen["unknown"]


WRONG = [
    ("", "nothing"),
    ("<answer></answer>", "nothing"),
    ("I am sorry, but I cannot help with that.", "nothing"),
    ("We look at this again and go on with care, as it is written in the book.", "nothing"),
    ("What is 5 + 7?", "echo"),
    ("12 or 13", "hedge"),
    ("The answer is 12 or 13.", "hedge"),
    (r"\boxed{13 \text{ or } 12}", "hedge"),
    ("0 1 2 3 4 5 6 7 8 9 10 11 12 13", "list of options"),
    ("not 12", "negation"),
    ("The answer is not 12.", "negation"),
    (r"\boxed{5 + 7}", "restated problem"),
    (r"\boxed{13}", "near miss"),
    ("#### -12", "near miss"),
    (r"The answer is 12\%.", "near miss"),
    (r"We add 5 and 7 and get 12. \boxed{40}", "right answer elsewhere"),
    ("12\n\nThat was wrong, I take it back. The correct answer is:\n\n40", "right answer elsewhere"),
    (r"<think>The answer is 12.</think>\boxed{40}", "right answer elsewhere"),
    ("The answer is 40.", "wrong answer"),
    (r"\boxed{40} or \boxed{50}", "wrong answer"),
]


@pytest.mark.parametrize(("text", "family"), WRONG)
def test_what_leaves_no_doubt_is_called_wrong_by_name(text: str, family: str) -> None:
    asked = row("12", "What is 5 + 7?")
    reading = certify_logged(asked, text)
    assert reading.family == family
    assert reading.label == ("unearned" if family == "restated problem" else "wrong")
    derivation = read_logged(asked, text)
    assert derivation is not None and certify(asked, derivation) == reading.label


def test_answers_without_a_contract_that_decides_are_unknown() -> None:
    assert certify_logged(row("12", unique=False), r"\boxed{13}").label == "unknown"
    assert certify_logged(row("12", type="free"), r"\boxed{13}").label == "unknown"
    assert certify_logged(row("12", unique=False), r"\boxed{13}", lambda text, columns: text == "12").label == "wrong"


def test_whatever_is_logged_is_read_without_an_error() -> None:
    draw = random.Random(0)
    parts = [
        *STYLES,
        *STEPS,
        *(text for text, _ in WRONG),
        "<think>",
        "</think>",
        r"\boxed{",
        "}",
        "####",
        "\n",
        " or ",
        "```",
    ]
    for _ in range(2000):
        text = " ".join(draw.choices(parts, k=draw.randint(1, 5)))
        for asked in (row("12"), row("harbour", type="word"), row("2, 3", type="set"), row("B", choices=("A", "B"))):
            certify_logged(asked, text)


def test_a_hostile_completion_is_read_in_time_with_its_length() -> None:
    for text in ("The answer is " * 20_000, r"\boxed{" * 50_000, "12 or " * 50_000, "7" * 500_000, "<answer>" * 50_000):
        certify_logged(row("12"), text)


def logged(step: int, text: str, reward: float | None, prompt: str = "What is 5 + 7?") -> LoggedCompletion:
    return LoggedCompletion(step, prompt, text, reference="12", rewards={"reward": reward}, where=f"log:{step}")


def log(*completions: LoggedCompletion, rewards: tuple[str, ...] = ("reward",)) -> LoadedRollouts:
    return LoadedRollouts(completions, "trueward rollouts", "log", rewards)


def test_a_log_by_hand() -> None:
    made = audit_rollouts(
        log(
            logged(1, "12", 1.0),
            logged(1, "13", 0.0),
            logged(2, "12", 1.0),
            logged(2, "12 or 13", 0.6),
            logged(2, "12 or 13", 0.4),  # not paid
            logged(2, "about a dozen", 1.0),
            logged(3, "13", 1.0, "What is 6 + 6?"),
            logged(3, "not 12", 1.0, "What is 6 + 6?"),
            logged(3, "13", None),
        ),
        (),
        "reward",
    )
    assert (made["completions"], made["unmatched"], made["paid"]) == (9, 0, 6)
    assert (made["wrong"], made["right"], made["unknown"]) == (3, 2, 1)
    assert made["first_step"] == 2
    assert made["families"] == {"hedge": 1, "near miss": 1, "negation": 1}
    first, second, third = made["steps"]
    assert (first["paid"], first["exploits"], first["share"], first["mean_reward"]) == (1, 0, 0.0, 0.5)
    assert (second["completions"], second["paid"], second["exploits"]) == (4, 3, 1)
    # All paid completions of a step are of one prompt: that is one unit, not three.
    assert (second["low"], second["high"]) == pytest.approx(wilson(1 / 3, 1))
    assert (third["share"], third["low"], third["mean_reward"]) == (1.0, pytest.approx(wilson(1, 1)[0]), 1.0)
    smallest = made["examples"][0]
    assert (smallest["completion"], smallest["reward"], smallest["payoff"]) == ("13", 1.0, 1.0)
    assert (smallest["right_reward"], smallest["null_reward"]) == (1.0, 0.0)
    assert (smallest["reference"], smallest["detail"], smallest["derivation"]) == ("12", "log:3", [])
    assert len({example["id"] for example in made["examples"]}) == 3


def test_a_log_without_exploits_has_none() -> None:
    honest = [logged(step, text, 1.0) for step in (1, 2) for text in ("12", "5 + 7 is twelve", r"so \boxed{12}")]
    made = audit_rollouts(log(*honest, logged(2, "13", 0.0), logged(2, "12 or 13", 0.2)), (), "reward")
    assert (made["wrong"], made["first_step"], made["families"], made["examples"]) == (0, None, {}, [])
    assert made["paid"] == 6


def test_paid_is_half_of_right_from_a_plainly_wrong_answer_on() -> None:
    # Broken form costs 1, a wrong answer earns 0: half of the way from there to right is .5, not 0.
    shaped = [logged(1, "12", 1.0), *[logged(1, "13", 0.0)] * 5, *[logged(1, "", -1.0)] * 2]
    assert audit_rollouts(log(*shaped), (), "reward")["paid"] == 1
    # A late log in which nearly everything wrong is paid in full: the few that are not tell what nothing earns.
    hacked = [logged(9, "12", 1.0), *[logged(9, "12 or 13", 1.0)] * 20, logged(9, "40", 0.0)]
    assert audit_rollouts(log(*hacked), (), "reward")["wrong"] == 20
    # And where all of them are paid, nothing earns 0 by convention.
    assert audit_rollouts(log(*hacked[:-1]), (), "reward")["wrong"] == 20


def test_without_a_right_completion_the_reward_is_asked() -> None:
    rows = rows_from([{"prompt": "What is 5 + 7?", "answer": "12"}]).rows
    never_right = log(logged(1, "12 or 13", 10.0), logged(1, "13", 2.0))
    with pytest.raises(AuditError, match="no completion of the log is certified right"):
        audit_rollouts(never_right, rows, "reward")
    made = audit_rollouts(never_right, rows, "reward", {rows[0].id: Scale(0.0, 10.0, 0.0)})
    assert (made["paid"], made["wrong"], made["examples"][0]["right_reward"]) == (1, 1, 10.0)
    # A row on which the reward refuses its own reference says nothing of what is paid.
    refused = {rows[0].id: Scale(0.0, 0.0, 0.0), "other": Scale(0.0, 1.0, 0.0)}
    assert audit_rollouts(never_right, rows, "reward", refused)["paid"] == 0
    with pytest.raises(AuditError, match="does not tell them apart"):
        audit_rollouts(log(logged(1, "12", 0.0), logged(1, "13", 0.0)), (), "reward")


def test_the_column_is_found_by_the_name_of_the_reward() -> None:
    two = log(logged(1, "12", 1.0), rewards=("correct", "short"))
    assert reward_column(two, "rewards.py:correct") == "correct"
    assert reward_column(two, "package.module:short") == "short"
    assert reward_column(log(logged(1, "12", 1.0)), "trl.rewards:get_penalty(n=3)") == "reward"
    with pytest.raises(DataError, match=r"which column holds the reward 'other'.* correct, short"):
        reward_column(two, "rewards.py:other")
    with pytest.raises(DataError, match="no column with rewards"):
        reward_column(log(logged(1, "12", None), rewards=()), "other")


def test_a_wrong_turn_that_ends_in_silence_may_have_answered_before() -> None:
    said = [{"role": "assistant", "content": "It is 12."}, {"role": "assistant", "content": ""}]
    talk = LoggedCompletion(1, "What is 5 + 7?", said, reference="12", rewards={"reward": 1.0})
    assert audit_rollouts(log(logged(1, "12", 1.0), talk), (), "reward")["wrong"] == 0


def test_what_verl_logged() -> None:
    made = audit_log(DATA / "verl", "verl.utils.reward_score:default_compute_score")
    assert (made["format"], made["completions"]) == ("verl rollouts", 48)
    assert (made["paid"], made["wrong"], made["right"], made["unknown"]) == (24, 12, 12, 0)
    assert made["first_step"] == 2
    assert made["families"] == {"hedge": 6, "negation": 6}
    assert [step["share"] for step in made["steps"]] == [0.0, pytest.approx(12 / 18)]
    assert (made["steps"][1]["low"], made["steps"][1]["high"]) == pytest.approx(wilson(4, 6))


def test_a_log_with_references_is_data_of_its_own() -> None:
    rows = rows_of_log(DATA / "verl")
    assert [row.answer for row in rows] == ["12", "36", "42", "72", "102", "33"]
    assert "What is 5 + 7?" in rows[0].prompt_text
    with pytest.raises(DataError, match="hold no reference answers"):
        rows_of_log(DATA / "trl_chat")


@pytest.mark.parametrize("kind", ["chat", "text"])
def test_what_trl_logged(kind: str) -> None:
    made = audit_log(DATA / f"trl_{kind}", "rewards.py:contains_answer", SUMS)
    assert made["format"] == "TRL completions" and made["unmatched"] == 0
    assert made["first_step"] == 1 and made["wrong"] > 0
    for example in made["examples"]:
        # The reward pays wherever the digit occurs; each of these commits to another number.
        assert example["reference"] is not None and example["reference"] in example["completion"]
        assert example["completion"].strip() != example["reference"]
    with pytest.raises(DataError, match="hold no reference answers; give the data"):
        audit_log(DATA / f"trl_{kind}", "contains_answer")
    other = rows_from([{"prompt": "Who wrote it?", "answer": "12"}]).rows
    with pytest.raises(DataError, match="no prompt of the log contains the prompt of exactly one of the 1 rows"):
        audit_log(DATA / f"trl_{kind}", "contains_answer", other)
