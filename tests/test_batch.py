"""The failure rules and joins of `Scores`, with numbers by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trueward.batch import Part, Preferences, Rollouts, Scores, Text
from trueward.status import Status

OK, RAISED, LOST = Status.OK, Status.RAISED, Status.UNAVAILABLE
nan = np.nan


def part(values: list[float], status: list[Status], **fields: object) -> Part:
    return Part(np.array(values), status, **fields)  # type: ignore[arg-type]


def test_the_answers_fault_earns_the_lowest_of_the_declared_range() -> None:
    filled = part([1.0, nan, nan], [OK, RAISED, LOST], low=-1.0, high=1.0).filled()
    np.testing.assert_array_equal(filled, [1.0, -1.0, nan])


def test_without_a_range_it_earns_the_lowest_of_the_batch() -> None:
    np.testing.assert_array_equal(part([1.0, 0.25, nan], [OK, OK, RAISED]).filled(), [1.0, 0.25, 0.25])
    np.testing.assert_array_equal(part([nan], [RAISED]).filled(), [nan])


@given(st.lists(st.tuples(st.floats(-5, 5), st.booleans()), min_size=1, max_size=20))
def test_failing_never_pays_more_than_anything_that_was_scored(rows: list[tuple[float, bool]]) -> None:
    values = [value if ok else nan for value, ok in rows]
    filled = part(values, [OK if ok else RAISED for _, ok in rows]).filled()
    scored = [value for value, ok in rows if ok]
    for value, (_, ok) in zip(filled, rows, strict=True):
        assert ok or not scored or value <= min(scored)


def test_total_is_the_weighted_sum_and_keeps_what_is_lost_as_nan() -> None:
    scores = Scores(
        {
            "correct": part([1.0, 0.0, nan], [OK, OK, LOST]),
            "format": part([1.0, 1.0, 1.0], [OK, OK, OK], weight=0.2),
        }
    )
    np.testing.assert_allclose(scores.total(), [1.2, 0.2, nan])
    assert scores.status == [OK, OK, LOST]


def test_a_rollout_part_joins_at_the_last_segment() -> None:
    exists = np.array([[True, True, False], [True, True, True]])
    steps = Part(np.array([[0.5, 0.25, 0.0], [0.0, 1.0, 2.0]]), [OK, OK], "segment", exists=exists)
    scores = Scores({"steps": steps, "outcome": part([1.0, -1.0], [OK, OK], weight=2.0)})
    np.testing.assert_allclose(scores.total("segment"), [[0.5, 2.25, 0.0], [0.0, 1.0, 0.0]])
    np.testing.assert_allclose(scores.total(), [2.75, 1.0])


def test_a_blamed_row_of_segments_is_paid_the_lowest_once() -> None:
    exists = np.array([[True, True, False]])
    steps = Part(np.full((1, 3), nan), [RAISED], "segment", exists=exists, low=-1.0)
    np.testing.assert_array_equal(steps.filled(), [[0.0, -1.0, 0.0]])
    np.testing.assert_array_equal(Scores({"s": steps}).total(), [-1.0])


def test_unsound_records_are_refused() -> None:
    with pytest.raises(ValueError, match="not finite"):
        part([nan], [OK])
    with pytest.raises(ValueError, match="one status per row"):
        part([1.0], [OK, OK])
    with pytest.raises(ValueError, match="same number of rows"):
        Scores({"a": part([1.0], [OK]), "b": part([1.0, 1.0], [OK, OK])})
    with pytest.raises(ValueError, match=r"rollouts\.group has 1 entries for 2"):
        Rollouts(Text(["a", "b"], ["c", "d"]), group=np.array([0]))
    one = Rollouts(Text(["a"], ["b"]))
    with pytest.raises(ValueError, match="different lengths"):
        Preferences(one, one, np.array([0.5, 0.5]))
    with pytest.raises(ValueError, match="cannot be joined"):
        Scores({"a": part([1.0], [OK])}).total("token")


def test_classes_of_status_do_not_overlap() -> None:
    for status in Status:
        assert status.ok + status.blames_answer + status.is_reward_bug <= 1


def test_a_failed_answer_earns_the_worst_end_whatever_the_sign_of_the_weight() -> None:
    status = [Status.OK, Status.RAISED, Status.OK]
    values = np.array([0.25, np.nan, 0.75])
    declared = Scores({"p": Part(values, status, weight=-1.0, low=0.0, high=1.0)})
    assert declared.total() == pytest.approx([-0.25, -1.0, -0.75])
    seen = Scores({"p": Part(values, status, weight=-2.0)})
    assert seen.total() == pytest.approx([-0.5, -1.5, -1.5])


def test_what_has_no_weight_takes_nothing_from_the_others() -> None:
    lost = Part(np.array([np.nan, 1.0]), [Status.UNAVAILABLE, Status.OK], weight=0.0)
    paid = Part(np.array([1.0, 2.0]), [Status.OK, Status.OK])
    both = Scores({"raw": lost, "paid": paid})
    assert both.total() == pytest.approx([1.0, 2.0])
    assert both.status == [Status.OK, Status.OK]
    assert list(both.paid) == ["paid"]
    assert np.isnan(Scores({"raw": lost}).total()[0])
