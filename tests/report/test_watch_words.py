"""What was seen of a run in words, and the numbers that curves are drawn from."""

from __future__ import annotations

import math

import pytest
import watch_sample
from hypothesis import given
from hypothesis import strategies as st

from trueward.report.watch_document import exit_code_of, gravest
from trueward.report.watch_words import (
    bin_of,
    binned,
    curves_of,
    extent_said,
    gold_said,
    gravest_first,
    headline,
    line_said,
    state_of,
)


def test_the_headline_is_the_gravest_that_was_found() -> None:
    made = watch_sample.document()
    assert headline(made) == "alarm at step 24"
    hints = [notice for notice in made["notices"] if notice["kind"] == "hint"]
    made.update(notices=hints, state="hint")
    assert headline(made) == "2 hints in 40 steps, no alarm"
    made.update(probe="none")
    assert headline(made) == "2 hints in 40 steps; no gold was checked"
    made.update(notices=[], state="quiet")
    assert (headline(made), state_of(made)) == ("nothing found in 40 steps; no gold was checked", "unchecked")
    made.update(probe="run")
    assert (headline(made), state_of(made)) == ("nothing found in 40 steps", "quiet")
    assert (headline(watch_sample.empty()), state_of(watch_sample.empty())) == ("waiting for the first step", "waiting")


def test_alarms_stand_before_notices_before_hints() -> None:
    kinds = ["hint", "notice", "alarm", "hint", "notice"]
    made = watch_sample.document(notices=[watch_sample.notice(kind, i, "") for i, kind in enumerate(kinds)])
    assert [(one["kind"], one["step"]) for one in gravest_first(made)] == [
        ("alarm", 2),
        ("notice", 1),
        ("notice", 4),
        ("hint", 0),
        ("hint", 3),
    ]
    assert gravest(made["notices"]) == "alarm" and gravest([]) == "quiet"


def test_exit_codes() -> None:
    codes = {(state, fail_on): exit_code_of(state, fail_on) for state in STATES for fail_on in STATES[:3]}  # type: ignore[arg-type]
    ones = {pair for pair, code in codes.items() if code}
    assert ones == {("alarm", "alarm"), ("alarm", "notice"), ("alarm", "hint"), ("notice", "notice")} | {
        ("notice", "hint"),
        ("hint", "hint"),
    }


STATES = ("alarm", "notice", "hint", "quiet")


def test_how_far_and_who_checks() -> None:
    made = watch_sample.document()
    assert extent_said(made) == "step 40 of 100, 2,560 completions"
    assert extent_said(watch_sample.document(steps_planned=None, completions=None)) == "step 40"
    assert gold_said(made) == "gold: as the run logged it, 8 checks a step"
    assert gold_said(watch_sample.document(probe="asked", gold="checks.py:strict")) == (
        "gold: checks.py:strict, 8 checks a step"
    )
    assert line_said(made) == "line .55"
    assert line_said(watch_sample.empty()) == ""


def test_curves_in_reading_order_and_only_those_that_say_something() -> None:
    made = watch_sample.document()
    names = [name for name, _, _ in curves_of(made)]
    assert names == ["reward", "probe/gold", "gold", "length", "part/correct", "part/format", "status/timed out"]
    words = {name: said for name, said, _ in curves_of(made)}
    assert words["status/timed out"] == "share timed out" and words["part/format"] == "part format"
    status = {name: values for name, _, values in curves_of(made)}["status/timed out"]
    assert status == [0.0] * 39 + [0.25]  # a step that does not tell of it had none
    del made["series"]["part/correct"]  # a single part is the reward itself
    made["series"]["entropy"] = [None] * 40
    assert [name for name, _, _ in curves_of(made)] == ["reward", "probe/gold", "gold", "length", "status/timed out"]


def test_bins_are_means_of_neighbours() -> None:
    assert binned([1.0, 3.0, None, 5.0, None, None], 3) == [2.0, 5.0, None]
    assert binned([1.0, math.nan], 4) == [1.0, None]
    assert [bin_of(place, 6, 3) for place in range(6)] == [0, 0, 1, 1, 2, 2]


@given(st.integers(1, 300), st.integers(1, 80))
def test_every_number_is_in_the_bin_that_is_named(count: int, most: int) -> None:
    values: list[float | None] = [0.0] * count
    for place in {0, count // 3, count - 1}:
        marked = [*values]
        marked[place] = 1.0
        found = [bin for bin, value in enumerate(binned(marked, most)) if value]
        assert found == [bin_of(place, count, most)]
        assert len(binned(marked, most)) == min(count, most)


@pytest.mark.parametrize("most", [1, 7, 40])
def test_the_mean_of_equal_bins_is_the_mean(most: int) -> None:
    values: list[float | None] = [float(i) for i in range(most * 3)]
    found = [value for value in binned(values, most) if value is not None]
    assert sum(found) / len(found) == pytest.approx(sum(range(most * 3)) / (most * 3))
