"""Rollouts of a run to look at: what the proxy likes best, what is least wanted, and what is typical."""

from __future__ import annotations

import hashlib
from pathlib import Path

from trueward.errors import DataError, MissingExtra
from trueward.evidence.curves import evenly
from trueward.report.experiment_document import Sample
from trueward.tasks.text.rollout_formats import read_rollouts
from trueward.tasks.text.rollouts import LoggedCompletion

STEPS = 3
_TOTAL = "reward"  # the column under which training logs the total


def samples_of(directory: Path, seed: int) -> list[Sample]:
    """Three rollouts at each of `STEPS` steps: from the start, the middle and the end of what a run recorded.

    Of the last step of a recorded file, the rollout with the highest proxy, the one with the lowest gold (of equals
    the one that the proxy likes best), and one at random.

    Args:
        directory: of the run; its rollouts are the Parquet files in `rollouts/`.
        seed: of the run.

    Returns:
        In the order of the steps; [] where nothing was recorded.
    """
    files = sorted((directory / "rollouts").glob("*.parquet"))
    return [sample for file in evenly(files, STEPS) for sample in _picked(file, seed)]


def _picked(file: Path, seed: int) -> list[Sample]:
    try:
        completions = read_rollouts(file).completions
    except (DataError, MissingExtra):
        return []
    last = max((one.step for one in completions), default=0)
    rows = [one for one in completions if one.step == last and one.rewards.get(_TOTAL) is not None]
    if not rows:
        return []
    # A draw that needs no state and is the same whenever the document is made.
    place = int.from_bytes(hashlib.sha256(f"{seed}:{last}".encode()).digest()[:8], "big") % len(rows)
    picks = {"best proxy": max(rows, key=_proxy), "random": rows[place]}
    with_gold = [one for one in rows if one.gold is not None]
    if with_gold:
        picks["worst gold"] = min(with_gold, key=lambda one: (one.gold, -_proxy(one)))
    return [_sample(one, seed, how) for how, one in picks.items()]


def _proxy(one: LoggedCompletion) -> float:
    value = one.rewards.get(_TOTAL)
    return 0.0 if value is None else value


def _sample(one: LoggedCompletion, seed: int, how: str) -> Sample:
    return {
        "seed": seed,
        "step": one.step,
        "picked": how,
        "prompt": one.prompt_text,
        "completion": one.text,
        "proxy": _proxy(one),
        "gold": one.gold,
    }
