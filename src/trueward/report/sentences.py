"""What stands beside the findings, in sentences and rows: searches, training logs, comparisons, curves, refusals.

The words are the same on a terminal and on a page; `wording` has those of the findings themselves.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from trueward.report.document import (
    FOUND_BY_SEARCH,
    Audit,
    Comparison,
    Curve,
    Example,
    Finding,
    RolloutLog,
    RolloutStep,
    Search,
)
from trueward.report.wording import counted, number, percent
from trueward.status import Status

MOST_STEPS = 50  # of a training run that are drawn and listed; more are pooled


def found_by_search(audit: Audit) -> list[Finding]:
    """The findings that a search added to those of the fixed probes."""
    return [finding for finding in audit["findings"] if _searched(finding)]


def found_by_probes(audit: Audit) -> list[Finding]:
    """The findings of the fixed probes."""
    return [finding for finding in audit["findings"] if not _searched(finding)]


def _searched(finding: Finding) -> bool:
    return FOUND_BY_SEARCH in finding["family"].split(", ")


def search_said(search: Search) -> str:
    """What a search did and found."""
    found = counted(search["causes"], "cause") if search["causes"] else "nothing"
    return (
        f"Found {found} with {search['calls']:,} of {counted(search['budget'], 'call')}: "
        f"{counted(search['candidates'], 'completion')} with a certificate were scored, "
        f"{search['discarded']:,} that nobody can certify were left out."
    )


def log_said(log: RolloutLog) -> str:
    """What a training run was paid for: shares of what was paid, the first step, what could not be judged."""
    if not log["paid"]:
        said = [f"None of {counted(log['completions'], 'logged completion')} was paid."]
    else:
        judged = f"{log['right']:,} are right"
        judged += f", of {log['unknown']:,} nobody can say" if log["unknown"] else ""
        said = [
            f"{log['wrong']:,} of {counted(log['paid'], 'paid completion')} "
            f"({percent(log['wrong'] / log['paid'])}) are certified wrong; {judged}."
        ]
    if log["first_step"] is not None:
        said.append(f"The first exploit was paid at step {log['first_step']:,}.")
    if log["unmatched"]:
        said.append(f"No reference answer was found for {counted(log['unmatched'], 'completion')}.")
    return " ".join(said)


def pooled(steps: Sequence[RolloutStep], most: int = MOST_STEPS) -> list[RolloutStep]:
    """At most `most` entries: neighbouring steps are counted together, under the number of the first of them.

    The share of several steps is of all their paid completions; its band is as wide as the widest of theirs, because
    what they have in common (the prompts) is not known here.
    """
    ordered = sorted(steps, key=lambda step: step["step"])
    size = max(1, -(-len(ordered) // most))
    return [_together(ordered[begin : begin + size]) for begin in range(0, len(ordered), size)]


def _together(steps: Sequence[RolloutStep]) -> RolloutStep:
    if len(steps) == 1:
        return steps[0]
    paid, exploits = sum(step["paid"] for step in steps), sum(step["exploits"] for step in steps)
    banded = [step for step in steps if step["share"] is not None]
    rewards = [(step["completions"], value) for step in steps if (value := step["mean_reward"]) is not None]
    weight = sum(completions for completions, _ in rewards)
    return RolloutStep(
        step=steps[0]["step"],
        completions=sum(step["completions"] for step in steps),
        paid=paid,
        exploits=exploits,
        share=exploits / paid if paid else None,
        low=min((step["low"] for step in banded), default=0.0),
        high=max((step["high"] for step in banded), default=1.0),
        mean_reward=sum(completions * value for completions, value in rewards) / weight if weight else None,
    )


def comparison_said(comparison: Comparison) -> str:
    """How an audit differs from an earlier one."""
    if not comparison["known"]:
        new = counted(len(comparison["new"]), "probe")
        return f"The baseline holds no audit of this reward: {new} {_verb(comparison['new'])} as new."
    if not comparison["new"] and not comparison["gone"]:
        return "Nothing has changed: every probe that counts now counted then."
    new, gone = counted(len(comparison["new"]), "probe"), counted(len(comparison["gone"]), "probe")
    return (
        f"{new} {_verb(comparison['new'])} now and did not then; "
        f"{gone} counted then and {'does' if len(comparison['gone']) == 1 else 'do'} not now."
    )


def _verb(ids: Sequence[str]) -> str:
    return "counts" if len(ids) == 1 else "count"


def comparisons_said(audits: Sequence[Audit]) -> str:
    """The comparison over all audits of a document; "" when none was made."""
    compared = [audit["comparison"] for audit in audits if audit["comparison"] is not None]
    if not compared:
        return ""
    worse = sum(bool(comparison["new"]) for comparison in compared)
    gone = sum(len(comparison["gone"]) for comparison in compared)
    new = sum(len(comparison["new"]) for comparison in compared)
    baselines = ", ".join(sorted({comparison["baseline"] for comparison in compared}))
    absent = sum(not comparison["known"] for comparison in compared)
    said = f"Against {baselines}: {counted(new, 'new probe')} in {counted(worse, 'reward')}, {gone:,} gone"
    return f"{said}; {counted(absent, 'reward')} {'is' if absent == 1 else 'are'} new to it" if absent else said


def peak_index(curve: Curve) -> int:
    """The place in the lists of a curve at which gold is highest."""
    if curve["peak"] in curve["n"]:
        return curve["n"].index(curve["peak"])
    usable = [value if math.isfinite(value) else -math.inf for value in curve["gold_mean"]]
    return usable.index(max(usable)) if usable else 0


def curve_said(curve: Curve) -> str:
    """Where gold is highest, and where both end, with intervals; it claims no more than these numbers show."""
    if not curve["n"]:
        return "The curve has no points."
    peak, last = peak_index(curve), len(curve["n"]) - 1
    said = [f"Gold is highest at n = {curve['n'][peak]:,}: {_with_interval(curve, 'gold', peak)}."]
    if peak < last:
        said.append(
            f"At n = {curve['n'][last]:,} gold is {_with_interval(curve, 'gold', last)}, "
            f"and the proxy has gone from {number(curve['proxy_mean'][peak])} to {number(curve['proxy_mean'][last])}."
        )
    else:
        said.append("That is the largest n, so no over-optimisation is seen up to it.")
    return " ".join(said)


def _with_interval(curve: Curve, kind: str, place: int) -> str:
    mean, low, high = (curve[f"{kind}_{part}"][place] for part in ("mean", "low", "high"))  # type: ignore[literal-required]
    return f"{number(mean)} (95 % interval {number(low)} to {number(high)})"


@dataclass(frozen=True)
class RefusedWay:
    """A way to write a right answer that the reward does not pay.

    Attributes:
        family: of the probes.
        variant: the way.
        examples: how many of the kept examples are written in it.
        example: the smallest of them.
    """

    family: str
    variant: str
    examples: int
    example: Example


def refused_ways(audit: Audit) -> list[RefusedWay]:
    """The ways to write a right answer of which an example was refused, by family, most examples first."""
    every = [
        example for finding in audit["findings"] if finding["kind"] == "refusal" for example in finding["examples"]
    ]
    every += [example for note in audit["notes"] for example in note["examples"]]
    ways: dict[tuple[str, str], dict[str, Example]] = {}
    for example in every:
        if example["relation"] == "right":
            ways.setdefault((example["family"], example["variant"]), {}).setdefault(example["id"], example)
    rows = [
        RefusedWay(family, variant, len(kept), min(kept.values(), key=lambda shown: len(shown["completion"])))
        for (family, variant), kept in ways.items()
    ]
    return sorted(rows, key=lambda row: (row.family, -row.examples, row.variant))


@dataclass(frozen=True)
class StatusRow:
    """How many scores came to the same end.

    Attributes:
        status: as the document has it.
        count: completions.
        share: of all completions.
        blame: "" for a score, "answer" where the answer made the reward fail, "reward" where it did not.
        words: who is to blame, in words.
    """

    status: str
    count: int
    share: float
    blame: str
    words: str


def status_rows(audit: Audit) -> list[StatusRow]:
    """What became of the scores: usable ones first, then the most frequent."""
    total = sum(audit["statuses"].values())
    rows = []
    for name, count in audit["statuses"].items():
        if count:
            rows.append(StatusRow(name, count, count / total, *_blame(name)))
    return sorted(rows, key=lambda row: (row.status != Status.OK.value, -row.count, row.status))


def _blame(name: str) -> tuple[str, str]:
    try:
        status = Status(name)
    except ValueError:
        return "reward", ""
    if status.ok:
        return "", "a score"
    if status.blames_answer:
        return "answer", "the answer makes the reward fail"
    return "reward", "the reward returned no score" if status.is_reward_bug else "not the answer's fault"


@dataclass(frozen=True)
class FamilyOverAll:
    """One family over all rewards.

    Attributes:
        family, description, relation: as the audits have them.
        tested: rewards with at least one probe of it.
        found: rewards with a finding in it.
    """

    family: str
    description: str
    relation: str
    tested: int
    found: int


def families_over(audits: Sequence[Audit]) -> list[FamilyOverAll]:
    """Which tricks work on how many rewards, the most successful first; without those that were tested nowhere."""
    tested: dict[str, list[tuple[str, str]]] = {}
    found: dict[str, int] = {}
    for audit in audits:
        hit = {family for finding in audit["findings"] for family in finding["family"].split(", ")}
        for row in audit["families"]:
            if row["tested"] and not row["not_tested"]:
                tested.setdefault(row["family"], []).append((row["description"], row["relation"]))
                found[row["family"]] = found.get(row["family"], 0) + (row["family"] in hit)
    rows = [
        FamilyOverAll(family, about[0][0], about[0][1], len(about), found[family]) for family, about in tested.items()
    ]
    return sorted(rows, key=lambda row: -row.found / row.tested)
