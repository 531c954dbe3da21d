"""The numbers of a run, one line per step: what every loop writes down alike.

`metrics.jsonl` has one line per step, `tensorboard/` the same numbers, and `seconds.jsonl` how long each stage of a
step took, apart, because no two runs agree on it.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any


class MetricLines:
    """The files of one run.

    Args:
        directory: of the run.
        step: updates that are already written, −1 for nothing at all; whatever is later is dropped, because it will be
            done again.
        tensorboard: write for TensorBoard too.
    """

    def __init__(self, directory: Path, step: int = 0, *, tensorboard: bool = True) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        for name in ("metrics.jsonl", "seconds.jsonl"):
            _cut_after(directory / name, step)
        # Closed by `close`.
        self._metrics = (directory / "metrics.jsonl").open("a")
        self._seconds = (directory / "seconds.jsonl").open("a")
        self._board = _board(directory / "tensorboard", step) if tensorboard else None

    def write(self, step: int, metrics: Mapping[str, float], seconds: Mapping[str, float]) -> None:
        """One line of each, whole or not at all as far as a reader goes.

        Args:
            step: updates done.
            metrics: numbers of this step.
            seconds: how long its stages took.
        """
        _write_line(self._metrics, step, metrics)
        _write_line(self._seconds, step, seconds)
        if self._board is not None:
            for name, value in metrics.items():
                self._board.add_scalar(name, value, step)

    def close(self) -> None:
        """Close the files."""
        self._metrics.close()
        self._seconds.close()
        if self._board is not None:
            self._board.close()


class Laps:
    """A clock that is asked at the end of each stage of a step.

    Attributes:
        seconds: how long each stage took.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._since = time.perf_counter()

    def __call__(self, stage: str) -> None:
        """A stage ends now, and the next begins."""
        now = time.perf_counter()
        self.seconds[stage], self._since = now - self._since, now


def read_metrics(directory: Path) -> list[dict[str, float]]:
    """The lines of a run's `metrics.jsonl`, each with `step`; a last line that is not complete is left out."""
    return [values for _, values in _lines(directory / "metrics.jsonl")]


def finite_or_none(value: float) -> float | None:
    """A number as JSON can hold it."""
    return float(value) if math.isfinite(value) else None


def _write_line(file: Any, step: int, values: Mapping[str, float]) -> None:
    numbers = {name: finite_or_none(float(value)) for name, value in values.items()}
    file.write(json.dumps({"step": step, **numbers}) + "\n")
    file.flush()


def _lines(path: Path) -> list[tuple[str, dict[str, float]]]:
    found = []
    for line in path.read_text().splitlines() if path.is_file() else []:
        try:
            found.append((line, json.loads(line)))
        except ValueError:
            break  # a run that was killed while it wrote
    return found


def _cut_after(path: Path, step: int) -> None:
    kept = [line for line, values in _lines(path) if values["step"] <= step]
    path.write_text("".join(f"{line}\n" for line in kept))


def _board(directory: Path, step: int) -> Any:
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(str(directory), purge_step=step + 1 if step else None)
