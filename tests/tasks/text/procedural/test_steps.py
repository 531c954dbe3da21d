"""Cutting completions into steps."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trueward.tasks.text.procedural.steps import lines_of, segment_ends, segments_of, undelimited, words_of

BREAK, END = 9, 2


def cut(tokens: list[int], mask: list[int] | None = None, **options: object) -> list[int]:
    ids = np.array([tokens])
    on = np.ones_like(ids, dtype=bool) if mask is None else np.array([mask], dtype=bool)
    return segments_of(ids, on, BREAK, **options)[0].tolist()  # type: ignore[arg-type]


def test_a_step_ends_with_its_delimiter() -> None:
    assert cut([5, 6, BREAK, 7, BREAK, 8, 8]) == [0, 0, 0, 1, 1, 2, 2]


def test_outside_the_mask_is_no_step_and_its_delimiters_do_not_count() -> None:
    assert cut([5, BREAK, 6, BREAK, 7, 0], [0, 0, 1, 1, 1, 0]) == [-1, -1, 0, 0, 1, -1]


def test_the_end_of_text_behind_a_last_delimiter_joins_its_step() -> None:
    assert cut([5, BREAK, END]) == [0, 0, 1]
    assert cut([5, BREAK, END], closing=(END,)) == [0, 0, 0]
    assert cut([5, BREAK, 6, END], closing=(END,)) == [0, 0, 1, 1]
    assert cut([5, BREAK, END, 0], [1, 1, 1, 0], closing=(END,)) == [0, 0, 0, -1]
    assert cut([END], closing=(END,)) == [0]
    assert cut([5, BREAK, END, 6], closing=(END,)) == [0, 0, 1, 1]  # closes nothing here


def test_steps_above_the_most_belong_to_the_last() -> None:
    assert cut([BREAK, BREAK, BREAK, 5], most=2) == [0, 1, 1, 1]
    assert cut([5, 6], most=1) == [0, 0]


def test_unusable_requests_are_refused() -> None:
    with pytest.raises(ValueError, match="one shape"):
        segments_of(np.zeros((1, 3), int), np.ones((1, 2), bool), BREAK)
    with pytest.raises(ValueError, match="most = 0"):
        cut([5], most=0)


def test_ends_by_hand() -> None:
    segments = np.array([[0, 0, 1, 2, -1], [-1, 0, 0, 0, 0], [-1, -1, -1, -1, -1]])
    columns, exists = segment_ends(segments)
    assert columns.tolist() == [[1, 2, 3], [4, 0, 0], [0, 0, 0]]
    assert exists.tolist() == [[True, True, True], [True, False, False], [False, False, False]]


def test_no_decisions_have_no_steps() -> None:
    columns, exists = segment_ends(np.full((2, 3), -1))
    assert columns.shape == exists.shape == (2, 0)
    assert segments_of(np.zeros((2, 0), int), np.zeros((2, 0), bool), BREAK, closing=(END,)).shape == (2, 0)


@given(st.integers(0, 2**32 - 1))
def test_agrees_with_a_loop_over_tokens(seed: int) -> None:
    generator = np.random.default_rng(seed)
    ids = generator.choice([5, BREAK, END], size=(4, 8))
    mask = generator.random((4, 8)) < 0.8
    expected = np.full((4, 8), -1)
    for i in range(4):
        number, begun = 0, False
        chosen = np.flatnonzero(mask[i]).tolist()
        for j in chosen:
            joins = j == chosen[-1] and ids[i, j] == END and not begun and number > 0
            expected[i, j] = min(number - joins, 4)
            begun = ids[i, j] != BREAK
            number += ids[i, j] == BREAK
    found = segments_of(ids, mask, BREAK, closing=(END,), most=5)
    assert (found == expected).all()
    columns, exists = segment_ends(found)
    for i, s in zip(*np.nonzero(exists), strict=True):
        assert columns[i, s] == np.flatnonzero(expected[i] == s)[-1]
    assert exists.sum() == sum(len(set(line) - {-1}) for line in expected.tolist())


def test_completions_without_delimiter_are_found() -> None:
    ids = np.array([[5, 6, 7], [5, BREAK, 7], [5, BREAK, 7], [5, 6, 7]])
    mask = np.array([[1, 1, 1], [1, 1, 1], [1, 0, 1], [0, 0, 0]], dtype=bool)
    assert undelimited(ids, mask, BREAK).tolist() == [True, False, True, False]


def test_lines_and_words_of_a_text() -> None:
    assert lines_of(" a b \n\n c \n ") == ["a b", "", "c"]
    assert lines_of("") == lines_of(" ") == [] and lines_of("\n\n") == ["", ""]
    assert words_of("a  b \n c\n") == ["a", "b", "\n", "c", "\n"]


@given(st.lists(st.sampled_from(["a", "b", "\n"]), max_size=12), st.booleans())
def test_line_i_is_step_i(words: list[str], ended: bool) -> None:
    tokens = [BREAK if word == "\n" else 5 for word in words] + [END] * ended
    segments = cut(tokens, closing=(END,)) if tokens else []
    steps = max(segments, default=-1) + 1
    # The end of text alone is a step to a credit, which needs a place for it, and says nothing.
    assert steps == max(len(lines_of(" ".join(words))), int(ended))
