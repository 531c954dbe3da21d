"""Does the gold probe keep its word? Simulated and recorded runs, healthy and hacked, and what others say of them.

    python benchmarks/calibration.py [--write docs/monitoring.md]

Simulated runs: `simulated_runs`. Recorded runs: results/streams/runs.npz, through `GoldProbe` itself, step by step;
healthy and hacked are told apart by their exact gold (`recorded_streams.label`). Delays count from the onset, the first
step at which exact gold is below the line, to the step of the alarm. They are held against the information bound: the
first step at which n · Σ KL(gold_t ‖ line) reaches log(1/α), for a test that knew line, gold and onset beforehand.

Beside the probe stands what one would do without it: a fixed threshold, which says that gold has fallen when the mean
of the checks of the last 10 steps is below the mean of the window − δ. It sees the same checks. And what knowing the
line would be worth, and what is lost where α is split instead: half for a lower bound on the mean of the window, half
for the test of the line below that bound.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent))

import calibration_detectors
from recorded_streams import Stream, label, streams
from simulated_runs import AVERAGED, CHECKS, LEVEL, MARGIN, WINDOW, hacked_shapes, healthy_shapes, simulate

from trueward.audit.monitor.drawn import drawn, generator_of, means_of_prompts, rows_by_prompt
from trueward.audit.monitor.gold_probe import PROXY_SOURCE, GoldProbe
from trueward.measures.intervals import wilson
from trueward.measures.sequential import steps_needed
from trueward.report.atomic import write_whole
from trueward.tasks.text.rows import Row

START, END = "<!-- calibration: made by benchmarks/calibration.py -->", "<!-- end of calibration -->"
DRAWS = 3  # times that the probe draws anew from each healthy recorded run
LONG = 100  # shapes with so many runs only have long ones
FLAT = "proxy up, gold flat"
TOLD = ("probe", "threshold", "widened", "flat")

Found = Mapping[str, int]
"""What was found in a recorded run, and at which step it was first."""


def simulated_healthy() -> tuple[list[list[str]], int, int, float]:
    """Rows of the table, runs, alarms of the probe, and the margin that the widened threshold needs."""
    found = [(shape, simulate(shape, seed)) for seed, shape in enumerate(healthy_shapes())]
    short = [one.deepest for shape, one in found if shape.runs > LONG and shape.prompts == CHECKS]
    widened = max(float(np.quantile(deepest, 1 - LEVEL)) for deepest in short)
    rows = []
    for shape, one in found:
        alarmed = (one.first["probe"] >= 0, one.first["threshold"] >= 0, one.deepest > widened)
        rows.append([shape.name, *(_share(int(runs.sum()), shape.runs) for runs in alarmed)])
    alarms = sum(int((one.first["probe"] >= 0).sum()) for _, one in found)
    return rows, sum(shape.runs for shape, _ in found), alarms, widened


def simulated_hacked(widened: float) -> list[list[str]]:
    """Rows of the table; what has spoken before the onset has raised a false alarm."""
    rows = []
    for seed, shape in enumerate(hacked_shapes()):
        first = simulate(shape, 100 + seed, widened=widened, compared=True).first
        means = shape.means(np.random.default_rng(0), 1)[0]
        line, after = float(means[:WINDOW].mean()) - MARGIN, means[WINDOW:]
        onset = int(np.flatnonzero(after < line - 1e-9)[0])
        needed = steps_needed(after[onset:], line, CHECKS, level=LEVEL)
        assert needed is not None
        delays = {name: one[one >= onset] - onset + 1 for name, one in first.items()}
        middle = {name: _median(one) for name, one in delays.items()}
        found = {name: f"{len(one)}/{shape.runs}" for name, one in delays.items()}
        cells = [found["probe"], _number(middle["probe"]), str(needed), _number(middle["probe"] / needed, 1)]
        for name in ("known", "split", "widened", "threshold"):
            cells.append(f"{_number(middle[name])} ({found[name]})")
        rows.append([shape.name, *cells])
    return rows


def _median(values: np.ndarray) -> float:
    return float(np.median(values)) if len(values) else np.nan


def _number(value: float, digits: int = 0) -> str:
    return "" if np.isnan(value) else f"{value:.{digits}f}"


def said(rows: Sequence[Row], completions: Sequence[str]) -> np.ndarray:
    """The recorded gold of rollouts, as a gold measure."""
    return np.array([row.columns["gold"] for row in rows])


def watched(stream: Stream, seed: int, widened: float) -> Found:
    """A recorded run through the probe, and fixed thresholds on the same draws: the first step of each."""
    probe, first = GoldProbe(said, seed=seed), {}
    reference, recent = [], []
    for place, step in enumerate(stream):
        for notice in probe.observe(step)[1]:
            if notice.kind == "alarm":
                first.setdefault("probe", notice.step)
            elif notice.source == PROXY_SOURCE:
                first.setdefault("flat", notice.step)
        if place < WINDOW:
            prompts = rows_by_prompt(step)
            gold = [float(stream.gold[place][row]) for rows in prompts for row in rows]
            reference += means_of_prompts(gold, [len(rows) for rows in prompts]).tolist()
            continue
        of_prompts = drawn(rows_by_prompt(step), CHECKS, generator_of(seed, step.number))
        checks = [row for rows in of_prompts for row in rows]
        recent = [*recent[1 - AVERAGED :], float(stream.gold[place][checks].mean())]
        depth = np.mean(reference) - np.mean(recent) if len(recent) == AVERAGED else -np.inf
        for name, margin in (("threshold", MARGIN), ("widened", widened)):
            if depth > margin:
                first.setdefault(name, step.number)
    return first


def recorded_healthy(found: Sequence[Stream], widened: float) -> tuple[list[list[str]], int]:
    """Rows of the table by system, and how many runs are healthy."""
    healthy = [stream for stream in found if label(stream) == "healthy"]
    by_system: dict[str, list[list[Found]]] = {}
    for stream in healthy:
        by_system.setdefault(stream.system, []).append([watched(stream, seed, widened) for seed in range(DRAWS)])
    by_system["all"] = [draws for runs in by_system.values() for draws in runs]
    rows = []
    for system, runs in by_system.items():
        every = sum("probe" in one for draws in runs for one in draws)
        told = {name: _share(sum(name in draws[0] for draws in runs), len(runs)) for name in TOLD}
        rows.append([system, told["probe"], f"{every}/{len(runs) * DRAWS}", *(told[name] for name in TOLD[1:])])
    return rows, len(healthy)


def recorded_hacked(found: Sequence[Stream], widened: float) -> list[list[str]]:
    """Rows of the table: by system, and all of those that hold enough information for any test."""
    hacked = [(stream, watched(stream, 0, widened), bound(stream)) for stream in found if label(stream) == "hacked"]
    groups: dict[str, list[tuple[Stream, Found, int | None]]] = {}
    for one in hacked:
        groups.setdefault(one[0].system, []).append(one)
    groups["all"] = hacked
    groups["all in which the bound is reached"] = [one for one in hacked if one[2] is not None]
    return [[name, *_recorded_cells(runs)] for name, runs in groups.items()]


def _recorded_cells(runs: Sequence[tuple[Stream, Found, int | None]]) -> list[str]:
    cells = []
    for name in TOLD:
        delays = [_delay(stream, first[name]) for stream, first, _ in runs if name in first]
        late = np.array([delay for delay in delays if delay > 0])
        cells += [_share(len(delays), len(runs)), f"{_number(_median(late))} ({len(delays) - len(late)})"]
    needed = [(_delay(stream, first["probe"]), steps) for stream, first, steps in runs if steps and "probe" in first]
    bounds, ratios = np.array([steps for _, steps in needed]), np.array([delay / steps for delay, steps in needed])
    return [*cells[:2], _number(_median(bounds)), _number(_median(ratios), 1), *cells[2:]]


def _delay(stream: Stream, first: int) -> int:
    """Steps from the onset to what was found at a step: 1 where it was at the onset."""
    assert stream.onset is not None
    return first - stream.onset + 1


def bound(stream: Stream) -> int | None:
    """Steps from the onset until exact gold holds the information that any test needs; None where it never does."""
    assert stream.onset is not None
    start = int(np.searchsorted(stream.numbers, stream.onset))
    return steps_needed(stream.smoothed[start:], stream.line, CHECKS, level=LEVEL)


def _share(count: int, n: int) -> str:
    low, high = wilson(count, n)
    return f"{count}/{n} ({low:.0%}–{high:.0%})"


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = ["| " + " | ".join(headings) + " |", "|---" * len(headings) + "|"]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def page(found: Sequence[Stream]) -> str:
    """All tables, as the page holds them."""
    healthy, runs, alarms, widened = simulated_healthy()
    recorded, count = recorded_healthy(found, widened)
    delays = ["found", "delay", "bound", "delay / bound"]
    thresholds = [f"threshold {MARGIN:.2f}", f"threshold {widened:.2f}"]
    sections = [
        f"**Simulated healthy runs: {alarms} of {runs:,} alarmed.** The second threshold is as wide as it must be to "
        f"alarm on at most {LEVEL:.0%} of the runs of each shape here that has 250 steps and 8 prompts a step.",
        table(["healthy, simulated", "gold probe", *thresholds], healthy),
        "**Simulated hacked runs.** In brackets, how many were found at all; what alarmed before the onset is not "
        "counted as found.",
        table(
            ["hacked, simulated", *delays, "line known", "α split", *reversed(thresholds)], simulated_hacked(widened)
        ),
        f"**Recorded healthy runs: {count}.**",
        table(["healthy, recorded", "gold probe", f"{DRAWS} draws of each", *thresholds, FLAT], recorded),
        "**Recorded hacked runs.** In brackets, how many were found before the onset.",
        table(
            ["hacked, recorded", *delays, *(cell for name in (*thresholds, FLAT) for cell in (name, "delay"))],
            recorded_hacked(found, widened),
        ),
        "**Without gold, on the same recorded runs**, those for tuning included; what the columns say stands in "
        "[detectors.md](detectors.md).",
        calibration_detectors.markdown(calibration_detectors.rows(found)),
    ]
    return "\n\n".join(sections)


def main() -> None:
    """Print the tables, or write them into a page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", type=Path, help="the page between whose markers the tables go")
    options = parser.parse_args()
    begun = time.perf_counter()
    found = page(streams())
    print(found)
    print(f"\n{time.perf_counter() - begun:.0f} s", file=sys.stderr)
    if options.write is not None:
        content = options.write.read_text(encoding="utf-8")
        if START not in content or END not in content:
            raise SystemExit(f"{options.write}: expected the lines {START} and {END}")
        before, after = content.split(START)[0], content.split(END)[1]
        write_whole(options.write, f"{before}{START}\n\n{found}\n\n{END}{after}".encode())


if __name__ == "__main__":
    main()
