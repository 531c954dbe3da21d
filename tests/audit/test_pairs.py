"""Sound rewards come out clean; each twin is caught by the family made for its bug, and by no unrelated one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from trueward.audit.api import audit
from trueward.audit.report import Report, exit_code_of
from trueward.rewards.runner import WorkerPool

PAIRS = Path(__file__).with_name("pairs.py")


def questions(answers: list[str], contract: dict[str, Any], **columns: list[str]) -> list[dict[str, Any]]:
    extra = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    rows = []
    for i, answer in enumerate(answers):
        row = {"prompt": f"Question {chr(97 + i % 26)}{'x' * (i // 26)}: work it out.", "answer": answer}
        row |= {"contract": contract} if contract else {}
        rows.append(row | (extra[i] if extra else {}))
    return rows


WORDS = ["harbour", "lantern", "meadow", "copper", "violin", "thunder", "pepper", "anchor", "marble", "saddle"] * 2
NAMES = [name for name in ("paris", "london", "Rome", "oslo", "madrid", "vienna", "athens", "dublin", "lisbon")] * 3
NUMBERS = ["12", "7", "-31", "105", "64", "2048", "9", "77", "-5", "360", "18", "41", "1500", "23", "88", "56"]
DECIMALS = ["12.5", "0.25", "-3.75", "101.125", "7.0", "2.5", "64.875", "9.5", "0.125", "33.25", "18.5", "4.75"]
FRACTIONS = [r"\frac{3}{4}", r"\frac{1}{3}", r"\frac{7}{5}", r"\frac{2}{9}", r"\frac{5}{8}", r"\frac{11}{6}"] * 2
SETS = ["2, 3, 5", "1, 4, 9", "7, 11", "6, 28, 496", "10, 20, 30, 40", "8, 13, 21", "3, 33", "5, 15, 25", "12, 24"]
MONEY = ["12.50", "3.99", "105.00", "48.25", "7.10", "0.95", "1250.00", "64.30", "19.99", "33.40", "8.05"]
COLOURS = ["red", "green", "blue", "black"]


def letters() -> list[dict[str, Any]]:
    rows = []
    for i in range(16):
        options = "\n".join(f"{letter}) {colour} number {i}" for letter, colour in zip("ABCD", COLOURS, strict=True))
        rows.append(
            {
                "prompt": f"Which colour has box {chr(97 + i)}?\n{options}",
                "answer": "ABCD"[i * 7 % 4],
                "option": f"{COLOURS[i * 7 % 4]} number {i}",
                "contract": {"type": "choice", "choices": ["A", "B", "C", "D"]},
            }
        )
    return rows


@dataclass(frozen=True)
class Pair:
    """A sound reward, its twin, the family that must catch the twin, and those that may see the same bug."""

    clean: str
    twin: str
    kind: str
    family: str
    related: frozenset[str]
    data: list[dict[str, Any]]


def pair(clean: str, twin: str, kind: str, family: str, related: str, data: list[dict[str, Any]]) -> Pair:
    return Pair(clean, twin, kind, family, frozenset({family, *filter(None, related.split("; "))}), data)


ALL = [
    # A substring is also found in denials, in lists of options, and in words that only begin like the answer.
    pair(
        "word",
        "word_substring",
        "exploit",
        "hedge",
        "negation; list of options; near miss; answer in a comment",
        questions(WORDS, {"type": "word"}),
    ),
    pair("last_box", "last_box_first", "exploit", "hedge", "answer in a comment", questions(NUMBERS, {})),
    # The last number is found behind "not" and before a per cent sign, and may follow a zero-width space.
    pair(
        "hash_number",
        "hash_number_last",
        "exploit",
        "negation",
        "hedge; near miss; odd characters",
        questions(NUMBERS, {}),
    ),
    pair(
        "close_number",
        "close_number_nan",
        "exploit",
        "constant",
        "",
        questions(DECIMALS, {"type": "number", "tolerance": 1e-6}),
    ),
    pair("choice", "choice_echo", "exploit", "echo", "", letters()),
    pair("name", "name_case", "refusal", "right answer", "equivalents", questions(NAMES, {"type": "word"})),
    pair("batch", "batch_short", "failure", "nothing", "", questions(NUMBERS, {})),
    pair("fraction", "fraction_mutable", "failure", "same", "", questions(FRACTIONS, {"type": "expression"})),
    pair("unordered", "unordered_slow", "failure", "parser bombs", "", questions(SETS, {"type": "set"})),
    pair(
        "money", "money_lenient", "failure", "unreadable", "", questions(MONEY, {"type": "number", "tolerance": 0.005})
    ),
]


@pytest.fixture(scope="module")
def pool() -> Iterator[WorkerPool]:
    with WorkerPool(workers=2, deadline=2.5) as workers:
        yield workers


def run(name: str, data: list[dict[str, Any]], pool: WorkerPool, **settings: Any) -> Report:
    return audit(f"{PAIRS}:{name}", data, runner=pool, **settings)


@pytest.mark.parametrize("pair", ALL, ids=lambda pair: pair.clean)
def test_the_sound_one_is_clean(pair: Pair, pool: WorkerPool) -> None:
    report = run(pair.clean, pair.data, pool)
    assert report.audit["findings"] == []
    assert exit_code_of([report.audit]) == 0
    assert report.audit["reads_answer"]
    assert report.audit["usable"] == len(pair.data)


@pytest.mark.parametrize("pair", ALL, ids=lambda pair: pair.clean)
def test_a_search_finds_nothing_in_the_sound_one(pair: Pair, pool: WorkerPool) -> None:
    report = run(pair.clean, pair.data, pool, search=2000, families=("nothing",))
    assert report.audit["findings"] == []
    about = report.audit["search"]
    assert about is not None and about["causes"] == 0 and about["candidates"] > 500


@pytest.mark.parametrize("pair", ALL, ids=lambda pair: pair.twin)
def test_the_twin_is_caught_by_its_family(pair: Pair, pool: WorkerPool) -> None:
    report = run(pair.twin, pair.data, pool)
    assert exit_code_of([report.audit]) == 1
    found = {(finding["kind"], finding["family"]) for finding in report.audit["findings"]}
    assert (pair.kind, pair.family) in found
    assert {family for _, family in found} <= pair.related


def test_an_exploit_reproduces(pool: WorkerPool) -> None:
    report = run("last_box_first", ALL[1].data, pool)
    exploit = report.exploits[0]
    assert exploit.reproduce().value == 1.0
    assert exploit.completion.count(r"\boxed") == 2
