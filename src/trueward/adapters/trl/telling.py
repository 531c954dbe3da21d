"""What is logged of a batch: every part of the reward, what became of each row, and the credit that it got.

Means and shares go where TRL's metrics go; columns of the table of completions where TRL's go.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from trueward.batch import Part, Scores
from trueward.status import Status

TOTAL = "reward"


def tell_scores(trainer: Any, mode: str, scores: Scores, seen: set[str]) -> None:
    """Log the scores of a batch of all processes.

    Metrics: `rewards/<part>/mean` and `/std` over the rows that have a value, without the weight; `status/<status>`,
    the share of rows; `rewards/unscored`, the share of rows without a reward, which teach nothing.

    Args:
        trainer: whose log it is.
        mode: "train" or "eval".
        scores: of all rows.
        seen: statuses that were met before, and are told as 0 from then on; changed.
    """
    metrics = trainer._metrics[mode]
    for name, part in scores.parts.items():
        known = row_values(part)
        known = known[~np.isnan(known)]
        metrics[f"rewards/{name}/mean"].append(float(known.mean()) if len(known) else math.nan)
        metrics[f"rewards/{name}/std"].append(float(known.std(ddof=1)) if len(known) > 1 else math.nan)
    statuses = [status.value for status in scores.status]
    seen |= {Status.OK.value, *statuses}
    for status in sorted(seen):
        metrics[f"status/{status}"].append(statuses.count(status) / len(statuses))
    metrics["rewards/unscored"].append(float(np.isnan(scores.total()).mean()))
    _columns(trainer, scores)


def _columns(trainer: Any, scores: Scores) -> None:
    """The rows' own values and statuses for the table of completions; called before TRL adds the texts.

    A reward of one part is a column under its name, as in TRL. Of several there are `reward`, the total, and
    `reward/<part>`, as in our own log, so that `trueward watch` knows what was trained on.
    """
    logs, parts = trainer._logs, scores.parts
    single = len(parts) == 1 and next(iter(parts.values())).weight == 1.0
    values = {name if single else f"{TOTAL}/{name}": list(row_values(part)) for name, part in parts.items()}
    values |= {} if single else {TOTAL: list(scores.total())}
    # A part that is missing this time keeps its place, or columns would not be as long as one another.
    values = {name: values.get(name, [math.nan] * len(scores)) for name in [*logs["rewards"], *values]}
    _extend(logs["rewards"], values, len(logs["prompt"]), math.nan)
    statuses = {"status": [status.value for status in scores.status]}
    if not single:
        statuses |= {f"status of {name}": [one.value for one in part.status] for name, part in parts.items()}
    _extend(logs["extra"], statuses, len(logs["prompt"]), "")


def _extend(columns: Mapping[str, deque[Any]], new: Mapping[str, Sequence[Any]], before: int, nothing: Any) -> None:
    for name, values in new.items():
        columns[name].extend([nothing] * (before - len(columns[name])))
        columns[name].extend(values)


def row_values(part: Part) -> np.ndarray:
    """One value per row: of segments and tokens the sum; NaN where the row has none."""
    values = np.where(part.present, part.values, 0.0)
    summed: np.ndarray = values if values.ndim == 1 else values.sum(axis=1)
    return np.where(part.ok, summed, np.nan)


def tell_credit(trainer: Any, mode: str, advantages: np.ndarray, metrics: Mapping[str, float]) -> None:
    """Log what credit found, and put its advantages where TRL has logged its own.

    Args:
        trainer: whose log it is.
        mode: "train" or "eval".
        advantages: one per row of all processes.
        metrics: of credit.
    """
    for name, value in metrics.items():
        trainer._metrics[mode][f"credit/{name}"].append(float(value))
    column = trainer._logs["advantages"]
    for _ in range(min(len(advantages), len(column))):
        column.pop()
    column.extend(advantages.tolist())
