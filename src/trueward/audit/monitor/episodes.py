"""Episodes of a control run as the steps of a monitor: the gold probe on control."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from jaxtyping import Shaped

from trueward.audit.monitor.gold_probe import SOURCE, GoldProbe
from trueward.audit.monitor.notice import Notice
from trueward.audit.monitor.replay import logged_gold
from trueward.audit.monitor.step import Step
from trueward.errors import AuditError
from trueward.status import Status


def episode_steps(episodes: Mapping[str, Shaped[np.ndarray, " e"]], *, low: float, high: float) -> Iterator[Step]:
    """What a monitor sees of each update: the episodes of the policy in training that ended in it.

    Every episode is a prompt of its own, because episodes begin independently of one another. Gold stands in the column
    `gold`, scaled to [0, 1].

    Args:
        episodes: of a run: `ControlTrained.episodes`, or `training.control.read_episodes(folder)`. Those that another
            policy drove, and those that were cut by a checkpoint, are left out.
        low, high: gold of an episode that is worth 0 and 1; beyond, it counts as these.

    Raises:
        AuditError: no gold was measured, or low is not below high.
    """
    if "gold" not in episodes or not low < high:
        raise AuditError(
            f"episodes with gold between low={low:g} and high={high:g} are expected; there are the columns "
            f"{', '.join(episodes)}. Train with gold=…"
        )
    own = (episodes["source"] == 0) & (episodes["end"] != "cut")
    for number in np.unique(episodes["step"][own]).tolist():
        rows = np.flatnonzero(own & (episodes["step"] == number))
        gold = np.clip((episodes["gold"][rows].astype(np.float64) - low) / (high - low), 0.0, 1.0)
        reward = episodes["proxy"][rows].astype(np.float64)
        yield Step(
            number=int(number),
            prompts=[f"episode {row}" for row in rows.tolist()],
            completions=[_told(episodes, row) for row in rows.tolist()],
            reward=reward,
            parts={"reward": reward},
            status=[Status.OK] * len(rows),
            length=episodes["length"][rows].astype(np.float64),
            group=np.arange(len(rows)),
            finished=episodes["end"][rows] == "terminated",
            columns=[{"gold": float(value)} for value in gold],
        )


def probed(episodes: Mapping[str, Shaped[np.ndarray, " e"]], *, low: float, high: float, **given: Any) -> list[Notice]:
    """What the gold probe says about a recorded run.

    Args:
        episodes, low, high: as in `episode_steps`.
        given: settings of `GoldProbe`.

    Raises:
        AuditError: as `episode_steps` and `GoldProbe`.
    """
    probe = GoldProbe(logged_gold, **given)
    return [notice for step in episode_steps(episodes, low=low, high=high) for notice in probe.observe(step)[1]]


def alarmed(notices: list[Notice]) -> Notice | None:
    """The alarm among them, if there is one."""
    return next((notice for notice in notices if notice.kind == "alarm" and notice.source == SOURCE), None)


def _told(episodes: Mapping[str, np.ndarray], row: int) -> str:
    return (
        f"{int(episodes['length'][row])} steps, {episodes['end'][row]}: reward {float(episodes['proxy'][row]):.4g}, "
        f"gold {float(episodes['gold'][row]):.4g}"
    )
