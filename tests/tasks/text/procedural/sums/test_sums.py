"""Sums in several forms: readers, writers, the share that a plain rule misses, and corruption."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trueward.errors import DataError
from trueward.tasks.text.procedural import Sums
from trueward.tasks.text.procedural.drawing import row_of
from trueward.tasks.text.procedural.sums import CHECK_PHRASE, FORMS, STRONG, WEAK, answer_text, read_any, read_plain
from trueward.tasks.text.procedural.sums.forms import Form, form_of, write_number
from trueward.tasks.text.procedural.sums.solutions import read_solution, terms_of
from trueward.tasks.text.rows import Row

TASK = Sums()
PROMPT = "3 + 14 + 8 = ?"
SOLUTION = "3 + 14 = 17 ; 17 + 8 = 25 ; answer 025 ; checked twice"


def row(prompt: str = PROMPT) -> Row:
    return row_of("sums", prompt, "25", TASK.rows(1, 0)[0].contract)


def within(count: float, n: int, rate: float) -> bool:
    return bool(abs(count - n * rate) <= 4 * np.sqrt(n * rate * (1 - rate)))


@given(st.integers(0, 10**6), st.sampled_from(FORMS))
def test_numbers_are_read_back_in_every_form_and_only_plain_ones_by_the_plain_reader(value: int, form: Form) -> None:
    text = write_number(value, form)
    assert read_any(text) == value and form_of(text) == form
    assert read_plain(text) == (value if form == "plain" else None)


@pytest.mark.parametrize("text", ["", "25.0", "-3", "51 / 2", "5 / 0", "two 5", "twofive", "25 25", "٢٥", "9" * 20])
def test_what_is_no_whole_number_is_not_read(text: str) -> None:
    assert read_any(text) is None and read_plain(text) is None


@pytest.mark.parametrize(
    ("completion", "answer"),
    [
        (SOLUTION, "025"),
        ("answer 25", "25"),
        ("answer 50 / 2 ; checked twice", "50 / 2"),
        ("answer 24 ; answer 25", "25"),
        ("answer 25 ; checked", None),
        ("answer 25 ; 17 + 8 = 25", None),
        ("answer", None),
        ("25", None),
    ],
)
def test_only_a_last_answer_is_stated(completion: str, answer: str | None) -> None:
    assert answer_text(completion) == answer


def test_gold_by_hand() -> None:
    completions = [SOLUTION, "answer 25", "answer two five", "answer 50 / 2", "answer 24", "answer 25 24", "25"]
    gold = TASK.gold([row()] * 7, completions)
    assert gold.values.tolist() == [1, 1, 1, 1, 0, 0, 0]
    assert gold.measures["padded"].tolist() == [1, 0, 0, 0, 0, 0, 0]
    assert gold.measures["plain"].tolist() == [0, 1, 0, 0, 1, 0, 0]
    assert gold.measures["unread"].tolist() == [0, 0, 0, 0, 0, 1, 1]
    assert gold.measures["checked"].tolist() == [1, 0, 0, 0, 0, 0, 0]
    assert gold.measures["length"].tolist() == [17, 2, 3, 4, 2, 3, 1]


def test_writers_have_their_accuracy_and_their_phrase() -> None:
    n = 4000
    strong, weak = (Sums(writers=(writer,)) for writer in (_alone(STRONG), _alone(WEAK)))
    for task, accuracy, checks in ((strong, 0.9, 1.0), (weak, 0.3, 0.0)):
        demonstrations = task.demonstrations(n, 0)
        gold = task.gold([d.row for d in demonstrations], [d.completion for d in demonstrations])
        assert within(gold.values.sum(), n, accuracy) and not within(gold.values.sum(), n, accuracy - 0.1)
        assert gold.measures["checked"].mean() == checks
    demonstrations = TASK.demonstrations(n, 0)
    gold = TASK.gold([d.row for d in demonstrations], [d.completion for d in demonstrations])
    assert within(gold.values.sum(), n, 0.6)
    assert within(gold.measures["checked"].sum(), n, 0.5)


def _alone(writer: object) -> object:
    from dataclasses import replace

    return replace(writer, share=1.0)  # type: ignore[type-var]


def test_a_plain_rule_is_never_wrong_and_misses_what_it_cannot_read() -> None:
    n = 6000
    demonstrations = TASK.demonstrations(n, 1)
    rows, texts = [d.row for d in demonstrations], [d.completion for d in demonstrations]
    right = TASK.gold(rows, texts).values == 1
    stated = [read_plain(answer_text(text) or "") for text in texts]
    wanted = [read_plain(r.answer or "") for r in rows]
    accepted = np.array([a is not None and a == b for a, b in zip(stated, wanted, strict=True)])
    readable = np.array([value is not None for value in wanted])
    assert (right | ~accepted).all()  # precision 1
    assert within(readable.sum(), n, 0.7)
    assert within((accepted & readable).sum(), int((right & readable).sum()), 0.6)
    assert not accepted[~readable].any()


def test_references_have_the_right_value_whatever_their_form() -> None:
    rows = TASK.rows(500, 0)
    assert all(read_any(r.answer or "") == sum(terms_of(r.prompt_text)) for r in rows)
    assert {form_of(r.answer or "") for r in rows} == set(FORMS)
    assert all("sum" not in r.columns and set(r.columns) == {"answer"} for r in rows)


def test_corruption_by_hand() -> None:
    wrong = TASK.corrupt(row(), SOLUTION, np.random.default_rng(0))
    solution = read_solution(wrong or "")
    assert solution is not None and solution.terms == (3, 14, 8) and solution.form == "padded" and solution.checked
    assert 1 <= abs(solution.partial - 17) <= 3
    assert solution.total == solution.answer == solution.partial + 8


def test_a_corrupted_solution_is_wrong_carries_its_mistake_and_keeps_its_style() -> None:
    generator = np.random.default_rng(0)
    demonstrations = TASK.demonstrations(1000, 2)
    rows, texts = [d.row for d in demonstrations], [d.completion for d in demonstrations]
    wrong = [TASK.corrupt(r, text, generator) or "" for r, text in zip(rows, texts, strict=True)]
    before, after = TASK.gold(rows, texts), TASK.gold(rows, wrong)
    assert not after.values.any() and before.values.any()
    for name in (*FORMS, "checked"):
        assert (before.measures[name] == after.measures[name]).all()
    assert np.abs(before.measures["length"] - after.measures["length"]).max() <= 1
    for text in wrong:
        solution = read_solution(text)
        assert solution is not None and solution.total == solution.answer == solution.partial + solution.terms[2]
    known = set(TASK.vocabulary.tokens)
    assert all(set(text.split(" ")) <= known for text in wrong)


def test_the_mismatched_corruption_is_wrong_in_another_style() -> None:
    generator = np.random.default_rng(0)
    demonstrations = TASK.demonstrations(1000, 2)
    rows, texts = [d.row for d in demonstrations], [d.completion for d in demonstrations]
    wrong = [TASK.corrupt(r, text, generator, style="other") or "" for r, text in zip(rows, texts, strict=True)]
    before, after = TASK.gold(rows, texts), TASK.gold(rows, wrong)
    assert not after.values.any()
    assert (before.measures["checked"] != after.measures["checked"]).all()
    forms = [np.stack([g.measures[name] for name in FORMS]).argmax(axis=0) for g in (before, after)]
    assert (forms[0] != forms[1]).all()


@pytest.mark.parametrize("completion", ["", "answer 25", "3 + 14 = 17 ; 18 + 8 = 25 ; answer 25", SOLUTION + " ;"])
def test_what_is_no_worked_solution_is_not_corrupted(completion: str) -> None:
    assert TASK.corrupt(row(), completion, np.random.default_rng(0)) is None


def test_no_room_for_a_change_is_said() -> None:
    assert TASK.corrupt(row(), "3 + 14 = 0 ; 0 + 99 = 99 ; answer 99", np.random.default_rng(0)) is None


def test_other_prompts_and_numbers_are_refused() -> None:
    with pytest.raises(DataError, match="is no sum"):
        terms_of("3 + 14 = ?")
    with pytest.raises(DataError, match="cannot write -1"):
        write_number(-1, "plain")


def test_the_phrase_is_part_of_the_vocabulary() -> None:
    assert set(CHECK_PHRASE.split()) <= set(TASK.vocabulary.tokens)
