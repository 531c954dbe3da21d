"""How often detectors without gold hint on healthy recorded runs, and how many hacked ones they find.

    python benchmarks/calibration_detectors.py [--tuning]      # the table; of the runs that thresholds were chosen on
    python benchmarks/calibration_detectors.py --rewardspy     # first runs rewardspy on all streams (if installed)
    python benchmarks/calibration_detectors.py --write FILE    # puts the table between the markers in a page

The streams are those of `recorded_streams.py`, and so are the words healthy, hacked and onset. Every detector is shown
the same steps in order. rewardspy is watched through its own `rewardspy.watch` with default settings, one call per
rollout; at which step it first said something is kept in results/streams/rewardspy.json, as the package is on no index.
Shifting and scaling the reward (r → 10 r − 3, the parts × 10) must change nothing; how often it does is a column.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import json
import statistics
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent))

from recorded_streams import FILE, Stream, label, streams

from trueward.audit.monitor.detectors import Detector, default_detectors
from trueward.audit.monitor.step import Step
from trueward.measures.intervals import wilson

REWARDSPY = FILE.with_name("rewardspy.json")
SCALE, SHIFT = 10.0, -3.0
START, END = "<!-- detectors: start -->", "<!-- detectors: end -->"

First = Mapping[str, int | None]
"""Detector → the step of its first hint in a run; None where it gave none."""


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        name: of the detector.
        healthy, false_alarms: number of healthy runs, and of those with a hint.
        hacked, found: number of hacked runs, and of those with a hint, whenever.
        early: of the found, with the first hint before the onset.
        delay: median steps from the onset to the first hint, of those that hint at or after it; None where none does.
        moved: runs in which shift and scale of the reward change the step of the first hint.
    """

    name: str
    healthy: int
    false_alarms: int
    hacked: int
    found: int
    early: int
    delay: float | None
    moved: int

    def cells(self) -> list[str]:
        """As text, one cell per column of `HEADINGS`."""
        return [
            self.name,
            _share(self.false_alarms, self.healthy),
            _share(self.found, self.hacked),
            str(self.early),
            "" if self.delay is None else f"{self.delay:.0f}",
            str(self.moved),
        ]


HEADINGS = ["detector", "false alarms (healthy runs)", "found (hacked runs)", "before onset", "delay", "moved"]


def rows(found: Sequence[Stream]) -> list[Row]:
    """The table for some streams: ours one by one and together, then rewardspy's as recorded."""
    plain = {one.name: ours(one) for one in found}
    moved = {one.name: ours(rescaled(one)) for one in found}
    kept = json.loads(REWARDSPY.read_text()) if REWARDSPY.exists() else None
    table = [_row(name, name, found, plain, moved) for name in plain[found[0].name]]
    if kept is not None and all(one.name in kept["plain"] for one in found):
        version = f"rewardspy {kept['version']}"
        names = kept["plain"][found[0].name]
        table += [_row(f"{version}: {name}", name, found, kept["plain"], kept["rescaled"]) for name in names]
    return table


def ours(stream: Stream) -> First:
    """First hints of our detectors, and "any of ours" for the first of all."""
    first: dict[str, int | None] = {}
    steps = list(stream)
    for detector in default_detectors():
        first[detector.name] = next((steps[place].number for place in _hints(detector, stream, steps)), None)
    return first | {"any of ours": _earliest(first.values())}


def _hints(detector: Detector, stream: Stream, steps: Sequence[Step]) -> Iterator[int]:
    for place, step in enumerate(steps):
        packed = stream.measured.get(detector.name)
        values = detector.measure(step) if packed is None else {"": float(packed[place])}
        if detector.take(values) is not None:
            yield place


def rescaled(stream: Stream) -> Stream:
    """The same run with another scale and zero of the reward."""
    parts = {name: SCALE * values for name, values in stream.parts.items()}
    return dataclasses.replace(stream, reward=SCALE * stream.reward + SHIFT, parts=parts)


def rewardspy_on(module: ModuleType, stream: Stream) -> First:
    """First alerts of rewardspy's detectors, and of any; a completion is given as text of the recorded length."""
    current: Any = None
    watched = module.watch(lambda response: current, name="reward")
    first: dict[str, int | None] = {detector.name: None for detector in watched.engine.detectors}
    alerts: int | None = None
    for step in stream:
        before = len(watched.store.alerts)
        for row in np.flatnonzero(np.isfinite(step.reward)).tolist():
            total = float(step.reward[row])
            current = {name: float(values[row]) for name, values in step.parts.items()} | {"total": total}
            watched("x" * int(step.length[row]))
        for alert in list(watched.store.alerts)[before:]:
            if first[alert.detector] is None:
                first[alert.detector] = step.number
            if alerts is None and alert.status == "ALERT":
                alerts = step.number
    return first | {"any": _earliest(first.values()), "any, ALERT only": alerts}


def run_rewardspy(found: Sequence[Stream]) -> None:
    """Run rewardspy on all streams that it has not seen and keep what it said.

    Raises:
        SystemExit: it is not installed.
    """
    try:
        module = importlib.import_module("rewardspy")
    except ImportError as error:
        raise SystemExit(f"rewardspy is not installed ({error}); it is on no index, see its repository") from error
    kept: dict[str, Any] = json.loads(REWARDSPY.read_text()) if REWARDSPY.exists() else {}
    if kept.get("version") != module.__version__:
        kept = {"version": module.__version__, "plain": {}, "rescaled": {}}
    for one in found:
        if one.name not in kept["plain"]:
            kept["plain"][one.name] = rewardspy_on(module, one)
            kept["rescaled"][one.name] = rewardspy_on(module, rescaled(one))
            print(f"rewardspy: {one.name}", file=sys.stderr)
    REWARDSPY.write_text(json.dumps(kept, indent=0) + "\n")


def _row(shown: str, name: str, found: Sequence[Stream], plain: Mapping[str, First], moved: Mapping[str, First]) -> Row:
    labels = {one.name: label(one) for one in found}
    healthy = [plain[one.name][name] for one in found if labels[one.name] == "healthy"]
    hacked = [(one, plain[one.name][name]) for one in found if labels[one.name] == "hacked"]
    delays = [first - one.onset for one, first in hacked if first is not None and one.onset is not None]
    late = [delay for delay in delays if delay >= 0]
    return Row(
        name=shown,
        healthy=len(healthy),
        false_alarms=sum(first is not None for first in healthy),
        hacked=len(hacked),
        found=len(delays),
        early=len(delays) - len(late),
        delay=statistics.median(late) if late else None,
        moved=sum(plain[one.name][name] != moved[one.name][name] for one in found if labels[one.name] != "neither"),
    )


def _earliest(firsts: Iterable[int | None]) -> int | None:
    return min((first for first in firsts if first is not None), default=None)


def _share(count: int, n: int) -> str:
    low, high = wilson(count, n)
    return f"{count}/{n} ({low:.0%}–{high:.0%})"


def markdown(table: Sequence[Row]) -> str:
    """The table for a page."""
    lines = ["| " + " | ".join(HEADINGS) + " |", "|---" * len(HEADINGS) + "|"]
    return "\n".join(lines + ["| " + " | ".join(row.cells()) + " |" for row in table])


def text(table: Sequence[Row]) -> str:
    """The table for a terminal."""
    cells = [HEADINGS, *(row.cells() for row in table)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in cells)


def write_between(page: Path, table: str) -> None:
    """Put the table between the markers of a page.

    Raises:
        SystemExit: the page lacks them.
    """
    content = page.read_text()
    if START not in content or END not in content:
        raise SystemExit(f"{page}: expected the lines {START} and {END}")
    before, after = content.split(START)[0], content.split(END)[1]
    page.write_text(f"{before}{START}\n\n{table}\n\n{END}{after}")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tuning", action="store_true")
    parser.add_argument("--rewardspy", action="store_true")
    parser.add_argument("--write", type=Path)
    options = parser.parse_args()
    found = streams()
    if options.rewardspy:
        run_rewardspy(found)
    table = rows([one for one in found if one.for_tuning == options.tuning])
    print(text(table))
    if options.write:
        write_between(options.write, markdown(table))


if __name__ == "__main__":
    main()
