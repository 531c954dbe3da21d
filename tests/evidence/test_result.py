"""The document says what the runs gave, and reads back as it was written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from toy_recipe import RECIPE

from trueward.evidence.curves import POINTS, curves_of
from trueward.evidence.experiment import Outcome, execute
from trueward.evidence.plan import Experiment
from trueward.evidence.result import document
from trueward.evidence.samples import samples_of
from trueward.report.experiment_file import read_experiment
from trueward.report.json_file import write_json
from trueward.tasks.text.rollout_formats import write_rollouts
from trueward.tasks.text.rollouts import LoggedCompletion


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Experiment, Outcome]:
    experiment = Experiment(
        RECIPE, root=tmp_path_factory.mktemp("runs"), overrides={"misbehave": {"control 4": "raise"}}
    )
    return experiment, execute(experiment, engine="in process")


def test_the_document_of_an_experiment(ran: tuple[Experiment, Outcome], tmp_path: Path) -> None:
    experiment, outcome = ran
    made = document(experiment, outcome, "trueward run toy")
    write_json(made, tmp_path / "toy.json")
    assert read_experiment(tmp_path / "toy.json") == json.loads(json.dumps(made)) == made

    assert (made["recipe"], made["scale"], made["seeds"]) == ("toy", "small", [0, 1, 2, 3, 4])
    assert made["verdict"] == "unclear" and "seeds 4" in made["why"]
    assert [claim["state"] for claim in made["claims"]] == ["holds", "open"]
    assert [claim["seeds"] for claim in made["claims"]] == [5, 4]
    assert made["falsifiers"][0]["state"] == "not met"
    assert made["failures"] == [{"arm": "control", "seed": 4, "error": "ArithmeticError: the toy broke"}]
    method, _, control = made["arms"]
    assert method["differs"] == {"skill": 2.0} and method["chosen"] == {"rate": 0.2}  # .2 is the recipe's own rate
    assert method["settings"]["shape"] == [1, 2] == made["settings"]["shape"]
    gold = method["metrics"]["gold"]
    assert gold["values"] == {str(seed): outcome.values["method"][seed]["gold"] for seed in range(5)}
    assert gold["low"] is not None and gold["mean"] is not None and gold["low"] < gold["mean"]
    assert control["metrics"]["gold"]["values"]["4"] is None
    assert set(control["curves"]) == {"0", "1", "2", "3"}
    assert [(row["arm"], row["settings"]["rate"], row["chosen"]) for row in made["tuning"]] == [
        ("method", 0.1, False),
        ("method", 0.2, True),
        ("method", 0.4, False),
        ("baseline", 0.3, False),
        ("baseline", 0.2, True),
        ("baseline", 0.5, False),
    ]
    assert all(list(row["values"]) == ["1000", "1001"] for row in made["tuning"])


def test_no_place_of_this_machine_is_published(ran: tuple[Experiment, Outcome]) -> None:
    experiment, outcome = ran
    assert str(experiment.root) not in json.dumps(document(experiment, outcome, "trueward run toy"))


def test_curves_are_thinned_and_the_last_line_of_a_step_wins(tmp_path: Path) -> None:
    lines = [{"step": step, "proxy": 1.0, "gold": step / 3, "kl": None} for step in range(300)]
    lines += [{"step": 7.0, "train/reward": 5.0}, {"step": 8, "proxy": None, "gold": None}, {"step": 0, "gold": 9.0}]
    text = "\n".join(json.dumps(line) for line in lines) + '\n{"step": 299, "gold": 4'  # killed while it wrote
    (tmp_path / "metrics.jsonl").write_text(text)
    found = curves_of(tmp_path)
    assert set(found) == {"step", "proxy", "gold"}
    assert {len(series) for series in found.values()} == {POINTS}
    assert (found["step"][0], found["step"][-1]) == (0, 299)
    assert (found["gold"][0], found["gold"][-1]) == (9.0, 99.6667)
    assert found["proxy"][0] is None
    gaps = {round(b - a) for a, b in zip(found["step"], found["step"][1:], strict=False)}  # type: ignore[operator]
    assert gaps == {5, 6}
    assert curves_of(tmp_path / "nothing") == {}


def test_samples_are_picked_from_what_was_recorded(tmp_path: Path) -> None:
    (tmp_path / "rollouts").mkdir()
    for first in (1, 3, 5, 7):
        completions = [
            LoggedCompletion(step, "2 + 2", f"{step}:{n}", rewards={"reward": proxy}, gold=gold)
            for step in (first, first + 1)
            for n, (proxy, gold) in enumerate([(0.1, 1.0), (0.9, 0.0), (0.5, 0.0), (1.0, 0.5), (None, 0.0)])
        ]
        write_rollouts(tmp_path / "rollouts" / f"steps-{first:06d}.parquet", completions)
    found = samples_of(tmp_path, seed=3)
    assert [(one["step"], one["picked"]) for one in found] == [
        (step, picked) for step in (2, 6, 8) for picked in ("best proxy", "random", "worst gold")
    ]
    assert [one["completion"] for one in found if one["picked"] == "best proxy"] == ["2:3", "6:3", "8:3"]
    assert [one["completion"] for one in found if one["picked"] == "worst gold"] == ["2:1", "6:1", "8:1"]
    assert found == samples_of(tmp_path, seed=3)
    assert samples_of(tmp_path / "nothing", 3) == []
