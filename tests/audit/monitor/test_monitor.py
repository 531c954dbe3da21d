"""The monitor: its file, its order, its place in the loop, and the one thing it may do to a run."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.audit.monitor.steps import drawn_step, said_to_be, step
from tests.training.test_language import SETTINGS
from tests.training.test_language import run as train_run

from trueward.audit.monitor import Example, GoldProbe, Monitor, Notice, Step
from trueward.batch import Context, Part, Rollouts, Scores, Text
from trueward.errors import AuditError
from trueward.status import Status
from trueward.training.hooks import StopRun
from trueward.training.record import read_metrics


class Counting:
    """Counts rollouts and hints at every third step."""

    name = "counting"

    def __init__(self) -> None:
        self.seen = 0

    def observe(self, step: Step) -> tuple[Mapping[str, float], Sequence[Notice]]:
        self.seen += len(step)
        hints = [Notice("hint", self.name, step.number, "a third step", [Example("p", "c", 1.0)])]
        return {"detector/counting": float(self.seen)}, hints if step.number % 3 == 0 else []

    def state_dict(self) -> dict[str, Any]:
        return {"seen": self.seen}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.seen = state["seen"]


def lines(directory: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (directory / "monitor.jsonl").read_text().splitlines()]


def test_what_a_step_looks_like_in_numbers() -> None:
    shown = step(
        1,
        [0.0] * 4,
        reward=[1.0, 3.0, np.nan, 2.0],
        parts={"right": np.array([1.0, np.nan, np.nan, 0.0]), "none": np.full(4, np.nan)},
        seen={"raw": np.arange(4.0)},
        status=[Status.OK, Status.OK, Status.ABSTAINED, Status.RAISED],
        finished=np.array([True, True, True, False]),
        logprobs=np.array([-1.0, -2.0, -3.0, -2.0]),
    )
    metrics = Monitor(detectors=[]).observe(shown)
    assert metrics.pop("reward_deviation") == pytest.approx(np.sqrt(2 / 3))
    assert np.isnan(metrics.pop("part/none"))
    assert metrics == {
        "reward": 2.0,
        "length": 4.0,
        "part/right": 0.5,
        "part/raw": 1.5,
        "status/abstained": 0.25,
        "status/raised": 0.25,
        "finished": 0.75,
        "entropy": 2.0,
    }
    assert Monitor(detectors=[]).observe(step(1, [])) == {}


def test_one_line_per_step_with_everything_that_was_found(tmp_path: Path) -> None:
    told: list[Notice] = []
    monitor = Monitor(detectors=[Counting()], directory=tmp_path / "run", report=told.append)
    for number in (1, 2, 3, 7):
        monitor.observe(step(number, [0.5] * 4, parts={"none": np.full(4, np.nan)}))
    found = lines(tmp_path / "run")
    assert [line["step"] for line in found] == [1, 2, 3, 7]
    assert found[3]["metrics"]["detector/counting"] == 16.0
    assert found[0]["metrics"]["part/none"] is None
    assert [Notice.from_json(one) for one in found[2]["notices"]] == monitor.notices == told
    assert [len(line["notices"]) for line in found] == [0, 0, 1, 0]


def test_steps_come_in_order() -> None:
    monitor = Monitor(detectors=[])
    monitor.observe(step(5, [0.5] * 4))
    for number in (5, 4):
        with pytest.raises(AuditError, match=f"step {number} after step 5"):
            monitor.observe(step(number, [0.5] * 4))


def test_a_run_that_was_cut_off_writes_its_later_lines_anew(tmp_path: Path) -> None:
    straight, first = (Monitor(detectors=[Counting()], directory=tmp_path / name) for name in ("straight", "cut"))
    for number in range(1, 9):
        straight.observe(step(number, [0.5] * 4))
    for number in range(1, 5):
        first.observe(step(number, [0.5] * 4))
    state = json.loads(json.dumps(first.state_dict()))
    for number in (5, 6):
        first.observe(step(number, [0.25] * 4))
    path = tmp_path / "cut" / "monitor.jsonl"
    path.write_text(path.read_text() + '{"step": 7, "met')
    second = Monitor(detectors=[Counting()], directory=tmp_path / "cut")
    second.load_state_dict(state)
    for number in range(5, 9):
        second.observe(step(number, [0.5] * 4))
    assert path.read_bytes() == (tmp_path / "straight" / "monitor.jsonl").read_bytes()
    assert second.notices == straight.notices


def test_a_monitor_of_other_watchers_does_not_go_on() -> None:
    state = Monitor(detectors=[Counting()]).state_dict()
    with pytest.raises(AuditError, match="had the watchers counting; this one has none"):
        Monitor(detectors=[]).load_state_dict(state)
    with pytest.raises(AuditError, match="share a name"):
        Monitor(detectors=[Counting(), Counting()])
    with pytest.raises(AuditError, match="only the gold probe"):
        Monitor(detectors=[], stop_on_alarm=True)


def scored(gold: Sequence[float]) -> tuple[Rollouts, Scores]:
    texts = [f"worth {one:g} x" for one in gold]
    content = Text([f"prompt {place}" for place in range(len(texts))], texts)
    rollouts = Rollouts(content, group=np.arange(len(texts)))
    return rollouts, Scores({"reward": Part(np.ones(len(texts)), [Status.OK] * len(texts))})


def test_an_alarm_stops_a_run_where_it_is_asked_to() -> None:
    def going(stop: bool) -> tuple[int, str]:
        monitor = Monitor(said_to_be, detectors=[Counting()], stop_on_alarm=stop)
        for number in range(1, 40):
            gold = [0.8] * 16 if number <= 15 else [0.1] * 16
            try:
                monitor.after_rollouts(*scored(gold), Context(step=number))
            except StopRun as request:
                return number, str(request)
        assert [notice.kind for notice in monitor.notices].count("alarm") == 1
        return number, ""

    stopped, why = going(True)
    assert 16 <= stopped <= 25
    assert why.startswith(f"alarm of the gold probe at step {stopped}: mean gold has fallen")
    assert going(False) == (39, "")


def test_a_probe_with_settings_of_its_own_is_taken_as_it_is() -> None:
    monitor = Monitor(GoldProbe(said_to_be, window=2, budget=3, reference_budget=5), detectors=[])
    rng = np.random.default_rng(0)
    found = [monitor.observe(drawn_step(number, 0.5, rng))["probe/checked"] for number in (1, 2, 3)]
    assert found == [5, 10, 13]


def asked_for(completion: str, answer: str) -> float:
    words = completion.split()
    return words.count(answer) / max(1, len(words))


class Crash:
    """Ends the process's run at a step, the way a machine does: without saving anything."""

    def __init__(self, at: int) -> None:
        self.at = at

    def modules(self) -> Mapping[str, Any]:
        return {}

    def optimizers(self) -> Mapping[str, Any]:
        return {}

    def state_dict(self) -> Mapping[str, Any]:
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        pass

    def after_rollouts(self, rollouts: Rollouts, scores: Scores, context: Context) -> Mapping[str, float]:
        if context.step == self.at:
            raise KeyboardInterrupt
        return {}


SHORT = dataclasses.replace(SETTINGS, steps=5, evaluate_every=5)


def test_in_the_loop_a_run_is_watched_and_not_changed_and_may_crash(tmp_path: Path) -> None:
    """A run that crashed ends with the same files; a run that nobody watches, with the same numbers."""

    def go(name: str, crash: int) -> Monitor:
        directory = tmp_path / name
        monitor = Monitor(GoldProbe(asked_for, window=2, budget=2), directory=directory)
        train_run(directory, SHORT, hooks=[monitor, Crash(crash)])
        return monitor

    with pytest.raises(KeyboardInterrupt):
        go("cut", 4)
    assert [line["step"] for line in lines(tmp_path / "cut")] == [1, 2, 3, 4]
    cut, whole = go("cut", 0), go("whole", 0)
    for file in ("monitor.jsonl", "metrics.jsonl"):
        assert (tmp_path / "cut" / file).read_bytes() == (tmp_path / "whole" / file).read_bytes()
    assert cut.notices == whole.notices
    assert [line["step"] for line in lines(tmp_path / "cut")] == [1, 2, 3, 4, 5]
    watched = read_metrics(tmp_path / "whole")
    assert "hook/probe/e_value" in watched[-1]
    train_run(tmp_path / "alone", SHORT)
    without = [{name: value for name, value in line.items() if not name.startswith("hook/")} for line in watched]
    assert without == read_metrics(tmp_path / "alone")


def test_a_monitor_loads_nothing_heavy() -> None:
    loaded = "import sys, trueward.audit.monitor as m; m.Monitor(lambda completion: 1.0); print(*sys.modules)"
    found = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True).stdout.split()
    assert "numpy" in found
    assert not {"torch", "scipy", "transformers", "sympy", "pyarrow"} & set(found)
