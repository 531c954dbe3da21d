"""A run seen from its files: replayed, or as its own monitor wrote it down."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trueward.audit.monitor.notice import Example, Notice
from trueward.audit.monitor.replay import Replay, Seen, Watched, Written, logged_gold, planned_steps, watched
from trueward.audit.monitor.step import Step
from trueward.audit.monitor.watched_document import document_of_watched
from trueward.errors import DataError
from trueward.tasks.text.rollout_formats import write_rollouts
from trueward.tasks.text.rollouts import LoggedCompletion

DATA = Path(__file__).resolve().parents[2] / "data" / "rollouts"


class Recorder:
    """An observer that keeps what it is shown, and finds something at steps that it is told."""

    def __init__(self, finds: Mapping[int, str] | None = None) -> None:
        self.steps: list[Step] = []
        self.gold: Any = "not made"
        self.notices: list[Notice] = []
        self.finds = finds or {}

    def made(self, gold: Any) -> Recorder:
        assert self.gold == "not made", "a monitor is made once"
        self.gold = gold
        return self

    def observe(self, step: Step) -> Mapping[str, float]:
        self.steps.append(step)
        if step.number in self.finds:
            example = Example(str(step.prompts[0]), str(step.completions[0]), 1.0)
            self.notices.append(Notice(self.finds[step.number], "recorder", step.number, "found", [example]))  # type: ignore[arg-type]
        return {"reward": float(np.nanmean(step.reward)), "rows": float(len(step))}


def run_of(folder: Path, *steps: int, gold: float | None = None, name: str = "steps") -> Path:
    """A run of our own with two completions a step; the reward is a tenth of the step."""
    (folder / "rollouts").mkdir(parents=True, exist_ok=True)
    rows = [
        LoggedCompletion(step, "q", f"a{i}", rewards={"reward": step / 10}, gold=gold)
        for step in steps
        for i in range(2)
    ]
    write_rollouts(folder / "rollouts" / f"{name}-{steps[0]:06d}.parquet", rows)
    return folder


def test_every_step_is_shown_once_in_order(tmp_path: Path) -> None:
    recorder = Recorder({3: "hint"})
    replay = Replay(run_of(tmp_path, 2, 1, 3), recorder.made)
    assert replay.advance() and not replay.advance()
    run_of(tmp_path, 4, 5)
    run_of(tmp_path, 5, 6, name="z")  # 5 comes again
    assert replay.advance(final=True)
    assert [step.number for step in recorder.steps] == [1, 2, 3, 4, 5, 6]
    assert all(len(step) == 2 for step in recorder.steps)
    assert replay.seen.steps == [1, 2, 3, 4, 5, 6]
    assert replay.seen.series["reward"] == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    assert [notice.step for notice in replay.notices] == [3]
    assert (replay.completions, replay.format, replay.reward, replay.probe) == (
        12,
        "trueward rollouts",
        "reward",
        "none",
    )
    assert recorder.gold is None
    assert len(replay.remarks) == 1


def test_a_long_log_is_shown_in_pieces(tmp_path: Path) -> None:
    for step in (1, 2, 3):
        run_of(tmp_path, step)
    recorder = Recorder()
    replay = Replay(tmp_path, recorder.made)
    for shown in (1, 2, 3):
        assert replay.advance(seconds=0.0) and replay.unfinished
        assert replay.seen.steps == list(range(1, shown + 1))
    assert not replay.advance(seconds=0.0) and not replay.unfinished
    run_of(tmp_path, 4)
    assert replay.advance(seconds=60.0) and not replay.unfinished
    assert [step.number for step in recorder.steps] == [1, 2, 3, 4]


def test_gold_of_the_log_is_used_where_no_check_is_given(tmp_path: Path) -> None:
    recorder, check = Recorder(), (lambda prompts, completions, **columns: [0.0] * len(prompts))
    replay = Replay(run_of(tmp_path, 1, gold=0.25), recorder.made)
    replay.advance(final=True)
    assert recorder.gold is logged_gold and replay.probe == "logged"
    step = recorder.steps[0]
    assert logged_gold(step.prompts, step.completions, [row["gold"] for row in step.columns]) == [0.25, 0.25]
    assert replay.seen.series["gold"] == [0.25]  # of all rollouts

    given = Recorder()
    asked = Replay(tmp_path, given.made, gold=check)
    asked.advance(final=True)
    assert given.gold is check and asked.probe == "asked"


def test_what_the_engines_wrote_is_replayed() -> None:
    recorder = Recorder()
    replay = Replay(DATA / "verl", recorder.made)
    replay.advance(final=True)
    assert [(step.number, len(step)) for step in recorder.steps] == [(1, 24), (2, 24)]
    assert replay.seen.series["reward"] == [0.25, 0.75]
    chat = Recorder()
    trl = Replay(DATA / "trl_chat", chat.made, reward="contains_answer + 0.5*short")
    trl.advance(final=True)
    assert [(step.number, len(step)) for step in chat.steps] == [(1, 16), (2, 16)]
    assert sum(not status.ok for status in chat.steps[0].status) == 6  # every third row has no score of `short`
    with pytest.raises(DataError, match="several rewards: 'contains_answer', 'short'"):
        Replay(DATA / "trl_chat", Recorder().made).advance(final=True)


def test_a_run_that_has_logged_nothing_waits_and_is_an_error_at_the_end(tmp_path: Path) -> None:
    replay = Replay(tmp_path, Recorder().made)
    assert not replay.advance()
    with pytest.raises(DataError, match="holds no log of completions; it holds nothing"):
        replay.advance(final=True)
    run_of(tmp_path, 1)
    assert replay.advance()


def test_the_entropy_of_our_own_loop_is_joined(tmp_path: Path) -> None:
    lines = ({"step": step, "train/entropy_estimate": 3.0 - step} for step in (1, 2))
    (tmp_path / "metrics.jsonl").write_text('{"step": 0}\n' + "".join(json.dumps(line) + "\n" for line in lines))
    replay = Replay(run_of(tmp_path, 1, 2, 3), Recorder().made)
    replay.advance(final=True)
    assert replay.seen.series["entropy"] == [2.0, 1.0, None]


def test_numbers_that_appear_late_are_missing_before_and_a_resume_drops_what_was_later() -> None:
    seen = Seen()
    seen.add(1, {"a": 1.0})
    seen.add(2, {"a": 2.0, "b": float("nan")})
    seen.add(4, {"b": 4.0})
    assert seen.steps == [1, 2, 4]
    assert seen.series == {"a": [1.0, 2.0, None], "b": [None, None, 4.0]}
    seen.add(2, {"a": 5.0})
    assert (seen.steps, seen.series) == ([1, 2], {"a": [1.0, 5.0], "b": [None, None]})


def monitor_line(step: int, kind: str | None = None, **metrics: float) -> str:
    notices = [Notice(kind, "gold probe", step, "found", [Example("q", "a", 1.0, 0.0)]).as_json()] if kind else []  # type: ignore[arg-type]
    return json.dumps({"step": step, "metrics": metrics, "notices": notices}) + "\n"


def test_what_a_run_wrote_down_is_shown_as_it_is(tmp_path: Path) -> None:
    run_of(tmp_path, 1, 2, gold=0.5)
    file = tmp_path / "monitor.jsonl"
    file.write_text(monitor_line(1, reward=0.5) + monitor_line(2, "alarm", **{"probe/gold": 0.25}) + '{"step": 3, ')
    found = watched(tmp_path, pytest.fail)
    assert isinstance(found, Written) and found.advance() and not found.advance()
    assert (found.seen.steps, found.probe, found.format) == ([1, 2], "run", "monitor.jsonl")
    assert found.seen.series == {"reward": [0.5, None], "probe/gold": [None, 0.25]}
    [notice] = found.notices
    assert (notice.kind, notice.step, notice.examples[0].completion) == ("alarm", 2, "a")
    # A run that was resumed from step 1 writes what is later anew; the file was cut.
    file.write_text(monitor_line(1, reward=0.5) + monitor_line(2, reward=0.7))
    assert found.advance(final=True)
    assert (found.seen.series["reward"], list(found.notices)) == ([0.5, 0.7], [])


def test_a_file_that_no_monitor_wrote_is_refused(tmp_path: Path) -> None:
    (tmp_path / "monitor.jsonl").write_text('{"step": 1, "metrics": {}, "notices": [{"kind": "alarm"}]}\n')
    with pytest.raises(DataError, match=r"monitor\.jsonl:1: is no line of a monitor"):
        watched(tmp_path, pytest.fail).advance()


def test_when_a_log_is_replayed_although_the_run_had_a_monitor(tmp_path: Path) -> None:
    """Where something is asked for that the run's own monitor did not do."""
    run = run_of(tmp_path / "run", 1)
    (run / "monitor.jsonl").write_text(monitor_line(1, reward=0.5))
    recorder = Recorder()

    def kind(path: Path, **more: Any) -> type[Watched]:
        return type(watched(path, recorder.made, **more))

    assert kind(run) is kind(run / "rollouts") is kind(run / "monitor.jsonl") is Written
    assert kind(run, gold=len) is kind(run, reward="reward") is Replay
    assert kind(run / "rollouts" / "steps-000001.parquet") is Replay
    assert kind(run / "monitor.jsonl", gold=len) is Written  # there is nothing else in it


def test_how_long_a_run_shall_be(tmp_path: Path) -> None:
    assert planned_steps(tmp_path) is None
    (tmp_path / "run.json").write_text("{")  # being written
    assert planned_steps(tmp_path) is None
    (tmp_path / "run.json").write_text('{"settings": {"train.steps": 120}}')
    (tmp_path / "rollouts").mkdir()
    assert planned_steps(tmp_path) == planned_steps(tmp_path / "rollouts") == 120
    trl = tmp_path / "trl"
    (trl / "checkpoint-5").mkdir(parents=True)
    (trl / "checkpoint-5" / "trainer_state.json").write_text('{"max_steps": 40}')
    (trl / "completions").mkdir()
    assert planned_steps(trl / "completions") == 40


@pytest.mark.parametrize(
    ("kinds", "fail_on", "state", "code"),
    [
        ({}, "hint", "quiet", 0),
        ({1: "hint"}, "alarm", "hint", 0),
        ({1: "hint"}, "hint", "hint", 1),
        ({1: "hint", 2: "notice"}, "alarm", "notice", 0),
        ({1: "hint", 2: "notice"}, "notice", "notice", 1),
        ({1: "alarm", 2: "hint"}, "alarm", "alarm", 1),
        ({1: "alarm"}, "hint", "alarm", 1),
    ],
)
def test_the_document_and_its_exit_code(
    tmp_path: Path, kinds: dict[int, str], fail_on: Any, state: str, code: int
) -> None:
    replay = Replay(run_of(tmp_path, 1, 2), Recorder(kinds).made)
    replay.advance(final=True)
    made = document_of_watched(replay, tmp_path, budget=8, fail_on=fail_on, command="trueward watch x")
    assert (made["state"], made["exit_code"]) == (state, code)
    assert made["budget"] is None  # nothing was checked
    assert made["steps"] == [1, 2] and made["series"]["rows"] == [2.0, 2.0]
    assert [notice["step"] for notice in made["notices"]] == list(kinds)
    json.dumps(made, allow_nan=False)
