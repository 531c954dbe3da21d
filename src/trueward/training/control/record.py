"""What a run of control writes down, gold among it.

`metrics.jsonl`, `seconds.jsonl` and `tensorboard/` as every loop writes them, and `episodes/*.parquet` with every
episode of training. Without a directory it is kept in memory.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from trueward.training.control.collected import Collected
from trueward.training.control.episodes import Episodes, joined, need_parquet, read_episodes, write_episodes
from trueward.training.metric_lines import MetricLines, read_metrics


class ControlRecord:
    """The files of one run, or what would stand in them.

    Args:
        directory: of the run; None to write nothing.
        step: updates that are already recorded, −1 for nothing at all; whatever is later is dropped, because it will be
            done again.
        tensorboard: write for TensorBoard too.

    Raises:
        MissingExtra: there is a directory, and pyarrow is not installed.
    """

    def __init__(self, directory: Path | None, *, step: int = 0, tensorboard: bool = False) -> None:
        self.directory = directory
        self._written = max(step, 0)
        self._pending: list[Episodes] = []
        self._in_memory: list[dict[str, float]] = []
        self._lines = None if directory is None else MetricLines(directory, step, tensorboard=tensorboard)
        if directory is not None:
            need_parquet()
            for path in (directory / "episodes").glob("*.parquet"):
                if int(path.stem.split("-")[-1]) > step:
                    path.unlink()

    def episodes(self, found: Episodes) -> None:
        """Episodes of a step."""
        if len(found["step"]):
            self._pending.append(found)

    def write(self, step: int, metrics: Mapping[str, float], seconds: Mapping[str, float]) -> None:
        """End a step.

        Args:
            step: updates done.
            metrics: numbers of this step.
            seconds: how long its stages took.
        """
        if self._lines is None:
            self._in_memory.append({"step": step, **metrics})
        else:
            self._lines.write(step, metrics, seconds)

    def write_episodes(self, step: int) -> None:
        """Write the episodes since the last time to one file, which ends with this step."""
        if self.directory is None:
            return
        if self._pending:
            name = f"steps-{self._written + 1:06d}-{step:06d}.parquet"
            write_episodes(self.directory / "episodes" / name, self._pending)
        self._pending, self._written = [], step

    def metrics(self) -> list[dict[str, float]]:
        """One mapping per step."""
        return self._in_memory if self.directory is None else read_metrics(self.directory)

    def all_episodes(self) -> Episodes:
        """All episodes of the run."""
        return joined(self._pending) if self.directory is None else read_episodes(self.directory)

    def close(self) -> None:
        """Close the files."""
        if self._lines is not None:
            self._lines.close()


def described(collected: Collected, episodes: Episodes) -> dict[str, float]:
    """What was collected as numbers to log, of the policy in training only.

    Returns:
        `train/proxy`, `train/optimised`, `train/environment`, `train/gold`, `train/length`, `train/terminated`: means
        over the episodes that ended (NaN where none did), `train/episodes` how many; `per_step/…` and `part/…`: means
        over the steps.
    """
    own = np.asarray(episodes["source"]) == 0
    ended = {name: np.asarray(episodes[name])[own] for name in ("proxy", "optimised", "environment", "length")}
    if "gold" in episodes:
        ended["gold"] = episodes["gold"][own]
    ended["terminated"] = (episodes["end"][own] == "terminated").astype(np.float64)
    told = {f"train/{name}": float(np.mean(values)) if len(values) else math.nan for name, values in ended.items()}
    told["train/episodes"] = float(own.sum())
    learns = collected.learns
    steps = {"proxy": collected.raw, "optimised": collected.reward}
    if collected.gold is not None:
        steps["gold"] = collected.gold
    told |= {f"per_step/{name}": _mean(values[learns]) for name, values in steps.items()}
    told |= {f"part/{name}": _mean(values[learns]) for name, values in collected.parts.items()}
    return told


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if values.size else math.nan
