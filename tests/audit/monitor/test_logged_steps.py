"""Which columns of a log are the reward, and what a monitor sees of logged completions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from trueward.audit.monitor.logged_steps import Paid, paid_of, step_from
from trueward.errors import DataError
from trueward.status import Status
from trueward.tasks.text.data import rows_from
from trueward.tasks.text.rollout_formats import read_rollouts
from trueward.tasks.text.rollout_rows import rows_of
from trueward.tasks.text.rollouts import LoggedCompletion

DATA = Path(__file__).resolve().parents[2] / "data" / "rollouts"


def logged(*rewards: dict[str, float | None], **more: object) -> list[LoggedCompletion]:
    return [LoggedCompletion(1, f"q{i // 2}", "a" * i, rewards=row, **more) for i, row in enumerate(rewards)]  # type: ignore[arg-type]


def test_the_total_is_the_only_column_or_the_one_that_is_called_so() -> None:
    assert paid_of(("correct",), logged({"correct": 1.0}), None, "log").name == "correct"
    assert paid_of(("score",), logged({"score": 1.0}), None, "log").name == "score"
    rows = logged({"reward/a": 1.0, "reward": 1.0, "length": 3.0}, {"reward/a": 0.0, "reward": 0.0, "length": 4.0})
    paid = paid_of(("reward/a", "length", "reward"), rows, None, "log")
    assert (paid.name, paid.column, dict(paid.weights), paid.seen) == (
        "reward",
        "reward",
        {"reward/a": 1.0},
        ("length",),
    )


def test_weights_of_parts_are_found_from_the_total() -> None:
    """r = 1 a − .5 b + 0 raw, by hand."""
    rows = [
        {"reward/a": 1.0, "reward/b": 2.0, "reward/raw": 7.0, "reward": 0.0},
        {"reward/a": 0.0, "reward/b": 1.0, "reward/raw": 1.0, "reward": -0.5},
        {"reward/a": 1.0, "reward/b": 0.0, "reward/raw": 3.0, "reward": 1.0},
        {"reward/a": None, "reward/b": 0.0, "reward/raw": 3.0, "reward": None},
    ]
    paid = paid_of(tuple(rows[0]), logged(*rows), None, "log")
    assert paid.weights == pytest.approx({"reward/a": 1.0, "reward/b": -0.5})
    assert paid.seen == ("reward/raw",)
    step = step_from(1, logged(*rows), paid)
    assert np.allclose(step.parts["a"], [1, 0, 1, np.nan], equal_nan=True)
    assert np.allclose(step.parts["b"], [-1.0, -0.5, 0, 0])
    assert np.allclose(step.seen["raw"], [7, 1, 3, 3])
    assert np.allclose(step.reward, [0, -0.5, 1, np.nan], equal_nan=True)


def test_weights_that_are_not_determined_are_one_where_that_fits() -> None:
    """Two equal parts have many solutions; with 1 and 1 the total fits, with another total nothing is said."""
    rows = [{"reward/a": v, "reward/b": v, "reward": 2 * v} for v in (0.0, 1.0, 2.0)]
    assert paid_of(tuple(rows[0]), logged(*rows), None, "log").weights == {"reward/a": 1.0, "reward/b": 1.0}
    product = [
        {"reward/a": a, "reward/b": b, "reward": a * b} for a, b in ((1.0, 2.0), (2.0, 3.0), (3.0, 5.0), (0.0, 1.0))
    ]
    paid = paid_of(tuple(product[0]), logged(*product), None, "log")
    assert paid.weights == {} and paid.seen == ("reward/a", "reward/b")
    step = step_from(1, logged(*product), paid)
    assert list(step.parts) == ["reward"] and set(step.seen) == {"a", "b"}


def test_a_sum_may_be_named() -> None:
    rows = logged({"correct": 1.0, "format": 0.5, "other": 9.0}, {"correct": None, "format": 1.0, "other": 9.0})
    paid = paid_of(("correct", "format", "other"), rows, "correct + 0.5*format", "log")
    step = step_from(3, rows, paid)
    assert np.allclose(step.reward, [1.25, 0.5])  # as TRL sums: what has no score adds nothing
    assert step.status == [Status.OK, Status.ABSTAINED]  # and it is to be seen
    assert np.allclose(step.parts["format"], [0.25, 0.5]) and set(step.seen) == {"other"}
    none = logged({"correct": None, "format": None, "other": 1.0})
    assert np.isnan(step_from(1, none, paid).reward).all()
    minus = paid_of(("correct", "format"), rows, "correct + -2e-1 * format", "log")
    assert minus.weights == {"correct": 1.0, "format": -0.2}


def test_several_rewards_none_and_an_unknown_one_are_refused() -> None:
    rows = logged({"correct": 1.0, "format": 0.5})
    with pytest.raises(DataError, match=r"several rewards: 'correct', 'format'. Name one with --reward 'correct'"):
        paid_of(("correct", "format"), rows, None, "log")
    with pytest.raises(DataError, match="no column holds rewards"):
        paid_of((), rows, None, "log")
    with pytest.raises(DataError, match=r"no column 'corect' holds rewards; did you mean 'correct'\?"):
        paid_of(("correct", "format"), rows, "format + corect", "log")


def test_what_a_monitor_sees_of_a_row() -> None:
    paid = Paid("reward", "reward")
    ours = LoggedCompletion(
        4, "q", "abc", rewards={"reward": 0.0}, length=2, status="timed out", group="4/7", gold=0.25
    )
    other = LoggedCompletion(4, "q", "abcd", rewards={"reward": None}, group="4/8", columns={"hint": 5})
    step = step_from(4, [ours, other, ours], paid)
    assert (step.number, len(step)) == (4, 3)
    assert step.status == [Status.TIMED_OUT, Status.ABSTAINED, Status.TIMED_OUT]
    assert step.length.tolist() == [2, 4, 2]  # tokens where they were logged, else characters
    assert step.group is not None and step.group.tolist() == [0, 1, 0]
    assert step.columns == [{"gold": 0.25}, {"gold": None, "hint": 5}, {"gold": 0.25}]
    assert step.logprobs is None and step.finished is None
    plain = step_from(1, logged({"reward": 1.0}, {"reward": 1.0}, {"reward": 1.0}), paid)
    assert plain.group is not None and plain.group.tolist() == [0, 0, 1]  # by prompt
    assert plain.columns == [{}, {}, {}]


def test_a_check_gets_the_reference_and_the_columns_of_the_data() -> None:
    loaded = read_rollouts(DATA / "verl")
    first = [completion for completion in loaded.completions if completion.step == 1]
    step = step_from(1, first, paid_of(loaded.rewards, first, None, "log"), rows_of(first, ()))
    assert step.row(0)["answer"] == "12" and step.row(0)["acc"] is True
    data = rows_from([{"prompt": "q0", "answer": "4", "level": 2}, {"prompt": "q1", "answer": "5", "level": 3}]).rows
    rows = logged({"reward": 1.0}, {"reward": 0.0}, {"reward": 0.0})
    step = step_from(1, rows, Paid("reward", "reward"), rows_of(rows, data))
    assert [(step.row(i)["answer"], step.row(i)["level"]) for i in range(3)] == [("4", 2), ("4", 2), ("5", 3)]
