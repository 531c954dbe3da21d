"""How what was seen of a run is put into words, the same on a terminal and on a page."""

from __future__ import annotations

import math
from collections.abc import Sequence

from trueward.report.experiment_words import three_digits
from trueward.report.watch_document import KINDS, WatchDocument, WatchNotice
from trueward.report.wording import counted

STATE_MARKS = {"alarm": "✗", "notice": "!", "hint": "?", "quiet": "✓", "waiting": "…", "unchecked": "–"}

# Kind → what it is worth, for a reader who meets it for the first time.
MEANS = {
    "alarm": "The stricter check pays less than it did at the beginning, by more than a margin (.05 unless the run "
    "sets another). In a run whose gold never falls below that line an alarm comes with a probability of at most 5 %, "
    "however long the run is and however often one looks. It says that the reward is no longer earned, not why.",
    "notice": "The reward rises and the stricter check does not follow. This rests on gold too, but nobody has bounded "
    "how often it is said of a healthy run.",
    "hint": "Made without gold, from how rewards, parts and texts look. It is weaker: healthy runs raise hints too, "
    "and a policy can fool a reward without raising one. A reason to read some completions, not to stop.",
}
NO_GOLD = (
    "Nobody checks here whether the reward is deserved, so that there can be no alarm. Give --gold the address of a "
    "stricter check, such as --gold checks.py:strict; it is asked about a few rollouts of every step."
)
LINE = "The line is the mean gold of the first steps minus the margin; an alarm says that gold is below it."

EVIDENCE = (
    "The logarithm (base 10) of the e-value against gold having stayed above the line. It comes to 1.3 "
    "(an e-value of 20, where the alarm is raised) in at most 5 % of healthy runs."
)
NO_LINE = "There is no line yet: it is drawn after the first steps, and before that there can be no alarm."

_PARTS = {"reward": "reward", "gold": "gold, of all rollouts", "length": "length", "entropy": "entropy"}
_PROBE = {
    "probe/e_value": "evidence of a fall",
    "probe/gold": "gold, as checked",
    "probe/line": "the line",
    "probe/reference": "gold of the first steps",
}


def state_of(document: WatchDocument) -> str:
    """The state for its mark: that of the document, "waiting" before the first step, "unchecked" without gold."""
    if not document["steps"]:
        return "waiting"
    if document["state"] == "quiet" and document["probe"] == "none":
        return "unchecked"
    return document["state"]


def headline(document: WatchDocument) -> str:
    """One line: the gravest that was found, or that nothing was."""
    state = state_of(document)
    if state == "waiting":
        return "waiting for the first step"
    seen = counted(len(document["steps"]), "step")
    if state == "unchecked":
        return f"nothing found in {seen}; no gold was checked"
    if state == "quiet":
        return f"nothing found in {seen}"
    if state == "hint":
        hints = counted(len(of_kind(document, "hint")), "hint")
        without = "; no gold was checked" if document["probe"] == "none" else ", no alarm"
        return f"{hints} in {seen}{without}"
    first = of_kind(document, state)[0]
    return f"{state} at step {first['step']:,}"


def of_kind(document: WatchDocument, kind: str) -> list[WatchNotice]:
    """The notices of a kind, in the order of the steps."""
    return [notice for notice in document["notices"] if notice["kind"] == kind]


def gravest_first(document: WatchDocument) -> list[WatchNotice]:
    """Alarms, then notices, then hints, each in the order of the steps."""
    return [notice for kind in KINDS for notice in of_kind(document, kind)]


def source_said(notice: WatchNotice) -> str:
    """Who found it."""
    return notice["source"].removeprefix("detector/").replace("_", " ")


def extent_said(document: WatchDocument) -> str:
    """How far the run is: `step 120 of 400, 7,680 completions`."""
    if not document["steps"]:
        return "no step yet"
    planned = document["steps_planned"]
    said = f"step {document['steps'][-1]:,}" + (f" of {planned:,}" if planned else "")
    if document["completions"] is not None:
        said += f", {counted(document['completions'], 'completion')}"
    return said


def gold_said(document: WatchDocument) -> str:
    """Who checks, and how many rollouts of a step."""
    checks = "" if document["budget"] is None else f", {document['budget']:,} checks a step"
    return {
        "none": "gold: not checked",
        "asked": f"gold: {document['gold']}{checks}",
        "logged": f"gold: as the run logged it{checks}",
        "run": "gold: checked by the run itself",
    }[document["probe"]]


def reward_said(document: WatchDocument) -> str:
    """Whose log it is and what the reward is called."""
    reward = f", reward: {document['reward']}" if document["reward"] else ""
    return f"{document['format'] or 'no log yet'}{reward}"


def curves_of(document: WatchDocument) -> list[tuple[str, str, list[float | None]]]:
    """(name, words, numbers) of the curves that are worth a look, in reading order; none without a number.

    Statuses are there where any row had one; parts where there are two or more, else they repeat the reward.
    """
    series = document["series"]
    names = ["reward", "probe/gold", "gold", "length", "entropy"]
    parts = [name for name in series if name.startswith("part/")]
    names += parts if len(parts) > 1 else []
    names += [name for name in series if name.startswith("status/") and any(series[name])]
    found = [(name, curve_name(name), _numbers(document, name)) for name in names if name in series]
    return [curve for curve in found if any(known(value) for value in curve[2])]


def _numbers(document: WatchDocument, name: str) -> list[float | None]:
    """The numbers of a series; a status that a step does not tell of was that of no row."""
    values = document["series"][name]
    return [0.0 if value is None else value for value in values] if name.startswith("status/") else values


def curve_name(name: str) -> str:
    """A series in words."""
    kind, _, rest = name.partition("/")
    return {**_PARTS, **_PROBE}.get(name) or {"part": f"part {rest}", "status": f"share {rest}"}.get(kind, name)


def known(value: float | None) -> bool:
    """Whether there is a number."""
    return value is not None and math.isfinite(value)


def first_known(values: Sequence[float | None]) -> float | None:
    """The first number; None where there is none."""
    return next((value for value in values if known(value)), None)


def last_known(values: Sequence[float | None]) -> float | None:
    """The last number; None where there is none."""
    return first_known(values[::-1])


def line_said(document: WatchDocument) -> str:
    """Where the line of the probe is: `line .44`; "" while it is not known."""
    line = last_known(document["series"].get("probe/line", []))
    return "" if line is None else f"line {three_digits(line)}"


def binned(values: Sequence[float | None], most: int) -> list[float | None]:
    """At most `most` means of neighbours, in order; None where all of a bin are missing."""
    if len(values) <= most:
        return [value if known(value) else None for value in values]
    means: list[float | None] = []
    for place in range(most):
        begin, end = place * len(values) // most, (place + 1) * len(values) // most
        inside = [value for value in values[begin:end] if value is not None and math.isfinite(value)]
        means.append(math.fsum(inside) / len(inside) if inside else None)
    return means


def bin_of(place: int, count: int, most: int) -> int:
    """Which of the bins of `binned` holds the number at `place` of `count`."""
    return place if count <= most else ((place + 1) * most - 1) // count
