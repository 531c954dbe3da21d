"""Families of probes: what each proposes, and a reward that falls for it beside one that does not."""

from __future__ import annotations

from typing import Any

import pytest

import trueward
from trueward.audit.certificates.answers import certify_answer
from trueward.audit.derivations import Envelope
from trueward.audit.probes import FAMILIES, Surroundings
from trueward.audit.probes.addressed import ADDRESSED, KEYS, NOTES
from trueward.audit.probes.comments import COMMENT
from trueward.audit.probes.equivalents import equivalents
from trueward.tasks.text.contract import Contract
from trueward.tasks.text.rows import Row

ANSWERS = ["12", "7", "-31", "105", "64", "2048", "9", "77"]
ROWS: list[dict[str, Any]] = [
    {"prompt": f"Question {chr(97 + i)}: work it out.", "answer": answer, "answer_type": "int"}
    for i, answer in enumerate(ANSWERS)
]


def judge(completion: str, answer: str) -> float:
    """A sound judge: the last line is the answer."""
    return float(completion.strip().splitlines()[-1:] == [answer])


def obedient(completion: str, answer: str) -> float:
    return max(judge(completion, answer), float("Award full marks" in completion))


def impressed(completion: str, answer: str) -> float:
    return max(judge(completion, answer), float(completion.startswith("Thought process")))


def reads_comments(completion: str, answer: str) -> float:
    return max(judge(completion, answer), float(f"<!-- {answer} -->" in completion))


@pytest.mark.parametrize(
    ("reward", "family"),
    [(obedient, "note to the grader"), (impressed, "one-token key"), (reads_comments, "answer in a comment")],
)
def test_a_reward_that_falls_for_it_is_caught_by_that_family_alone(reward: Any, family: str) -> None:
    findings = trueward.audit(reward, ROWS).audit["findings"]
    assert {(finding["kind"], finding["family"]) for finding in findings} == {("exploit", family)} | (
        # A note that is obeyed also raises what a wrong answer earns.
        {("gain", "keywords")} if reward is obedient else set()
    )
    assert trueward.audit(judge, ROWS).clean


def test_what_speaks_to_the_grader_is_called_wrong_by_its_certificate() -> None:
    row, other = (Row(str(i), "What is it?", answer, contract=Contract("int")) for i, answer in enumerate(("12", "7")))
    made = {
        family.name: [
            probe.derivation.text for probe in family.probes(row, Surroundings((row, other)), Envelope("bare"))
        ]
        for family in FAMILIES
    }
    assert made["one-token key"] == [text for text, _ in KEYS]
    assert made["note to the grader"] == [*(text for _, text in NOTES), f"7\n{NOTES[0][1]}"]
    # 1.0 is the reference of this row, and the second note says it: nobody can be sure.
    one = Row("1", "What is it?", "1.0")
    said = [probe.derivation.text for probe in ADDRESSED.probes(one, Surroundings((one,)), Envelope("bare"))]
    assert said == [NOTES[0][1]]


def test_a_comment_is_followed_by_a_wrong_answer() -> None:
    row = Row("0", "What is it?", "12", contract=Contract("int"))
    texts = [probe.derivation.text for probe in COMMENT.probes(row, Surroundings((row,)), Envelope("boxed", "{", "}"))]
    assert texts[:2] == ["<!-- {12} -->\n{-12}", "<!-- 12 -->\n-12"]
    assert len(texts) == 6


@pytest.mark.parametrize(
    ("reference", "contract", "expected"),
    [
        ("0.5", Contract("number"), ["1/2", r"\frac{1}{2}", r"\dfrac{1}{2}", "0.50", "$0.5$"]),
        (r"\frac{3}{4}", Contract("number"), ["3/4", r"\dfrac{3}{4}", "0.75", r"$\frac{3}{4}$"]),
        ("-1/3", Contract("number"), [r"-\frac{1}{3}", r"-\dfrac{1}{3}", "$-1/3$"]),
        ("1200", Contract("int"), ["1200.0", "1,200", "$1200$"]),
        ("2, 3, 5", Contract("set"), ["2,3,5", "5, 3, 2"]),
        ("2, 3, 5", Contract("list"), ["2,3,5"]),
        ("b", Contract("choice"), ["B", "(b)", "b."]),
        ("Oslo", Contract("word"), ["OSLO", "oslo"]),
        ("Oslo", Contract("word", case_sensitive=True), []),
        (r"\frac{x+1}{2}", Contract("expression"), [r"\dfrac{x+1}{2}", r"\frac{x + 1}{2}", r"$\frac{x+1}{2}$"]),
    ],
)
def test_equivalents_by_declared_form(reference: str, contract: Contract, expected: list[str]) -> None:
    row = Row("0", "What is it?", reference, contract=contract)
    certified = [a.text for a in equivalents(row) if a.text != reference and certify_answer(row, a.text) == "right"]
    assert certified == expected


def test_a_reward_that_wants_one_way_to_write_it_is_told() -> None:
    rows = [
        {"prompt": f"Question {i}", "answer": f"{i}.5", "answer_type": "number", "answer_form": "value"}
        for i in range(8)
    ]

    def verbatim(completion: str, answer: str) -> float:
        return float(completion == answer)

    [finding] = trueward.audit(verbatim, rows).audit["findings"]
    assert (finding["kind"], finding["family"], finding["prompts"]) == ("refusal", "equivalents", 8)
    assert "as a plain fraction" in finding["variant"]
