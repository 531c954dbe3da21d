"""The curves that a run logged, thinned to what a report can show.

A run may write JSON lines into `metrics.jsonl` in its directory: {"step": 10, "proxy": 0.7, "gold": 0.6, "kl": 1.2, …}.
Lines with a number for "proxy" or "gold" are evaluations and make the curves; training writes others between them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

SERIES = ("step", "kl", "proxy", "gold", "length")
POINTS = 60


def curves_of(directory: Path) -> dict[str, list[float | None]]:
    """Series of one run, equally long, by name; {} where nothing was logged.

    A step that was logged twice, because a killed run did it again, counts once: the last line wins. Of more than
    `POINTS` steps evenly spaced ones are kept, the first and the last among them. Six significant digits.
    """
    lines = {
        line["step"]: line
        for line in _lines(directory / "metrics.jsonl")
        if _number(line.get("step")) is not None
        and any(_number(line.get(name)) is not None for name in ("proxy", "gold"))
    }
    kept = [lines[step] for step in evenly(sorted(lines), POINTS)]
    series = {name: [_number(line.get(name)) for line in kept] for name in SERIES}
    return {name: values for name, values in series.items() if any(value is not None for value in values)}


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    try:
        text = path.read_text("utf-8", errors="replace")
    except OSError:
        return
    # Not splitlines(): text in a record may hold other separators than the one between records.
    for line in text.split("\n"):
        try:
            record = json.loads(line)
        except ValueError:
            continue  # the last line of a run that was killed while it wrote
        if isinstance(record, dict):
            yield record


def evenly(items: Sequence[Any], most: int) -> list[Any]:
    """At most `most` of the items (two or more), evenly spaced, the first and the last among them."""
    if len(items) <= most:
        return list(items)
    return [items[round(place * (len(items) - 1) / (most - 1))] for place in range(most)]


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(f"{value:.6g}")
