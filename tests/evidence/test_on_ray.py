"""On a local Ray cluster: the same numbers, and a killed worker costs its own repetition only."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from toy_recipe import RECIPE

from trueward.evidence.engines import ATTEMPTS
from trueward.evidence.experiment import Outcome, execute
from trueward.evidence.plan import Experiment

ray = pytest.importorskip("ray", reason="Ray is an extra: pip install 'trueward[ray]'")

MISBEHAVE = {"method 0": "die once", "control 3": "die once", "method 1": "die always", "baseline 2": "raise"}


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Outcome]]:
    """A sweep in which two workers are killed once, one whenever it tries, and one run raises."""
    root = tmp_path_factory.mktemp("swept")
    yield root, execute(experiment(root), jobs=2, engine="ray")
    assert not ray.is_initialized()  # the cluster was ours, and is gone


def experiment(root: Path) -> Experiment:
    return Experiment(RECIPE, root=root, overrides={"misbehave": MISBEHAVE})


def test_what_was_killed_once_is_there(swept: tuple[Path, Outcome], tmp_path: Path) -> None:
    _, outcome = swept
    undisturbed = execute(Experiment(RECIPE, root=tmp_path), engine="in process")
    assert outcome.values["control"] == undisturbed.values["control"]
    assert {seed: outcome.values["method"][seed] for seed in (0, 2, 3, 4)} == {
        seed: undisturbed.values["method"][seed] for seed in (0, 2, 3, 4)
    }
    assert outcome.chosen == undisturbed.chosen


def test_nothing_else_was_repeated(swept: tuple[Path, Outcome]) -> None:
    root, _ = swept
    begun = {
        "/".join(file.parent.parts[-2:]): len(file.read_text().splitlines())
        for file in experiment(root).folder.rglob("attempts.txt")
    }
    assert {name: count for name, count in begun.items() if count > 1} == {
        "seed-0/method": 2,
        "seed-3/control": 2,
        "seed-1/method": ATTEMPTS,
    }
    assert len(begun) == 2 * 3 * 2 + 3 * 5


def test_failures_are_told_apart(swept: tuple[Path, Outcome]) -> None:
    _, outcome = swept
    errors = {(failure.arm, failure.seed): failure.error for failure in outcome.failures}
    assert set(errors) == {("method", 1), ("baseline", 2)}
    assert errors["baseline", 2] == "ArithmeticError: the toy broke"
    assert "WorkerCrashedError" in errors["method", 1]
