"""An experiment as a whole: tuning, resuming, failing, dying. The toy recipe knows how to misbehave."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from toy_recipe import RECIPE

from trueward.errors import EvidenceError
from trueward.evidence.engines import ATTEMPTS
from trueward.evidence.experiment import Outcome, Progress, execute
from trueward.evidence.plan import Experiment, Tried, best
from trueward.evidence.verdict import judge

ALL = 2 * 3 * 2 + 3 * 5  # two tuned arms, three combinations, two tuning seeds; three arms, five seeds


def toy(root: Path, **changes: Any) -> Experiment:
    return Experiment(RECIPE, **{"root": root, **changes})


def here(experiment: Experiment, **options: Any) -> Outcome:
    return execute(experiment, engine="in process", **options)


def attempts(experiment: Experiment) -> dict[str, int]:
    """How often each run was begun, by "seed-0/method"."""
    return {
        "/".join(file.parent.parts[-2:]): len(file.read_text().splitlines())
        for file in experiment.folder.rglob("attempts.txt")
    }


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    return here(toy(tmp_path_factory.mktemp("undisturbed")))


def test_tuning_is_even_handed_and_apart(tmp_path: Path) -> None:
    experiment = toy(tmp_path)
    outcome = here(experiment)
    assert Counter(one.arm for one in outcome.tried) == {"method": 3, "baseline": 3}
    assert {tuple(one.values) for one in outcome.tried} == {(1000, 1001)}
    assert outcome.chosen == {"method": {"rate": 0.2}, "baseline": {"rate": 0.2}, "control": {}}
    assert [one.settings["rate"] for one in outcome.tried if one.chosen] == [0.2, 0.2]
    assert set(outcome.values["method"]) == {0, 1, 2, 3, 4}
    assert {path.name for path in experiment.folder.iterdir()} == {f"seed-{n}" for n in (0, 1, 2, 3, 4, 1000, 1001)}
    assert len(attempts(experiment)) == ALL and set(attempts(experiment).values()) == {1}
    # Same seed, same draws: the difference of two arms hardly varies although each arm does.
    gold = {arm: [row[seed]["gold"] for seed in range(5)] for arm, row in outcome.values.items()}
    differences = [a - b for a, b in zip(gold["method"], gold["baseline"], strict=True)]
    assert max(differences) - min(differences) < 0.1 < max(gold["method"]) - min(gold["method"])
    assert judge(RECIPE, outcome.values, experiment.reported).verdict == "shown"


def test_the_best_combination() -> None:
    def tried(*means: float | None) -> list[Tried]:
        return [Tried("a", {}, {0: mean, 1: mean}) for mean in means]

    assert best(RECIPE, tried(1.0, 3.0, 2.0)) == 1
    assert best(RECIPE, tried(1.0, 3.0, 3.0)) == 1  # the first of equals
    assert best(RECIPE, tried(None, -5.0)) == 1  # one that failed is not taken
    assert best(RECIPE, tried(None, None)) is None
    assert best(RECIPE, [Tried("a", {}, {0: 9.0, 1: None}), Tried("a", {}, {0: 1.0, 1: 1.0})]) == 1
    lower = dataclasses.replace(
        RECIPE, metrics=tuple(dataclasses.replace(metric, better="lower") for metric in RECIPE.metrics)
    )
    assert best(lower, tried(2.0, 1.0, 1.0)) == 1
    with pytest.raises(EvidenceError, match="neither"):
        best(dataclasses.replace(RECIPE, tuned_on="length"), tried(1.0))


def test_scales_arms_and_overrides(tmp_path: Path) -> None:
    smoke = here(toy(tmp_path, scale="smoke", seeds=(0, 1)))
    assert smoke.tried == () and smoke.chosen["baseline"] == {"rate": 0.3}  # the first candidate
    assert smoke.runs["method"][0].settings == {"skill": 2.0, "rate": 0.1, "steps": 3, "shape": [1, 2]}
    full = toy(tmp_path, scale="full")
    assert [arm.name for arm in full.chosen_arms] == ["method", "baseline", "control", "extra"]
    assert [arm.name for arm in toy(tmp_path).chosen_arms] == ["method", "baseline", "control"]

    own = toy(tmp_path, scale="smoke", seeds=(0,), arms=("method",), overrides={"rate": 0.4, "steps": 5})
    outcome = here(own)
    assert list(outcome.values) == ["method"]
    assert outcome.runs["method"][0].settings["rate"] == 0.4
    assert own.candidates(RECIPE.arm("method")) == [{}]  # what is set by hand is not tuned
    # Trying something out has a folder of its own.
    assert own.folder != toy(tmp_path, scale="smoke").folder
    assert judge(RECIPE, outcome.values, own.reported).verdict == "unclear"


def test_what_does_not_exist_is_refused(tmp_path: Path) -> None:
    for changes in ({"scale": "huge"}, {"arms": ("methd",)}, {"seeds": (0, 1000)}, {"seeds": ()}, {"seeds": (1, 1)}):
        with pytest.raises(EvidenceError):
            toy(tmp_path, **changes)


def test_what_is_done_is_not_done_again(tmp_path: Path) -> None:
    experiment, events = toy(tmp_path), list[Progress]()
    first = here(experiment)
    second = here(experiment, progress=events.append)
    assert second == first
    assert set(attempts(experiment).values()) == {1}
    assert Counter(event.kind for event in events) == {"planned": 1, "kept": ALL}
    assert (events[-1].done, events[-1].total, events[-1].remaining_seconds) == (ALL, ALL, 0.0)
    # More seeds join those that are done.
    here(dataclasses.replace(experiment, seeds=(0, 1, 2, 3, 4, 5)))
    assert set(attempts(experiment).values()) == {1} and len(attempts(experiment)) == ALL + 3


def test_other_settings_are_refused_and_set_aside_on_request(tmp_path: Path) -> None:
    here(toy(tmp_path, scale="smoke", seeds=(0,)))
    changed = dataclasses.replace(RECIPE, settings={**RECIPE.settings, "shape": (3,)})
    experiment = dataclasses.replace(toy(tmp_path, scale="smoke", seeds=(0,)), recipe=changed)
    with pytest.raises(EvidenceError, match=r"other settings: shape \[1, 2\] there, \[3\] now"):
        here(experiment)
    here(experiment, set_aside="changed")
    folder = experiment.folder / "seed-0"
    assert json.loads((folder / "method/run.json").read_text())["settings"]["shape"] == [3]
    assert json.loads((folder / "method.aside-1/run.json").read_text())["settings"]["shape"] == [1, 2]
    assert (folder / "method.aside-1/result.json").exists()
    here(experiment, set_aside="all")
    assert (folder / "method.aside-2").exists() and attempts(experiment)["seed-0/method"] == 1
    assert (tmp_path / "toy/shared/seed-0.aside-1").exists()


def test_a_run_that_raises_costs_itself_only(tmp_path: Path) -> None:
    experiment = toy(tmp_path, overrides={"misbehave": {"baseline 2": "raise"}})
    events = list[Progress]()
    outcome = here(experiment, progress=events.append)
    [failure] = outcome.failures
    assert (failure.arm, failure.seed, failure.error) == ("baseline", 2, "ArithmeticError: the toy broke")
    assert set(outcome.values["baseline"]) == {0, 1, 3, 4} and set(outcome.values["method"]) == {0, 1, 2, 3, 4}
    assert judge(RECIPE, outcome.values, experiment.reported).verdict == "unclear"
    assert "the toy broke" in (outcome.runs["baseline"][2].directory / "error.txt").read_text()
    assert [event.kind for event in events].count("failed") == 1 and events[-1].done == ALL
    # The next time only the failed run is tried again.
    here(experiment)
    assert {name for name, count in attempts(experiment).items() if count > 1} == {"seed-2/baseline"}


def test_a_run_that_works_the_second_time_is_no_failure_any_more(tmp_path: Path, undisturbed: Outcome) -> None:
    experiment = toy(tmp_path, overrides={"misbehave": {"control 0": "raise once"}})
    first = here(experiment)
    error = first.runs["control"][0].directory / "error.txt"
    assert error.exists() and 0 not in first.values["control"]
    second = here(experiment)
    assert not error.exists() and second.failures == () and second.values == undisturbed.values


def test_tuning_that_fails_loses_its_arm_only(tmp_path: Path) -> None:
    broken = {f"method {seed}": "raise" for seed in RECIPE.tuning_seeds}
    outcome = here(toy(tmp_path, overrides={"misbehave": broken}))
    assert set(outcome.values) == {"baseline", "control"}
    assert {failure.seed for failure in outcome.failures if failure.arm == "method"} == {0, 1, 2, 3, 4, 1000, 1001}
    assert not any(one.chosen for one in outcome.tried if one.arm == "method")


def test_a_run_returns_what_is_declared(tmp_path: Path) -> None:
    for returned in ({"gold": 1.0}, {"gold": 1.0, "proxy": 1.0, "length": 1.0, "more": 1.0}):
        wrong = dataclasses.replace(RECIPE, run=lambda run, found=returned: found)
        outcome = here(Experiment(wrong, "smoke", tmp_path / str(len(returned)), seeds=(0,)))
        assert len(outcome.failures) == 3 and "declared metrics" in outcome.failures[0].error


def test_numbers_that_are_not_finite_leave_statements_open(tmp_path: Path) -> None:
    def run(run: Any) -> dict[str, float]:
        return {"gold": float("inf") if run.seed == 1 else 1.0, "proxy": 2.0, "length": 1.0}

    experiment = Experiment(dataclasses.replace(RECIPE, run=run), "smoke", tmp_path)
    outcome = here(experiment)
    assert outcome.failures == ()
    assert judge(RECIPE, outcome.values, experiment.reported).verdict == "unclear"
    assert json.loads((outcome.runs["method"][1].directory / "result.json").read_text())["metrics"]["gold"] is None


def test_processes_give_the_same_numbers(tmp_path: Path, undisturbed: Outcome) -> None:
    experiment, events = toy(tmp_path), list[Progress]()
    outcome = execute(experiment, jobs=2, progress=events.append)
    assert outcome.values == undisturbed.values and outcome.chosen == undisturbed.chosen
    assert Counter(event.kind for event in events) == {"planned": 1, "started": ALL, "finished": ALL}
    directory = outcome.runs["method"][0].directory
    assert (directory / "output.txt").read_text() == "hello from a run\n"
    record = json.loads((directory / "run.json").read_text())
    assert (record["module"], record["arm"], record["seed"]) == ("toy_recipe", "method", 0)
    assert record["versions"].keys() >= {"python", "numpy", "trueward"} and record["argv"] == sys.argv


def test_a_killed_worker_costs_its_own_repetition_only(tmp_path: Path, undisturbed: Outcome) -> None:
    killed = {f"{arm} {seed}": "die once" for arm, seed in (("method", 0), ("control", 3), ("baseline", 1000))}
    experiment = toy(tmp_path, overrides={"misbehave": killed})
    outcome = execute(experiment, jobs=2)
    assert outcome.failures == () and outcome.values == undisturbed.values
    again = {name for name, count in attempts(experiment).items() if count == 2}
    assert {name.split("-")[0] + "-" + name.split("-")[1] for name in again} == {
        "seed-0/method",
        "seed-3/control",
        "seed-1000/baseline",
    }
    assert set(attempts(experiment).values()) == {1, 2}


def test_a_run_that_always_kills_its_worker_fails_alone(tmp_path: Path, undisturbed: Outcome) -> None:
    experiment = toy(tmp_path, overrides={"misbehave": {"method 1": "die always"}})
    outcome = execute(experiment, jobs=2)
    [failure] = outcome.failures
    assert (failure.arm, failure.seed) == ("method", 1) and "code -9" in failure.error
    assert attempts(experiment)["seed-1/method"] == ATTEMPTS
    assert "code -9" in (outcome.runs["method"][1].directory / "error.txt").read_text()
    assert outcome.values["baseline"] == undisturbed.values["baseline"]


SWEEP = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from toy_recipe import RECIPE
from trueward.evidence.experiment import execute
from trueward.evidence.plan import Experiment
execute(Experiment(RECIPE, root=Path(sys.argv[1]), overrides={"misbehave": {"baseline 1": "wait once"}}), jobs=2)
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_sweep_goes_on_without_losing_or_doubling(
    tmp_path: Path, undisturbed: Outcome, how: signal.Signals
) -> None:
    experiment = toy(tmp_path, overrides={"misbehave": {"baseline 1": "wait once"}})
    sweep = subprocess.Popen(
        [sys.executable, "-c", SWEEP, str(tmp_path), str(Path(__file__).parent)],
        stderr=subprocess.DEVNULL,
        # What a shell starts in the background ignores Ctrl-C, and so would what it starts.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    waiting = experiment.folder / "seed-1" / "baseline" / "attempts.txt"
    until(lambda: waiting.exists() and waiting.read_text().endswith("\n"))
    until(lambda: len(list(experiment.folder.rglob("result.json"))) == ALL - 1)
    sweep.send_signal(how)
    sweep.wait(timeout=120)
    worker = int(waiting.read_text())
    until(lambda: not alive(worker))
    outcome = execute(experiment, jobs=2)
    assert outcome.values == undisturbed.values and outcome.failures == ()
    assert attempts(experiment).pop("seed-1/baseline") == 2
    assert sum(attempts(experiment).values()) == ALL + 1


def until(condition: Any) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, "it did not come to that within a minute"
        time.sleep(0.02)


def alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{process}/stat").read_text().split(") ")[1][0] != "Z"


def test_two_experiments_at_once_do_each_run_once(tmp_path: Path, undisturbed: Outcome) -> None:
    command = [
        sys.executable,
        "-c",
        SWEEP.replace('"wait once"', '"nothing"'),
        str(tmp_path),
        str(Path(__file__).parent),
    ]
    other = subprocess.Popen(command)
    experiment = toy(tmp_path, overrides={"misbehave": {"baseline 1": "nothing"}})
    outcome = execute(experiment, jobs=2)
    assert other.wait(timeout=60) == 0
    assert outcome.values == undisturbed.values
    assert set(attempts(experiment).values()) == {1}


def test_a_recipe_that_other_processes_cannot_find_is_refused(tmp_path: Path) -> None:
    nowhere = Experiment(dataclasses.replace(RECIPE, title="a copy"), root=tmp_path)
    with pytest.raises(EvidenceError, match="RECIPE of a module"):
        execute(nowhere)
