"""What a run writes down, gold among it.

Gold enters here and nowhere else in training: the record measures rollouts that were already scored and learnt from,
and gives nothing back.

    metrics.jsonl          one line per step; evaluations add `proxy`, `gold`, `kl`, `measure/…`
    rollouts/*.parquet     every rollout with proxy, gold, length, status, group and advantage
    tensorboard/           the same numbers as metrics.jsonl
    seconds.jsonl          how long each step took, apart, because no two runs agree on it
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from trueward.batch import Rollouts, Scores, Text
from trueward.tasks.gold import Gold
from trueward.tasks.text.rollout_formats import write_rollouts
from trueward.tasks.text.rollouts import LoggedCompletion
from trueward.tasks.text.rows import Row
from trueward.training.metric_lines import MetricLines, finite_or_none, read_metrics

__all__ = ["GoldMeasure", "Record", "described", "read_metrics", "texts_of"]

GoldMeasure = Callable[[Sequence[Row], Sequence[str]], Gold]
"""What is really wanted, measured on rows and completions."""


class Record:
    """The files of one run.

    Args:
        directory: of the run.
        gold: what is really wanted.
        step: updates that are already recorded; whatever is later is dropped, because it will be done again.
        tensorboard: write for TensorBoard too.
        keep_rollouts: write every rollout.
    """

    def __init__(
        self,
        directory: Path,
        gold: GoldMeasure,
        *,
        step: int = 0,
        tensorboard: bool = True,
        keep_rollouts: bool = True,
    ) -> None:
        self._directory, self._gold, self._keep_rollouts = directory, gold, keep_rollouts
        self._rollouts: list[LoggedCompletion] = []
        self._line: dict[str, float] = {}
        # Closed by `close`.
        self._lines = MetricLines(directory, step, tensorboard=tensorboard)

    def training(self, rows: Sequence[Row], rollouts: Rollouts, scores: Scores, advantages: Any, step: int) -> None:
        """Rollouts that were learnt from.

        Args:
            rows: one per rollout.
            rollouts: of this step.
            scores: what the reward said of them.
            advantages: [N] or [N, T].
            step: this update, from 1.
        """
        completions = texts_of(rollouts)
        gold = self._gold(rows, completions)
        self._line["train/gold"] = float(np.mean(gold.values))
        if self._keep_rollouts:
            self._rollouts += _logged(rows, rollouts, scores, np.asarray(advantages), gold, step)

    def evaluation(self, rows: Sequence[Row], rollouts: Rollouts) -> None:
        """Rollouts to held-out prompts: gold and its measures join the line of this step."""
        gold = self._gold(rows, texts_of(rollouts))
        self._line["gold"] = float(np.mean(gold.values))
        for name, values in gold.measures.items():
            self._line[f"measure/{name}"] = float(np.mean(values))

    def write(self, step: int, metrics: Mapping[str, float], seconds: Mapping[str, float]) -> None:
        """End a step: one line of metrics, whole or not at all as far as a reader goes.

        Args:
            step: updates done.
            metrics: numbers of this step.
            seconds: how long its stages took.
        """
        self._lines.write(step, {**metrics, **self._line}, seconds)
        self._line = {}

    def write_rollouts(self, first: int, last: int) -> None:
        """Write the rollouts of some steps to one file."""
        if self._rollouts:
            folder = self._directory / "rollouts"
            folder.mkdir(exist_ok=True)
            write_rollouts(folder / f"steps-{first:06d}-{last:06d}.parquet", self._rollouts)
        self._rollouts = []

    def close(self) -> None:
        """Close the files."""
        self._lines.close()


def texts_of(rollouts: Rollouts) -> list[str]:
    """The completions as text.

    Raises:
        TypeError: the rollouts are not text.
    """
    if not isinstance(rollouts.content, Text):
        raise TypeError(f"expected text rollouts, got {type(rollouts.content).__name__}")
    return [str(completion) for completion in rollouts.content.completions]


def described(rollouts: Rollouts, scores: Scores) -> dict[str, float]:
    """What the rollouts of a step look like, as numbers to log: reward, parts, statuses, lengths."""
    mask, total = np.asarray(rollouts.mask), scores.total()
    known = total[~np.isnan(total)]
    told = {
        "train/reward": float(known.mean()) if len(known) else float("nan"),
        "train/reward_deviation": float(known.std()) if len(known) else float("nan"),
        "train/length": float(mask.sum(axis=1).mean()),
        "train/finished": float(np.mean(rollouts.features["finished"])),
        "train/entropy_estimate": float(-(np.asarray(rollouts.logprobs) * mask).sum() / max(1, mask.sum())),
    }
    for name, part in scores.parts.items():
        values = part.values[part.present]
        told[f"part/{name}"] = float(values.mean()) if values.size else float("nan")
    for status in scores.status:
        if not status.ok:
            told[f"status/{status.value}"] = told.get(f"status/{status.value}", 0.0) + 1.0
    return told


def _logged(
    rows: Sequence[Row], rollouts: Rollouts, scores: Scores, advantages: np.ndarray, gold: Gold, step: int
) -> list[LoggedCompletion]:
    mask = np.asarray(rollouts.mask)
    lengths = mask.sum(axis=1)
    flat = advantages if advantages.ndim == 1 else (advantages * mask).sum(axis=1) / np.maximum(lengths, 1)
    named = {f"reward/{name}": _per_row(part.filled()) for name, part in scores.parts.items()}
    named["reward"] = scores.total()
    groups = np.asarray(rollouts.group)
    return [
        LoggedCompletion(
            step=step,
            prompt=row.prompt,
            completion=completion,
            reference=row.answer,
            rewards={name: finite_or_none(values[place]) for name, values in named.items()},
            advantage=float(flat[place]),
            gold=float(gold.values[place]),
            length=int(lengths[place]),
            status=status.value,
            group=f"{step}/{groups[place]}",
        )
        for place, (row, completion, status) in enumerate(zip(rows, texts_of(rollouts), scores.status, strict=True))
    ]


def _per_row(values: np.ndarray) -> np.ndarray:
    flat: np.ndarray = values if values.ndim == 1 else values.sum(axis=1)
    return flat
