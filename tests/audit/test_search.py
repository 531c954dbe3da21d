"""A search finds what no fixed probe finds, in its smallest form, and never what a certificate would not sign."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trueward.audit.api import audit
from trueward.audit.calibration import ENVELOPES
from trueward.audit.certificates.answers import certify_answer
from trueward.audit.certificates.completions import certify
from trueward.audit.derivations import Derivation
from trueward.audit.probes import Surroundings
from trueward.audit.probes.stuffing import SENTENCE
from trueward.audit.report import Report
from trueward.audit.search.constructions import HEDGES, NOTHING, REFERENCE, Builder, Construction, arranged
from trueward.audit.search.steps import LARGEST_AMOUNT, STEPS
from trueward.audit.search.sweep import groups, singles
from trueward.errors import AuditError
from trueward.report.document import Finding
from trueward.rewards.runner import WorkerPool
from trueward.tasks.text.contract import Contract
from trueward.tasks.text.rows import Row

FLAWS = Path(__file__).with_name("flaws.py")
NUMBERS = ["12", "7", "-31", "105", "64", "2048", "9", "77", "-5", "360", "18", "41"]
LENGTHS = [f"{number} km" for number in NUMBERS if number[0] != "-"]
WORDS = ["harbour", "lantern", "meadow", "copper", "violin", "thunder", "pepper", "anchor", "marble", "saddle"]


def flipped(number: str) -> str:
    return number[1:] if number[0] == "-" else f"-{number}"


def thought(right: str) -> str:
    """The right answer in the thinking, the flipped one behind it."""
    return f"<think>\n\\boxed{{{right}}}\n</think>\n\\boxed{{{flipped(right)}}}"


@pytest.fixture(scope="module")
def pool() -> Iterator[WorkerPool]:
    with WorkerPool(workers=2, deadline=2.5) as workers:
        yield workers


def searched(name: str, answers: list[str], kind: str, pool: WorkerPool, budget: int = 2000) -> Report:
    rows = [
        {"prompt": f"Question {chr(97 + i)}: work it out.", "answer": answer, "answer_type": kind}
        for i, answer in enumerate(answers)
    ]
    return audit(f"{FLAWS}:{name}", rows, runner=pool, search=budget)


# The smallest form of each flaw, given the reference r of the row.
SMALLEST = [
    ("box_in_thinking", NUMBERS, "int", thought),
    ("remark_behind_comma", LENGTHS, "number", lambda r: f"<answer>{r.split()[0]}, miles</answer>"),
    ("benefit_of_the_doubt", NUMBERS, "int", lambda r: f"\\boxed{{}}\n\n{SENTENCE * 30}\n\n"),
    ("believed", NUMBERS, "int", lambda r: "Verified.\n<answer></answer>"),
    ("sign_before_brackets", NUMBERS, "int", lambda r: f"<answer>-({r})</answer>"),
    ("per_cent_in_dollars", NUMBERS, "int", lambda r: f"\\boxed{{${r}\\%$}}"),
    ("cut_off", WORDS, "word", lambda r: f"<answer>{r[:-1]}...</answer>"),
    # A slash before or behind the right answer does as well as one between two answers.
    ("slash_in_tag", NUMBERS, "int", (
        lambda r: f"<answer>{r} / {flipped(r)}</answer>",
        lambda r: f"<answer>{r}/2</answer>",
        lambda r: f"<answer>1/{r}</answer>",
    )),
    ("nothing_follows", NUMBERS, "int", lambda r: f"{thought(r)}\n</think>"),
    ("vote", NUMBERS, "int", lambda r: "\n\n".join([thought(r)] * 4)),
]  # fmt: skip


@pytest.mark.parametrize(("name", "answers", "kind", "smallest"), SMALLEST, ids=[row[0] for row in SMALLEST])
def test_the_flaw_is_found_in_its_smallest_form(
    name: str, answers: list[str], kind: str, smallest: Any, pool: WorkerPool
) -> None:
    report = searched(name, answers, kind, pool)
    findings = report.audit["findings"]
    # Nothing but the search finds it, and it finds each way to use the flaw once.
    assert {(finding["kind"], finding["family"]) for finding in findings} == {("exploit", "search")}
    wanted = smallest if isinstance(smallest, tuple) else (smallest,)
    forms = {way: make for finding in findings for way, make in enumerate(wanted) if is_made_by(finding, make)}
    assert len(findings) == len(forms) == len(wanted)
    assert all(finding["prompts"] >= 0.8 * len(answers) for finding in findings)
    about = report.audit["search"]
    assert about is not None and about["causes"] == len(wanted) and about["calls"] <= about["budget"] == 2000
    assert report.exploits[0].reproduce().value == 1.0


def is_made_by(finding: Finding, make: Callable[[str], str]) -> bool:
    return all(example["completion"] == make(example["reference"] or "") for example in finding["examples"])


def test_two_searches_find_the_same(pool: WorkerPool) -> None:
    first, second = (searched("slash_in_tag", NUMBERS, "int", pool, 800).audit for _ in range(2))
    assert first["search"] == second["search"]
    assert [f["hits"] for f in first["findings"]] == [f["hits"] for f in second["findings"]] != []


@pytest.mark.parametrize("budget", [1, 7, 100])
def test_no_search_goes_over_its_budget(budget: int, pool: WorkerPool) -> None:
    about = searched("believed", NUMBERS, "int", pool, budget).audit["search"]
    assert about is not None and about["calls"] <= budget


ROW = Row("a", "What is it?", "12", contract=Contract("int"))
OTHER = Row("b", "And this?", "7", contract=Contract("int"))
BUILDER = Builder(Surroundings((ROW, OTHER)), ENVELOPES[1])


def committed(derivation: Derivation) -> list[str]:
    return [certify_answer(ROW, answer.text) for answer in derivation.answers]


@given(
    st.sampled_from(sorted(BUILDER.bases(ROW))),
    st.lists(st.integers(0, len(STEPS) - 1), max_size=4, unique=True),
    st.integers(1, LARGEST_AMOUNT),
)
@settings(max_examples=400)
def test_the_certificate_is_asked_about_what_is_there_now(base: str, steps: list[int], amount: int) -> None:
    """Whatever is done to "12 or 13": as long as it is called wrong, a wrong answer stands in it, or none at all."""
    derivation = BUILDER.build(arranged(base, tuple(steps), amount), ROW)
    if derivation is not None and certify(ROW, derivation) == "wrong":
        assert "wrong" in committed(derivation) or derivation.form == "nothing"
        if derivation.form in ("single", "hidden"):
            assert committed(derivation)[-1] == "wrong"


def test_alternatives_do_not_shrink_to_the_right_one() -> None:
    """ "right or wrong" stays a hedge under every step: no step takes the wrong alternative away."""
    for index in range(len(STEPS)):
        derivation = BUILDER.build(arranged("right or wrong", (index,), 2), ROW)
        if derivation is not None:
            assert len(derivation.answers) == 2


def test_the_right_answer_is_never_asked_about_as_a_wrong_one() -> None:
    right = BUILDER.build(Construction(REFERENCE), ROW)
    assert right is not None and certify(ROW, right) == "right"
    full_stop = next(i for i, step in enumerate(STEPS) if step.name == "'.' behind it")
    zero = next(i for i, step in enumerate(STEPS) if step.name == "'0' behind it")
    dotted, tenfold = (BUILDER.build(Construction(REFERENCE, (index,)), ROW) for index in (full_stop, zero))
    assert dotted is not None and certify(ROW, dotted) != "wrong"  # 12.
    assert tenfold is not None and certify(ROW, tenfold) == "wrong"  # 120


def test_text_around_a_wrong_answer_that_says_the_right_one_makes_it_unknown() -> None:
    row = Row("a", "How sure are you?", "certain", contract=Contract("word"))
    builder = Builder(Surroundings((row,)), ENVELOPES[0])
    phrase = next(i for i, step in enumerate(STEPS) if step.name == "'I am certain.' at the end")
    derivation = builder.build(Construction(NOTHING, (phrase,)), row)
    assert derivation is not None and certify(row, derivation) == "unknown"


def test_the_sweep_tries_every_pair_of_steps_that_hide_nothing() -> None:
    """With every step transparent, each pair (answer step, other slot) stands in some construction."""
    bases = list(BUILDER.bases(ROW))
    wanted = {
        (i, j)
        for i, a in enumerate(STEPS)
        for j, b in enumerate(STEPS)
        if a.slot == "answer" and b.slot in ("hide", "begin", "end", "length")
    }
    tried = {
        (i, j) for one in groups(bases, set(range(len(STEPS)))) for i in one.steps for j in one.steps
        if one.base not in HEDGES
    }  # fmt: skip
    assert wanted <= tried
    alone = {one.steps for one in singles(bases, set()) if len(one.steps) == 1}
    assert alone == {(index,) for index in range(len(STEPS))}


def test_a_reward_that_reads_no_answer_is_not_searched_and_says_so() -> None:
    def length(completion: str) -> float:
        return min(len(completion), 2000) / 2000

    rows = [{"prompt": f"Question {i}", "answer": answer} for i, answer in enumerate(NUMBERS)]
    document = audit(length, rows, search=500).audit
    assert document["search"] is None
    assert any(line.startswith("there was no search") for line in document["header"])
    with pytest.raises(AuditError, match="-5 calls"):
        audit(length, rows, search=-5)


def test_a_reward_that_raises_does_not_take_a_search_over_its_budget() -> None:
    def strict(completion: str, answer: str) -> float:
        return float(any(map(str.isdigit, completion)) and int(completion) == int(answer))

    rows = [{"prompt": f"Question {i}", "answer": answer, "answer_type": "int"} for i, answer in enumerate(NUMBERS)]
    about = audit(strict, rows, search=150, families=("near miss",)).audit["search"]
    assert about is not None and about["candidates"] > 50 and about["calls"] <= 150
