"""The file of an experiment comes back as it was, and what is wrong with one is named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import experiment_sample
import pytest

from trueward.errors import DataError
from trueward.report.experiment_file import read_experiment, read_experiments
from trueward.report.json_file import write_json


def test_what_is_written_is_read(tmp_path: Path) -> None:
    made: Any = experiment_sample.document()
    made["arms"][0]["samples"][0]["completion"] = "\udc80 lone"
    write_json(made, tmp_path / "par.json")
    assert read_experiment(tmp_path / "par.json") == made


def test_numbers_that_are_not_finite_become_null(tmp_path: Path) -> None:
    made: Any = experiment_sample.document()
    made["claims"][0].update(low=float("-inf"), high=float("inf"))
    write_json(made, tmp_path / "par.json")
    read = read_experiment(tmp_path / "par.json")
    assert (read["claims"][0]["low"], read["claims"][0]["high"]) == (None, None)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda made: made.pop("verdict"), "verdict: is missing"),
        (lambda made: made.update(verdict="proven"), "verdict: expected one of 'shown', 'contradicted'"),
        (lambda made: made["arms"][1].pop("role"), r"arms\[1\].role: is missing"),
        (lambda made: made["claims"][0].update(mean="big"), r"claims\[0\].mean: expected a number"),
        (lambda made: made["arms"][0]["curves"]["0"].update(gold=3), r"curves.0.gold: expected a list"),
        (lambda made: made.update(schema="trueward-audit"), "is not an experiment"),
        (
            lambda made: made.update(schema_version=99),
            "version 99, this Trueward reads 1; run `trueward evidence`",
        ),
    ],
)
def test_what_is_wrong_is_named(spoil: Any, said: str, tmp_path: Path) -> None:
    made = experiment_sample.document()
    spoil(made)
    path = tmp_path / "par.json"
    path.write_text(json.dumps(made))
    with pytest.raises(DataError, match=said):
        read_experiment(path)


def test_a_folder_is_read_by_name(tmp_path: Path) -> None:
    assert read_experiments(tmp_path / "none") == {}
    for name in ("par", "cooper"):
        write_json(experiment_sample.document(recipe=name), tmp_path / f"{name}.json")  # type: ignore[arg-type]
    assert list(read_experiments(tmp_path)) == ["cooper", "par"]
