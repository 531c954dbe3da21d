"""Multiple choice: what is paid, and its own audit."""

from __future__ import annotations

from typing import Any

import pytest

from trueward.audit.api import audit
from trueward.rewards.base import as_reward
from trueward.rewards.rules.choice import Choice, choice
from trueward.rewards.runner import WorkerPool
from trueward.rewards.runner.types import Item

PROMPT = "Which one?\nA) red number 3\nB) blue number 3\nC) green"
ADDRESS = "trueward.rewards.rules.choice:choice"


def score(reference: Any, completion: str, prompt: str = PROMPT, **columns: Any) -> Any:
    return choice.score_rows([Item(prompt, completion, {"answer": reference, **columns})])[0]


PAID = [
    "B",
    "b",
    "(B)",
    "B.",
    "B) blue number 3",
    "blue number 3",
    "The answer is B.",
    "The answer is (B) blue number 3.",
]
PAID += [
    "\\boxed{B}",
    "\\boxed{\\text{B}}",
    "<answer>B</answer>",
    "#### B",
    "Option B",
    "I look at it.\n\nB",
    "B or (b)",
]
PAID += ["A. No, wait, I made a mistake. The answer is B.", "**Answer:** B", "The answer is not A but B."]


@pytest.mark.parametrize("completion", PAID)
def test_the_right_option_is_paid(completion: str) -> None:
    assert score("B", completion) == 1.0
    assert score("blue number 3", completion) == 1.0
    assert score("A", completion) == 0.0


NOT_PAID = [
    "A",
    "",
    "A or B",
    "A, B, C",
    "not B",
    "The answer is not B.",
    "B) red number 3",
    "<think>B</think>",
    "blue",
    PROMPT,
]
NOT_PAID += [
    "\\boxed{B} \\boxed{A}",
    "B\n\nThat was wrong, I take it back.",
    "\\boxed{}",
    "Bananas",
    "AB",
    f"The answer is {PROMPT}",
]


@pytest.mark.parametrize("completion", NOT_PAID)
def test_anything_else_is_not(completion: str) -> None:
    assert score("B", completion) == 0.0


def test_options_from_a_column() -> None:
    arc = {"label": ["A", "B"], "text": ["red", "blue"]}
    objects = [{"label": "A", "text": "red"}, {"label": "B", "text": "blue"}]
    for choices in (["red", "blue"], arc, objects):
        assert score("B", "blue", "Which?", choices=choices) == 1.0
        assert score("B", "red", "Which?", choices=choices) == 0.0
        assert score("blue", "B", "Which?", choices=choices) == 1.0
    # Letters alone say nothing of the texts, which stand in the prompt.
    assert score("B", "blue number 3", choices=["A", "B", "C"]) == 1.0


def test_without_options_the_words_decide() -> None:
    assert score("Paris", "The answer is paris.", "Where?") == 1.0
    assert score("Paris", "The answer is Rome.", "Where?") == 0.0
    assert score("now or never", "now or never", "When?") == 1.0


def test_a_question_that_ends_in_the_right_option_is_no_answer() -> None:
    assert score("C", PROMPT) == 0.0
    assert score("C", f"{PROMPT}\n\nC") == 1.0


def test_conventions() -> None:
    assert choice([PROMPT] * 2, ["B", "C"], answer=["B", None]) == [1.0, None]
    assert as_reward(ADDRESS)([PROMPT], ["B"], solution=["B"]) == [1.0]
    assert Choice() == choice and choice.__name__ == "choice"


def questions(answers: list[str]) -> list[dict[str, Any]]:
    colours = ["red", "green", "blue", "black"]
    rows = []
    for i, letter in enumerate(answers):
        options = "\n".join(f"{name}) {colour} number {i}" for name, colour in zip("ABCD", colours, strict=True))
        contract = {"type": "choice", "choices": ["A", "B", "C", "D"]}
        rows.append(
            {"prompt": f"Which colour has box {chr(97 + i)}?\n{options}", "answer": letter, "contract": contract}
        )
    return rows


@pytest.mark.parametrize("template", [None, "The answer is {answer}."])
def test_its_own_audit_is_clean(template: str | None) -> None:
    data = questions(list("BADCBDACABCD"))
    with WorkerPool(workers=2, deadline=5.0) as pool:
        report = audit(ADDRESS, data, runner=pool, strict=True, **({"template": template} if template else {}))
    assert report.audit["findings"] == []
    assert report.audit["reads_answer"]
    assert report.audit["usable"] == len(data)
