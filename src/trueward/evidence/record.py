"""What a run leaves in its directory.

- `run.json`: what is needed to repeat it; written before it starts.
- `result.json`: its metrics; written last and whole, so that its existence means done.
- `error.txt`: the traceback, where it failed.
- `output.txt`: what it printed, where a worker process ran it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from trueward.errors import EvidenceError
from trueward.evidence.provenance import commit, versions
from trueward.evidence.run import Run
from trueward.report.atomic import write_whole
from trueward.report.json_file import finite

_IDENTITY = ("recipe", "arm", "scale", "seed")


@dataclass(frozen=True)
class Result:
    """What came out of a run that is done.

    Attributes:
        metrics: NaN where the run gave no finite number.
        seconds: how long its last attempt took.
    """

    metrics: Mapping[str, float]
    seconds: float


def prepare(run: Run, module: str | None, *, set_aside: bool = False) -> None:
    """Write `run.json`, unless the directory already holds a run that is the same.

    Args:
        run: what is about to be run.
        module: where its recipe is found by another process; None when it need not be.
        set_aside: move a run with other settings to a free name beside it, instead of refusing.

    Raises:
        EvidenceError: the directory holds a run with other settings.
    """
    there = read_run(run.directory)
    if there is not None:
        differing = _differences(there, run)
        if not differing:
            return
        if not set_aside:
            raise EvidenceError(
                f"{run.directory} holds a run with other settings: {'; '.join(differing)}. Use another directory, or "
                "set the old runs aside (--force renames them, nothing is deleted)"
            )
        move_aside(run.directory)
    run.directory.mkdir(parents=True, exist_ok=True)
    record = {
        **{name: getattr(run, name) for name in _IDENTITY},
        "module": module,
        "settings": dict(run.settings),
        "versions": versions(),
        "commit": commit(),
        "argv": sys.argv,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    _write(run.directory / "run.json", record)


def move_aside(folder: Path) -> None:
    """Rename a folder to the first free name beside it: `par` becomes `par.aside-1`. Nothing is deleted."""
    if not folder.exists():
        return
    number = 1
    while folder.with_name(f"{folder.name}.aside-{number}").exists():
        number += 1
    folder.rename(folder.with_name(f"{folder.name}.aside-{number}"))


def read_run(directory: Path) -> dict[str, Any] | None:
    """What `run.json` says; None where there is none.

    Raises:
        EvidenceError: it cannot be read.
    """
    return _read(directory / "run.json")


def write_result(directory: Path, result: Result) -> None:
    """Mark a run as done. A number that is not finite becomes null."""
    _write(directory / "result.json", {"metrics": finite(dict(result.metrics)), "seconds": round(result.seconds, 3)})


def read_result(directory: Path) -> Result | None:
    """What a run gave; None where it is not done.

    Raises:
        EvidenceError: the file cannot be read.
    """
    record = _read(directory / "result.json")
    if record is None:
        return None
    metrics = {name: float("nan") if value is None else float(value) for name, value in record["metrics"].items()}
    return Result(metrics, float(record["seconds"]))


def _differences(there: Mapping[str, Any], run: Run) -> list[str]:
    here: dict[str, Any] = {name: getattr(run, name) for name in _IDENTITY}
    found = [
        f"{name} {there.get(name)!r} there, {value!r} now" for name, value in here.items() if there.get(name) != value
    ]
    old, new = there.get("settings", {}), run.settings
    for name in sorted({*old, *new}):
        if name not in old or name not in new or old[name] != new[name]:
            before = repr(old[name]) if name in old else "not set"
            after = repr(new[name]) if name in new else "not set"
            found.append(f"{name} {before} there, {after} now")
    return found


def _write(path: Path, record: Mapping[str, Any]) -> None:
    write_whole(path, json.dumps(record, indent=1, allow_nan=False).encode() + b"\n")


def _read(path: Path) -> dict[str, Any] | None:
    try:
        record = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise EvidenceError(f"{path} cannot be read ({error}): move its folder away and run again") from error
    if not isinstance(record, dict):
        raise EvidenceError(f"{path} is not what a run writes: move its folder away and run again")
    return record
