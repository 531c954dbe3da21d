"""Any reward or measure as a check: what it reads, what its failures become, what it refuses."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.audit.monitor.steps import said_to_be, step

from trueward.audit.monitor import GoldCheck
from trueward.errors import RewardError
from trueward.rewards.base import as_reward
from trueward.status import Status
from trueward.tasks.gold import Gold
from trueward.tasks.text.rows import Row

GOLD = [0.0, 0.25, 0.5, 1.0]
CHAT = [[{"role": "assistant", "content": f"worth {one} here"}] for one in GOLD]
ANSWERS = [{"answer": f"worth {one} here"} for one in GOLD]


def with_answer(completion: str, answer: str) -> float:
    return said_to_be(answer)


def trl(prompts: Sequence[Any], completions: Sequence[Any], answer: Sequence[str], **_: Any) -> list[float]:
    assert isinstance(completions[0], list)
    return [said_to_be(one) for one in answer]


def measure(rows: Sequence[Row], completions: Sequence[str]) -> Gold:
    assert all(row.answer == row.columns["answer"] for row in rows)
    return Gold(np.array([said_to_be(text) for text in completions]))


class Task:
    def gold(self, rows: Sequence[Row], completions: Sequence[str]) -> Gold:
        return measure(rows, completions)


@pytest.mark.parametrize("gold", [with_answer, trl, measure, Task().gold, as_reward(with_answer), "file"])
def test_every_convention_is_asked_about_the_chosen_rows_only(gold: Any, tmp_path: Path) -> None:
    if gold == "file":
        (tmp_path / "check.py").write_text("def strict(completion):\n    return float(completion.split()[1])\n")
        gold = f"{tmp_path / 'check.py'}:strict"
    found = GoldCheck(gold)(step(3, GOLD, completions=CHAT, columns=ANSWERS), [2, 0])
    assert found.values.tolist() == [0.5, 0.0]
    assert list(found.status) == [Status.OK, Status.OK]


def test_what_could_not_be_checked_is_no_zero() -> None:
    """The answer's fault earns 0; an abstention and a server that is away say nothing of the answer."""

    def partly(completion: str) -> float | None:
        if completion.startswith("worth 1"):
            raise ValueError("cannot read this")
        return None if completion.startswith("worth 0.5") else said_to_be(completion)

    found = GoldCheck(partly)(step(1, GOLD), range(4))
    assert found.values[[0, 1, 3]].tolist() == [0.0, 0.25, 0.0]
    assert np.isnan(found.values[2])
    assert list(found.status) == [Status.OK, Status.OK, Status.ABSTAINED, Status.RAISED]


@pytest.mark.parametrize("scale", [3.0, -1.0])
def test_values_outside_the_range_are_refused(scale: float) -> None:
    def scored(completion: str) -> float:
        return scale * said_to_be(completion)

    with pytest.raises(RewardError, match=r"scored gave (3\.0|-0\.25) at step 4.*between 0 .* and 1"):
        GoldCheck(scored)(step(4, [0.0, 0.25, 1.0]), [2] if scale > 0 else [1])


def test_a_check_that_never_worked_says_why() -> None:
    with pytest.raises(RewardError, match="needs the column 'answer'"):
        GoldCheck(with_answer)(step(1, GOLD), range(4))
    with pytest.raises(RewardError, match="wrong type"):
        GoldCheck(lambda completion: "fine")(step(1, GOLD), range(4))
    with pytest.raises(RewardError, match=r"shape \(1,\) for 4 completions"):
        GoldCheck(lambda rows, completions: np.zeros(1))(step(1, GOLD), range(4))
    with pytest.raises(RewardError, match="cannot be called"):
        GoldCheck(5)


def test_one_that_has_worked_may_fail_later() -> None:
    def moody(completion: str) -> Any:
        return "what" if completion.endswith("number 3") else said_to_be(completion)

    check = GoldCheck(moody)
    assert check(step(1, GOLD), [0, 1]).values.tolist() == [0.0, 0.25]
    later = check(step(2, GOLD), [3])
    assert np.isnan(later.values).all()
    assert list(later.status) == [Status.WRONG_TYPE]


def test_nothing_asked_nothing_called() -> None:
    assert len(GoldCheck(lambda completion: 1 / 0)(step(1, GOLD), []).values) == 0


def test_names() -> None:
    assert GoldCheck(with_answer).name == "with_answer"
    assert GoldCheck(Task().gold).name == "Task.gold"
