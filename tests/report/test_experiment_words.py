"""Numbers and sentences about experiments, against values written by hand."""

from __future__ import annotations

import json
from typing import Any

import experiment_sample
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trueward.report.experiment_words import (
    counts_said,
    deciding,
    interval,
    metric_said,
    parts_said,
    setting,
    settings_said,
    statement_said,
    three_digits,
)


@pytest.mark.parametrize(
    ("numbers", "said"),
    [
        ((0.66, 0.64, 0.68), ".66 [.64, .68]"),
        ((0.6604, 0.6593, 0.6615), ".6604 [.6593, .6615]"),
        ((4.0, 3.98, 4.02), "4.00 [3.98, 4.02]"),
        ((-12.34, -20.0, -4.68), "-12 [-20, -5]"),
        ((1234.5, 1200.0, 1269.0), "1,234 [1,200, 1,269]"),
        ((0.5, 0.5, 0.5), ".5 [.5, .5]"),  # seeds that agree
        ((0.5, None, None), ".5"),  # one seed
        ((None, None, None), "–"),
    ],
)
def test_interval(numbers: tuple[float | None, float | None, float | None], said: str) -> None:
    assert interval(*numbers) == said


@pytest.mark.parametrize(
    ("value", "said"),
    [(0.12345, ".123"), (-0.5, "-.5"), (12.345, "12.3"), (0.0, "0"), (1e-9, "<.001"), (-1e-9, ">-.001"), (None, "–")],
)
def test_three_digits(value: float | None, said: str) -> None:
    assert three_digits(value) == said


def test_statements() -> None:
    [first, *_] = experiment_sample.document()["claims"]
    assert statement_said(first) == "difference .31 [.23, .39] over 5 seeds"
    assert statement_said({**first, "b": None, "by": 0.6}) == "difference from 0.6: .31 [.23, .39] over 5 seeds"
    assert statement_said({**first, "seeds": 1, "low": None, "high": None}) == "difference .31 over 1 seed"
    assert statement_said({**first, "seeds": 0, "mean": None}) == "not measured"


def test_what_decides() -> None:
    made: Any = experiment_sample.document()
    holds, fails, undecided = made["claims"]
    assert deciding(made) == fails
    assert deciding({**made, "claims": [holds, undecided], "verdict": "unclear"}) == undecided
    assert deciding({**made, "claims": [holds], "verdict": "shown"}) == holds
    [seen] = made["preconditions"]
    unseen = {**seen, "state": "fails"}
    assert deciding({**made, "verdict": "void", "preconditions": [seen, unseen]}) == unseen
    assert deciding({**made, "claims": []}) is None


def test_lines() -> None:
    made: Any = experiment_sample.document()
    assert counts_said(made) == "5 arms, 5 seeds, scale small"
    failed = {**made, "seeds": [0], "failures": [{"arm": "par", "seed": 0, "error": "x"}]}
    assert counts_said(failed) == "5 arms, 1 seed, scale small; 1 run failed"
    assert (
        settings_said({"reward.k": 3.0, "task": "keywords", "layers": [1, 2]})
        == "reward.k=3.0, task=keywords, layers=[1, 2]"
    )
    assert settings_said({}) == "–"
    assert parts_said(["trueward.rewards.transforms.centred", "plain"]) == "centred, plain"
    assert metric_said(made["arms"][0], "gold") == ".66 [.64, .68]"
    assert metric_said(made["arms"][0], "never measured") == "–"


@given(st.text() | st.integers() | st.booleans() | st.none() | st.lists(st.integers()))
def test_a_setting_reads_back_as_what_it_was(value: Any) -> None:
    """As `--set` reads it: JSON, or else text."""
    shown = setting(value)
    try:
        read = json.loads(shown)
    except ValueError:
        read = shown
    assert read == value
