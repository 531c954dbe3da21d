"""How an experiment is put into words and numbers, the same on a terminal, on a page and in Markdown."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from trueward.report.experiment_document import ArmResult, ExperimentDocument, MetricResult, StatementResult
from trueward.report.wording import counted, number, without_zero

NOT_RUN = "not run"
LONGEST_NOTES = 6000  # characters of what there is to know of a test bed
VERDICT_MARKS = {"shown": "✓", "contradicted": "✗", "unclear": "?", "void": "–", NOT_RUN: " "}
STATE_MARKS = {"holds": "✓", "fails": "✗", "open": "?", "met": "✗", "not met": "✓", "undecided": "?"}

# Verdict → what it means, for a reader who meets it for the first time.
VERDICT_MEANS = {
    "shown": "every comparison of the claim holds at 95 %, on at least five seeds",
    "contradicted": "an interval lies wholly on the wrong side",
    "unclear": "no interval contradicts the claim, and not all of them hold, or there are fewer than five seeds",
    "void": "the phenomenon that the claim is about was not seen, so that nothing was tested",
}


def interval(mean: float | None, low: float | None, high: float | None) -> str:
    """A mean with its 95 % interval, all to the digit that the interval allows: `.66 [.64, .68]`.

    A mean that is not known is `–`, one end `?`; where no end is known, as with one seed, only the mean is said.
    """
    if mean is None:
        return number(None)
    if low is None and high is None:
        return three_digits(mean)
    if low is None or high is None or high <= low:
        ends = ["?" if end is None else three_digits(end) for end in (low, high)]
        return f"{three_digits(mean)} [{ends[0]}, {ends[1]}]"
    decimals = min(4, max(0, -math.floor(math.log10((high - low) / 3))))
    said = [without_zero(f"{value:,.{decimals}f}") for value in (mean, low, high)]
    return f"{said[0]} [{said[1]}, {said[2]}]"


def three_digits(value: float | None) -> str:
    """A number to three digits, and below one to three decimals: `.123`, `1.23`, `12.3`, `0`, `<.001`; `–` for None."""
    if value is None or value == 0:
        return number(value)
    # A metric has nothing to read there: a tiny difference of two equal arms is rounding.
    if abs(value) < 0.0005:
        return "<.001" if value > 0 else ">-.001"
    return number(float(f"{value:.3f}")) if abs(value) < 1 else number(value)


def statement_said(statement: StatementResult) -> str:
    """What was measured for a statement: `difference .12 [.05, .19] over 5 seeds`."""
    if not statement["seeds"]:
        return "not measured"
    what = "difference" if statement["b"] is not None else f"difference from {statement['by']:g}:"
    measured = interval(statement["mean"], statement["low"], statement["high"])
    return f"{what} {measured} over {counted(statement['seeds'], 'seed')}"


def deciding(document: ExperimentDocument) -> StatementResult | None:
    """The statement that says most about the verdict: a precondition that was not seen, else a claim that fails, else
    one that is open, else the first.
    """
    if document["verdict"] == "void":
        unseen = [statement for statement in document["preconditions"] if statement["state"] != "holds"]
        if unseen:
            return unseen[0]
    for state in ("fails", "open", "holds"):
        for statement in document["claims"]:
            if statement["state"] == state:
                return statement
    return None


def setting(value: Any) -> str:
    """A setting as it is typed after `--set name=`."""
    return value if isinstance(value, str) and not _reads_as_json(value) else json.dumps(value, ensure_ascii=False)


def settings_said(settings: Mapping[str, Any]) -> str:
    """Settings on one line: `reward.k=3, train.steps=200`; `–` for none."""
    return ", ".join(f"{name}={setting(value)}" for name, value in settings.items()) or "–"


def metric_of(arm: ArmResult, name: str) -> MetricResult:
    """A metric of an arm; one without a number where no run gave any."""
    return arm["metrics"].get(name, {"mean": None, "low": None, "high": None, "values": {}})


def metric_said(arm: ArmResult, name: str) -> str:
    """A metric of an arm with its interval over seeds."""
    found = metric_of(arm, name)
    return interval(found["mean"], found["low"], found["high"])


def parts_said(parts: Sequence[str]) -> str:
    """Parts by their last name, which says what each does: `win_probability, GroupRelative`."""
    return ", ".join(part.rsplit(".", 1)[-1] for part in parts)


def counts_said(document: ExperimentDocument) -> str:
    """How much was run: `4 arms, 5 seeds, scale small; 2 runs failed`."""
    arms, seeds = counted(len(document["arms"]), "arm"), counted(len(document["seeds"]), "seed")
    failed = f"; {counted(len(document['failures']), 'run')} failed" if document["failures"] else ""
    return f"{arms}, {seeds}, scale {document['scale']}{failed}"


def _reads_as_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True
