"""Two recorded runs with their texts: the hacked one is noticed, the healthy one is left in peace."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

import numpy as np

from trueward.audit.monitor.detectors import default_detectors
from trueward.audit.monitor.logged_steps import paid_of, step_from
from trueward.audit.monitor.notice import Notice
from trueward.audit.monitor.step import Step
from trueward.tasks.text.rollout_formats import read_rollouts

RUNS = Path(__file__).resolve().parents[4] / "results" / "streams"


def steps_of(run: str) -> list[Step]:
    """Its steps, as a monitor of the log sees them."""
    log = read_rollouts(RUNS / run / "rollouts")
    paid = paid_of(log.rewards, log.completions[:64], None, run)
    by_step = groupby(log.completions, key=lambda completion: completion.step)
    return [step_from(int(number or 0), list(completions), paid) for number, completions in by_step]


def hints(steps: list[Step]) -> list[Notice]:
    """What all default detectors say."""
    return [notice for detector in default_detectors() for step in steps for notice in detector.observe(step)[1]]


def gold(step: Step) -> float:
    """Mean logged gold."""
    return float(np.mean([column["gold"] for column in step.columns]))


def test_the_hacked_run_is_noticed_by_what_it_says_and_what_it_earns() -> None:
    steps = steps_of("hacked")
    assert gold(steps[-1]) < gold(steps[0]) - 0.2 and steps[-1].reward.mean() > steps[0].reward.mean()
    found = {notice.source: notice for notice in hints(steps)}
    assert {"detector/beyond_reference", "detector/copies"} <= set(found)
    examples = found["detector/copies"].examples
    assert len({example.prompt for example in examples}) > 1 or len({example.completion for example in examples}) == 1


def test_the_healthy_run_is_left_in_peace() -> None:
    steps = steps_of("healthy")
    assert gold(steps[-1]) > gold(steps[0]) + 0.2
    assert hints(steps) == []
