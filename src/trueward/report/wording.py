"""How an audit is put into words and numbers, the same on a terminal and on a page."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from trueward.report.document import FOUND_BY_SEARCH, Audit, Document, Example, FamilyRow, Finding
from trueward.report.vocabulary import vocabulary_of

MARKS = {"findings": "✗", "clean": "✓", "not audited": "–"}

# How much each kind of finding counts when the worst is looked for: what training would exploit comes first.
_WEIGHTS = {"exploit": 1.0, "cheap": 0.9, "gain": 0.6, "failure": 0.5, "refusal": 0.5}

# Heading → relations of the families below it.
GROUPS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("Must not be paid", ("wrong", "unearned")),
    ("Must not raise the reward", ("no_gain",)),
    ("Must be paid", ("right",)),
    ("Must come back in time", ("returns",)),
    ("Must always score the same", ("same",)),
)


# Relation → what must hold, for one example.
RELATIONS = {
    "wrong": "must not be paid",
    "unearned": "must not be paid",
    "no_gain": "must not raise the reward",
    "right": "must be paid",
    "returns": "must come back in time",
    "same": "must always score the same",
}


def number(value: float | None) -> str:
    """A reward: up to three digits, without a zero before the point: `.833`, `1`, `-0.5` as `-.5`; `–` for None."""
    if value is None:
        return "–"
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "inf" if value > 0 else "-inf"
    if value == int(value) and abs(value) < 1e9:
        return f"{int(value):,}"
    return without_zero(f"{value:.3g}")


def payoff(value: float | None) -> str:
    """A payoff or its mean: two decimals, `.83`; `1` for a right answer's; `–` for None."""
    if value is None or not math.isfinite(value):
        return "–"
    if 0 < abs(value) < 0.005:
        return "<.01" if value > 0 else ">-.01"
    rounded = f"{value:.2f}"
    return without_zero(rounded.rstrip("0").rstrip(".") if rounded.endswith(".00") else rounded).replace("-0", "0")


def percent(share: float | None) -> str:
    """A share in whole per cent: `92 %`. Only all is `100 %` and only none is `0 %`."""
    if share is None or not math.isfinite(share):
        return "–"
    if 0 < share < 0.01:
        return "<1 %"
    return f"{min(round(share * 100), 99) if share < 1 else 100} %"


def duration(seconds: float) -> str:
    """Seconds in the unit that reads best: `4 µs`, `0.40 ms`, `12 s`, `3 min 20 s`."""
    if 0 < seconds < 0.00001:
        return f"{seconds * 1e6:.2g} µs"
    if seconds < 0.001:
        return f"{seconds * 1e3:.2f} ms"
    if seconds < 1:
        return f"{seconds * 1e3:.3g} ms"
    if seconds < 60:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if rest else f"{minutes} min"


def counted(count: int, noun: str) -> str:
    """`1 prompt`, `1,200 prompts`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def without_zero(text: str) -> str:
    """A decimal without the zero before its point: `.5` for `0.5`."""
    return re.sub(r"^(-?)0\.", r"\1.", text)


def extent(finding: Finding) -> str:
    """How often a finding was seen, with its interval: `44 of 48 prompts (95 % interval 80–97 %)`."""
    words = vocabulary_of(finding)
    seen = f"{finding['prompts']:,} of {counted(finding['tested'], words.unit)}"
    low, high = finding["low"], finding["high"]
    if finding["kind"] == "cheap":
        mean = f"{payoff(finding['mean_payoff'])} of {words.full_share} on average"
        return f"{mean} (95 % interval {payoff(low)} to {payoff(high)}), on {seen}"
    return f"{seen} (95 % interval {percent(low).removesuffix(' %')}–{percent(high)})"


def earned(example: Example) -> str:
    """What the reward gave, beside what it gives for the right answer and for none."""
    if example["status"] != "ok":
        detail = f": {example['detail']}" if example["detail"] else ""
        return f"no score, {example['status']}{detail}"
    marks = landmarks(example)
    return number(example["reward"]) + (f"  ({marks})" if marks else "")


def landmarks(example: Example) -> str:
    """What the reward gives for other completions, to see this one's reward against; "" when nothing is known."""
    marks, words = [], vocabulary_of(example)
    if example["base_reward"] is not None:
        marks.append(f"before: {number(example['base_reward'])}")
    if example["right_reward"] is not None:
        marks.append(f"{words.full} {number(example['right_reward'])}")
    if example["null_reward"] is not None:
        marks.append(f"{words.null} {number(example['null_reward'])}")
    return ", ".join(marks)


def severity(finding: Finding) -> float:
    """How bad a finding is, from 0 to 1: its share of prompts, weighted by its kind."""
    return _WEIGHTS.get(finding["kind"], 0.5) * finding["share"]


def worst_finding(audit: Audit) -> Finding | None:
    """The finding that should be read first, or None."""
    return max(audit["findings"], key=severity, default=None)


def worst_first(audits: Sequence[Audit]) -> list[Audit]:
    """Audits with findings first (the worst finding leads), then those without a verdict, then clean ones."""
    order = {"findings": 0, "not audited": 1, "clean": 2}

    def key(audit: Audit) -> tuple[int, float, int, str]:
        worst = worst_finding(audit)
        return order[audit["verdict"]], -(severity(worst) if worst else 0.0), -len(audit["findings"]), audit["reward"]

    return sorted(audits, key=key)


def verdict_sentence(audits: Sequence[Audit]) -> str:
    """One sentence over all audits: `54 of 100 rewards pay what they should not or fail`."""
    bad = sum(audit["verdict"] == "findings" for audit in audits)
    lost = sum(audit["verdict"] == "not audited" for audit in audits)
    total = len(audits)
    if bad:
        said = "pays what it should not, or fails" if bad == 1 else "pay what they should not, or fail"
        return f"{bad} of {total} rewards {said}"
    if lost == total:
        return f"None of {total} rewards could be audited"
    return f"Nothing was found in {total - lost} of {total} rewards"


def counts_sentence(audits: Sequence[Audit]) -> str:
    """`✗ 312 findings in 54 rewards   ✓ 40 clean   – 6 not audited`."""
    found = sum(len(audit["findings"]) for audit in audits)
    verdicts = [audit["verdict"] for audit in audits]
    parts = [f"✗ {counted(found, 'finding')} in {counted(verdicts.count('findings'), 'reward')}"]
    parts.append(f"✓ {verdicts.count('clean')} clean")
    if "not audited" in verdicts:
        parts.append(f"– {verdicts.count('not audited')} not audited")
    return "   ".join(parts)


def summary(audit: Audit) -> str:
    """The line of an audit in a table: its headline, or why there is none."""
    return audit["headline"] or audit["error"] or "no headline"


def telling_of(document: Document) -> list[tuple[Audit | None, Finding | None, Example]]:
    """The most telling examples, each with the audit and the finding that it belongs to (None where it has none)."""
    found: list[tuple[Audit | None, Finding | None, Example]] = []
    for wanted in document["telling"]:
        matches = [
            (audit, finding)
            for audit in document["audits"]
            for finding in audit["findings"]
            for example in finding["examples"]
            if (audit["reward"], example["id"]) == (wanted["scorer"], wanted["id"])
        ]
        audit, finding = matches[0] if matches else (None, None)
        found.append((audit, finding, wanted))
    return found


@dataclass(frozen=True)
class FamilyResult:
    """What one family showed.

    Attributes:
        row: the family as the document has it.
        state: "bad" (a finding), "partly" (paid in part, or in full where no finding was made of it; right answers
            that were refused), "good", or "untested".
        words: the result where counts of payment have no meaning ("no gain", "came back"); "" otherwise.
    """

    row: FamilyRow
    state: Literal["bad", "partly", "good", "untested"]
    words: str


STATE_MARKS = {"bad": "✗", "partly": "~", "good": "✓", "untested": "·"}


def family_results(audit: Audit) -> list[tuple[str, list[FamilyResult]]]:
    """The families of an audit under their headings; headings without a family are left out."""
    by_family: dict[str, list[Finding]] = {}
    for finding in audit["findings"]:
        for family in finding["family"].split(", "):
            by_family.setdefault(family, []).append(finding)
    noted = {example["family"] for note in audit["notes"] for example in note["examples"]}
    grouped = []
    named = {relation for _, relations in GROUPS for relation in relations}
    others = tuple(sorted({row["relation"] for row in audit["families"]} - named))
    for heading, relations in (*GROUPS, ("Other", others)):
        rows = [row for row in audit["families"] if row["relation"] in relations]
        if rows:
            results = [_family_result(row, by_family.get(row["family"], []), row["family"] in noted) for row in rows]
            grouped.append((heading, results))
    return grouped


# Relation → what is said when all is well, and of how many prompts when it is not.
_WORDS = {
    "no_gain": ("no gain", "gain"),
    "right": ("", "refused"),
    "returns": ("came back", "failed"),
    "same": ("stable", "changed"),
}


def _family_result(row: FamilyRow, findings: Sequence[Finding], noted: bool) -> FamilyResult:
    if row["not_tested"] or not row["tested"]:
        return FamilyResult(row, "untested", f"not tested: {row['not_tested'] or 'no probe could be made'}")
    words = ""
    good, bad = _WORDS.get(row["relation"], ("", ""))
    if bad:
        hit = max((finding["prompts"] for finding in findings), default=0)
        words = f"{hit:,} {bad}" if findings else good
    if findings:
        return FamilyResult(row, "bad", words)
    paid = row["relation"] in ("wrong", "unearned") and (row["full"] or row["partial"])
    # The counts are of the best-paid way to write the answer; a note tells of the others.
    refused = row["relation"] == "right" and (noted or row["full"] < row["tested"])
    words = "some refused" if refused else words
    return FamilyResult(row, "partly" if paid or refused else "good", words)


def untested_by_reason(results: Sequence[FamilyResult]) -> list[tuple[str, list[str]]]:
    """Reason → the families that were not tested for it, in their order."""
    reasons: dict[str, list[str]] = {}
    for result in results:
        if result.state == "untested":
            reasons.setdefault(result.words.removeprefix("not tested: "), []).append(result.row["family"])
    return list(reasons.items())


def circumstances(audit: Audit) -> list[str]:
    """How the audit was done, in short phrases: the format, the prompts, calls and time, whether scores repeat."""
    phrases = []
    if audit["envelope"]:
        auc = f" (tells right from wrong with AUC {payoff(audit['auc'])})" if audit["auc"] is not None else ""
        phrases.append(f"answers given as: {audit['envelope']}{auc}")
    words = vocabulary_of(audit)
    if audit["prompts"]:
        usable = f", {audit['usable']:,} of them usable" if audit["usable"] < audit["prompts"] else ""
        phrases.append(counted(audit["prompts"], words.unit) + usable)
        phrases.append(f"{counted(audit['calls'], words.call)} in {duration(audit['seconds'])}")
    if audit["deterministic"] is not None:
        phrases.append("same score every time" if audit["deterministic"] else "scores change from call to call")
    return phrases


def scores_said(audit: Audit) -> list[str]:
    """What became of the scores and how long they took, in short phrases."""
    phrases = []
    failed = {status: count for status, count in audit["statuses"].items() if status != "ok" and count}
    if failed:
        phrases.append("without a score: " + ", ".join(f"{count:,} {status}" for status, count in failed.items()))
    if audit["latency"] is not None:
        latency = audit["latency"]
        what = "an image" if audit.get("modality") == "images" else "a call"
        phrases.append(
            f"{what} takes {duration(latency['median'])} (99 % within {duration(latency['p99'])}, "
            f"slowest {duration(latency['worst'])})"
        )
    return phrases


def command_of(document: Document) -> str:
    """The command that made the document, without the folder that the program lies in."""
    program, space, rest = document["command"].partition(" ")
    return f"{os.path.basename(program)}{space}{rest}"


def reproduction(document: Document, audit: Audit) -> list[str]:
    """The lines of Python that score the first exploit again in a fresh worker; [] when there is none."""
    if audit.get("modality") in ("control", "images") or not any(
        finding["kind"] == "exploit" for finding in audit["findings"]
    ):
        return []
    found = re.search(r"--data[= ](\S+)", document["command"])
    if found:
        data = f", {found.group(1)!r}"
    else:
        data = "" if audit["reward"].startswith("reasoning_gym:") else ", DATA"
    # Without the search there would be no such exploit.
    exploits = [finding["family"] for finding in audit["findings"] if finding["kind"] == "exploit"]
    if audit["search"] is not None and set(exploits) == {FOUND_BY_SEARCH}:
        data += f", search={audit['search']['budget']}"
    return [
        "import trueward",
        f"report = trueward.audit({audit['reward']!r}{data})",
        "report.exploits[0].reproduce()",
    ]
