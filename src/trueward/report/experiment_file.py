"""The experiment document as a JSON file; `json_file.write_json` writes it."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from trueward.report.experiment_document import SCHEMA, SCHEMA_VERSION, ExperimentDocument
from trueward.report.json_file import Kind, read_kind

_KIND = Kind(
    "an experiment", SCHEMA, SCHEMA_VERSION, ExperimentDocument, "`trueward evidence`", "run `trueward evidence` again"
)


def read_experiment(path: str | Path) -> ExperimentDocument:
    """Read the document of an experiment, and check that every field is there and of its type.

    Raises:
        DataError: when the file cannot be read, is not JSON, or is not an experiment of this schema version.
    """
    return cast(ExperimentDocument, read_kind(path, _KIND))


def read_experiments(folder: str | Path) -> dict[str, ExperimentDocument]:
    """Every experiment of a folder, by the name of its system, in the order of the names; {} where there is no folder.

    Raises:
        DataError: when one of its JSON files is no experiment.
    """
    found = [read_experiment(path) for path in sorted(Path(folder).glob("*.json"))]
    return {document["recipe"]: document for document in found}
