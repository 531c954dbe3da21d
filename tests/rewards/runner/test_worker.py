"""What a worker makes of what a leaf returns for a row that it does not score."""

from __future__ import annotations

from trueward.rewards.runner import InProcess, Item
from trueward.rewards.runner.worker import classify
from trueward.status import Status


def test_a_leaf_may_say_why_it_does_not_score_a_row() -> None:
    said = [Status.UNPARSABLE, (Status.UNAVAILABLE, "no answer from the server"), (Status.ABSTAINED, "")]
    assert classify(said, 3) == [
        (None, Status.UNPARSABLE, ""),
        (None, Status.UNAVAILABLE, "no answer from the server"),
        (None, Status.ABSTAINED, ""),
    ]


def test_what_only_looks_like_a_status_is_a_bug_of_the_reward() -> None:
    for returned in (
        Status.OK,
        (Status.OK, "fine"),
        "unparsable",
        (Status.UNPARSABLE, 3),
        ("unparsable", "x"),
        (1.0, 2),
    ):
        assert classify([returned], 1)[0][1] is Status.WRONG_TYPE


def test_reasons_are_kept_short() -> None:
    assert len(classify([(Status.UNPARSABLE, "x" * 10_000)], 1)[0][2]) <= 300


def test_a_refused_answer_is_not_asked_about_twice() -> None:
    class Refuses:
        calls = 0

        def score_rows(self, rows: list[Item]) -> list[object]:
            self.calls += 1
            return [Status.UNPARSABLE] * len(rows)

    leaf = Refuses()
    [[outcome]] = InProcess({"leaf": leaf}).run("leaf", [[Item("q", "a")]])
    assert (outcome.status, outcome.attempts, leaf.calls) == (Status.UNPARSABLE, 1, 1)
