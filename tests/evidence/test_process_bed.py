"""The test bed of process rewards: where steps end, what restates, what a run's curves come to."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from trueward.batch import Rollouts, Text
from trueward.evidence.process_bed import lines_as_steps, restatements, step_metrics
from trueward.policies.tokenizers import tokenizer_of
from trueward.tasks.text.procedural.chain import ChainArithmetic

TASK = ChainArithmetic(modulus=7)
TOKENIZER = tokenizer_of(TASK.vocabulary)
PROMPT = "start 3 ; + 1 ; * 2 ?"


def written(*completions, ended=True):
    ids = [TOKENIZER.encode(text, add_special_tokens=False) + [TOKENIZER.eos_token_id] * ended for text in completions]
    width = max(map(len, ids))
    mask = np.array([[column < len(row) for column in range(width)] for row in ids])
    tokens = np.array([row + [TOKENIZER.pad_token_id] * (width - len(row)) for row in ids])
    rollouts = Rollouts(Text([PROMPT] * len(ids), list(completions), tokens, mask), mask=mask)
    return dataclasses.replace(rollouts, segments=lines_as_steps(TOKENIZER)(rollouts))


def test_a_step_ends_with_its_line_break_and_the_end_of_text_belongs_to_the_last():
    found = written("3 + 1 = 4 \n ans = 4", "ans = 4 \n").segments
    assert found.tolist() == [[0] * 6 + [1] * 4, [0] * 5 + [-1] * 5]


def test_without_a_line_break_everything_is_one_step():
    assert written("3 + 1 = 4 ans = 4", ended=False).segments.tolist() == [[0] * 8]


def test_restatements_are_true_lines_said_again():
    rows = [dataclasses.replace(TASK.rows(1, 0)[0], prompt=PROMPT)] * 3
    rollouts = written(
        "3 + 1 = 4 \n 3 + 1 = 4 \n 4 * 2 = 1 \n ans = 1",
        "3 + 1 = 5 \n 3 + 1 = 5 \n ans = 5",
        "3 + 1 = 4 \n \n 3 + 1 = 4 \n ans = 4",
    )
    # The second repeats what is false; an empty line is a step too.
    expected = [[False, True, False, False], [False] * 4, [False, False, True, False]]
    assert restatements(TASK, rows, rollouts, 4).tolist() == expected


def line(step, gold, proxy, lines, **more):
    measures = {"measure/lines": lines, "measure/duplicated": lines / 100, "measure/truncated": 0.5}
    return {"step": step, "gold": gold, "proxy": proxy, "kl": 0.1 * step, "length": 6 * lines, **measures, **more}


def test_metrics_of_a_run_that_diverges():
    punished = "part/process (share of steps)"
    metrics = [line(0, 0.5, 2.0, 4), {"step": 1, punished: 0.2}, line(2, 0.4, 5.0, 8, **{punished: 0.4})]
    metrics += [line(4, 0.3, 6.0, 9), line(6, 0.2, 7.0, 10)]
    found = step_metrics(metrics)
    assert found["accuracy_start"] == 0.5
    assert found["accuracy_end"] == pytest.approx(0.3)
    assert found["return_growth"] == pytest.approx(3.0)
    assert found["line_growth"] == pytest.approx(9 / 4)
    assert found["duplicated_growth"] == pytest.approx(0.05)
    assert found["punished"] == pytest.approx(0.3)
    assert found["kl"] == pytest.approx(0.4)
    assert found["correlation"] == pytest.approx(np.corrcoef([0.5, 0.4, 0.3, 0.2], [2, 5, 6, 7])[0, 1])


def test_a_run_that_stands_still_correlates_with_nothing_and_one_without_a_clip_punishes_nothing():
    found = step_metrics([line(0, 0.5, 2.0, 4), line(1, 0.5, 2.0, 4)])
    assert found["correlation"] == 0.0
    assert found["punished"] == 0.0
    assert found["return_growth"] == 1.0
