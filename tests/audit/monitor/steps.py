"""Steps of runs that exist only here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from trueward.audit.monitor import Step
from trueward.status import Status


def said_to_be(completion: str) -> float:
    """A check that believes what a completion says of itself: "worth 0.25 …"."""
    return float(completion.split()[1])


def step(
    number: int,
    gold: Sequence[float],
    *,
    reward: Sequence[float] | None = None,
    group: Sequence[int] | None = None,
    **given: Any,
) -> Step:
    """Rollouts with this gold; four to a prompt unless groups are given."""
    n = len(gold)
    groups = np.arange(n) // 4 if group is None else np.array(group)
    values: dict[str, Any] = {
        "prompts": [f"prompt {one}" for one in groups],
        "completions": [f"worth {one:g} number {place}" for place, one in enumerate(gold)],
        "reward": np.array(gold if reward is None else reward, dtype=np.float64),
        "parts": {},
        "status": [Status.OK] * n,
        "length": np.full(n, 4.0),
        "group": groups,
    }
    return Step(number, **{**values, **given})


def drawn_step(number: int, mean: float, rng: np.random.Generator, n: int = 32, **given: Any) -> Step:
    """Rollouts whose gold is 1 with this probability, else 0."""
    return step(number, (rng.random(n) < mean).astype(float).tolist(), **given)
